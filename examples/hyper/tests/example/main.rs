//! The example as a process; and the layer on the servers of each framework.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod clients;
mod common;
mod examples;
mod frameworks;
