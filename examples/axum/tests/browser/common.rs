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
#[path = "../../../../tests/common/curl.rs"]
pub mod curl;
#[path = "../../../../tests/common/hold.rs"]
pub mod hold;
#[path = "../../../../tests/common/hostile.rs"]
pub mod hostile;
#[path = "../../../../tests/common/http.rs"]
pub mod http;
#[path = "../../../../tests/common/tee.rs"]
pub mod tee;
#[path = "../../../../tests/common/visit.rs"]
pub mod visit;
#[path = "../../../../tests/common/webdriver/mod.rs"]
pub mod webdriver;

/// The example that the tests start.
pub const EXAMPLE: &str = env!("CARGO_BIN_EXE_example-axum");
