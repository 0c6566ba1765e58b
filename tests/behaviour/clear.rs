//! `keys` and `clear`: all data of a session at once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{Session, SessionErrorKind, SessionLayer};

use crate::common::{
    faulty::FaultyStore,
    http::{Client, store, user},
};

#[tokio::test]
async fn keys_are_those_stored_and_staged_but_not_those_removed() {
    let (store, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
    client.insert("cart", "apple").await;
    client.insert("note", "x").await;

    let seen = client.send(|session| async move {
        session.insert("theme", "dark").unwrap();
        session.remove("cart").unwrap();
        session.keys()
    });

    assert_eq!(seen.await.value(), ["note", "theme"]);
    let seen = client.send(|session| async move { session.keys() }).await;
    assert_eq!(seen.value(), ["note", "theme"]);
}

#[tokio::test]
async fn clear_removes_what_is_stored_and_what_the_request_inserted() {
    let (store, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
    client.insert("cart", "apple").await;

    let seen = client.send(|session| async move {
        session.insert("note", "x").unwrap();
        session
            .update("cart", |cart: Option<String>| cart.unwrap() + "!")
            .unwrap();
        session.clear().unwrap();
        (session.keys(), session.get::<String>("cart").unwrap())
    });

    assert_eq!(seen.await.value(), (vec![], None));
    let seen = client.send(|session| async move { session.keys() }).await;
    assert_eq!(seen.value(), [""; 0]);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn what_is_inserted_after_clear_is_kept() {
    let (store, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
    client.insert("cart", "apple").await;

    client
        .send(|session| async move {
            session.clear().unwrap();
            session.insert("cart", "pear").unwrap();
        })
        .await;

    let seen = client.send(|session| async move { session.keys() }).await;
    assert_eq!(seen.value(), ["cart"]);
    assert_eq!(client.get("cart").await.as_deref(), Some("pear"));
}

#[tokio::test]
async fn a_key_that_a_parallel_request_adds_survives_clear() {
    let (store, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
    client.insert("cart", "apple").await;
    let parallel = client.clone();

    client
        .send(move |session| {
            let mut parallel = parallel.clone();
            async move {
                session.clear().unwrap();
                parallel.insert("coupon", "ten").await;
            }
        })
        .await;

    assert_eq!(client.get("cart").await, None);
    assert_eq!(client.get("coupon").await.as_deref(), Some("ten"));
}

#[tokio::test]
async fn a_guest_who_inserts_and_clears_begins_no_session() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let client = Client::new(&SessionLayer::new(faulty.clone()));

    let answer = client.request(|session| async move {
        session.insert("cart", "apple").unwrap();
        session.clear().unwrap();
    });

    assert!(answer.await.sets_no_cookie());
    assert_eq!(faulty.all_calls(), 0);
}

#[tokio::test]
async fn clear_before_a_sign_in_leaves_nothing_to_carry_over() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client.insert("cart", "apple").await;

    client
        .send(|session| async move {
            session.clear().unwrap();
            let login = tower_user_sessions::Login::new(user("alice")).carry(["cart"]);
            session.log_in_with(login).unwrap();
        })
        .await;

    assert_eq!(client.get("cart").await, None);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn after_the_response_clear_is_an_error() {
    let (store, _clock) = store();
    let client = Client::signed_in(&SessionLayer::new(store), "alice").await;

    let answer = client.request(|session: Session| async move { session });
    let late = answer.await.value();

    assert_eq!(late.clear().unwrap_err().kind(), SessionErrorKind::Closed);
}
