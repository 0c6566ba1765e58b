//! `RedisStore` on a Cluster of three primaries keeps the contract, also while slots move.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use deadpool_redis::{Runtime, cluster};
use redis_test::{cluster::RedisCluster, server::RedisServer};
use tower_user_sessions::{
    RedisStore, UserId,
    store::{
        Authenticated, Create, Created, ManualClock, Resolve, Resolved, Save, Saved, SessionStore,
        Tag, Timestamp, Token, conformance,
    },
};

use crate::common::redis::{ask, installed};

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

// One test: some runners use a process per test, and each would start its own Cluster.
// T49 T51
#[tokio::test]
async fn keeps_the_whole_contract_and_does_so_while_slots_move() {
    installed("redis-server", "redis-server");
    installed("redis-cli", "redis-tools");
    let cluster = RedisCluster::new(redis_test::cluster::RedisClusterConfiguration::default());
    let urls: Vec<String> = cluster.iter_servers().map(url).collect();
    let pool = cluster::Config::from_urls(urls)
        .create_pool(Some(Runtime::Tokio1))
        .unwrap();
    // What is tested is the contract, not the deadline: machines that run tests are slow at times.
    let make = async |clock: ManualClock| {
        RedisStore::builder(pool.clone())
            .clock(clock)
            .deadline(Duration::from_secs(10))
            .build()
    };

    conformance::all(make).await;
    users_live_on_all_primaries(&cluster, &make(ManualClock::at(NOW)).await).await;
    a_moving_slot_causes_no_error(&cluster, &make(ManualClock::at(NOW)).await).await;
    // Last: the Cluster takes a while to serve all slots again.
    a_store_starts_while_a_primary_is_stopped(&cluster, || RedisStore::new(pool.clone())).await;
}

async fn users_live_on_all_primaries(cluster: &RedisCluster, store: &RedisStore) {
    for user in 0..60 {
        let user = UserId::from(user);
        signs_in(store, &user, &token(store, &user)).await;
    }

    for server in cluster.iter_servers() {
        let keys: usize = ask(&url(server), "DBSIZE").await;
        assert!(keys > 0, "one primary has no user at all");
    }
}

/// The app's pool asks any node first. That may be the stopped one, so one good try of three is enough.
async fn a_store_starts_while_a_primary_is_stopped(
    cluster: &RedisCluster,
    new: impl Fn() -> RedisStore,
) {
    for server in cluster.iter_servers() {
        // However long the tries take, the others do not give the Cluster up.
        let command = "CONFIG SET cluster-require-full-coverage no";
        let _: () = ask(&url(server), command).await;
    }
    let stopped = cluster.iter_servers().next().unwrap();
    let pid = stopped.process.id();
    signal("-STOP", pid);

    let mut answered = 0;
    for _ in 0..3 {
        let store = new();
        // Two of three users are on other primaries.
        for _ in 0..12 {
            if answered == 0 {
                let guest = Token::random(Tag::random().unwrap()).unwrap();
                let found = store.resolve(&Resolve::new(guest)).await;
                answered += usize::from(found.is_ok());
            }
        }
    }
    signal("-CONT", pid);

    assert!(answered > 0, "no request was answered");
}

fn signal(signal: &str, pid: u32) {
    let sent = std::process::Command::new("kill")
        .args([signal, &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

async fn a_moving_slot_causes_no_error(cluster: &RedisCluster, store: &RedisStore) {
    let user = UserId::from(7);
    let (first, second, third) = (
        token(store, &user),
        token(store, &user),
        token(store, &user),
    );
    signs_in(store, &user, &first).await;
    let key = format!("sessions:{{{}}}", store.tag(&user));
    let mut nodes = Vec::new();
    for server in cluster.iter_servers() {
        let node = url(server);
        let id: String = ask(&node, "CLUSTER MYID").await;
        nodes.push((node, id));
    }
    let slot: u16 = ask(&nodes[0].0, &format!("CLUSTER KEYSLOT {key}")).await;
    let mut owner = 0;
    for (at, (node, _)) in nodes.iter().enumerate() {
        let keys: usize = ask(node, &format!("CLUSTER COUNTKEYSINSLOT {slot}")).await;
        if keys > 0 {
            owner = at;
        }
    }
    let (from, from_id) = &nodes[owner];
    let (to, to_id) = &nodes[(owner + 1) % nodes.len()];

    let _: () = ask(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}")).await;
    let _: () = ask(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}")).await;
    works(store, &first, "while the key waits to move").await;
    signs_in(store, &user, &second).await;

    let port = to.rsplit(':').next().unwrap();
    let _: () = ask(from, &format!("MIGRATE 127.0.0.1 {port} {key} 0 5000")).await;
    works(store, &first, "after the key moved, before the slot did").await;
    signs_in(store, &user, &third).await;

    for node in [to, from] {
        let _: () = ask(node, &format!("CLUSTER SETSLOT {slot} NODE {to_id}")).await;
    }
    for token in [&first, &second, &third] {
        works(store, token, "after the slot moved").await;
    }
    let there: usize = ask(to, &format!("CLUSTER COUNTKEYSINSLOT {slot}")).await;
    assert_eq!(there, 1, "the user lives on the other primary");
    let ttl: i64 = ask(to, &format!("PTTL {key}")).await;
    assert!(ttl > 0, "the key has a TTL there, too");
}

fn url(server: &RedisServer) -> String {
    format!("redis://{}", server.client_addr())
}

fn token(store: &RedisStore, user: &UserId) -> Token {
    let tag: Tag = store.tag(user);
    Token::random(tag).unwrap()
}

async fn signs_in(store: &RedisStore, user: &UserId, token: &Token) {
    let create = Create::new(token, Some(user.clone()), Authenticated::At(NOW));
    let created = store.create(&create).await.unwrap();
    assert!(matches!(created, Created::Created(_)), "{created:?}");
}

/// Reads and writes.
async fn works(store: &RedisStore, token: &Token, when: &str) {
    let found = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    assert!(matches!(found, Resolved::Live(_)), "{when}: {found:?}");
    let save = Save::new(token.tag(), token.session_id(), Default::default());
    let saved = store.save(&save).await.unwrap();
    assert!(matches!(saved, Saved::Saved { .. }), "{when}: {saved:?}");
}
