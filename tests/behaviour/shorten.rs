//! `shorten`, `expires_at` and `idle_expires_at`: when a session ends, and how it ends earlier.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::{Response, StatusCode};
use tower_user_sessions::{
    Lifetime, Login, MemoryStore, RedisStore, Session, SessionErrorKind, SessionLayer, Timestamp,
    store::ManualClock,
};

use crate::common::{
    faulty::{FaultyStore, Method},
    http::{Client, DAY, HOUR, store},
    redis::Server,
};

const MINUTE: Duration = Duration::from_secs(60);

/// Ten minutes idle, one hour in all.
const SHORT: Lifetime = Lifetime::new(Duration::from_secs(600), HOUR);

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).lifetime(Lifetime::new(DAY, 5 * DAY));
    (layer, store, clock)
}

async fn shorten(client: &mut Client, to: Lifetime) {
    let answer = client.send(move |session| async move { session.shorten(to).unwrap() });
    assert_eq!(answer.await.status, StatusCode::OK);
}

/// When the session ends: without activity, and at all.
fn ends(session: &Session) -> Option<(Timestamp, Timestamp)> {
    Some((session.idle_expires_at()?, session.expires_at()?))
}

async fn found(client: &mut Client) -> Option<(Timestamp, Timestamp)> {
    let found = client.send(|session| async move { ends(&session) });
    found.await.value()
}

#[tokio::test]
async fn activity_moves_the_idle_end_and_never_past_the_absolute_one() {
    let (layer, _store, clock) = world();
    let began = clock.now();
    let mut client = Client::signed_in(&layer, "alice").await;

    let ended = began.plus(5 * DAY);
    assert_eq!(found(&mut client).await, Some((began.plus(DAY), ended)));
    for day in 1..=5_u32 {
        clock.advance(DAY - MINUTE);
        let idle = clock.now().plus(DAY).min(ended);
        assert_eq!(found(&mut client).await, Some((idle, ended)), "day {day}");
    }
    assert_eq!(clock.now().plus(5 * MINUTE), ended);
    clock.advance(5 * MINUTE);
    assert_eq!(client.user().await, None);
    assert_eq!(found(&mut client).await, None);
}

#[tokio::test]
async fn a_list_says_the_same_two_ends_as_the_session() {
    let (layer, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let answer = client.send(|session| async move {
        let listed = session.user_sessions().unwrap().list().await.unwrap();
        let info = &listed[0];
        (
            Some((info.idle_expires_at(), info.expires_at())),
            ends(&session),
        )
    });

    let (listed, own) = answer.await.value();
    assert_eq!(listed, own);
    assert_ne!(listed.unwrap().0, listed.unwrap().1);
}

#[tokio::test]
async fn a_guest_with_nothing_stored_has_no_end() {
    assert_eq!(ends(&Session::for_test_guest()), None);
}

#[tokio::test]
async fn a_shortened_session_ends_earlier_on_both_counts() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(MINUTE);
    let now = clock.now();

    shorten(&mut client, SHORT).await;

    let wanted = (now.plus(SHORT.idle()), now.plus(SHORT.absolute()));
    assert_eq!(found(&mut client).await, Some(wanted));
    for _ in 0..6 {
        assert_eq!(client.user().await.as_deref(), Some("alice"));
        clock.advance(SHORT.idle() - MINUTE / 6);
    }
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    clock.advance(MINUTE);
    assert_eq!(client.user().await, None);
}

#[tokio::test]
async fn a_longer_life_changes_nothing() {
    let (layer, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let before = found(&mut client).await;

    shorten(&mut client, Lifetime::new(30 * DAY, 30 * DAY)).await;

    assert_eq!(found(&mut client).await, before);
}

#[tokio::test]
async fn the_session_knows_its_new_ends_after_the_commit() {
    let (layer, _store, clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let now = clock.now();

    let answer = client.request(|session| async move {
        let before = ends(&session);
        session.shorten(SHORT).unwrap();
        assert_eq!(ends(&session), before, "staged only");
        session.commit().await.unwrap();
        ends(&session)
    });

    let wanted = (now.plus(SHORT.idle()), now.plus(SHORT.absolute()));
    assert_eq!(answer.await.value(), Some(wanted));
}

#[tokio::test]
async fn data_and_a_shorter_life_are_one_round_trip() {
    let (memory, _clock) = store();
    let faulty = FaultyStore::new(&memory);
    let mut client = Client::signed_in(&SessionLayer::new(faulty.clone()), "alice").await;
    let before = faulty.calls(Method::Save);

    client
        .send(|session| async move {
            session.insert("cart", "apple").unwrap();
            session.shorten(SHORT).unwrap();
        })
        .await;

    assert_eq!(faulty.calls(Method::Save), before + 1);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    let (idle, _) = found(&mut client).await.unwrap();
    let seen = client.send(|session| async move { session.last_activity().unwrap() });
    assert_eq!(idle, seen.await.value().plus(SHORT.idle()));
}

#[tokio::test]
async fn an_update_of_a_parallel_request_is_not_disturbed() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("visits", "").await;
    let parallel = client.clone();

    client
        .send(move |session| {
            let mut parallel = parallel.clone();
            async move {
                session
                    .update("visits", |visits: Option<String>| visits.unwrap() + "a")
                    .unwrap();
                shorten(&mut parallel, SHORT).await;
                session.commit().await.unwrap();
                session
                    .update("visits", |visits: Option<String>| visits.unwrap() + "b")
                    .unwrap();
            }
        })
        .await;

    assert_eq!(client.get("visits").await.as_deref(), Some("ab"));
    let (_, ends) = found(&mut client).await.unwrap();
    assert_eq!(ends, clock.now().plus(SHORT.absolute()));
}

#[tokio::test]
async fn the_shorter_of_two_counts_part_by_part() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    client
        .send(|session| async move {
            session.shorten(Lifetime::new(HOUR, 2 * HOUR)).unwrap();
            session.shorten(Lifetime::new(MINUTE, 3 * HOUR)).unwrap();
        })
        .await;

    let now = clock.now();
    let wanted = (now.plus(MINUTE), now.plus(2 * HOUR));
    assert_eq!(found(&mut client).await, Some(wanted));
}

