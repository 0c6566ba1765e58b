//! Helpers that several test files share.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::print_stdout,
    reason = "no test file uses all of it"
)]

pub mod alone;
pub mod book;
pub mod cluster;
pub mod crowd;
pub mod devices;
pub mod faulty;
pub mod hostile;
pub mod http;
pub mod load;
pub mod log;
pub mod mmdb;
pub mod page;
pub mod people;
pub mod proxy;
pub mod redis;
pub mod relay;
pub mod replicas;
