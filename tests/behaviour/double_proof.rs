//! Double submits of a re-authentication: two requests with one token, and the browser keeps either response.
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
    CommitError, EndReason, MemoryStore, SessionLayer, events::EventKind, store::ManualClock,
};

use crate::common::{
    book::Book,
    http::{Answer, Client, ids, store},
};

const GRACE: Duration = Duration::from_secs(120);
const MS: Duration = Duration::from_millis(1);

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

/// Two requests with one token re-authenticate, so much time apart. The answers, in the order of their commits.
async fn twice(
    browser: &Client,
    clock: &ManualClock,
    apart: Duration,
) -> (Answer<()>, Answer<Answer<()>>) {
    let (parallel, clock) = (browser.clone(), clock.clone());
    let slow = browser.request(move |session| {
        let (parallel, clock) = (parallel.clone(), clock.clone());
        async move {
            assert!(session.user_id().is_some());
            let quick =
                parallel.request(|session| async move { session.reauthenticated().unwrap() });
            let quick = quick.await;
            clock.advance(apart);
            session.reauthenticated().unwrap();
            quick
        }
    });
    let mut slow = slow.await;
    (slow.take(), slow)
}

/// The browser with the cookie of this response.
fn kept<T>(browser: &Client, answer: &Answer<T>) -> Client {
    let mut browser = browser.clone();
    browser.keep(answer);
    browser
}

// T54 T5
#[tokio::test]
async fn whichever_response_the_browser_keeps_opens_the_session() {
    // The responses that the browser gets, in this order. Some browsers drop the first one at the second click.
    for gets in [&[0][..], &[1], &[0, 1], &[1, 0]] {
        for apart in [Duration::ZERO, GRACE - MS] {
            let (layer, store, clock) = world();
            let mut before = Client::signed_in(&layer, "alice").await;
            let id = ids(&store, "alice").await;

            let (first, second) = twice(&before, &clock, apart).await;

            assert_eq!([first.status, second.status], [StatusCode::OK; 2]);
            let mut browser = before.clone();
            for at in gets {
                match at {
                    0 => browser.keep(&first),
                    _ => browser.keep(&second),
                }
            }
            assert_eq!(before.user().await, None, "the token from before is dead");
            clock.advance(GRACE - MS);
            assert_eq!(browser.user().await.as_deref(), Some("alice"));
            clock.advance(GRACE * 2);
            assert_eq!(browser.user().await.as_deref(), Some("alice"));
            assert_eq!(ids(&store, "alice").await, id);
        }
    }
}

// T54
#[tokio::test]
async fn of_both_tokens_the_one_that_was_used_last_stays() {
    let (store, clock) = store();
    let book = Book::default();
    let layer = SessionLayer::new(store.clone()).events(book.sink());
    let before = Client::signed_in(&layer, "alice").await;
    let id = ids(&store, "alice").await;
    let (first, second) = twice(&before, &clock, Duration::ZERO).await;
    let (mut first, mut second) = (kept(&before, &first), kept(&before, &second));
    for with_first in [true, false, true, false, true] {
        let browser = if with_first { &mut first } else { &mut second };
        assert_eq!(browser.user().await.as_deref(), Some("alice"));
    }
    book.news();
    clock.advance(GRACE);

    assert_eq!(second.user().await, None);

    assert_eq!(first.user().await.as_deref(), Some("alice"));
    assert_eq!(ids(&store, "alice").await, id);
    let kinds: Vec<_> = book.0.lock().unwrap().iter().map(|it| it.kind).collect();
    assert!(kinds.contains(&EventKind::TokenReuse), "{kinds:?}");
    assert!(!kinds.contains(&EventKind::Ended), "{kinds:?}");
}

// T5
#[tokio::test]
async fn a_later_re_authentication_ends_both_tokens() {
    for with_first in [false, true] {
        let (layer, _store, clock) = world();
        let before = Client::signed_in(&layer, "alice").await;
        let (first, second) = twice(&before, &clock, Duration::ZERO).await;
        let both = [kept(&before, &first), kept(&before, &second)];
        let mut browser = both[usize::from(!with_first)].clone();

        let again = browser.send(|session| async move { session.reauthenticated().unwrap() });
        assert_eq!(again.await.status, StatusCode::OK);

        for mut copy in both {
            let late = copy.send(|session| async move {
                (session.user_id(), session.ended().map(|it| it.reason))
            });
            assert_eq!(late.await.value(), (None, Some(EndReason::Replaced)));
        }
        assert_eq!(browser.user().await.as_deref(), Some("alice"));
    }
}

#[tokio::test]
async fn a_re_authentication_that_came_too_late_says_so_and_ends_nothing() {
    let (layer, store, clock) = world();
    let before = Client::signed_in(&layer, "alice").await;
    let id = ids(&store, "alice").await;

    let (first, second) = twice(&before, &clock, GRACE).await;

    assert_eq!(second.status, StatusCode::UNAUTHORIZED);
    assert!(second.sets_no_cookie());
    let mut browser = kept(&kept(&before, &first), &second);
    assert_eq!(browser.user().await.as_deref(), Some("alice"));
    assert_eq!(ids(&store, "alice").await, id);
}

#[tokio::test]
async fn a_handler_that_came_too_late_still_has_its_session() {
    let (layer, _store, clock) = world();
    let before = Client::signed_in(&layer, "alice").await;
    let parallel = before.clone();

    let late = before.request(move |session| {
        let (parallel, clock) = (parallel.clone(), clock.clone());
        async move {
            let quick =
                parallel.request(|session| async move { session.reauthenticated().unwrap() });
            let quick = kept(&parallel, &quick.await);
            clock.advance(GRACE);
            session.insert("cart", "apple").unwrap();
            session.reauthenticated().unwrap();
            let done = session.commit().await;
            assert!(matches!(done, Err(CommitError::TokenReplaced)), "{done:?}");
            assert!(session.user_id().is_some());
            session.commit().await.unwrap();
            quick
        }
    });
    let late = late.await;

    assert_eq!(late.status, StatusCode::OK);
    assert!(late.sets_no_cookie());
    let mut browser = late.value();
    assert_eq!(browser.get("cart").await.as_deref(), Some("apple"));
}
