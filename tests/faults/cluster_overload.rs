//! `RedisStore::connect_cluster` on a Cluster that is asked for more than it can handle.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

use tower_user_sessions::{
    RedisStore,
    store::{Resolve, SessionStore, StoreError},
};

use crate::common::{
    cluster::Cluster,
    load::{Overload, holds_under_overload, millis},
    people::{self, asks, guest, until},
    relay::Relay,
};

/// Resolves, and every eighth call a sign-in; one that fails is given up, as the layer does.
async fn visit(store: RedisStore, number: u32) -> Result<(), StoreError> {
    if !number.is_multiple_of(8) {
        return store.resolve(&Resolve::new(guest())).await.map(drop);
    }
    let user = format!("user-{}", number % 800);
    let token = people::token(&store, &user);
    let made = store.create(&asks(&user, &token)).await.map(drop);
    if made.is_err() {
        store.end_undelivered(token.tag(), token.session_id());
    }
    made
}

/// Each primary answers through a relay that carries a third of the capacity.
async fn overload(capacity: u32, factor: f64) -> Overload {
    let cluster = Cluster::of(3, &[]).await;
    let mut relays = Vec::new();
    for node in &cluster.nodes {
        let relay = Relay::start(node.port).await;
        let announced = format!("CONFIG SET cluster-announce-port {}", relay.port);
        let _: String = node.ask(&announced).await;
        relays.push(relay);
    }
    until("all announce their relays", async || {
        let mut known = true;
        for node in &cluster.nodes {
            let lines: String = node.ask("CLUSTER NODES").await;
            known &= relays
                .iter()
                .all(|relay| lines.contains(&format!(":{}@", relay.port)));
        }
        known
    })
    .await;
    let store = RedisStore::connect_cluster(relays.iter().map(Relay::url)).unwrap();
    for _ in 0..30 {
        store.resolve(&Resolve::new(guest())).await.unwrap();
    }
    tokio::time::sleep(millis(500)).await;
    relays.iter().for_each(|relay| relay.carry(capacity / 3));
    let made = || relays.iter().map(Relay::made).sum();

    Overload::run(
        capacity,
        factor,
        |number| visit(store.clone(), number),
        made,
    )
    .await
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_little_more_than_it_can_handle_is_answered_as_far_as_it_can() {
    holds_under_overload(async || overload(600, 1.3).await).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn four_times_what_it_can_handle_is_answered_as_far_as_it_can() {
    holds_under_overload(async || overload(600, 4.0).await).await;
}
