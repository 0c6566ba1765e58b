//! Whether each set and each part is stored under its own name, also if other names look alike.

use super::{Trial, broken, id};
use crate::{
    model::{SessionId, Tag},
    store::{SetStorage, StoreErrorKind, Version},
};

/// Ends of names. A text column, a fixed width or a comparison without case takes some of them for the same.
const ALIKE: [[u8; 6]; 10] = [
    [0; 6],
    [0, 0, 0, 0, 0, 1],
    [0, 0, 0, 0, 0, b' '],
    [b' '; 6],
    // As text, this is the first one in lower case.
    [0x69, 0xa6, 0x9a, 0x69, 0xa6, 0x9a],
    [0x80; 6],
    [0xfe; 6],
    [0xff; 6],
    [7, 0, 1, 1, 1, 1],
    [7, 0, 2, 2, 2, 2],
];

/// More parts than the default limit has sessions.
const PARTS: u8 = 110;

fn named(begin: [u8; 6], end: [u8; 6]) -> [u8; 12] {
    let mut name = [0; 12];
    for (to, from) in name.iter_mut().zip(begin.into_iter().chain(end)) {
        *to = from;
    }
    name
}

fn part_ids() -> Vec<SessionId> {
    let alike = ALIKE.into_iter().flat_map(|at| {
        // Those that differ at the end, and those that differ at the beginning.
        [named([1; 6], at), named(at, [0; 6])]
    });
    let mut ids: Vec<SessionId> = alike.map(SessionId::from_bytes).collect();
    ids.extend((2..PARTS).map(id));
    ids
}

pub(super) async fn keeps_each_part_apart<S: SetStorage>(storage: &S) {
    let trial = Trial::new(storage, 1);
    let ids = part_ids();
    let mut version = None;
    let mut wanted: Vec<Option<[u8; 2]>> = vec![None; ids.len()];
    for round in 0..4_u8 {
        // All, then some of them, none, and then all are removed.
        let mut parts = Vec::new();
        for ((id, part), at) in ids.iter().zip(&mut wanted).zip(0_u8..) {
            match round {
                0 => *part = Some([at, round]),
                1 if at % 3 == 0 => *part = None,
                1 if at % 3 == 1 => *part = Some([at, round]),
                3 if part.is_some() => *part = None,
                _ => continue,
            }
            parts.push((*id, *part));
        }
        let parts: Vec<(SessionId, Option<&[u8]>)> = (parts.iter())
            .map(|(id, part)| (*id, part.as_ref().map(|part| &part[..])))
            .collect();
        let write = trial.prepared(version, Some(&[round]), &parts).await;
        version = Some(trial.wins(&trial.write(&write).await, &write, "a write of many parts"));
        // Those that look alike, and some others.
        let alike = 2 * ALIKE.len();
        let read = |at: &usize| *at < alike || at.is_multiple_of(9);
        for (id, part) in
            (ids.iter().zip(&wanted).enumerate()).filter_map(|(at, part)| read(&at).then_some(part))
        {
            let stored = trial.read(Some(*id)).await;
            if stored.part.as_deref() != part.as_ref().map(|part| &part[..]) {
                broken(1, "one of many parts: another part, or none");
            }
        }
    }
}

pub(super) async fn keeps_each_set_apart<S: SetStorage>(storage: &S) {
    let base = Trial::new(storage, 1);
    let [a, b, c, d, e, f, ..] = *base.tag.as_bytes();
    let trials = ALIKE.map(|at| Trial {
        tag: Tag::from_bytes(named([a, b, c, d, e, f], at)),
        ..base
    });
    let mut sets = Vec::new();
    for (trial, at) in trials.iter().zip(0_u8..) {
        trial
            .has(None, id(1), None, "a set with a similar tag")
            .await;
        let parts: [(_, Option<&[u8]>); 1] = [(id(1), Some(&[at]))];
        let write = trial.prepared(None, Some(&[at]), &parts).await;
        let version = trial.wins(
            &trial.write(&write).await,
            &write,
            "a set with a similar tag",
        );
        sets.push((trial, version, [at]));
    }
    finds_them_in_order(storage, &sets).await;
    while let Some((trial, version, _)) = sets.pop() {
        let deletes = trial.prepared(Some(version), None, &[]).await;
        trial.wins(&trial.write(&deletes).await, &deletes, "a deletion");
        trial.has(None, id(1), None, "a deleted set").await;
        for (trial, version, bytes) in &sets {
            let found = Some((*version, &bytes[..]));
            let what = "a set with a similar tag to that of a deleted one";
            trial.has(found, id(1), Some(bytes), what).await;
        }
    }
}

/// A scan has them in the order of their bytes.
async fn finds_them_in_order<S: SetStorage>(
    storage: &S,
    sets: &[(&Trial<'_, S>, Version, [u8; 1])],
) {
    let mut tags: Vec<Tag> = sets.iter().map(|(trial, ..)| trial.tag).collect();
    tags.sort_by_key(|tag| *tag.as_bytes());
    let mut after = None;
    for tag in tags {
        // From just before the first: others may share the storage.
        let from = after.or_else(|| before(tag));
        match Box::pin(storage.scan(from, 1)).await {
            Ok(part) if part.len() == 1 && part.iter().all(|(found, _)| *found == tag) => {}
            Ok(_) => broken(8, "the next set of a scan is another one, or more than one"),
            Err(error) if error.kind() == StoreErrorKind::Unsupported => return,
            Err(error) => broken(8, &format!("a scan failed: {error:?}")),
        }
        after = Some(tag);
    }
}

/// The greatest tag that is less.
fn before(tag: Tag) -> Option<Tag> {
    let mut bytes = *tag.as_bytes();
    for byte in bytes.iter_mut().rev() {
        let (less, borrows) = byte.overflowing_sub(1);
        *byte = less;
        if !borrows {
            return Some(Tag::from_bytes(bytes));
        }
    }
    None
}
