//! Reads all session sets, part by part.

use super::{MemoryStore, SHARDS, lock};
use crate::{
    model::{Tag, id::decode_12},
    store::{List, Scan, Scanned, StoreError, StoreErrorKind},
};

impl MemoryStore {
    /// A part has the sets of one shard with the lowest tags after the cursor. So each set that stays is in one part.
    pub(super) fn part(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        let (mut at, mut after) = match &scan.cursor {
            None => (0, None),
            Some(cursor) => place(cursor).ok_or(StoreError::new(StoreErrorKind::Unsupported))?,
        };
        let most = scan.most.max(1);
        let mut scanned = Scanned::default();
        while let Some(shard) = self.0.shards.get(at) {
            let tags = lock(shard).tags(after, most);
            after = tags.last().copied();
            if after.is_none() {
                at += 1;
                continue;
            }
            for tag in tags {
                let mut list = List::new(tag);
                list.not_before = scan.not_before;
                let listed = self.listed(&list);
                if !listed.is_empty() {
                    scanned.sets.push(listed);
                }
            }
            scanned.next = after.map(|tag| format!("{at}.{tag}"));
            break;
        }
        Ok(scanned)
    }
}

/// The shard and the last tag that a cursor names.
fn place(cursor: &str) -> Option<(usize, Option<Tag>)> {
    let (at, tag) = cursor.split_once('.')?;
    let at = at.parse().ok().filter(|at| *at < SHARDS)?;
    Some((at, Some(Tag::from_bytes(decode_12(tag.as_bytes())?))))
}
