//! A server whose probe does not show that it is a replica, as one that knows no first line of scripts.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use tower_user_sessions::{
    RedisStore,
    store::{Resolve, SessionStore, StoreError},
};

use crate::common::{
    fake::Fake,
    load::{millis, offer},
    people::{guest, until},
};

const READONLY: &[u8] = b"-READONLY You can't write against a read only replica.\r\n";

async fn resolves(store: RedisStore) -> Result<(), StoreError> {
    store.resolve(&Resolve::new(guest())).await.map(drop)
}

/// A server whose scripts, by their connection and their number in all, are refused after so long, or run.
async fn start(plan: fn(u32, u32) -> Option<Duration>) -> Fake {
    let scripts = AtomicU32::new(0);
    Fake::start(move |asked| {
        let is_call = asked.name() == b"EVALSHA";
        let next = || scripts.fetch_add(1, Ordering::Relaxed);
        let refused = is_call.then(|| plan(asked.connection, next()));
        match refused.flatten() {
            Some(time) => (time, READONLY.to_vec()),
            None => (Duration::ZERO, asked.usual()),
        }
    })
    .await
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_passes_the_probe_is_not_stormed() {
    let fake = start(|_, _| Some(Duration::ZERO)).await;
    let store = RedisStore::new(fake.source());

    let all = offer(100, millis(2_000), |_| resolves(store.clone())).await;

    assert!(all.iter().all(|told| told.failed.is_some()));
    assert!(fake.connects() <= 10, "{} connects", fake.connects());
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn connections_that_a_replica_refused_do_not_pile_up() {
    let fake = start(|_, _| Some(Duration::ZERO)).await;
    let store = RedisStore::new(fake.source());

    let own = store.clone();
    let calls = tokio::spawn(offer(200, millis(60_000), move |_| resolves(own.clone())));

    until("it has connected a few times", async || {
        fake.connects() >= 8
    })
    .await;
    // Two that were refused, and two of now.
    until("those of before are closed", async || fake.open() <= 4).await;

    calls.abort();
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_late_refusal_of_a_replica_leaves_the_new_link_up() {
    // On a busy machine the first of two calls may be on a new connection before the server reads the second.
    let fake = start(|connection, script| match (connection, script) {
        (1, 1) => Some(Duration::ZERO),
        (1, 2..) => Some(millis(60)),
        _ => None,
    })
    .await;
    let store = RedisStore::new(fake.source());
    resolves(store.clone()).await.unwrap();
    until("the second connection is there", async || fake.open() == 2).await;

    let (one, two) = tokio::join!(resolves(store.clone()), resolves(store.clone()));
    one.unwrap();
    two.unwrap();
    until("the new link has a spare", async || fake.connects() >= 4).await;
    tokio::time::sleep(millis(300)).await;

    assert_eq!(fake.connects(), 4, "the link went down once");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_a_long_deadline_connects_again_soon_after_it_went_up() {
    let fake = start(|_, script| (script == 1).then_some(Duration::ZERO)).await;
    let store = RedisStore::builder(fake.source()).deadline(millis(60_000));
    let store = store.build();
    resolves(store.clone()).await.unwrap();
    resolves(store.clone()).await.unwrap();

    fake.cut();
    tokio::time::sleep(millis(20)).await;
    let again = tokio::time::timeout(millis(2_000), resolves(store));

    again.await.expect("the next call is answered").unwrap();
}
