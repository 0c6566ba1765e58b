//! The example as a process, on its stores; and rotation under load, behind the same framework.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod clients;
mod common;
mod example_clock;
mod example_file;
mod example_memory;
mod example_outage;
mod example_postgres;
mod example_race;
mod example_redis;
mod example_settings;
mod example_visits;
mod example_websocket;
mod rotation_load;
