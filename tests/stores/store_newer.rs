//! `RedisStore` keeps the contract on newer servers than that of Debian, too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::store::{ManualClock, RedisLive, RedisSource, conformance};

use super::redis_check::check;
use crate::common::{
    cluster::{Cluster, node_of},
    redis::{patient, reports_and_keeps_the_contract},
    replicas::{Group, Program},
};

/// On one node, without reports of what changes and with them.
async fn keeps_the_whole_contract(program: Program, version: &str) {
    let server = program.start(&[]);
    let check = check(&server.url()).await;
    assert!(check.version().unwrap().starts_with(version), "{check}");
    assert!(check.findings().is_empty(), "{check}");
    assert!(check.not_known().is_empty(), "{check}");

    conformance::all(async |clock: ManualClock| server.store(clock)).await;
    let source = RedisSource::url(&server.url()).unwrap();
    reports_and_keeps_the_contract(&source, RedisLive::all().shards(16)).await;
}

// T49 T70
#[tokio::test]
async fn keeps_the_whole_contract_on_redis_8() {
    keeps_the_whole_contract(Program::Redis8, "Redis 8.2.").await;
}

// T49 T70
#[tokio::test]
async fn keeps_the_whole_contract_on_valkey_8() {
    keeps_the_whole_contract(Program::Valkey8, "Valkey 8.1.").await;
}

// T49 T70
#[tokio::test]
async fn keeps_the_whole_contract_on_valkey_9() {
    keeps_the_whole_contract(Program::Valkey, "Valkey 9.1.").await;
}

// T49
#[tokio::test]
async fn keeps_the_whole_contract_on_a_cluster() {
    for program in [Program::Redis8, Program::Valkey] {
        let nodes = (0..3).map(|_| node_of(&program.path()));
        let cluster = Cluster::joined(nodes.collect()).await;
        let source = RedisSource::cluster(cluster.urls()).unwrap();

        reports_and_keeps_the_contract(&source, RedisLive::all()).await;
    }
}

// T49 T71
#[tokio::test]
async fn keeps_the_whole_contract_on_valkey_9_while_a_replica_confirms() {
    let group = Group::start(Program::Valkey, &[100]).await;

    conformance::all(async |clock: ManualClock| {
        let store = patient(group.master.pool()).clock(clock);
        store.confirm(1, Duration::from_secs(5)).build()
    })
    .await;
}
