//! `RedisStore` behind Sentinel: it is on the new master soon after the promotion.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use deadpool_redis::redis::sentinel::{SentinelClient, SentinelServerType};
use tokio::time::Instant;
use tower_user_sessions::{
    RedisStore,
    store::{IntoRedisSource, Resolve, Resolved, SessionStore, Token},
};

use crate::common::{
    people::{signs_in, until},
    redis::{ask, ask_with, try_ask},
    sentinels::Sentinels,
};

/// A master, a replica and three sentinels that notice within half a second.
pub(super) async fn start() -> (Sentinels, Vec<String>) {
    let servers = Sentinels::start().await;
    let sentinels = servers.urls();
    for sentinel in &sentinels {
        for (name, value) in [
            ("down-after-milliseconds", "500"),
            ("failover-timeout", "3000"),
        ] {
            let _: () = ask_with(sentinel, &["SENTINEL", "SET", "master0", name, value]).await;
        }
    }
    (servers, sentinels)
}

async fn info(server: &str, section: &str) -> String {
    try_ask(server, &["INFO", section])
        .await
        .unwrap_or_default()
}

/// A store with one session, which is on the replica, too.
async fn store(servers: &Sentinels, sentinels: &[String]) -> (RedisStore, Token) {
    let sentinels = sentinels.iter().map(String::as_str);
    let store = RedisStore::connect_sentinel(sentinels, "master0").unwrap();
    with_session(store, servers).await
}

async fn with_session(store: RedisStore, servers: &Sentinels) -> (RedisStore, Token) {
    let token = signs_in(&store, "alice").await;
    let replica = servers.replica().url();
    until("the replica has it", async || {
        ask::<usize>(&replica, "DBSIZE").await == 1
    })
    .await;
    (store, token)
}

async fn is_on(store: &RedisStore, token: &Token) -> bool {
    let found = store.resolve(&Resolve::new(token.clone())).await;
    matches!(found, Ok(Resolved::Live(_)))
}

/// Whether a sentinel names this one as the master.
async fn names(sentinels: &[String], port: &str) -> bool {
    for sentinel in sentinels {
        let command = "SENTINEL GET-MASTER-ADDR-BY-NAME master0";
        if ask::<(String, String)>(sentinel, command).await.1 == port {
            return true;
        }
    }
    false
}

/// How long after the promotion the session answers, under constant requests.
async fn lost_by(signal: &str) -> Duration {
    let (servers, sentinels) = start().await;
    let (store, token) = store(&servers, &sentinels).await;
    let replica = servers.replica().url();

    servers.master.signal(signal);
    let visitors = {
        let (store, token) = (store.clone(), token.clone());
        tokio::spawn(async move {
            loop {
                let _ = is_on(&store, &token).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    let port = replica.rsplit_once(':').unwrap().1;
    while !names(&sentinels, port).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let promoted = Instant::now();
    while !is_on(&store, &token).await {
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(promoted.elapsed() < Duration::from_secs(20));
    }
    let after = promoted.elapsed();
    visitors.abort();
    after
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_killed_is_left_a_second_after_the_promotion() {
    let after = lost_by("-KILL").await;

    assert!(after < Duration::from_secs(1), "{after:?}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_stopped_is_left_a_second_after_the_promotion() {
    let after = lost_by("-STOP").await;

    assert!(after < Duration::from_secs(1), "{after:?}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_was_replaced_is_left_although_it_answers() {
    let (servers, sentinels) = start().await;
    let (store, token) = store(&servers, &sentinels).await;
    let (master, replica) = (servers.master.url(), servers.replica().url());

    promote(&replica, &sentinels).await;

    until("the store is on the new one", async || {
        let before = ask::<usize>(&replica, "DBSIZE").await;
        assert!(is_on(&store, &token).await, "never without an answer");
        let user = format!("user-{before}");
        signs_in(&store, &user).await;
        ask::<usize>(&replica, "DBSIZE").await > before
    })
    .await;
    assert!(info(&master, "replication").await.contains("role:master"));
}

/// The old master knows nothing of its replacement, as one that is cut off.
async fn promote(replica: &str, sentinels: &[String]) {
    for sentinel in sentinels {
        let port = replica.rsplit_once(':').unwrap().1;
        let _: () = ask(sentinel, "SENTINEL REMOVE master0").await;
        let words = ["SENTINEL", "MONITOR", "master0", "127.0.0.1", port, "2"];
        let _: () = ask_with(sentinel, &words).await;
    }
    let _: () = ask(replica, "REPLICAOF NO ONE").await;
}

/// How long the session is refused by a master that lost its replicas, once the sentinels name another one.
async fn fenced(source: impl IntoRedisSource, servers: &Sentinels, sentinels: &[String]) {
    let (store, token) = with_session(RedisStore::new(source), servers).await;
    let (master, replica) = (servers.master.url(), servers.replica().url());
    let _: () = ask(&master, "CONFIG SET min-replicas-to-write 1").await;

    promote(&replica, sentinels).await;
    let named = Instant::now();
    until("the master is without its replica", async || {
        info(&master, "replication")
            .await
            .contains("connected_slaves:0")
    })
    .await;
    while !is_on(&store, &token).await {
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(named.elapsed() < Duration::from_secs(4));
    }
    let user = signs_in(&store, "bob").await;
    assert!(is_on(&store, &user).await);
    assert_eq!(ask::<usize>(&replica, "DBSIZE").await, 2);
    assert_eq!(ask::<usize>(&master, "DBSIZE").await, 1);
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn with_a_sentinel_client_a_master_without_its_replicas_is_left_within_4_s() {
    let (servers, sentinels) = start().await;
    let (name, kind) = ("master0".to_owned(), SentinelServerType::Master);
    let client = SentinelClient::build(sentinels.clone(), name, None, kind).unwrap();

    fenced(client, &servers, &sentinels).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn with_a_sentinel_pool_a_master_without_its_replicas_is_left_within_4_s() {
    use deadpool_redis::{Runtime, sentinel};

    let (servers, sentinels) = start().await;
    let (name, kind) = ("master0".to_owned(), sentinel::SentinelServerType::Master);
    let config = sentinel::Config::from_urls(sentinels.clone(), name, kind);
    let pool = config.create_pool(Some(Runtime::Tokio1)).unwrap();

    fenced(pool, &servers, &sentinels).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn each_sentinel_is_asked_to_report_another_master() {
    let (servers, sentinels) = start().await;
    let (_store, _token) = store(&servers, &sentinels).await;

    for sentinel in &sentinels {
        until("the store has subscribed", async || {
            let clients: String = ask(sentinel, "CLIENT LIST").await;
            clients.lines().any(|client| client.contains(" sub=1 "))
        })
        .await;
    }
}
