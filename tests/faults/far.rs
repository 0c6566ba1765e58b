//! Servers that are far away: each reply takes a third of a second. A deadline that allows for it is all that they need. That
//! connections take long to open is no reason for a longer one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    RedisStore,
    deadpool_redis::redis::RedisConnectionInfo,
    store::{RedisSource, Resolve, SessionStore},
};

use crate::common::{
    cluster::Cluster,
    load::millis,
    people::{guest, is_live, signs_in, until},
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

/// A relay to each node.
async fn all_far(cluster: &Cluster) -> Vec<Relay> {
    let mut relays = Vec::new();
    for node in &cluster.nodes {
        relays.push(far(node.port).await);
    }
    relays
}

async fn is_used(source: RedisSource) {
    let store = RedisStore::builder(source).deadline(DEADLINE).build();

    for user in ["alice", "bob", "carol"] {
        let token = signs_in(&store, user).await;
        assert!(is_live(&store, &token).await);
    }
}

/// Calls may fail at first.
async fn is_reached(store: &RedisStore) {
    until("it is reached", async || {
        store.resolve(&Resolve::new(guest())).await.is_ok()
    })
    .await;
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
    let relays = all_far(&cluster).await;
    let ports: Vec<u16> = relays.iter().map(|relay| relay.port).collect();
    announce(&cluster.nodes, &ports).await;

    is_used(RedisSource::cluster(relays.iter().map(Relay::url)).unwrap()).await;
}

/// Three round trips open and ask a sentinel, four through TLS: together they take longer than an attempt waits for it.
// T70
#[tokio::test(flavor = "multi_thread")]
async fn sentinels_whose_connections_take_long_to_open_are_asked_in_the_end() {
    let server = Server::start();
    let sentinel = Sentinel::start(Said::new(server.port, 1)).await;
    let way = Relay::start(sentinel.port).await;
    way.delay(millis(200));
    let urls = [way.url()];
    let urls = urls.iter().map(String::as_str);
    let store = RedisStore::connect_sentinel(urls, "mymaster").unwrap();

    is_reached(&store).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_whose_connections_take_long_to_open_is_reached_with_the_usual_deadline() {
    let cluster = Cluster::of(3, &[]).await;
    let relays = all_far(&cluster).await;
    let seeds: Vec<String> = relays.iter().map(Relay::url).collect();
    let store = RedisStore::connect_cluster(&seeds).unwrap();

    is_reached(&store).await;
}
