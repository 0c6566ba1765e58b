//! Reads all session sets, part by part.

use super::front::Front;
use crate::{
    model::{Tag, id::decode_12},
    store::{List, Scan, Scanned, StoreError, StoreErrorKind},
};

impl Front {
    /// A part has the sets under one lock with the lowest tags after the cursor. So each set that stays is in one part.
    pub(super) fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        let (mut at, mut after) = match &scan.cursor {
            None => (0, None),
            Some(cursor) => place(cursor).ok_or(StoreError::new(StoreErrorKind::Unsupported))?,
        };
        let mut scanned = Scanned::default();
        while let Some(tags) = self.tags(at, after, scan.most.max(1)) {
            after = tags.last().copied();
            if after.is_none() {
                at += 1;
                continue;
            }
            for tag in tags {
                let mut list = List::new(tag);
                list.not_before = scan.not_before;
                let listed = self.list(&list);
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

/// The lock and the last tag that a cursor names.
fn place(cursor: &str) -> Option<(usize, Option<Tag>)> {
    let (at, tag) = cursor.split_once('.')?;
    Some((
        at.parse().ok()?,
        Some(Tag::from_bytes(decode_12(tag.as_bytes())?)),
    ))
}
