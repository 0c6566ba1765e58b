//! `PostgresStore` keeps the contract of `SessionStore`, and uses the server's clock.

use tower_user_sessions::store::{ManualClock, conformance};

use crate::common::postgres::Server;

// T49 T14 T15 T19 T20 T21 T24 T25 T26 T27 T28 T29 T31 T32 T35 T42 T53 T57 T58 T76
#[tokio::test]
async fn keeps_the_whole_contract() {
    let server = Server::start();

    conformance::all(async |clock: ManualClock| server.store_at(clock).await).await;
}

// T49 T25
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_atomic_on_a_runtime_with_several_threads() {
    let server = Server::start();

    conformance::is_atomic(async |clock: ManualClock| server.store_at(clock).await).await;
}
