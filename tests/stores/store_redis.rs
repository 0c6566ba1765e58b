//! `RedisStore` on one node keeps the contract of `SessionStore`, and uses the server's clock.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    RedisStore, UserId,
    store::{
        Arrival, Authenticated, Create, Created, ManualClock, RedisLive, RedisSource, Resolve,
        Resolved, SessionStore, Timestamp, Token, conformance,
    },
};

use crate::common::{
    redis::{Server, patient, published, reports_and_keeps_the_contract},
    replicas::{Group, Program},
};

// T49 T14 T15 T19 T20 T21 T24 T25 T26 T27 T28 T29 T31 T32 T35 T42 T53 T57 T58 T76
#[tokio::test]
async fn keeps_the_whole_contract() {
    let server = Server::start();

    conformance::all(async |clock: ManualClock| server.store(clock)).await;
}

// T49 T71
#[tokio::test]
async fn keeps_the_whole_contract_while_a_replica_confirms() {
    let group = Group::start(Program::Redis, &[100]).await;

    conformance::all(async |clock: ManualClock| {
        let store = patient(group.master.pool()).clock(clock);
        store.confirm(1, Duration::from_secs(5)).build()
    })
    .await;
}

// T49
#[tokio::test]
async fn keeps_the_whole_contract_while_it_reports_what_changes() {
    for live in [RedisLive::all(), RedisLive::all().shards(16)] {
        let server = Server::start();
        let source = RedisSource::url(&server.url()).unwrap();

        reports_and_keeps_the_contract(&source, live).await;

        let published = published([server.url()], "publish").await;
        assert!(published > 100, "{published} with {live:?}");
    }
}

// T49 T25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_atomic_on_a_runtime_with_several_threads() {
    let server = Server::start();

    conformance::is_atomic(async |clock: ManualClock| server.store(clock)).await;
}

// T52
#[tokio::test]
async fn uses_the_servers_clock() {
    let server = Server::start();
    let store = RedisStore::new(server.pool());
    let user = UserId::from(7);
    let token = Token::random(store.tag(&user)).unwrap();
    let create = Create::new(&token, Some(user), Authenticated::On(Arrival::now()));

    let before = server_time(&server).await;
    let Created::Created(made) = store.create(&create).await.unwrap() else {
        panic!("not created");
    };
    let Resolved::Live(found) = store.resolve(&Resolve::new(token)).await.unwrap() else {
        panic!("not live");
    };
    let after = server_time(&server).await;

    assert!(before <= made.now && made.now <= found.now && found.now <= after);
    assert_eq!(made.record.created_at, made.now);
    assert_eq!(found.record.last_activity, found.now);
}

async fn server_time(server: &Server) -> Timestamp {
    let (seconds, micros): (i64, i64) = server.ask("TIME").await;
    Timestamp::from_millis(seconds * 1_000 + micros / 1_000)
}
