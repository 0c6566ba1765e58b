//! The session sets under one lock, and the removal of expired ones bit by bit.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use super::session_set::SessionSet;
use crate::model::{Tag, Timestamp};

/// How many due session sets each operation looks at. An operation adds at most one, so the removal
/// always catches up.
const SWEPT: usize = 2;

#[derive(Default)]
pub(super) struct Shard {
    sets: HashMap<Tag, SessionSet>,
    /// When to look at each session set next. Activity can make an entry too early, never too late.
    due: BinaryHeap<Reverse<(Timestamp, [u8; 12])>>,
}

impl Shard {
    pub(super) fn sets(&self) -> usize {
        self.sets.len()
    }

    /// Runs `work` on one session set.
    pub(super) fn within<T>(
        &mut self,
        tag: Tag,
        make: bool,
        now: Timestamp,
        work: impl FnOnce(&mut SessionSet) -> T,
    ) -> Option<T> {
        if let Some(set) = self.sets.get_mut(&tag) {
            return Some(work(set));
        }
        if !make {
            return None;
        }
        let mut set = SessionSet::default();
        let done = work(&mut set);
        if let Some(until) = set.kept_until()
            && until > now
        {
            self.due.push(Reverse((until, *tag.as_bytes())));
            self.sets.insert(tag, set);
        }
        Some(done)
    }

    /// Looks at session sets that are due and removes the expired ones.
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
            match self.sets.get(&tag).and_then(SessionSet::kept_until) {
                Some(until) if until > now => self.due.push(Reverse((until, *tag.as_bytes()))),
                _ => {
                    self.sets.remove(&tag);
                }
            }
        }
    }
}
