//! Numbers for stores, so that two layers on one store can be found.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of a new store.
pub(super) fn next() -> u64 {
    static MADE: AtomicU64 = AtomicU64::new(0);
    MADE.fetch_add(1, Ordering::Relaxed)
}
