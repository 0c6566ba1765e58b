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
pub mod child;
pub mod cluster;
pub mod crowd;
pub mod devices;
pub mod fake;
pub mod faulty;
pub mod feed;
pub mod figures;
pub mod hostile;
pub mod http;
pub mod ledger;
pub mod load;
pub mod log;
pub mod mmdb;
pub mod node_line;
pub mod overload;
pub mod page;
pub mod people;
pub mod pooler;
pub mod postgres;
pub mod proxy;
pub mod random;
pub mod redis;
pub mod relay;
pub mod replicas;
pub mod resp;
pub mod sentinel;
pub mod sentinels;
pub mod server_clock;
pub mod shelf;
pub mod site;
pub mod streams;
pub mod tee;
pub mod watch;
pub mod wire;
