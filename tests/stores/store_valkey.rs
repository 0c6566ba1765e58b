//! `RedisStore` keeps the contract on Valkey 9, too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::store::{ManualClock, conformance};

use crate::common::{
    redis::patient,
    replicas::{Group, Program, valkey},
};

// T49
#[tokio::test]
async fn keeps_the_whole_contract() {
    let server = valkey(&[]);

    let info: String = server.ask("INFO server").await;
    assert!(info.contains("server_name:valkey"), "{info}");
    conformance::all(async |clock: ManualClock| server.store(clock)).await;
}

// T49 T71
#[tokio::test]
async fn keeps_the_whole_contract_while_a_replica_confirms() {
    let group = Group::start(Program::Valkey, &[100]).await;

    conformance::all(async |clock: ManualClock| {
        let store = patient(group.master.pool()).clock(clock);
        store.confirm(1, Duration::from_secs(5)).build()
    })
    .await;
}
