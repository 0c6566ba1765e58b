//! An operation under the lock of a shard, which also removes what is over.

use std::sync::{MutexGuard, atomic::Ordering};

use super::{
    MemoryStore, SHARDS,
    agents::Agents,
    lock,
    shard::{Absent, Shard},
};
use crate::{
    model::{Tag, Timestamp},
    store::session_set::SessionSet,
};

/// How many due session sets each operation looks at under its own lock, and every so many operations
/// under another lock. An operation adds at most one, so the removal catches up with any burst.
const SWEPT: usize = 64;
const SWEPT_ELSEWHERE: usize = 1_024;
const ELSEWHERE_EVERY: usize = 16;

/// The lock on a shard, and what was read under it.
pub(super) struct Turn<'a> {
    pub(super) shard: MutexGuard<'a, Shard>,
    pub(super) now: Timestamp,
    /// How many guest sessions there were.
    guests: usize,
}

impl MemoryStore {
    /// Runs `work` on a session set. If there is none, `absent` says what to do; an empty one is not kept.
    pub(super) fn within<T>(
        &self,
        tag: Tag,
        absent: Absent,
        work: impl FnOnce(&mut SessionSet, &mut Agents, Timestamp) -> T,
    ) -> Option<T> {
        let done = self.locked(tag, |shard, now| {
            shard.within(tag, absent, now, |set, agents| work(set, agents, now))
        });
        if absent != Absent::Nothing {
            self.sweep_elsewhere(self.0.clock.now());
        }
        done
    }

    /// Runs `work` on a session set that is not over earlier by that.
    pub(super) fn seen<T>(
        &self,
        tag: Tag,
        work: impl FnOnce(&mut SessionSet, Timestamp) -> T,
    ) -> Option<T> {
        self.locked(tag, |shard, now| Some(work(shard.set(tag)?, now)))
    }

    fn locked<T>(
        &self,
        tag: Tag,
        work: impl FnOnce(&mut Shard, Timestamp) -> Option<T>,
    ) -> Option<T> {
        let mut turn = self.turn(tag)?;
        let done = work(&mut turn.shard, turn.now);
        self.finish(turn);
        done
    }

    /// The lock on the shard of this tag. [`finish`](Self::finish) has to follow.
    pub(super) fn turn(&self, tag: Tag) -> Option<Turn<'_>> {
        let shard = self.shard(tag)?;
        // Read under the lock, so that time never steps back between two steps on one session set.
        let now = self.0.clock.now();
        let guests = shard.guests();
        Some(Turn { shard, now, guests })
    }

    /// Removes what is over, and releases the lock.
    pub(super) fn finish(&self, mut turn: Turn<'_>) {
        turn.shard.sweep(turn.now, SWEPT);
        self.count_guests(turn.guests, turn.shard.guests());
    }

    /// Only operations that may add a session set do it, because all of them share this counter.
    fn sweep_elsewhere(&self, now: Timestamp) {
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        if turn.is_multiple_of(ELSEWHERE_EVERY)
            && let Some(other) = self.0.shards.get(turn / ELSEWHERE_EVERY % SHARDS)
            && let Ok(mut other) = other.try_lock()
        {
            let guests = other.guests();
            other.sweep(now, SWEPT_ELSEWHERE);
            self.count_guests(guests, other.guests());
        }
    }

    /// The guest sessions under one lock were and are so many.
    fn count_guests(&self, were: usize, are: usize) {
        if were < are {
            self.0.guests.fetch_add(are - were, Ordering::Relaxed);
        } else if are < were {
            self.0.guests.fetch_sub(were - are, Ordering::Relaxed);
        }
    }

    /// Whether one more guest session is too many, after all expired ones were removed.
    pub(super) fn is_full(&self, tag: Tag) -> bool {
        let is_full = || self.0.guests.load(Ordering::Relaxed) >= self.0.max_guests;
        if !is_full() {
            return false;
        }
        let now = self.0.clock.now();
        for mut shard in self.0.shards.iter().map(lock) {
            let guests = shard.guests();
            shard.sweep(now, usize::MAX);
            self.count_guests(guests, shard.guests());
        }
        is_full() && !self.shard(tag).is_some_and(|shard| shard.has(tag))
    }
}
