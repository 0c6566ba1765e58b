//! What a sign-in does not take along: data of another user, and of a session that was signed out before it. And what a refused
//! one does not leave to the guest.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::pin::pin;

use tower_user_sessions::{CommitError, Login, SessionLayer, UserSessions};

use crate::common::{
    faulty::{Fault, FaultyStore, Method, until_asked},
    http::{Client, HOUR, store, user},
};

fn carrying(id: &str) -> Login {
    Login::new(user(id)).carry(["cart"])
}

/// A browser whose session has a cart.
async fn with_a_cart(layer: &SessionLayer, id: Option<&str>) -> Client {
    let mut client = Client::new(layer);
    if let Some(id) = id {
        client.log_in(id).await;
    }
    client.insert("cart", "apple").await;
    client
}

// T5
#[tokio::test]
async fn the_token_of_a_user_in_the_guest_cookie_gives_no_data_away_and_is_not_ended() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut bob = with_a_cart(&layer, Some("bob")).await;
    let mut alice = Client::signed_in(&layer, "alice").await;
    alice.guest = Some(format!("__Host-session-guest={}", bob.token()));

    let answer = alice.send(|session| async move {
        session.log_in_with(carrying("alice")).unwrap();
    });
    answer.await;

    assert_eq!(alice.get("cart").await, None);
    assert_eq!(bob.user().await.as_deref(), Some("bob"));
    assert_eq!(bob.get("cart").await.as_deref(), Some("apple"));
}

// T5
#[tokio::test]
async fn a_guest_that_signs_out_and_in_leaves_its_data_behind() {
    let (store, _clock) = store();
    let mut client = with_a_cart(&SessionLayer::new(store), None).await;

    let answer = client.send(|session| async move {
        session.log_out().unwrap();
        session.log_in_with(carrying("alice")).unwrap();
    });
    answer.await;

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await, None);
}

// T5
#[tokio::test]
async fn a_sign_in_staged_twice_after_a_sign_out_begins_without_data() {
    let (store, _clock) = store();
    let mut client = with_a_cart(&SessionLayer::new(store), Some("alice")).await;

    let answer = client.send(|session| async move {
        session.log_out().unwrap();
        session.log_in(user("alice")).unwrap();
        session.log_in(user("alice")).unwrap();
        session.get::<String>("cart").unwrap()
    });

    assert_eq!(answer.await.value(), None);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await, None);
}

// T5
#[tokio::test]
async fn a_sign_in_staged_twice_takes_nothing_from_the_session_of_another_user() {
    let (store, _clock) = store();
    let mut client = with_a_cart(&SessionLayer::new(store), Some("alice")).await;

    let answer = client.send(|session| async move {
        session.log_in_with(carrying("bob")).unwrap();
        session.log_in_with(carrying("bob")).unwrap();
    });
    answer.await;

    assert_eq!(client.user().await.as_deref(), Some("bob"));
    assert_eq!(client.get("cart").await, None);
}

// T5
#[tokio::test]
async fn the_guest_of_a_refused_sign_in_keeps_nothing_that_was_staged_for_its_user() {
    let (store, _clock) = store();
    let alice = UserSessions::new(store.clone(), user("alice"));
    alice.disable_for(HOUR).await.unwrap();
    let faulty = FaultyStore::new(&store);
    let mut client = Client::new(&SessionLayer::new(faulty.clone()));
    faulty.next(Method::Create, Fault::Hang);

    let answer = client.send(move |session| {
        let asked = faulty.clone();
        async move {
            session.log_in(user("alice")).unwrap();
            session.insert("before", "secret").unwrap();
            let mut commit = pin!(session.commit());
            until_asked(&asked, Method::Create, 1, commit.as_mut()).await;
            session.insert("meanwhile", "secret").unwrap();
            asked.release();
            let refused = commit.await;
            assert!(matches!(refused, Err(CommitError::Disabled)), "{refused:?}");
            session.keys()
        }
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie(), "{:?}", answer.set_cookies());
    assert_eq!(answer.value(), Vec::<String>::new());
}
