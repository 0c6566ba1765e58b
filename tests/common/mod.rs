//! What several test files share.

#![allow(dead_code, unreachable_pub, reason = "no test file uses all of it")]

pub mod app;
pub mod browser;
pub mod curl;
pub mod redis;
pub mod story;
