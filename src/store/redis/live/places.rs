//! Which listener hears what: one place on a node, one for each slot of a Cluster.

use std::sync::atomic::{AtomicU64, Ordering::SeqCst};

/// A place is one number: whether it is open, by which ear, since which epoch.
const OPEN: u64 = 1 << 63;
const EAR: u32 = 48;
const EARS: u64 = 0x7fff;
const EPOCH: u64 = (1 << EAR) - 1;

/// What is known of each place.
#[derive(Debug)]
pub(super) struct Places {
    all: Box<[AtomicU64]>,
    /// The newest epoch. No two places share one unless they began together.
    epoch: AtomicU64,
}

/// One place, as it was read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Place(u64);

impl Place {
    /// Whether all messages of its epoch arrive, if its ear hears.
    pub(super) fn is_open(self) -> bool {
        self.0 & OPEN != 0
    }

    /// The number of the ear that opened it last.
    pub(super) fn ear(self) -> u64 {
        self.0 >> EAR & EARS
    }

    pub(super) fn epoch(self) -> u64 {
        self.0 & EPOCH
    }
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self {
            all: (0..count).map(|_| AtomicU64::new(0)).collect(),
            epoch: AtomicU64::new(0),
        }
    }

    pub(super) fn read(&self, at: usize) -> Place {
        Place(self.all.get(at).map_or(0, |place| place.load(SeqCst)))
    }

    /// This ear hears these places from now on: a new epoch begins.
    pub(super) fn open(&self, those: impl IntoIterator<Item = usize>, ear: u64) {
        let epoch = self.epoch.fetch_add(1, SeqCst) + 1;
        for place in those.into_iter().filter_map(|at| self.all.get(at)) {
            place.store(OPEN | (ear & EARS) << EAR | epoch & EPOCH, SeqCst);
        }
    }

    /// This ear does not hear the place any more. Says whether it did.
    pub(super) fn close(&self, at: usize, ear: u64) -> bool {
        self.all.get(at).is_some_and(|place| shut(place, ear))
    }

    /// This ear hears nothing any more.
    pub(super) fn close_all(&self, ear: u64) {
        for place in &self.all {
            shut(place, ear);
        }
    }

    /// Messages may have been lost: a new epoch begins for all that this ear hears.
    pub(super) fn renew(&self, ear: u64) {
        let epoch = self.epoch.fetch_add(1, SeqCst) + 1;
        // One that is closed meanwhile stays closed.
        let again =
            |place| is_held(place, ear).then_some(OPEN | (ear & EARS) << EAR | epoch & EPOCH);
        for place in &self.all {
            let _ = place.fetch_update(SeqCst, SeqCst, again);
        }
    }
}

fn is_held(place: u64, ear: u64) -> bool {
    Place(place).is_open() && Place(place).ear() == ear & EARS
}

fn shut(place: &AtomicU64, ear: u64) -> bool {
    let close = |place| is_held(place, ear).then_some(place & !OPEN);
    place.fetch_update(SeqCst, SeqCst, close).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_closed_by_its_own_ear_only_and_its_next_epoch_is_another_one() {
        let places = Places::new(2);
        places.open([0, 1], 7);
        let first = places.read(0);
        assert_eq!((first.is_open(), first.ear()), (true, 7));

        places.open([1], 8);
        places.close_all(7);

        assert!(!places.read(0).is_open());
        assert_eq!(
            places.read(0).epoch(),
            first.epoch(),
            "until it is open again"
        );
        assert!(places.read(1).is_open() && places.read(1).ear() == 8);
        assert_ne!(places.read(1).epoch(), first.epoch());
        assert!(!places.close(1, 7));
    }

    #[test]
    fn a_new_epoch_opens_nothing_that_was_closed() {
        let places = Places::new(2);
        places.open([0, 1], 7);
        assert!(places.close(1, 7));
        let before = places.read(0);

        places.renew(7);

        assert!(places.read(0).is_open());
        assert_ne!(places.read(0).epoch(), before.epoch());
        assert!(!places.read(1).is_open());
    }
}
