//! Helpers that several test files share.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "no test file uses all of it"
)]

pub mod app;
pub mod book;
pub mod browser;
pub mod chromium;
pub mod curl;
pub mod devices;
pub mod faulty;
pub mod hostile;
pub mod http;
pub mod log;
pub mod page;
pub mod redis;
pub mod story;
pub mod tee;
pub mod visit;
