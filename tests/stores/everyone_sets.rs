//! Servers that share a storage of session sets, and PostgreSQL: the sessions of all users end on each of them.

use std::{task::Poll, time::Duration};

use http::StatusCode;
use tokio::time::{Instant, sleep, timeout};
use tower_user_sessions::{
    EndReason, Everyone, SessionLayer, UserId, UserSessions,
    store::{End, EndEveryone, Scan, SessionStore, SharedStore, StoreErrorKind, Tag, Token, Which},
};

use crate::common::{
    http::Client,
    people::{asks, signs_in},
    postgres::{Server, patient},
    shelf::Shelf,
};

/// What names no session set: the moment is stored there.
const ZEROS: Tag = Tag::from_bytes([0; 12]);

// T74
#[tokio::test]
async fn a_call_that_nobody_polls_any_more_holds_up_no_other_call() {
    let store = SharedStore::from(Shelf::default().yielding().store());
    let sessions = UserSessions::new(store, UserId::new("alice").unwrap());
    let mut paused = std::pin::pin!(sessions.list());
    // It asks whether the sessions of all users ended, and is left alone before the answer.
    let polled = std::future::poll_fn(|cx| Poll::Ready(paused.as_mut().poll(cx))).await;
    assert!(polled.is_pending());

    let other = timeout(Duration::from_secs(10), sessions.list()).await;

    assert!(matches!(other, Ok(Ok(_))), "{other:?}");
}

// T74
#[tokio::test]
async fn every_server_of_one_storage_answers_401_and_so_does_one_that_starts_later() {
    let shelf = Shelf::default();
    all_servers_answer_401(|| shelf.store().into()).await;
}

// T74
#[tokio::test]
async fn every_server_of_one_postgres_answers_401_and_so_does_one_that_starts_later() {
    let server = Server::start();
    server.store().await;
    all_servers_answer_401(|| patient(server.pool()).build().into()).await;
}

/// Each store that `store` makes is that of another server.
async fn all_servers_answer_401(store: impl Fn() -> SharedStore) {
    let there = SessionLayer::new(store());
    let alice = Client::signed_in(&there, "alice").await;
    assert_eq!(alice.users_only().await, StatusCode::OK);

    Everyone::new(store()).end_all().await.unwrap();
    let began = Instant::now();

    let later = SessionLayer::new(store());
    let moved = alice.before(&later);
    assert_eq!(moved.users_only().await, StatusCode::UNAUTHORIZED);
    while alice.users_only().await == StatusCode::OK {
        assert!(began.elapsed() < Duration::from_secs(5));
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(alice.users_only().await, StatusCode::UNAUTHORIZED);

    for layer in [&there, &later] {
        let again = Client::signed_in(layer, "alice").await;
        assert_eq!(again.users_only().await, StatusCode::OK);
        a_token_of_zeros_makes_a_guest(layer).await;
    }
}

/// What is stored under that tag is no session set, and no reason for an error.
async fn a_token_of_zeros_makes_a_guest(layer: &SessionLayer) {
    let token = Token::random(ZEROS).unwrap().encode();
    let mut forger = Client::new(layer);
    forger.cookie = Some(format!("__Host-session={}", token.as_str()));

    let answer = forger
        .request(|session| async move { session.user_id() })
        .await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.value(), None);
}

// T2 T59
#[tokio::test]
async fn nothing_is_written_over_the_moment_of_all_users() {
    let store = Shelf::default().store();
    let alice = signs_in(&store, "alice").await;
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    let token = Token::random(ZEROS).unwrap();
    let mut create = asks("alice", &token);
    create.tag = ZEROS;

    let created = store.create(&create).await;
    let ended = store
        .end(&End::new(ZEROS, Which::All, EndReason::Administrator))
        .await;
    store.end_undelivered(ZEROS, token.session_id());
    let waiting = store.drain(Duration::from_secs(5)).await;
    let page = store.scan(&Scan::new()).await.unwrap();

    let unsupported = Some(StoreErrorKind::Unsupported);
    assert_eq!(created.err().map(|error| error.kind()), unsupported);
    assert_eq!(ended.err().map(|error| error.kind()), unsupported);
    assert_eq!(waiting, 0);
    let ids: Vec<_> = page.sets.iter().flatten().map(|record| record.id).collect();
    assert_eq!(ids, [alice.session_id()]);
    assert_eq!(store.everyone(None).await.unwrap(), Some(moment));
}
