//! Reads all session sets, part by part.

use super::front::Front;
use crate::store::{Scan, Scanned, StoreError, parts};

impl Front {
    pub(super) fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        let tags = |at, after, most| self.tags(at, after, most);
        parts::part(scan, tags, |list| self.list(list))
    }
}
