//! When to look at each session set in memory next.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use crate::model::{Tag, Timestamp};

/// Session sets by the moment at which they may be over. Activity can make an entry too early, never too late.
#[derive(Default)]
pub(super) struct Due(BinaryHeap<Reverse<(Timestamp, [u8; 12])>>);

impl Due {
    pub(super) fn push(&mut self, tag: Tag, at: Timestamp) {
        self.0.push(Reverse((at, *tag.as_bytes())));
    }

    /// The next one that is due now.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<Tag> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at > now {
            return None;
        }
        let Reverse((_, tag)) = self.0.pop()?;
        Some(Tag::from_bytes(tag))
    }

    /// Gives back memory that neither these entries nor the sets need. The next time is after as many removals again.
    pub(super) fn shrink<T>(&mut self, sets: &mut HashMap<Tag, T>) {
        if sets.capacity() > 4 * sets.len() + 64 {
            sets.shrink_to(2 * sets.len());
        }
        if self.0.capacity() > 4 * self.0.len() + 64 {
            self.0.shrink_to(2 * self.0.len());
        }
    }
}
