//! Double submits: two sign-ins that send the same previous token make one session.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{Limit, Login, MemoryStore, SessionId, SessionLayer, store::ManualClock};

use crate::common::{
    faulty::{Fault, FaultyStore, Method, poll_once, until_asked},
    http::{Client, HOUR, ids, store, user},
};

const SECOND: Duration = Duration::from_secs(1);

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(2));
    (layer, store, clock)
}

/// A browser that sends a token when it signs in: that of a guest or of a user.
async fn browser(layer: &SessionLayer, of_user: bool) -> Client {
    let mut browser = Client::new(layer);
    browser.insert("cart", "apple").await;
    if of_user {
        browser.log_in("alice").await;
    }
    browser
}

// T54
#[tokio::test]
async fn two_sign_ins_in_turn_with_one_previous_token_make_one_session() {
    let (layer, store, clock) = world();
    let phone = Client::signed_in(&layer, "alice").await;
    for of_user in [false, true] {
        let previous = browser(&layer, of_user).await;
        let (mut first, mut second, mut third) = (previous.clone(), previous.clone(), previous);

        clock.advance(SECOND);
        first.log_in("alice").await;
        clock.advance(SECOND);
        second.log_in("alice").await;
        clock.advance(SECOND);
        let last = third.log_in("alice").await;

        let live = ids(&store, "alice").await;
        assert_eq!(live.len(), 2);
        assert!(live.contains(&last));
        assert_eq!(phone.clone().user().await.as_deref(), Some("alice"));
        assert_eq!(first.user().await, None);
        third
            .send(|session| async move { session.log_out().unwrap() })
            .await;
    }
}

// T54
#[tokio::test]
async fn two_sign_ins_at_once_with_one_previous_token_make_one_session() {
    let (_, store, _clock) = world();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone()).limit(Limit::at_most(2));
    let phone = Client::signed_in(&layer, "alice").await;
    for of_user in [false, true] {
        let previous = browser(&layer, of_user).await;
        let (mut first, mut second) = (previous.clone(), previous);
        let calls = faulty.calls(Method::Create);
        faulty.nth(Method::Create, 1, Fault::HangAfter);
        let mut slow = Box::pin(first.log_in("alice"));
        until_asked(&faulty, Method::Create, calls + 1, slow.as_mut()).await;
        assert!(poll_once(slow.as_mut()).await.is_none());

        let last = second.log_in("alice").await;
        faulty.release();
        slow.await;

        let live = ids(&store, "alice").await;
        assert_eq!(live.len(), 2);
        assert!(live.contains(&last));
        assert_eq!(phone.clone().user().await.as_deref(), Some("alice"));
        second
            .send(|session| async move { session.log_out().unwrap() })
            .await;
    }
}

// T54
#[tokio::test]
async fn an_hour_later_the_end_notice_still_names_the_successor_session() {
    let (layer, store, clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    client.clone().log_in("alice").await;
    clock.advance(HOUR - SECOND);

    client.clone().log_in("alice").await;

    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T54
#[tokio::test]
async fn a_double_submit_is_not_refused_by_a_full_limit() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(1).refuse());
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    guest.clone().log_in("alice").await;

    guest.log_in("alice").await;

    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T54
#[tokio::test]
async fn data_of_the_earlier_sign_in_is_kept_by_the_later_one() {
    let (layer, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let mut first = guest.clone();
    first.log_in("alice").await;
    first.insert("visits", "1").await;

    guest.log_in("alice").await;

    assert_eq!(guest.get("visits").await.as_deref(), Some("1"));
}

// T54
#[tokio::test]
async fn a_sign_in_as_another_user_replaces_no_session() {
    let (layer, store, _clock) = world();
    let previous = Client::signed_in(&layer, "alice").await;
    previous.clone().log_in("alice").await;

    previous.clone().log_in("bob").await;

    assert_eq!(ids(&store, "alice").await.len(), 1);
    assert_eq!(ids(&store, "bob").await.len(), 1);
}

// T54
#[tokio::test]
async fn a_sign_in_after_a_sign_out_in_one_request_replaces_no_session() {
    let (layer, store, _clock) = world();
    let previous = Client::signed_in(&layer, "alice").await;
    previous.clone().log_in("alice").await;

    let both = previous.request(|session| async move {
        session.log_out().unwrap();
        session.log_in_with(Login::new(user("alice"))).unwrap();
    });
    both.await;

    let live: Vec<SessionId> = ids(&store, "alice").await;
    assert_eq!(live.len(), 2);
}
