//! Which places the readers of this process hold.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicI64, Ordering::SeqCst},
};

use tokio::sync::watch;

use crate::model::clock::Monotonic;

/// A place is held so many ms longer than a reader asked for, so that not each call writes.
const AGAIN: i64 = 1_000;

/// Until when each place is held, in ms.
#[derive(Debug)]
pub(super) struct Held {
    until: Box<[AtomicI64]>,
    more: watch::Sender<()>,
}

impl Held {
    pub(super) fn new(count: usize) -> Self {
        Self {
            until: (0..count).map(|_| AtomicI64::new(i64::MIN)).collect(),
            more: watch::Sender::new(()),
        }
    }

    /// A reader needs this place from now on until that moment.
    pub(super) fn hold(&self, at: usize, until: i64, now: i64) {
        let Some(held) = self.until.get(at) else {
            return;
        };
        if held.load(SeqCst) >= until {
            return;
        }
        // The latest moment counts.
        let before = held.fetch_max(until.saturating_add(AGAIN), SeqCst);
        // Written first: who is woken by this finds it.
        if before < now {
            self.more.send_replace(());
        }
    }

    pub(super) fn is_held(&self, at: u16, now: i64) -> bool {
        let held = self.until.get(usize::from(at));
        held.is_some_and(|until| until.load(SeqCst) >= now)
    }

    /// Whether one of these places is held and not among those that are subscribed to.
    pub(super) fn has_more(
        &self,
        places: impl IntoIterator<Item = u16>,
        subscribed: &BTreeSet<u16>,
    ) -> bool {
        let now = Monotonic::now().as_millis();
        let mut places = places.into_iter();
        places.any(|place| self.is_held(place, now) && !subscribed.contains(&place))
    }

    /// Changes whenever a place is held that was not.
    pub(super) fn more(&self) -> watch::Receiver<()> {
        self.more.subscribe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_held_until_the_latest_moment_and_is_news_once() {
        let held = Held::new(2);
        let mut more = held.more();
        assert!(!held.is_held(1, 0) && !more.has_changed().unwrap());

        held.hold(1, 9_000, 5_000);
        assert!(held.is_held(1, 5_000) && !held.is_held(0, 5_000));
        assert!(more.has_changed().unwrap());
        more.mark_unchanged();
        held.hold(1, 100_000, 9_000);
        held.hold(1, 50_000, 9_000);
        assert!(!more.has_changed().unwrap(), "it was held");
        assert!(held.is_held(1, 100_000) && !held.is_held(1, 101_001));

        held.hold(1, 110_000, 101_001);
        assert!(more.has_changed().unwrap(), "it was not held any more");
        held.hold(7, 110_000, 101_001);
    }

    #[test]
    fn no_place_is_held_for_less_time_than_a_reader_asked_for() {
        let held = Held::new(1);
        let mut more = held.more();
        held.hold(0, 2_000, 0);

        held.hold(0, 2_900, 900);
        assert!(held.is_held(0, 2_900), "asked for again, and soon");
        more.mark_unchanged();

        held.hold(0, 4_600, 4_200);
        assert!(held.is_held(0, 4_600), "for a moment, and soon after");
        assert!(more.has_changed().unwrap());
    }
}
