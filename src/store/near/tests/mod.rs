//! What a near cache answers, on a feed whose trust, epochs, losses and delays the tests set.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod answers;
mod histories;
mod late;
mod overlap;
mod owed;
mod own;
mod plan;
mod reported;
mod room;
mod wire;
mod written;
