//! `Session::live`: what a stream that stays open learns of its session.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::StatusCode;
use tokio::time::timeout;
use tower_user_sessions::{
    EndReason, EndWords, Limit, LiveEnd, LiveSession, MemoryStore, OnOutage, Session,
    SessionErrorKind, SessionLayer, UserSessions,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Client, DAY, HOUR, store, user},
};

const SECOND: Duration = Duration::from_secs(1);

async fn live(client: &mut Client) -> LiveSession {
    let answer = client.send(|session| async move { session.live().unwrap() });
    answer.await.value()
}

async fn ended(live: &LiveSession) -> LiveEnd {
    timeout(SECOND, live.ended()).await.unwrap()
}

/// Whether the stream is still open after everything that is due was done.
async fn is_open(live: &LiveSession) -> bool {
    timeout(SECOND * 3, live.ended()).await.is_err()
}

// T41 T72
#[tokio::test(start_paused = true)]
async fn a_stream_learns_at_once_why_its_session_ended() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(1));
    let all = UserSessions::new(store, user("alice"));
    for case in ["evicted", "revoked", "administrator", "logged_out"] {
        clock.advance(SECOND);
        let mut first = Client::signed_in(&layer, "alice").await;
        let stream = live(&mut first).await;
        assert!(is_open(&stream).await);
        let id = stream.id();

        match case {
            "evicted" => drop(Client::signed_in(&layer, "alice").await),
            "revoked" => {
                let roomy = layer.clone().limit(Limit::at_most(9));
                let mut second = Client::signed_in(&roomy, "alice").await;
                let end = second.send(move |session: Session| async move {
                    session.user_sessions().unwrap().end(id).await.unwrap();
                });
                end.await;
            }
            "administrator" => drop(all.end_all().await.unwrap()),
            _ => {
                let out = first.send(|session: Session| async move { session.log_out().unwrap() });
                out.await;
            }
        }

        let end = ended(&stream).await;
        assert_eq!(end.reason(), case);
        assert_eq!(end.notice().unwrap().reason.as_str(), case);
        assert!(!end.message(&EndWords::default()).is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn the_reuse_of_a_token_ends_the_stream_of_the_thief_and_of_the_user() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).rotate_after(HOUR);
    let mut user = Client::signed_in(&layer, "alice").await;
    let mut thief = user.clone();
    let stream = live(&mut user).await;
    clock.advance(HOUR * 2);
    user.user().await;
    user.user().await;
    let newer = live(&mut user).await;
    clock.advance(HOUR);
    thief.user().await;

    assert_eq!(ended(&stream).await.reason(), "token_reuse");
    assert_eq!(ended(&newer).await.reason(), "token_reuse");
}

// T41 T47
#[tokio::test(start_paused = true)]
async fn the_reuse_of_a_token_on_another_server_ends_the_stream_at_once() {
    let (store, clock) = store();
    let here = SessionLayer::new(store.clone()).rotate_after(HOUR);
    let there = SessionLayer::new(store).rotate_after(HOUR);
    let mut user = Client::signed_in(&here, "alice").await;
    let mut thief = user.before(&there);
    let stream = live(&mut user).await;
    clock.advance(HOUR * 2);
    user.user().await;
    user.user().await;
    clock.advance(HOUR);

    assert_eq!(thief.user().await, None);

    assert_eq!(ended(&stream).await.reason(), "token_reuse");
}

// T72
#[tokio::test(start_paused = true)]
async fn a_stream_stays_open_over_ten_rotations_and_a_re_authentication_and_ends_nothing() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone())
        .rotate_after(HOUR)
        .look_every(SECOND);
    let mut client = Client::signed_in(&layer, "alice").await;
    let stream = live(&mut client).await;

    for turn in 0..10 {
        clock.advance(HOUR * 2);
        let before = client.token();
        client.user().await;
        assert_ne!(client.token(), before, "{turn}");
        client.user().await;
        assert!(is_open(&stream).await, "{turn}");
    }
    let proof = client.send(|session: Session| async move { session.reauthenticated().unwrap() });
    assert_eq!(proof.await.status, StatusCode::OK);
    clock.advance(HOUR);

    assert!(is_open(&stream).await);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

