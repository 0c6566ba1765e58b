//! `RedisStore` behind Sentinel keeps the contract, and follows the master through a failover.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::HashMap, time::Duration};

use deadpool_redis::{
    Runtime,
    sentinel::{Config, SentinelServerType},
};
use redis_test::{sentinel::RedisSentinelCluster, server::RedisServer};
use tower_user_sessions::{
    RedisStore, UserId,
    store::{
        Arrival, Authenticated, Create, Created, ManualClock, Resolve, Resolved, SessionStore,
        Token, conformance,
    },
};

#[path = "common/redis.rs"]
mod redis;

use self::redis::{ask, installed};

// One test, for starting this takes seconds.
// T49
#[tokio::test]
async fn keeps_the_whole_contract_and_follows_the_master() {
    installed("redis-server", "redis-server");
    installed("openssl", "openssl");
    let servers = RedisSentinelCluster::new(1, 1, 3);
    let sentinels: Vec<String> = servers.iter_sentinel_servers().map(url).collect();
    for sentinel in &sentinels {
        knows_everybody(sentinel).await;
    }
    let pool = Config::from_urls(
        sentinels.clone(),
        "master0".to_owned(),
        SentinelServerType::Master,
    )
    .create_pool(Some(Runtime::Tokio1))
    .unwrap();

    conformance::all(async |clock: ManualClock| {
        RedisStore::builder(pool.clone()).clock(clock).build()
    })
    .await;
    follows_the_master(&servers, &sentinels[0], &RedisStore::new(pool)).await;
}

async fn follows_the_master(servers: &RedisSentinelCluster, sentinel: &str, store: &RedisStore) {
    let user = UserId::from(7);
    let token = Token::random(store.tag(&user)).unwrap();
    let create = Create::new(&token, Some(user), Authenticated::On(Arrival::now()));
    let created = store.create(&create).await.unwrap();
    assert!(matches!(created, Created::Created(_)), "{created:?}");
    let (master, replica) = (url(&servers.servers[0]), url(&servers.servers[1]));
    until("the replica has it", async || {
        let keys: usize = ask(&replica, "DBSIZE").await;
        keys == ask::<usize>(&master, "DBSIZE").await
    })
    .await;

    let _: () = ask(sentinel, "SENTINEL FAILOVER master0").await;
    until("the replica is the master", async || {
        let role: String = ask(&replica, "INFO replication").await;
        role.contains("role:master")
    })
    .await;
    until("the former master is a replica", async || {
        let role: String = ask(&master, "INFO replication").await;
        role.contains("role:slave")
    })
    .await;

    until("the store follows", async || {
        let found = store.resolve(&Resolve::new(token.clone())).await;
        matches!(found, Ok(Resolved::Live(_)))
    })
    .await;
}

/// A sentinel that knows no others agrees to nothing.
async fn knows_everybody(sentinel: &str) {
    until(
        "the sentinels know each other and the replica",
        async || {
            let known: HashMap<String, String> = ask(sentinel, "SENTINEL MASTER master0").await;
            known["num-other-sentinels"] == "2" && known["num-slaves"] == "1"
        },
    )
    .await;
}

async fn until(what: &str, is_so: impl AsyncFn() -> bool) {
    for _ in 0..600 {
        if is_so().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("never came: {what}");
}

fn url(server: &RedisServer) -> String {
    format!("redis://{}", server.client_addr())
}
