//! The crate against models of it: random histories, histories of tasks whose steps interleave, a
//! protocol in which every state is visited, and a scheduler that interleaves requests.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
mod file_histories;
mod histories;
mod history;
mod interleaving;
mod model;
mod names;
mod question;
mod shuttle;
mod world;
