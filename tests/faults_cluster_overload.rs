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

use std::time::Duration;

use tower_user_sessions::{
    RedisStore,
    store::{Resolve, SessionStore, StoreError, StoreErrorKind},
};

#[path = "common/cluster.rs"]
mod cluster;
#[path = "common/load.rs"]
mod load;
#[path = "common/people.rs"]
mod people;
#[path = "common/redis.rs"]
mod redis;
#[path = "common/relay.rs"]
mod relay;

use self::{
    cluster::Cluster,
    load::{Told, answered, kinds, offer},
    people::{asks, guest, until},
    relay::Relay,
};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

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
async fn overload(capacity: u32, factor: f64) {
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
    let made = || relays.iter().map(Relay::made).sum::<u32>();
    let before = made();
    relays.iter().for_each(|relay| relay.carry(capacity / 3));
    let load = |rate: f64, time| offer(rate as u32, time, |number| visit(store.clone(), number));

    let all = load(f64::from(capacity) * factor, millis(6_000)).await;
    let settles = load(f64::from(capacity) / 2.0, millis(2_000)).await;
    let calm = load(f64::from(capacity) / 2.0, millis(2_000)).await;

    let steady: Vec<Told> = all
        .iter()
        .copied()
        .filter(|told| told.at >= millis(1_000))
        .collect();
    let share = answered(&steady) as f64 / (f64::from(capacity) * 5.0);
    let made = made() - before;
    println!(
        "capacity {capacity}, offered {factor}: answered {share:.2}, {:?}, {made} connects, then {:?}, then {:?}",
        kinds(&all),
        kinds(&settles),
        kinds(&calm)
    );
    assert!(share >= 0.9, "answered {share:.2} of what was possible");
    assert!(made <= 2, "{made} connects");
    assert_eq!(answered(&calm), calm.len(), "{:?}", kinds(&calm));
    let others = kinds(&all);
    assert!(
        others.iter().all(|(kind, _)| *kind == StoreErrorKind::Busy),
        "{others:?}"
    );
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_little_more_than_it_can_handle_is_answered_as_far_as_it_can() {
    overload(600, 1.3).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn four_times_what_it_can_handle_is_answered_as_far_as_it_can() {
    overload(600, 4.0).await;
}
