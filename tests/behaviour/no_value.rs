//! An `Option` of the app that is `None`, as a value.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tower_user_sessions::{Session, SessionErrorKind};

#[test]
fn a_value_that_was_none_is_read_as_none_by_its_type_and_by_that_of_what_it_had_not() {
    let session = Session::for_test("alice");
    session.insert("cart", &None::<Vec<String>>).unwrap();

    let same: Option<Option<Vec<String>>> = session.get("cart").unwrap();
    assert_eq!(same, Some(None));
    assert_eq!(session.get::<Vec<String>>("cart").unwrap(), None);
    assert_eq!(session.get::<String>("cart").unwrap(), None);
    assert_eq!(session.get::<()>("cart").unwrap(), Some(()));

    let add = |cart: Option<Vec<String>>| {
        let mut cart = cart.unwrap_or_default();
        cart.push("apple".into());
        cart
    };
    session.update("cart", add).unwrap();
    assert_eq!(
        session.get::<Vec<String>>("cart").unwrap().unwrap(),
        ["apple"]
    );
}

#[test]
fn a_value_of_another_type_is_an_error() {
    let session = Session::for_test("alice");
    for value in [0_u64, 0xc0, u64::MAX] {
        session.insert("cart", &value).unwrap();
        let error = session.get::<Vec<String>>("cart").unwrap_err();
        assert!(matches!(error.kind(), SessionErrorKind::Decode), "{error}");
    }
}
