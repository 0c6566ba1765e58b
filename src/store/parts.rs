//! Reads the session sets of a store in memory, part by part.

use super::{List, Scan, Scanned, StoreError, StoreErrorKind};
use crate::model::{Record, Tag, id::decode_12};

/// So many of the lowest of these tags after that one, in order.
pub(super) fn lowest<'a>(
    tags: impl Iterator<Item = &'a Tag>,
    after: Option<Tag>,
    most: usize,
) -> Vec<Tag> {
    let after = after.as_ref().map(Tag::as_bytes);
    let tags = tags.map(Tag::as_bytes);
    let mut tags: Vec<[u8; 12]> = tags.filter(|tag| Some(*tag) > after).copied().collect();
    if most < tags.len() {
        tags.select_nth_unstable(most);
        tags.truncate(most);
    }
    tags.sort_unstable();
    tags.into_iter().map(Tag::from_bytes).collect()
}

/// A part has the sets under one lock with the lowest tags after the cursor. So each set that stays is in one part.
///
/// `tags` returns so many of the [`lowest`] tags under a lock, and `None` if there is no such lock.
pub(super) fn part(
    scan: &Scan,
    tags: impl Fn(usize, Option<Tag>, usize) -> Option<Vec<Tag>>,
    list: impl Fn(&List) -> Vec<Record>,
) -> Result<Scanned, StoreError> {
    let foreign = || StoreError::new(StoreErrorKind::Unsupported);
    let (mut at, mut after) = match &scan.cursor {
        None => (0, None),
        Some(cursor) => place(cursor).ok_or_else(foreign)?,
    };
    let most = scan.most.max(1);
    let mut scanned = Scanned::default();
    let mut found = tags(at, after, most);
    if found.is_none() && scan.cursor.is_some() {
        return Err(foreign());
    }
    while let Some(tags_of_one) = found {
        let Some(last) = tags_of_one.last().copied() else {
            (at, after) = (at + 1, None);
            found = tags(at, after, most);
            continue;
        };
        for tag in tags_of_one {
            let mut one = List::new(tag);
            one.not_before = scan.not_before;
            let listed = list(&one);
            if !listed.is_empty() {
                scanned.sets.push(listed);
            }
        }
        scanned.next = Some(format!("{at}.{last}"));
        break;
    }
    Ok(scanned)
}

/// The lock and the last tag that a cursor names.
fn place(cursor: &str) -> Option<(usize, Option<Tag>)> {
    let (at, tag) = cursor.split_once('.')?;
    let tag = Tag::from_bytes(decode_12(tag.as_bytes())?);
    Some((at.parse().ok()?, Some(tag)))
}
