//! One lock's share of the users, and the amortized sweep of what expired.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use super::corner::Corner;
use crate::model::{Tag, Timestamp};

/// How many corners one operation looks at on the side. More than the one that an operation can add,
/// so that the sweep always catches up.
const SWEPT: usize = 2;

#[derive(Default)]
pub(super) struct Shard {
    corners: HashMap<Tag, Corner>,
    /// One entry per corner: when to look at it next. Activity makes it come early, never late.
    due: BinaryHeap<Reverse<(Timestamp, [u8; 12])>>,
}

impl Shard {
    pub(super) fn corners(&self) -> usize {
        self.corners.len()
    }

    /// Works on one corner.
    pub(super) fn within<T>(
        &mut self,
        tag: Tag,
        make: bool,
        now: Timestamp,
        work: impl FnOnce(&mut Corner) -> T,
    ) -> Option<T> {
        if let Some(corner) = self.corners.get_mut(&tag) {
            return Some(work(corner));
        }
        if !make {
            return None;
        }
        let mut corner = Corner::default();
        let done = work(&mut corner);
        if let Some(until) = corner.kept_until()
            && until > now
        {
            self.due.push(Reverse((until, *tag.as_bytes())));
            self.corners.insert(tag, corner);
        }
        Some(done)
    }

    /// Looks at what is due and removes what expired.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        for _ in 0..SWEPT {
            let Some(Reverse((at, tag))) = self.due.peek().copied() else {
                return;
            };
            if at > now {
                return;
            }
            self.due.pop();
            let tag = Tag::from_bytes(tag);
            match self.corners.get(&tag).and_then(Corner::kept_until) {
                Some(until) if until > now => self.due.push(Reverse((until, *tag.as_bytes()))),
                _ => {
                    self.corners.remove(&tag);
                }
            }
        }
    }
}
