//! The port changes the sources as the guide's page shows, and no answer.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod answers;
mod browser;
mod diff;
