//! What `scripts/proto` makes from `devices.proto`.
#![allow(
    clippy::all,
    clippy::pedantic,
    clippy::allow_attributes_without_reason,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unused_qualifications,
    dead_code,
    reason = "generated"
)]

include!("generated/devices.v1.rs");

/// The same as data, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/devices.v1.bin");
