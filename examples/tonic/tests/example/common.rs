//! What the tests of the whole workspace share, as far as these need it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "no test file uses all of it"
)]

#[path = "../../../../tests/common/app.rs"]
pub mod app;
#[path = "../../../../tests/common/child.rs"]
pub mod child;
#[path = "../../../../tests/common/curl.rs"]
pub mod curl;
#[path = "../../../../tests/common/faulty.rs"]
pub mod faulty;
#[path = "../../../../tests/common/http.rs"]
pub mod http;
#[path = "../../../../tests/common/python.rs"]
pub mod python;
#[path = "../../../../tests/common/redis.rs"]
pub mod redis;
#[path = "../../../../tests/common/relay/mod.rs"]
pub mod relay;
#[path = "../../../../tests/common/resp.rs"]
pub mod resp;

/// The example that the tests start.
pub const EXAMPLE: &str = env!("CARGO_BIN_EXE_example-tonic");
