//! Another version of deadpool-redis: another crate of that name, with a pool of the same name.
#![allow(missing_debug_implementations, reason = "a stand-in")]

/// A pool for one node.
pub struct Pool;
