//! The example as a process; its service under a tonic server; and one story over every framework.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

mod clients;
mod common;
mod examples;
mod generated;
mod grpc_web;
mod one_port;
mod story;
mod streams;
mod tonic;
mod upload;

#[path = "../../pb.rs"]
mod pb;
#[path = "../../service.rs"]
mod service;
