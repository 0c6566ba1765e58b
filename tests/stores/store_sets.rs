//! `SetStore` keeps the contract of `SessionStore` on any storage that keeps that of `SetStorage`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::store::{ManualClock, SetStore, conformance};

use crate::common::shelf::Shelf;

async fn make(clock: ManualClock) -> SetStore<Shelf> {
    Shelf::on(&clock).yielding().store()
}

// T49
#[tokio::test]
async fn keeps_the_whole_contract() {
    conformance::all(make).await;
}
