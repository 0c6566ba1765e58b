//! A session that expired says so, as long as the store still has it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::Method;
use tower_user_sessions::{
    EndReason, EndWords, Lifetime, SessionLayer, Timestamp, events::EventKind,
};

use crate::common::{
    book::Book,
    http::{Client, HOUR, store},
};

async fn why(client: &mut Client) -> Option<(EndReason, Timestamp)> {
    let answer = client.send(|session| async move {
        let notice = session.ended();
        notice.map(|it| (it.reason, it.ended_at))
    });
    answer.await.value()
}

// T42 T64
#[tokio::test]
async fn each_page_of_the_browser_learns_that_and_when_the_session_expired() {
    for (lifetime, after) in [
        (Lifetime::new(HOUR, 9 * HOUR), HOUR),
        (Lifetime::new(9 * HOUR, 2 * HOUR), 2 * HOUR),
    ] {
        let ((store, clock), book) = (store(), Book::default());
        let layer = SessionLayer::new(store)
            .lifetime(lifetime)
            .events(book.sink());
        let mut client = Client::signed_in(&layer, "alice").await;
        client.insert("cart", "tea").await;
        let expired = clock.now().plus(after);
        clock.advance(after + HOUR / 2);
        book.news();

        for _ in 0..3 {
            let said = why(&mut client).await;

            assert_eq!(said, Some((EndReason::Expired, expired)));
            assert_eq!(client.user().await, None);
            assert_eq!(client.get("cart").await, None);
        }
        let events = book.news();
        assert_eq!(events.len(), 1, "{events:?}");
        assert_eq!(events[0].0, EventKind::Expired);
    }
}

// T42
#[tokio::test]
async fn an_hour_after_it_expired_or_after_a_sign_in_elsewhere_it_is_unknown() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).lifetime(Lifetime::new(HOUR, HOUR));
    let mut late = Client::signed_in(&layer, "alice").await;
    let mut other = Client::signed_in(&layer, "bob").await;
    clock.advance(HOUR);
    Client::signed_in(&layer, "bob").await;
    assert_eq!(why(&mut other).await, None);

    clock.advance(HOUR);

    // Other requests sweep.
    for number in 0..400 {
        Client::signed_in(&layer, &format!("user {number}")).await;
    }
    assert_eq!(why(&mut late).await, None);
}

// T42
#[tokio::test]
async fn an_expired_guest_session_has_no_reason() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).guest_idle(HOUR);
    let mut client = Client::new(&layer);
    client.insert("cart", "tea").await;
    clock.advance(HOUR);

    assert_eq!(why(&mut client).await, None);
    assert_eq!(why(&mut client).await, None);
}

// T42
#[tokio::test]
async fn the_user_closes_the_message_and_the_cookie_goes() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).lifetime(Lifetime::new(HOUR, HOUR));
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    assert!(why(&mut client).await.is_some());

    client.method = Method::POST;
    let answer = client.send(|session| async move { session.forget().unwrap() });

    assert!(answer.await.removes_cookie());
    assert_eq!(why(&mut client).await, None);
}

#[tokio::test]
async fn the_message_says_that_the_session_expired() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).lifetime(Lifetime::new(HOUR, HOUR));
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);

    let answer = client.send(|session| async move {
        let notice = session.ended().unwrap();
        EndWords::default().message(&notice)
    });

    let said = answer.await.value();
    assert_eq!(said, "You were signed out because your session expired.");
}
