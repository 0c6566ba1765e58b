//! The guide shows how the port changes the sources. The responses do not change.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod answers;
mod browser;
mod diff;
mod restart;