#[tokio::test(start_paused = true)]
async fn a_session_that_expires_ends_its_stream_and_an_open_stream_is_no_activity() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).look_every(SECOND);
    let mut client = Client::signed_in(&layer, "alice").await;
    let stream = live(&mut client).await;

    clock.advance(DAY - HOUR);
    assert!(is_open(&stream).await);
    clock.advance(HOUR * 2);

    assert_eq!(ended(&stream).await, LiveEnd::Expired);
}

#[tokio::test(start_paused = true)]
async fn only_what_is_stored_has_a_stream() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let kind = |session: Session| async move { session.live().unwrap_err().kind() };

    let mut guest = Client::new(&layer);
    assert_eq!(guest.send(kind).await.value(), SessionErrorKind::NoSession);
    let staged = |session: Session| async move {
        session.log_in("alice").unwrap();
        let before = session.live().unwrap_err().kind();
        session.commit().await.unwrap();
        (before, session.live().is_ok())
    };
    let staged = guest.send(staged).await.value();
    assert_eq!(staged, (SessionErrorKind::NoSession, true));

    let mut shopper = Client::new(&layer);
    shopper.insert("cart", "apple").await;
    let leaves = |session: Session| async move {
        session.log_in("bob").unwrap();
        let signs_in = session.live().unwrap_err().kind();
        session.log_out().unwrap();
        [signs_in, session.live().unwrap_err().kind()]
    };
    let leaves = shopper.clone().send(leaves).await.value();
    assert_eq!(leaves, [SessionErrorKind::NoSession; 2]);
    let mut shopper = Client::new(&layer);
    shopper.insert("cart", "apple").await;
    let stream = live(&mut shopper).await;
    shopper.log_in("bob").await;
    assert_eq!(ended(&stream).await.reason(), "replaced");

    let faulty = FaultyStore::new(&store);
    let mut client = Client::signed_in(&layer, "carol").await;
    faulty.next(Method::Resolve, Fault::Fail);
    let mut cut = client.before(&SessionLayer::new(faulty).on_outage(OnOutage::Guest));
    assert_eq!(cut.send(kind).await.value(), SessionErrorKind::Unavailable);
    assert!(is_open(&live(&mut client).await).await);
}

// T41 T74
#[tokio::test(start_paused = true)]
async fn an_end_of_all_users_ends_every_stream() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut streams = Vec::new();
    for name in ["alice", "bob", "carol"] {
        streams.push(live(&mut Client::signed_in(&layer, name).await).await);
    }
    clock.advance(SECOND);
    end_everyone(&store).await;

    for stream in streams {
        let end = timeout(SECOND * 2, stream.ended()).await.unwrap();
        assert_eq!(end.notice().unwrap().reason, EndReason::Everyone);
    }
}

async fn end_everyone(store: &MemoryStore) {
    use tower_user_sessions::{SessionStore, store::EndEveryone};

    store.end_everyone(EndEveryone::Now).await.unwrap();
}

/// How many bytes so many streams of as many users hold.
async fn bytes(count: usize) -> i64 {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut clients = Vec::new();
    for number in 0..count {
        clients.push(Client::signed_in(&layer, &format!("user {number}")).await);
    }
    let mut streams = Vec::with_capacity(count);
    for client in &mut clients {
        let large =
            client.send(|session| async move { session.insert("large", &"x".repeat(9_999)) });
        large.await.value().unwrap();
    }
    let sessions: Vec<Session> = {
        let mut sessions = Vec::new();
        for client in &mut clients {
            sessions.push(client.send(|session| async move { session }).await.value());
        }
        sessions
    };
    let counted = allocation_counter::measure(|| {
        for session in &sessions {
            streams.push(session.live().unwrap());
        }
    });
    assert_eq!(streams.len(), count);
    counted.bytes_current
}

// T72
#[test]
fn a_stream_holds_neither_a_token_nor_data_and_less_than_400_bytes() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let each = runtime.block_on(bytes(1_000)) / 1_000;

    assert!(each < 400, "{each} bytes");
}
