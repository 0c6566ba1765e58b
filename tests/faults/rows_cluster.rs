//! Faults of the guide's table at one primary of a Cluster: its users see the same, and those of the others
//! nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;
use tower_user_sessions::{
    RedisStore, UserId,
    store::{SessionStore, StoreErrorKind::Full, Tag},
};

use super::row::{Does, Row, Shop, fills};
use crate::common::{
    cluster::{Cluster, slot},
    load::millis,
    people::until,
    redis::try_ask,
};

const LASTS: Duration = millis(2_000);

/// A Cluster, and the primary of alice. Bob is on another one.
struct Two {
    cluster: Cluster,
    at: usize,
    shop: Arc<Shop>,
}

impl Two {
    async fn start(arguments: &[&str]) -> Self {
        let own = ["--cluster-require-full-coverage", "no"];
        let cluster = Cluster::of(3, &[&own[..], arguments].concat()).await;
        let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
        let tag = |name: &str| store.tag(&UserId::new(name).unwrap());
        let at = cluster.serves(slot(tag("alice")), 0).await;
        let mut bob = String::from("bob");
        while cluster.serves(slot(tag(&bob)), 0).await == at {
            bob.push('b');
        }
        let shop = Shop::open_with(store.clone(), &bob).await;
        Self { cluster, at, shop }
    }

    async fn orders(&self, command: &str) {
        let _: () = self.cluster.nodes[self.at].ask(command).await;
    }

    async fn watch(&self, lasts: Duration, fault: impl AsyncFnOnce()) -> Row {
        let row = Row::watch(&self.shop, || 0, lasts, fault).await;
        assert_eq!(row.kinds(Does::ResolvesBob), []);
        row
    }
}

/// Of alice.
fn tag() -> Tag {
    Tag::of(&UserId::new("alice").unwrap())
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_primary_sign_ins_and_changes_of_data_fail_and_the_rest_goes_on() {
    let two = Two::start(&[]).await;

    let row = two
        .watch(LASTS, async || {
            two.orders("CONFIG SET maxmemory 1mb").await;
            tokio::time::sleep(LASTS).await;
            two.orders("CONFIG SET maxmemory 0").await;
        })
        .await;

    row.keeps("its memory is full (`maxmemory`, `noeviction`)");
    assert_eq!(row.kinds(Does::Saves), [Full]);
    assert_eq!(row.kinds(Does::Resolves), []);
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_a_primary_has_too_few_replicas_its_calls_fail_at_once() {
    let two = Two::start(&[]).await;

    let row = two
        .watch(LASTS, async || {
            two.orders("CONFIG SET min-replicas-to-write 1").await;
            tokio::time::sleep(LASTS).await;
            two.orders("CONFIG SET min-replicas-to-write 0").await;
        })
        .await;

    row.keeps("it has too few replicas (NOREPLICAS)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_a_primary_runs_a_script_of_another_client_only_its_users_share_the_error() {
    let two = Two::start(&["--busy-reply-threshold", "100"]).await;
    let url = two.cluster.nodes[two.at].url();

    let row = two
        .watch(LASTS, async || {
            let script = tokio::spawn(async move {
                try_ask::<()>(&url, &["EVAL", "while true do end", "0"]).await
            });
            tokio::time::sleep(LASTS).await;
            two.orders("SCRIPT KILL").await;
            assert!(script.await.unwrap().is_err());
        })
        .await;

    row.keeps("it runs a long script of another client (BUSY)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_a_primary_holds_all_calls_only_its_users_share_the_error() {
    let two = Two::start(&[]).await;

    let row = two
        .watch(LASTS, async || {
            two.orders("CLIENT PAUSE 2000 ALL").await;
            tokio::time::sleep(LASTS).await;
        })
        .await;

    row.keeps("it holds all calls for 2 s (`CLIENT PAUSE … ALL`)");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn while_a_primary_loads_its_data_only_its_users_share_the_error() {
    let slow = "--key-load-delay 100 --loading-process-events-interval-bytes 1024";
    let arguments = format!("--appendonly yes --appendfsync always {slow}");
    let mut two = Two::start(&arguments.split(' ').collect::<Vec<_>>()).await;
    let url = two.cluster.nodes[two.at].url();
    let key = format!("filler:{{{}}}", tag());
    fills(&two.cluster.nodes[two.at], &key).await;
    let mut took = Duration::ZERO;

    let (shop, node) = (Arc::clone(&two.shop), &mut two.cluster.nodes[two.at]);
    let row = Row::watch(
        &shop,
        || 0,
        // A busy machine takes longer than two seconds, and was seen to take eight.
        6 * LASTS,
        async || {
            let began = Instant::now();
            node.kill();
            node.restart();
            took = began.elapsed();
            // By itself it answers CLUSTERDOWN for another 2 s.
            until("the primary serves", async || {
                try_ask::<u32>(&url, &["EXISTS", &key]).await.is_ok()
            })
            .await;
        },
    )
    .await;

    assert!(took > millis(1_000), "it loaded in {took:?}");
    assert_eq!(row.kinds(Does::ResolvesBob), []);
    row.keeps("it is killed and loads its data (LOADING)");
}
