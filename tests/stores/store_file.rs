//! `FileStore` keeps the contract of `SessionStore`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tempfile::TempDir;
use tower_user_sessions::store::{FileStore, ManualClock, conformance};

/// A store whose file is deleted at the end of the test.
async fn make(clock: ManualClock) -> FileStore {
    let directory = TempDir::new().unwrap();
    FileStore::builder()
        .clock(clock)
        .open(directory.path().join("sessions.db"))
        .unwrap()
}

// T14 T15 T19 T20 T21 T22 T24 T25 T26 T27 T28 T29 T31 T32 T35 T36 T42 T46 T47 T48 T49 T52 T53 T57 T58 T60 T64 T66 T76
#[tokio::test]
async fn keeps_the_whole_contract() {
    conformance::all(make).await;
}
