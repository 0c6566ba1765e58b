//! Reading why a session ended has no side effects: the reason is there until the user knows.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::Method;
use tower_user_sessions::{
    EndReason, MemoryStore, SessionLayer, SessionStore, UserSessions,
    store::{End, ManualClock, Which},
};

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

// T62
#[tokio::test]
async fn forgetting_a_dead_guest_leaves_the_cookie_that_another_response_may_have_replaced() {
    let (memory, _clock) = store();
    let layer = SessionLayer::new(memory);
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut late = client.clone();
    client.log_in("alice").await;
    late.guest = Some("__Host-session-guest=none".to_owned());
    late.method = Method::POST;

    let answer = late
        .send(|session| async move { session.forget().unwrap() })
        .await;

    let [line] = answer.set_cookies()[..] else {
        panic!("{:?}", answer.set_cookies());
    };
    assert!(line.starts_with("__Host-session-guest=;"), "{line}");
}

// T62
#[tokio::test]
async fn a_request_with_a_token_after_its_time_removes_no_cookie() {
    let (memory, clock) = store();
    let layer = SessionLayer::new(memory).rotate_after(HOUR / 4);
    let mut client = Client::signed_in(&layer, "alice").await;
    client.user().await;
    let mut late = client.clone();
    clock.advance(HOUR / 4);
    client.user().await;
    client.user().await;
    clock.advance(HOUR / 4);
    late.method = Method::POST;

    let answer = late.send(|session| async move {
        session.forget().unwrap();
        session.ended().map(|it| it.reason)
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), Some(EndReason::TokenReuse));
}

// T42
#[tokio::test]
async fn a_sign_in_that_counts_as_undelivered_leaves_its_browser_no_reason() {
    let (memory, _clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(memory.clone()), "alice").await;
    let (tag, id) = (memory.tag(&user("alice")), ids(&memory, "alice").await[0]);
    let end = End::new(tag, Which::One(id), EndReason::Undelivered);

    memory.end(&end).await.unwrap();

    assert_eq!(client.user().await, None);
    assert_eq!(reason(&mut client).await, None);
}
