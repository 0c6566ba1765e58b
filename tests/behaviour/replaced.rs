//! A late request with the token of a replaced session changes no cookie.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::StatusCode;
use tower_user_sessions::{
    CommitError, EndReason, MemoryStore, Session, SessionLayer, TokenSource, UserSessions,
    store::ManualClock,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Client, ids, store, user},
};

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

// T56
#[tokio::test]
async fn the_token_of_a_replaced_session_makes_a_guest_and_its_cookie_stays() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let signed_in = Client::signed_in(&layer, "alice").await;

    for previous in [guest, signed_in] {
        let mut client = previous.clone();
        client.log_in("alice").await;
        let late = previous.request(|session| async move {
            (
                session.user_id(),
                session.ended().map(|notice| notice.reason),
            )
        });
        let late = late.await;

        assert!(late.sets_no_cookie());
        assert_eq!(late.value(), (None, Some(EndReason::Replaced)));
    }
}

// T56
#[tokio::test]
async fn a_late_response_to_a_replaced_token_touches_no_cookie() {
    let (layer, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let previous = guest.clone();

    let late = previous.request(move |session: Session| {
        let mut guest = guest.clone();
        async move {
            guest.log_in("alice").await;
            session.insert("cart", "pear").unwrap();
        }
    });

    assert!(late.await.sets_no_cookie());
}

// T56
#[tokio::test]
async fn data_of_a_request_with_a_replaced_token_does_not_overwrite_the_new_cookie() {
    let (layer, _store, _clock) = world();
    let mut client = Client::new(&layer);
    client.insert("cart", "apple").await;
    let previous = client.clone();
    client.log_in("alice").await;

    let late = previous.request(|session| async move { session.insert("visits", "2").unwrap() });
    let late = late.await;
    client.keep(&late);

    assert_eq!(late.status, StatusCode::OK);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T56
#[tokio::test]
async fn a_replaced_token_can_sign_in() {
    let (layer, _store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let mut previous = client.clone();
    previous.clone().log_in("alice").await;

    previous.log_in("alice").await;

    assert_eq!(previous.user().await.as_deref(), Some("alice"));
}

// T56
#[tokio::test]
async fn a_late_logout_with_a_replaced_token_does_not_remove_the_new_cookie() {
    let (layer, _store, _clock) = world();
    let mut client = Client::new(&layer);
    client.insert("cart", "apple").await;
    let previous = client.clone();
    client.log_in("alice").await;

    let late = previous.request(|session| async move { session.log_out().unwrap() });
    let late = late.await;

    assert!(late.sets_no_cookie());
}

// T56
#[tokio::test]
async fn a_sign_in_after_a_sign_out_replaces_nothing_even_if_it_is_committed_twice() {
    let (memory, _clock) = store();
    let faulty = FaultyStore::new(&memory);
    let layer = SessionLayer::new(faulty.clone());
    let client = Client::signed_in(&layer, "alice").await;
    let newer = client.clone().log_in("alice").await;

    faulty.next(Method::Create, Fault::Fail);
    let failed = client.request(|session| async move {
        session.log_out().unwrap();
        session.log_in("alice").unwrap();
        session.commit().await.is_err()
    });
    assert!(failed.await.value());
    let signed_out = client.request(|session| async move {
        session.log_out().unwrap();
        session.commit().await.unwrap();
        session.log_in("alice").unwrap();
    });
    signed_out.await;

    let live = ids(&memory, "alice").await;
    assert!(live.contains(&newer));
    assert_eq!(live.len(), 3);
}

// T56
#[tokio::test]
async fn a_sign_in_does_not_replace_the_session_that_ended_the_one_before_for_that_reason() {
    let (layer, _store, clock) = world();
    let mut caller = Client::signed_in(&layer, "alice").await;
    let mut other = Client::signed_in(&layer, "alice").await;

    let ended = caller.request(|session: Session| async move {
        let sessions = session.user_sessions().unwrap();
        sessions.because(EndReason::Replaced).end_others().await
    });
    assert_eq!(ended.await.value().unwrap(), 1);
    let told = other.request(|session| async move { session.ended().unwrap().reason });
    assert_eq!(told.await.value(), EndReason::Revoked);
    // A sign-in of the same moment would be rejected.
    clock.advance(Duration::from_secs(1));
    other.log_in("alice").await;

    assert_eq!(caller.user().await.as_deref(), Some("alice"));
}

// T48 T63
#[tokio::test]
async fn what_a_guest_inserts_is_kept_although_the_response_of_a_sign_in_was_lost() {
    let (layer, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let signed_in = Client::signed_in(&layer, "alice").await;

    for mut client in [guest, signed_in] {
        // The browser never gets the new cookie.
        client.clone().log_in("alice").await;

        client.insert("cart", "pear").await;

        assert_eq!(client.get("cart").await.as_deref(), Some("pear"));
    }
}

// T56
#[tokio::test]
async fn a_bearer_client_with_a_replaced_token_gets_no_guest_token_in_its_place() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).token_source(TokenSource::Bearer);
    let mut client = Client::new(&layer);
    let sign_in = |session: Session| async move { session.log_in("alice").unwrap() };
    let answer = client.request(sign_in).await;
    assert!(client.bears(&answer));
    client.request(sign_in).await;

    let late = client.request(|session: Session| async move {
        session.insert("cart", "pear").unwrap();
        session.commit().await.map(drop)
    });

    assert!(matches!(late.await.value(), Err(CommitError::Ended)));
}

// T48
#[tokio::test]
async fn after_a_sign_out_data_is_kept_although_the_session_ended_meanwhile() {
    let (layer, store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let admin = UserSessions::new(store, user("alice"));

    let answer = client.send(move |session: Session| {
        let admin = admin.clone();
        async move {
            admin.end_all().await.unwrap();
            session.insert("note", "x").unwrap();
            let lost = session.commit().await.map(drop);
            session.log_out().unwrap();
            session.insert("cart", "pear").unwrap();
            lost
        }
    });

    assert!(matches!(answer.await.value(), Err(CommitError::Ended)));
    assert_eq!(client.get("cart").await.as_deref(), Some("pear"));
    assert_eq!(client.get("note").await, None);
}
