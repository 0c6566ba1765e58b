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
    RedisStore,
    store::{ManualClock, Resolve, Resolved, SessionStore, conformance},
};

use crate::common::{
    people::{signs_in, until},
    redis::{ask, installed, try_ask},
};

// One test, because starting this takes seconds.
// T49
#[tokio::test]
async fn keeps_the_whole_contract_and_follows_the_master() {
    installed("redis-server", "redis-server");
    installed("openssl", "openssl");
    let servers = RedisSentinelCluster::new(1, 1, 3);
    let sentinels: Vec<String> = servers.iter_sentinel_servers().map(url).collect();
    for sentinel in &sentinels {
        sees_the_replica_and_its_peers(sentinel).await;
    }
    let pool = Config::from_urls(
        sentinels.clone(),
        "master0".to_owned(),
        SentinelServerType::Master,
    )
    .create_pool(Some(Runtime::Tokio1))
    .unwrap();

    conformance::all(async |clock: ManualClock| {
        RedisStore::builder(pool.clone())
            .clock(clock)
            .deadline(Duration::from_secs(20))
            .build()
    })
    .await;
    follows_the_master(&servers, &sentinels[0], &RedisStore::new(pool)).await;
}

async fn follows_the_master(servers: &RedisSentinelCluster, sentinel: &str, store: &RedisStore) {
    let token = signs_in(store, "alice").await;
    let (master, replica) = (url(&servers.servers[0]), url(&servers.servers[1]));
    until("the replica has it", async || {
        let keys: usize = ask(&replica, "DBSIZE").await;
        keys == ask::<usize>(&master, "DBSIZE").await
    })
    .await;

    let _: () = ask(sentinel, "SENTINEL FAILOVER master0").await;
    until("the replica is the master", async || {
        role(&replica).await.contains("role:master")
    })
    .await;
    until("the previous master is a replica", async || {
        role(&master).await.contains("role:slave")
    })
    .await;

    until("the store follows", async || {
        let found = store.resolve(&Resolve::new(token.clone())).await;
        matches!(found, Ok(Resolved::Live(_)))
    })
    .await;
}

async fn role(server: &str) -> String {
    try_ask(server, &["INFO", "replication"])
        .await
        .unwrap_or_default()
}

/// A sentinel that does not know the others cannot agree to a failover.
async fn sees_the_replica_and_its_peers(sentinel: &str) {
    until(
        "the sentinels know each other and the replica",
        async || {
            let known: HashMap<String, String> = ask(sentinel, "SENTINEL MASTER master0").await;
            known["num-other-sentinels"] == "2" && known["num-slaves"] == "1"
        },
    )
    .await;
}

fn url(server: &RedisServer) -> String {
    format!("redis://{}", server.client_addr())
}
