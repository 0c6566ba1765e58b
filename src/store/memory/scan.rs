//! Reads all session sets, part by part.

use super::{MemoryStore, lock};
use crate::store::{Scan, Scanned, StoreError, parts};

impl MemoryStore {
    pub(super) fn part(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        let tags = |at, after, most| {
            let shard = self.0.shards.get(at)?;
            Some(lock(shard).tags(after, most))
        };
        parts::part(scan, tags, |list| self.listed(list))
    }
}
