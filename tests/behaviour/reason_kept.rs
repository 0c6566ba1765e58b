//! Reading why a session ended has no side effects: the reason is there until the user knows.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::Method;
use tower_user_sessions::{EndReason, MemoryStore, SessionLayer, UserSessions, store::ManualClock};

use crate::common::{
    faulty::{self, FaultyStore},
    http::{Client, HOUR, ids, store, user},
};

/// A browser whose session an administrator ended.
async fn signed_out() -> (Client, FaultyStore, MemoryStore, ManualClock) {
    let (memory, clock) = store();
    let store = FaultyStore::new(&memory);
    let client = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    let admin = UserSessions::new(memory.clone(), user("alice"));
    admin.end_all().await.unwrap();
    (client, store, memory, clock)
}

async fn reason(client: &mut Client) -> Option<EndReason> {
    let answer = client.send(|session| async move { session.ended().map(|it| it.reason) });
    answer.await.value()
}

// T64
#[tokio::test]
async fn the_reason_is_returned_as_often_as_it_is_asked_for() {
    let (mut client, store, _memory, clock) = signed_out().await;
    for method in [Method::GET, Method::HEAD, Method::POST, Method::GET] {
        client.method = method;
        clock.advance(HOUR / 5);

        let answer = client.send(|session| async move {
            let (first, second) = (session.ended(), session.ended());
            assert_eq!(first, second);
            first.unwrap().reason
        });
        let answer = answer.await;

        assert!(answer.sets_no_cookie());
        assert_eq!(answer.value(), EndReason::Administrator);
    }
    assert_eq!(store.calls(faulty::Method::Forget), 0);
}

// T64
#[tokio::test]
async fn the_reason_is_over_when_its_time_is() {
    let (mut client, _store, _memory, clock) = signed_out().await;
    clock.advance(HOUR);

    assert_eq!(reason(&mut client).await, None);
}

// T64
#[tokio::test]
async fn the_reason_is_over_when_the_user_signs_in() {
    let (mut client, _store, memory, clock) = signed_out().await;
    clock.advance(HOUR / 2);

    let answer = client.send(|session| async move {
        session.log_in("alice").unwrap();
        session.commit().await.unwrap();
        session.ended()
    });

    assert_eq!(answer.await.value(), None);
    assert_eq!(reason(&mut client).await, None);
    assert_eq!(ids(&memory, "alice").await.len(), 1);
}

// T64
#[tokio::test]
async fn the_reason_is_over_in_the_store_too_when_the_handler_says_so() {
    let (mut client, store, _memory, _clock) = signed_out().await;
    let mut other_tab = client.clone();
    client.method = Method::POST;

    let answer = client
        .send(|session| async move { session.forget().unwrap() })
        .await;

    assert!(answer.removes_cookie());
    assert_eq!(store.calls(faulty::Method::Forget), 1);
    assert_eq!(reason(&mut other_tab).await, None);
}

// T64
#[tokio::test]
async fn a_reason_that_is_forgotten_and_not_stored_is_still_there() {
    let (mut client, store, _memory, _clock) = signed_out().await;
    client.method = Method::POST;
    store.next(faulty::Method::Forget, faulty::Fault::Fail);

    let failed = client
        .send(|session| async move { session.forget().unwrap() })
        .await;
    let error = client.answered(|session| async move {
        session.forget().unwrap();
        let mut response = http::Response::new(String::new());
        *response.status_mut() = http::StatusCode::INTERNAL_SERVER_ERROR;
        (response, ())
    });
    let error = error.await;

    assert_eq!(failed.status, http::StatusCode::SERVICE_UNAVAILABLE);
    assert!(failed.sets_no_cookie() && error.sets_no_cookie());
    assert_eq!(reason(&mut client).await, Some(EndReason::Administrator));
}

// T64
#[tokio::test]
async fn a_guest_session_that_begins_meanwhile_does_not_hide_the_reason() {
    let (mut client, _store, _memory, _clock) = signed_out().await;

    client.insert("cart", "apple").await;

    assert_eq!(reason(&mut client).await, Some(EndReason::Administrator));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    client.method = Method::POST;
    client
        .send(|session| async move { session.forget().unwrap() })
        .await;
    assert_eq!((reason(&mut client).await, &client.cookie), (None, &None));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}
