//! `RedisStore` in several runtimes: the one that opened its connections may be idle, which nothing drives.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use tokio::{
    runtime::{Builder, Runtime},
    time::Instant,
};
use tower_user_sessions::{
    RedisStore, UserId, UserSessions,
    store::{RedisSource, Resolve, Resolved, SessionStore, StoreError, Token},
};

use crate::common::{
    cluster::Cluster,
    load::{answered, kinds, millis, offer},
    people::{guest, is_live, signs_in, token, until},
    redis::{Server, patient},
};

async fn resolves(store: RedisStore) -> Result<(), StoreError> {
    store.resolve(&Resolve::new(guest())).await.map(drop)
}

/// One that runs only while something blocks on it.
pub(super) fn idle() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub(super) fn busy() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// How many calls fail before one is answered.
async fn failed_before(store: &RedisStore, token: &Token) -> u32 {
    let (began, mut failed) = (Instant::now(), 0);
    while store.resolve(&Resolve::new(token.clone())).await.is_err() {
        failed += 1;
        assert!(began.elapsed() < millis(10_000), "never answered");
    }
    failed
}

// T70
#[test]
fn connections_of_a_runtime_that_is_idle_are_replaced() {
    let (server, idle, busy) = (Server::start(), idle(), busy());
    let store = RedisStore::connect(&server.url()).unwrap();
    let token = idle.block_on(async {
        let token = signs_in(&store, "alice").await;
        tokio::time::sleep(millis(200)).await;
        token
    });

    busy.block_on(async {
        // As many as may be in flight at first give up at once.
        let first = offer(500, millis(500), |_| resolves(store.clone())).await;
        let failed = failed_before(&store, &token).await;
        assert!(failed <= 2, "{failed} after {:?}", kinds(&first));

        let all = offer(200, millis(500), |_| resolves(store.clone())).await;
        assert_eq!(answered(&all), 100, "{:?}", kinds(&all));
    });
    idle.block_on(async { assert!(is_live(&store, &token).await) });
}

// T70
#[test]
fn an_outage_ends_though_the_runtime_that_connects_is_idle() {
    let (mut server, idle, busy) = (Server::start(), idle(), busy());
    let store = RedisStore::connect(&server.url()).unwrap();
    let token = idle.block_on(signs_in(&store, "alice"));
    server.kill();
    idle.block_on(async {
        until("the outage is known", async || {
            resolves(store.clone()).await.is_err()
        })
        .await;
    });
    server.restart();

    busy.block_on(async {
        let began = Instant::now();
        let mut number = 0;
        while resolves(store.clone()).await.is_err() {
            number += 1;
            assert!(began.elapsed() < millis(2_000), "{number} calls failed");
            tokio::time::sleep(millis(20)).await;
        }
        assert!(!is_live(&store, &token).await, "it is empty");
    });
}

// T70
#[test]
fn a_cluster_is_served_though_the_runtime_that_connected_is_idle() {
    let (idle, busy) = (idle(), busy());
    let cluster = busy.block_on(Cluster::start(&[]));
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let token = idle.block_on(signs_in(&store, "alice"));

    busy.block_on(async {
        assert!(failed_before(&store, &token).await <= 2);
        for number in 0..20 {
            let user = format!("user-{number}");
            let token = signs_in_soon(&store, &user).await;
            assert!(is_live(&store, &token).await);
        }
    });
}

/// The link to each primary has to be taken over.
async fn signs_in_soon(store: &RedisStore, user: &str) -> Token {
    let token = token(store, user);
    failed_before(store, &token).await;
    signs_in(store, user).await
}

// T70
#[test]
fn a_sign_in_that_was_given_up_ends_though_the_runtime_that_ends_it_is_idle() {
    let (mut server, idle, busy) = (Server::start(), idle(), busy());
    let store = RedisStore::connect(&server.url()).unwrap();
    let (first, second) = busy.block_on(async {
        (
            signs_in(&store, "alice").await,
            signs_in(&store, "bob").await,
        )
    });
    server.suspend();
    idle.block_on(async {
        store.end_undelivered(first.tag(), first.session_id());
        tokio::time::sleep(millis(50)).await;
    });
    server.resume();

    busy.block_on(async {
        store.end_undelivered(second.tag(), second.session_id());
        until("both have ended", async || {
            let mut live = 0;
            for token in [&first, &second] {
                let found = store.resolve(&Resolve::new(token.clone())).await;
                live += u32::from(!found.is_ok_and(|found| !matches!(found, Resolved::Live(_))));
            }
            live == 0
        })
        .await;
    });
    server.kill();
}

/// Stops a server that answered before, and asks it for the sessions of a user. Such a call first asks whether the sessions
/// of all users have ended. It is dropped without an answer, or only left alone, in a runtime that nothing drives from then on.
fn asks_in_vain(dropped: bool) -> (Server, RedisStore, UserSessions, impl Sized) {
    let (server, idle, busy) = (Server::start(), idle(), busy());
    let store = patient(RedisSource::url(&server.url()).unwrap()).build();
    let sessions = UserSessions::new(store.clone(), UserId::new("alice").unwrap());
    busy.block_on(signs_in(&store, "alice"));
    server.suspend();
    let asking = sessions.clone();
    let mut asks = Box::pin(async move { asking.list().await.map(drop) });
    let waited = idle.block_on(async { tokio::time::timeout(millis(100), &mut asks).await });
    assert!(waited.is_err(), "it is not answered: {waited:?}");
    server.resume();
    let asks = (!dropped).then_some(asks);
    (server, store, sessions, (idle, busy, asks))
}

// T70
#[test]
fn a_question_about_all_users_that_was_dropped_in_an_idle_runtime_holds_up_no_request() {
    let (_server, _store, sessions, _rest) = asks_in_vain(true);

    // The first one may meet the connection that was silent.
    let listed = async {
        loop {
            if let Ok(listed) = sessions.list().await {
                return listed;
            }
        }
    };
    let listed = busy().block_on(async { tokio::time::timeout(millis(30_000), listed).await });

    assert_eq!(listed.expect("the next one is not held up").len(), 1);
}

// T70
#[test]
fn a_question_about_all_users_that_an_idle_runtime_keeps_is_asked_by_a_later_request() {
    let (_server, _store, sessions, _rest) = asks_in_vain(false);

    busy().block_on(until("a later one is answered", async || {
        let listed = tokio::time::timeout(millis(1_000), sessions.list()).await;
        listed.is_ok_and(|listed| listed.is_ok())
    }));
}
