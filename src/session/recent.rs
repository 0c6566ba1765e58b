//! What is known of some sessions for a short time.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::model::SessionId;

/// How many locks there are; each protects a share of the sessions.
const SHARDS: usize = 16;

/// How many sessions each share has at most: 4,096 in all.
const SHARE: usize = 256;

/// What is known of some sessions for a short time. It costs the store some calls to forget it, and no more.
pub(crate) struct Recent<T>([Shard<T>; SHARDS]);

struct Shard<T> {
    /// How many there are: usually none, and then no lock is taken.
    count: AtomicUsize,
    known: Mutex<HashMap<SessionId, T>>,
}

impl<T: Copy> Recent<T> {
    /// What was noted about this session, however long ago.
    #[inline]
    pub(crate) fn get(&self, id: SessionId) -> Option<T> {
        let shard = self.shard(id)?;
        if shard.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        shard.lock().get(&id).copied()
    }

    /// Notes this, unless what was noted before still counts. Returns whether it did.
    pub(crate) fn note(&self, id: SessionId, what: T, counts: impl Fn(&T) -> bool) -> bool {
        let Some(shard) = self.shard(id) else {
            return false;
        };
        let mut known = shard.lock();
        if known.get(&id).is_some_and(&counts) {
            return false;
        }
        if known.len() >= SHARE {
            known.retain(|_, what| counts(what));
        }
        if known.len() >= SHARE {
            known.clear();
        }
        known.insert(id, what);
        shard.count.store(known.len(), Ordering::Relaxed);
        true
    }

    fn shard(&self, id: SessionId) -> Option<&Shard<T>> {
        // An id is random, so that any byte of it distributes the sessions evenly.
        self.0.get(usize::from(id.as_bytes()[0]) % SHARDS)
    }
}

impl<T> Shard<T> {
    fn lock(&self) -> MutexGuard<'_, HashMap<SessionId, T>> {
        // Every step leaves plain values behind.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Shard {
            count: AtomicUsize::new(0),
            known: Mutex::default(),
        }))
    }
}

/// Settings that are copied may change, and what is known would be wrong then.
impl<T> Clone for Recent<T> {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl<T> fmt::Debug for Recent<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recent(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> SessionId {
        SessionId::random().unwrap()
    }

    #[test]
    fn what_still_counts_is_not_replaced() {
        let (recent, id) = (Recent::default(), id());
        let note = |what, counts| recent.note(id, what, |_| counts);

        let noted = [note(1, true), note(2, true), note(3, false)];

        assert_eq!((noted, recent.get(id)), ([true, false, true], Some(3)));
    }

    /// Notes one more in one share than it takes. Returns what it knows then.
    fn overfilled(counts: impl Fn(&usize) -> bool) -> Vec<usize> {
        let recent = Recent::default();
        let id = |number: usize| {
            let [.., high, low] = number.to_be_bytes();
            SessionId::from_bytes([0, high, low, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        };
        for number in 0..=SHARE {
            recent.note(id(number), number, &counts);
        }
        let known = (0..=SHARE).filter_map(|number| recent.get(id(number)));
        known.collect()
    }

    #[test]
    fn a_full_share_forgets_what_no_longer_counts_first() {
        let known = overfilled(|known| *known < 10);

        assert_eq!(known, [&Vec::from_iter(0..10)[..], &[SHARE]].concat());
    }

    #[test]
    fn a_share_full_of_what_still_counts_forgets_all_of_it() {
        let known = overfilled(|_| true);

        assert_eq!(known, [SHARE]);
    }

    // T2
    #[test]
    fn at_most_4096_sessions_are_known() {
        let recent = Recent::default();

        for number in 0..20_000 {
            // Half of them still count: a full share forgets those as well.
            recent.note(id(), number, |known| known % 2 == 0);
        }

        let all: usize = recent.0.iter().map(|shard| shard.lock().len()).sum();
        assert!(all <= 4_096, "{all}");
    }
}
