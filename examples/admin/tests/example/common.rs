//! What the tests of the whole workspace share, as far as these need it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "no test file uses all of it"
)]

#[path = "../../../../tests/common/people.rs"]
pub mod people;
#[path = "../../../../tests/common/redis.rs"]
pub mod redis;
