//! x
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
mod check;
mod corner;
mod cut;
mod data;
mod double;
mod given_up;
mod guest;
mod key;
mod model;
mod node;
mod props;
mod rotation;
mod rules;
mod scene;
mod sign_in;
mod turns;
mod world;
