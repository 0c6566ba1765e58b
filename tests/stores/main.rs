//! What the stores do: each on servers that the tests start.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

mod activity_every;
#[path = "../common/mod.rs"]
mod common;
mod corners;
mod dumps;
mod everyone;
mod everyone_ahead;
mod everyone_clocks;
mod everyone_pages;
mod everyone_sets;
mod feed;
mod feed_cost;
mod feed_setting;
mod feed_shards;
mod few_commands;
mod file_activity;
mod file_backup;
mod file_restart;
mod forged_tickets;
mod full;
mod given_up;
mod in_flight;
mod late_copies;
mod memory_size;
mod mutants_data;
mod mutants_feed;
mod mutants_looks;
mod mutants_sets;
mod mutants_storage;
mod mutants_tokens;
mod newer_nodes;
mod newest_data;
mod no_runtime;
mod nodes_that_differ;
mod notice_kept;
mod pinned;
mod postgres_flood;
mod postgres_live;
mod postgres_migrate;
mod postgres_pool;
mod postgres_processes;
mod postgres_purge;
mod postgres_rows;
mod postgres_statements;
mod postgres_writes;
mod redis_acl;
mod redis_check;
mod redis_check_feed;
mod redis_check_proxy;
mod redis_connection;
mod redis_faults;
mod redis_hash;
mod redis_keys;
mod redis_left;
mod redis_look;
mod redis_ttl;
mod redis_versions;
mod resent;
mod round_trips;
mod set_store;
mod sign_in_after_end_all;
mod store_cluster;
mod store_file;
mod store_memory;
mod store_newer;
mod store_postgres;
mod store_redis;
mod store_sentinel;
mod store_sets;
mod streams;
mod streams_cut;
mod verdict;
