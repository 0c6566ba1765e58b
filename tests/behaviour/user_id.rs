//! Who a sign-in is for: ids, numbers and text, and what happens to text that is no user id.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::error::Error;

use tower_user_sessions::{
    IntoUserId, Limit, Login, Session, SessionErrorKind, SessionLayer, UserId, UserSessions,
};

use crate::common::http::{Client, store};

/// Who is signed in after this.
fn signed_in(user: impl IntoUserId) -> String {
    let session = Session::for_test_guest();
    session.log_in(user).unwrap();
    session.user_id().unwrap().to_string()
}

#[test]
fn a_sign_in_takes_ids_numbers_text_and_uuids() {
    let id = UserId::new("alice").unwrap();
    let text = "alice".to_owned();

    assert_eq!(signed_in("alice"), "alice");
    assert_eq!(signed_in(&text), "alice");
    assert_eq!(signed_in(text), "alice");
    assert_eq!(signed_in(&id), "alice");
    assert_eq!(signed_in(id), "alice");
    assert_eq!(signed_in(42), "42");
    assert_eq!(signed_in(-1_i128), "-1");
    assert_eq!(signed_in(u8::MAX), "255");
    assert_eq!(
        signed_in(uuid::Uuid::nil()),
        "00000000-0000-0000-0000-000000000000"
    );
}

#[tokio::test]
async fn a_sign_in_by_text_is_the_session_of_that_user_in_the_store() {
    let (store, _clock) = store();
    let client = Client::new(&SessionLayer::new(store.clone()));

    client
        .request(|session| async move { session.log_in("alice").unwrap() })
        .await;

    let alice = UserSessions::new(store, UserId::new("alice").unwrap());
    assert_eq!(alice.count().await.unwrap(), 1);
}

#[tokio::test]
async fn text_that_is_no_user_id_is_a_typed_error_and_signs_nobody_in() {
    let (store, _clock) = store();
    let client = Client::new(&SessionLayer::new(store.clone()));

    let answer = client.request(|session| async move {
        let empty = session.log_in("").unwrap_err();
        let long = session.log_in("x".repeat(256)).unwrap_err();
        let login = Login::new("").limit(Limit::at_most(1));
        let with = session.log_in_with(login).unwrap_err();
        assert_eq!(session.user_id(), None);
        [empty, long, with].map(|error| (error.kind(), error.source().unwrap().to_string()))
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    let why = "a user id is text of 1 to 255 bytes".to_owned();
    for error in answer.value() {
        assert_eq!(error, (SessionErrorKind::UserId, why.clone()));
    }
    assert_eq!(store.sets(), 0);
}

#[test]
fn the_longest_text_of_a_user_id_signs_in() {
    assert_eq!(signed_in("x".repeat(255)).len(), 255);
}

#[test]
fn a_user_id_is_read_back_as_the_type_that_it_was() {
    let session = Session::for_test(42);

    let id = session.user_id().unwrap();

    assert_eq!(id.parse::<i64>(), Ok(42));
    assert_eq!(id.parse::<u8>(), Ok(42));
    assert!(UserId::new("alice").unwrap().parse::<i64>().is_err());
    assert_eq!(UserId::from(&id), id);
}

#[tokio::test]
async fn the_sessions_of_a_user_are_found_by_a_borrowed_id() {
    let session = Session::for_test("alice");
    let alice = session.user_id().unwrap();

    let listed = session.sessions_of(&alice).list().await.unwrap();

    assert_eq!(listed.len(), 1);
    assert_eq!(session.sessions_of(7).count().await.unwrap(), 0);
}
