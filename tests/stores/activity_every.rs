//! An `activity_every` on a real Redis: requests within it write nothing there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    MemoryStore, SessionLayer,
    store::{
        Authenticated, Create, ManualClock, Record, Renewal, Resolve, Resolved, Rotate, Salt,
        SessionStore, Timestamp, Token,
    },
};

use crate::common::{
    http::{Client, HOUR},
    people::{signs_in, token},
    redis::Server,
};

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

/// How often Redis ran this command, and how many bytes its append-only file has.
async fn counts(server: &Server, command: &str) -> (u64, u64) {
    let number = |info: &str, name: &str, ends: char| {
        let line = info.lines().find_map(|line| line.strip_prefix(name));
        line.map_or(0, |rest| rest.split(ends).next().unwrap().parse().unwrap())
    };
    let stats: String = server.ask("INFO commandstats").await;
    let persistence: String = server.ask("INFO persistence").await;
    (
        number(&stats, &format!("cmdstat_{command}:calls="), ','),
        number(&persistence, "aof_current_size:", '\n'),
    )
}

#[tokio::test]
async fn requests_within_the_step_are_one_evalsha_each_and_write_nothing() {
    let server = Server::start_with(&["--appendonly", "yes", "--appendfsync", "no"]);
    let layer = SessionLayer::new(server.patient());
    let each = Client::signed_in(&layer, "alice").await;
    let mut stepped = each.before(&layer.activity_every(HOUR));
    let mut each = each;
    stepped.user().await;
    let before = (
        counts(&server, "hset").await,
        counts(&server, "evalsha").await.0,
    );

    for _ in 0..10 {
        assert_eq!(stepped.user().await.as_deref(), Some("alice"));
    }
    let within = (
        counts(&server, "hset").await,
        counts(&server, "evalsha").await.0,
    );
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        each.user().await;
    }
    let (writes, bytes) = counts(&server, "hset").await;

    assert_eq!(within, (before.0, before.1 + 10));
    assert_eq!(writes, before.0.0 + 10);
    assert!(bytes > before.0.1 + 10 * 100, "{bytes} bytes");
}

// T18
#[tokio::test]
async fn both_stores_write_the_same_activity() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let redis = server.store(clock.clone());
    let memory = MemoryStore::builder().clock(clock.clone()).build();
    let idle = Duration::from_millis(1_700);

    for step in [0, 1, 40, 99, 100, 101, 5_000] {
        for user in ["alice", "bob"] {
            let created = [
                made(&redis, user, idle).await,
                made(&memory, user, idle).await,
            ];
            let rotates = user == "bob";
            let tokens = if rotates {
                [
                    successor(&redis, &created[0]).await,
                    successor(&memory, &created[1]).await,
                ]
            } else {
                created
            };
            for gap in [1, 1, 39, 40, 41, 98, 99, 100, 101, 102, 150, 1_690] {
                clock.advance(Duration::from_millis(gap));
                let step = Duration::from_millis(step);
                let found = [
                    seen(&redis, &tokens[0], step).await,
                    seen(&memory, &tokens[1], step).await,
                ];
                assert_eq!(found[0], found[1], "{user}, step {step:?}, gap {gap}");
            }
        }
    }
}

async fn made<St: SessionStore>(store: &St, user: &str, idle: Duration) -> Token {
    let token = token(store, user);
    let mut create = Create::new(
        &token,
        Some(tower_user_sessions::UserId::new(user).unwrap()),
        Authenticated::At(NOW),
    );
    create.lifetime = tower_user_sessions::Lifetime::new(idle, HOUR);
    store.create(&create).await.unwrap();
    token
}

async fn successor<St: SessionStore>(store: &St, token: &Token) -> Token {
    let salt = Salt::from_bytes([7; 16]);
    let next = token.successor(&salt);
    let rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    store.rotate(&rotate).await.unwrap();
    next
}

/// What a request with this step finds: the store's time, the last activity, and whether the token counts
/// as unused.
async fn seen<St: SessionStore>(
    store: &St,
    token: &Token,
    step: Duration,
) -> Option<(Timestamp, Timestamp, bool)> {
    let mut resolve = Resolve::new(token.clone());
    resolve.activity_every = step;
    let unused = |record: &Record| {
        let rotation = record.rotation.as_deref();
        rotation.is_some_and(tower_user_sessions::store::Rotation::is_unused)
    };
    match store.resolve(&resolve).await.unwrap() {
        Resolved::Live(found) => {
            Some((found.now, found.record.last_activity, unused(&found.record)))
        }
        _ => None,
    }
}

#[tokio::test]
async fn the_key_outlives_a_session_whose_activity_follows_a_step() {
    let server = Server::start();
    let store = server.patient();
    let token = signs_in(&store, "alice").await;
    let mut resolve = Resolve::new(token.clone());
    resolve.activity_every = HOUR;

    let Resolved::Live(found) = store.resolve(&resolve).await.unwrap() else {
        panic!("the session is live");
    };
    let key = format!("sessions:{{{}}}", token.tag());
    let left: i64 = server.ask(&format!("PTTL {key}")).await;

    let needed = found.record.idle_expires_at().since(found.now);
    assert!(u128::try_from(left).unwrap() + 1_000 >= needed.as_millis());
}
