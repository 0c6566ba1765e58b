//! What `look` and `touch` do in Redis: the one writes nothing, the other moves the TTL of its key.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    EndReason, Lifetime, SessionId, Timestamp,
    store::{End, Look, ManualClock, Presence, SessionStore, Touch, Which},
};

use crate::common::{
    people::{asks, is_live, signs_in, token},
    redis::Server,
};

// T49
#[tokio::test]
async fn a_look_at_many_sessions_writes_nothing() {
    let server = Server::start();
    let store = server.patient();
    let (live, ended) = (
        signs_in(&store, "alice").await,
        signs_in(&store, "alice").await,
    );
    let tag = live.tag();
    let end = End::new(tag, Which::One(ended.session_id()), EndReason::Revoked);
    store.end(&end).await.unwrap();
    let key = format!("sessions:{{{tag}}}");
    // Not a live session, and its time is over.
    let left_over = "A".repeat(16);
    let _: i64 = server.ask(&format!("HSET {key} {left_over} x")).await;
    let dump = || async { server.ask::<Vec<u8>>(&format!("DUMP {key}")).await };
    let writes = || async {
        let stats: String = server.ask("INFO commandstats").await;
        let mut calls = stats.lines();
        calls
            .find_map(|line| Some(line.strip_prefix("cmdstat_hset:calls=")?.to_owned()))
            .unwrap()
    };
    let before = (dump().await, writes().await);

    // More than one `HMGET` takes.
    let unknown = SessionId::from_bytes([1; 12]);
    let mut ids = vec![unknown; 2_500];
    ids[1_000] = live.session_id();
    ids[2_499] = ended.session_id();
    let found = store.look(&Look::new(tag, ids)).await.unwrap().sessions;

    assert_eq!(found.len(), 2_500);
    assert!(matches!(found[1_000], Presence::Live(_)));
    assert!(matches!(found[2_499], Presence::Ended(_)));
    let unknown = found.iter().filter(|it| **it == Presence::Unknown);
    assert_eq!(unknown.count(), 2_498);
    assert_eq!((dump().await, writes().await), before);
}

// T49
#[tokio::test]
async fn a_touch_moves_the_ttl_of_its_key_as_activity_does() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let store = server.store(clock.clone());
    let token = token(&store, "alice");
    let mut create = asks("alice", &token);
    create.lifetime = Lifetime::new(Duration::from_secs(64), Duration::from_secs(3_600));
    store.create(&create).await.unwrap();
    assert!(is_live(&store, &token).await);
    let key = format!("sessions:{{{}}}", token.tag());
    let ttl = || async { server.ask::<i64>(&format!("PTTL {key}")).await };
    let touched = async |age| {
        let touch = Touch::new(token.tag(), token.session_id(), age);
        store.touch(&touch).await.unwrap();
    };
    let _: i64 = server.ask(&format!("PEXPIRE {key} 1000")).await;
    clock.advance(Duration::from_secs(2));

    // Before the last activity: nothing is written.
    touched(Duration::from_secs(60)).await;
    assert!((1..=1_000).contains(&ttl().await));
    touched(Duration::from_secs(1)).await;

    // The idle time and a sixteenth of it, since a second ago.
    let ttl = ttl().await;
    assert!((65_000..=67_000).contains(&ttl), "{ttl}");
}
