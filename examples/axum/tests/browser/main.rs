//! The example and the device page in a real browser.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod ahead;
mod ahead_browser;
mod common;
mod crash_browser;
mod late_browser;
mod live_browser;
mod notice_browser;
mod other_origin_browser;
mod page_browser;
mod page_looks;
mod posted_browser;
mod reading_browser;
mod serve;
mod signed_out_browser;
mod site;
mod withheld_browser;