#[tokio::test]
async fn a_staged_sign_in_is_made_with_the_shorter_life() {
    let (layer, _store, clock) = world();
    let mut client = Client::new(&layer);

    client
        .send(|session| async move {
            session
                .log_in_with(Login::new("alice").lifetime(Lifetime::new(MINUTE, DAY)))
                .unwrap();
            session.shorten(SHORT).unwrap();
        })
        .await;

    let now = clock.now();
    let wanted = (now.plus(MINUTE), now.plus(HOUR));
    assert_eq!(found(&mut client).await, Some(wanted));
}

#[tokio::test]
async fn a_sign_in_after_it_is_made_with_its_own_life() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    client
        .send(|session| async move {
            session.shorten(SHORT).unwrap();
            session.log_in("alice").unwrap();
        })
        .await;

    let now = clock.now();
    let wanted = (now.plus(DAY), now.plus(5 * DAY));
    assert_eq!(found(&mut client).await, Some(wanted));
}

#[tokio::test]
async fn a_re_authentication_in_the_same_request_is_shortened_too() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);

    client
        .send(|session| async move {
            session.shorten(SHORT).unwrap();
            session.reauthenticated().unwrap();
        })
        .await;

    let (idle, ends) = found(&mut client).await.unwrap();
    assert_eq!(idle, clock.now().plus(SHORT.idle()));
    // Counted from when the request arrived, some real milliseconds ago.
    let over = clock.now().plus(SHORT.absolute()).since(ends);
    assert!(over < MINUTE, "{over:?}");
}

#[tokio::test]
async fn a_guest_session_is_shortened_and_with_nothing_stored_nothing_happens() {
    let (layer, store, clock) = world();
    let mut client = Client::new(&layer);

    shorten(&mut client, SHORT).await;
    assert_eq!((client.cookie.as_ref(), store.sets()), (None, 0));
    client.insert("cart", "apple").await;
    shorten(&mut client, SHORT).await;

    let now = clock.now();
    let wanted = (now.plus(SHORT.idle()), now.plus(SHORT.absolute()));
    assert_eq!(found(&mut client).await, Some(wanted));
}

#[tokio::test]
async fn a_failed_request_shortens_nothing() {
    let (layer, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let before = found(&mut client).await;

    client
        .answered(|session| async move {
            session.shorten(SHORT).unwrap();
            let mut response = Response::new(String::new());
            *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            (response, ())
        })
        .await;

    assert_eq!(found(&mut client).await, before);
}

#[tokio::test]
async fn after_the_response_it_is_an_error() {
    let (layer, _store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let late = client
        .request(|session| async move { session })
        .await
        .value();

    let error = late.shorten(SHORT).unwrap_err();
    assert_eq!(error.kind(), SessionErrorKind::Closed);
}

#[tokio::test]
async fn on_redis_it_is_the_same() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let store = RedisStore::builder(server.pool())
        .clock(clock.clone())
        .build();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
    client.insert("cart", "apple").await;

    shorten(&mut client, SHORT).await;

    let now = clock.now();
    let wanted = (now.plus(SHORT.idle()), now.plus(SHORT.absolute()));
    assert_eq!(found(&mut client).await, Some(wanted));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    clock.advance(SHORT.idle());
    assert_eq!(client.user().await, None);
}

// T16 T17
#[tokio::test]
async fn after_a_later_re_authentication_the_session_lives_for_the_shorter_lifetime() {
    let server = Server::start();
    let (memory, clock) = store();
    let redis = RedisStore::builder(server.pool());
    let redis = redis.clock(clock.clone()).build();
    let own = Lifetime::new(20 * DAY, 30 * DAY);
    for layer in [SessionLayer::new(memory), SessionLayer::new(redis)] {
        let layer = layer.lifetime(own);
        for in_one_request in [false, true] {
            let mut client = Client::signed_in(&layer, "alice").await;
            clock.advance(10 * DAY);
            shorten(&mut client, SHORT).await;
            clock.advance(MINUTE);
            // The store's time when the user authenticated.
            let now = clock.now();

            let answer = client.send(move |session| async move {
                if in_one_request {
                    session.shorten(SHORT).unwrap();
                    session.commit().await.unwrap();
                }
                session.reauthenticated().unwrap();
                session.commit().await.unwrap();
                session.expires_at().unwrap()
            });

            let ends = answer.await.value();
            let latest = now.plus(SHORT.absolute());
            // The request is a few ms old, and that is subtracted.
            assert!(
                ends <= latest && latest.since(ends) < MINUTE,
                "{in_one_request}"
            );
            let (idle, _) = found(&mut client).await.unwrap();
            assert_eq!(idle, now.plus(SHORT.idle()));
        }
    }
}

#[tokio::test]
async fn a_re_authentication_in_parallel_does_not_undo_it() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(MINUTE);

    let status = client.at_once(
        |session| session.reauthenticated().unwrap(),
        |session| session.shorten(SHORT).unwrap(),
    );

    assert_eq!(status.await, StatusCode::OK);
    let (idle, ended) = found(&mut client).await.unwrap();
    assert_eq!(idle, clock.now().plus(SHORT.idle()));
    // It counts from the arrival of the request that re-authenticated.
    assert!(ended <= clock.now().plus(SHORT.absolute()), "{ended:?}");
}
