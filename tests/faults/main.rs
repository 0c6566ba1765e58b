//! What the link to Redis does under faults: outages, overload, replies that go astray, failover. The
//! load is open-loop, through a relay that a test controls.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

mod answers;
mod cluster;
mod cluster_late;
mod cluster_moves;
mod cluster_overload;
mod cluster_pool;
#[path = "../common/mod.rs"]
mod common;
mod confirm;
mod confirm_calls;
mod confirm_failover;
mod demoted;
mod far;
mod feed;
mod feed_cluster;
mod feed_late;
mod feed_sentinel;
mod file_crash;
mod file_full;
mod file_recovers;
mod last_connections;
mod names;
mod near;
mod near_ends;
mod near_history;
mod near_runs;
mod near_truth;
mod near_way;
mod offers;
mod one_deadline;
mod outage;
mod overload;
mod postgres;
mod postgres_confirm;
mod postgres_connects;
mod postgres_failover;
mod postgres_http;
mod postgres_near;
mod postgres_places;
mod postgres_pooler;
mod postgres_runtimes;
mod postgres_seen;
mod replies;
mod row;
mod rows;
mod rows_cluster;
mod runtimes;
mod seen;
mod sentinel;
mod sentinel_named;
mod soak;
mod soak_full;
mod soak_page;
mod soak_streams;
mod storm;
mod streams;
