//! `RedisStore` behind Sentinel keeps the contract, and follows the master through a failover.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use deadpool_redis::{
    Runtime,
    redis::RedisConnectionInfo,
    sentinel::{Config, SentinelServerType},
};
use tower_user_sessions::{
    RedisStore,
    store::{ManualClock, RedisLive, RedisSource, Resolve, Resolved, SessionStore, conformance},
};

use crate::common::{
    people::{signs_in, until},
    redis::{ask, patient, reports_and_keeps_the_contract, try_ask},
    sentinels::{NAME, Sentinels},
};

// One test, because starting this takes seconds.
// T49
#[tokio::test]
async fn keeps_the_whole_contract_and_follows_the_master() {
    let servers = Sentinels::start().await;
    let sentinels = servers.urls();
    let pool = Config::from_urls(
        sentinels.clone(),
        NAME.to_owned(),
        SentinelServerType::Master,
    )
    .create_pool(Some(Runtime::Tokio1))
    .unwrap();

    conformance::all(async |clock: ManualClock| patient(pool.clone()).clock(clock).build()).await;
    // What `connect_sentinel` connects to.
    let named = sentinels.iter().map(String::as_str);
    let source = RedisSource::sentinel(named, NAME, RedisConnectionInfo::default()).unwrap();
    reports_and_keeps_the_contract(&source, RedisLive::all()).await;
    follows_the_master(&servers, &sentinels[0], &RedisStore::new(pool)).await;
}

async fn follows_the_master(servers: &Sentinels, sentinel: &str, store: &RedisStore) {
    let token = signs_in(store, "alice").await;
    let (master, replica) = (servers.master.url(), servers.replica().url());
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
