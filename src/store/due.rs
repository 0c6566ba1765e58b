//! When to look at each session set in memory next.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use crate::model::{Tag, Timestamp};

/// Session sets by the moment at which they may be over. Activity can make it too early. What makes it too late has to
/// push a new one. A set remembers its newest moment, and the others count no more.
#[derive(Default)]
pub(super) struct Due(BinaryHeap<Reverse<(Timestamp, [u8; 12])>>);

impl Due {
    pub(super) fn push(&mut self, tag: Tag, at: Timestamp) {
        self.0.push(Reverse((at, *tag.as_bytes())));
    }

    /// The next one that is due now, and its moment.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<(Tag, Timestamp)> {
        let Reverse((at, _)) = self.0.peek()?;
        if *at > now {
            return None;
        }
        let Reverse((at, tag)) = self.0.pop()?;
        Some((Tag::from_bytes(tag), at))
    }

    /// Gives back memory that neither these moments nor the sets need. The next time is after as many removals again.
    pub(super) fn shrink<T>(
        &mut self,
        sets: &mut HashMap<Tag, T>,
        is_due: impl Fn(&T, Timestamp) -> bool,
    ) {
        if self.0.len() > 2 * sets.len() + 64 {
            // More moments that count no more than others.
            self.0.retain(|Reverse((at, tag))| {
                let set = sets.get(&Tag::from_bytes(*tag));
                set.is_some_and(|set| is_due(set, *at))
            });
        }
        if sets.capacity() > 4 * sets.len() + 64 {
            sets.shrink_to(2 * sets.len());
        }
        if self.0.capacity() > 4 * self.0.len() + 64 {
            self.0.shrink_to(2 * self.0.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_session_sets_that_went_is_given_back() {
        let (mut due, mut sets) = (Due::default(), HashMap::new());
        let at = Timestamp::from_millis(1_000_000);
        for number in 0..100_000_u32 {
            let mut tag = [0; 12];
            tag[..4].copy_from_slice(&number.to_be_bytes());
            due.push(Tag::from_bytes(tag), at);
            sets.insert(Tag::from_bytes(tag), at);
        }

        while let Some((tag, _)) = due.take(at) {
            sets.remove(&tag);
            due.shrink(&mut sets, |until, at| *until == at);
        }

        assert!(sets.is_empty());
        assert!(sets.capacity() <= 64, "{}", sets.capacity());
        assert!(due.0.capacity() <= 64, "{}", due.0.capacity());
    }

    #[test]
    fn moments_that_count_no_more_take_little_memory() {
        let (mut due, mut sets) = (Due::default(), HashMap::new());
        for at in 0..100_u8 {
            let (tag, until) = (Tag::from_bytes([at; 12]), Timestamp::from_millis(1_000_000));
            due.push(tag, until);
            sets.insert(tag, until);
        }
        let tag = Tag::from_bytes([0; 12]);

        for earlier in 1..100_000 {
            let until = Timestamp::from_millis(1_000_000 - earlier);
            due.push(tag, until);
            sets.insert(tag, until);
            due.shrink(&mut sets, |until, at| *until == at);
        }

        assert!(due.0.len() <= 2 * 100 + 64, "{}", due.0.len());
        let now = Timestamp::from_millis(1_000_000);
        let mut taken = Vec::new();
        while let Some((tag, at)) = due.take(now) {
            taken.extend((sets[&tag] == at).then_some(tag));
        }
        assert_eq!(taken.len(), 100, "each is still looked at");
    }
}
