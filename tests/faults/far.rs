//! Servers that are far away: each reply takes a third of a second. A deadline that allows for it is all that they need.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    RedisStore, deadpool_redis::redis::RedisConnectionInfo, store::RedisSource,
};

use crate::common::{
    cluster::Cluster,
    load::millis,
    people::{is_live, signs_in},
    redis::Server,
    relay::Relay,
    sentinel::{Said, Sentinel},
    site::announce,
};

const FAR: Duration = millis(300);
const DEADLINE: Duration = Duration::from_secs(10);

async fn far(port: u16) -> Relay {
    let relay = Relay::start(port).await;
    relay.delay(FAR);
    relay
}

async fn is_used(source: RedisSource) {
    let store = RedisStore::builder(source).deadline(DEADLINE).build();

    for user in ["alice", "bob", "carol"] {
        let token = signs_in(&store, user).await;
        assert!(is_live(&store, &token).await);
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_far_away_is_used() {
    let server = Server::start();
    let relay = far(server.port).await;

    is_used(RedisSource::url(&relay.url()).unwrap()).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_master_and_sentinels_that_are_far_away_are_used() {
    let server = Server::start();
    let relay = far(server.port).await;
    let sentinel = Sentinel::start(Said::new(relay.port, 1)).await;
    let way = far(sentinel.port).await;
    let urls = [way.url()];
    let urls = urls.iter().map(String::as_str);
    let login = RedisConnectionInfo::default();

    is_used(RedisSource::sentinel(urls, "mymaster", login).unwrap()).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_is_far_away_is_used() {
    let cluster = Cluster::of(3, &[]).await;
    let mut relays = Vec::new();
    for node in &cluster.nodes {
        relays.push(far(node.port).await);
    }
    let ports: Vec<u16> = relays.iter().map(|relay| relay.port).collect();
    announce(&cluster.nodes, &ports).await;

    is_used(RedisSource::cluster(relays.iter().map(Relay::url)).unwrap()).await;
}
