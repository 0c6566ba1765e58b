//! What the link to Redis does under faults: outages, overload, replies that go astray, failover. The
//! load is open-loop, through a relay that a test controls.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

#[path = "../common/mod.rs"]
mod common;
mod outage;
mod overload;
mod replies;
mod seen;
mod sentinel;
