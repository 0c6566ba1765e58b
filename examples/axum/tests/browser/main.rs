//! The example and the device page in a real browser.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;
mod notice_browser;
mod page_browser;
mod page_looks;
