//! `RedisStore` with a Cluster pool that the app brings: a failover is over for everybody soon. What a silent Cluster
//! costs is in `cluster_late`.
//!
//! Users of other primaries do notice here: the pool's client has one lock for all. `connect_cluster` has none.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

use std::time::Duration;

use deadpool_redis::{Runtime, cluster as pool};
use tokio::time::Instant;
use tower_user_sessions::RedisStore;

use crate::common::{
    cluster::Cluster,
    crowd::{all_answered, load, people, report, since},
    load::millis,
};

/// Within this all are answered again: the node timeout and 5 s.
const SETTLED: Duration = Duration::from_millis(6_500);

pub(super) fn store(cluster: &Cluster) -> RedisStore {
    let config = pool::Config::from_urls(cluster.urls());
    RedisStore::new(config.create_pool(Some(Runtime::Tokio1)).unwrap())
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn after_a_planned_failover_all_are_answered_soon_at_any_load() {
    let cluster = Cluster::start(&[]).await;
    let store = store(&cluster);
    let people = people(&store).await;
    for (run, rate) in [300, 1_000, 300].into_iter().enumerate() {
        let primary = cluster.serves(0, 1).await;
        let replica = cluster.replica(primary).await;
        let fails = async {
            tokio::time::sleep(millis(1_000)).await;
            // The clients of the first primary are held.
            cluster.orders(primary, "CLIENT PAUSE 500 ALL").await;
            tokio::time::sleep(millis(500)).await;
            cluster.takes_over(replica).await;
            Instant::now()
        };
        let (both, promoted) = tokio::join!(load(&store, &people, rate, millis(9_500)), fails);
        let after = promoted - both.began;
        report(
            &format!("{rate}/s, run {run}, promoted at {after:?}"),
            &both,
        );
        for all in [&both.first, &both.others] {
            all_answered(&since(all, millis(1_500) + SETTLED));
        }
        cluster.settles().await;
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn after_a_primary_fell_silent_all_are_answered_soon() {
    let cluster = Cluster::start(&[]).await;
    let store = store(&cluster);
    let people = people(&store).await;
    let replica = cluster.replica(0).await;

    let stops = async {
        tokio::time::sleep(millis(1_000)).await;
        cluster.nodes[0].suspend();
        let promoted = cluster.promoted(replica).await;
        tokio::time::sleep(millis(6_000)).await;
        cluster.nodes[0].resume();
        promoted
    };
    let (both, promoted) = tokio::join!(load(&store, &people, 300, millis(13_000)), stops);

    let after = promoted - both.began;
    report(&format!("SIGSTOP at 1 s, promoted at {after:?}"), &both);
    for all in [&both.first, &both.others] {
        all_answered(&since(all, millis(1_000) + SETTLED));
    }
}
