//! What several test files share.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "no test file uses all of it"
)]

pub mod app;
pub mod browser;
pub mod curl;
pub mod devices;
pub mod faulty;
pub mod http;
pub mod log;
pub mod redis;
pub mod story;
