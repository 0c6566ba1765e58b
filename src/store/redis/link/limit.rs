//! How many calls may be in flight at once on one server.
//!
//! A server that is asked for more than it can do works for callers who left. So a caller waits for
//! a place before it sends, and the number of places follows how long replies take.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use tokio::sync::{Semaphore, TryAcquireError};

use crate::store::meter;

/// How many calls may be in flight at first, at least and at most.
const FIRST: usize = 64;
const LEAST: usize = 8;
const MOST: usize = 1_024;

/// How many calls that end sessions may be in flight at least, beside the others.
const LEAST_ENDS: usize = 16;

/// Which calls share places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Lane {
    /// Signing out must work while sign-ins wait.
    Ends,
    /// All others.
    Others,
}

/// The places of one server.
#[derive(Debug)]
pub(super) struct Limit {
    others: Places,
    ends: Places,
    size: Mutex<Size>,
    /// A reply that takes longer than this, in ms, is late, unless the server is far away.
    late: i64,
    /// What the fastest reply took since the link went up, in ms.
    fastest: AtomicI64,
}

#[derive(Debug)]
struct Size {
    others: usize,
    ends: usize,
    /// When it changed last: only calls sent after that say something of the present size.
    changed: i64,
}

#[derive(Debug)]
struct Places {
    free: Semaphore,
    /// How many are taken away when they are given back.
    debt: AtomicUsize,
}

/// A place, taken until the reply came or its connection is gone.
#[derive(Debug)]
pub(super) struct Place {
    limit: Arc<Limit>,
    lane: Lane,
}

impl Limit {
    /// Replies that take longer than `late` ms make the limit smaller.
    pub(super) fn new(late: i64) -> Self {
        Self {
            others: Places::new(FIRST),
            ends: Places::new(LEAST_ENDS),
            size: Mutex::new(Size {
                others: FIRST,
                ends: LEAST_ENDS,
                changed: i64::MIN,
            }),
            late,
            fastest: AtomicI64::new(i64::MAX),
        }
    }

    /// The server may be another one, nearer or farther away.
    pub(super) fn connected(&self) {
        self.fastest.store(i64::MAX, Ordering::Relaxed);
    }

    /// A place, if one is free.
    pub(super) fn try_take(self: &Arc<Self>, lane: Lane) -> Option<Place> {
        match self.places(lane).free.try_acquire() {
            Ok(permit) => permit.forget(),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => return None,
        }
        Some(self.place(lane))
    }

    /// A place, as soon as one is free: callers take turns.
    pub(super) async fn take(self: &Arc<Self>, lane: Lane) -> Place {
        if let Ok(permit) = self.places(lane).free.acquire().await {
            permit.forget();
        }
        self.place(lane)
    }

    /// Learns from a reply that has just come: when its call was sent, and the time.
    pub(super) fn learn(&self, sent: i64, now: i64) {
        let late = self.is_late(now.saturating_sub(sent));
        if !late && self.others.free.available_permits() > 0 {
            return;
        }
        let mut size = self.size.lock().unwrap_or_else(PoisonError::into_inner);
        if sent < size.changed {
            return;
        }
        size.changed = now;
        let others = if late {
            (size.others * 7 / 10).max(LEAST)
        } else {
            (size.others + 1).min(MOST)
        };
        let ends = (others / 4).max(LEAST_ENDS);
        self.others.resize(size.others, others);
        self.ends.resize(size.ends, ends);
        (size.others, size.ends) = (others, ends);
    }

    /// Whether a reply came late by the server's work, not by the way to it alone.
    fn is_late(&self, took: i64) -> bool {
        let fastest = self.fastest.fetch_min(took, Ordering::Relaxed).min(took);
        // Half the time of a caller is late wherever the server is.
        let far = fastest.saturating_mul(2).min(self.late.saturating_mul(2));
        took > self.late.max(far)
    }

    fn place(self: &Arc<Self>, lane: Lane) -> Place {
        meter::link::took_place();
        Place {
            limit: Arc::clone(self),
            lane,
        }
    }

    fn places(&self, lane: Lane) -> &Places {
        match lane {
            Lane::Ends => &self.ends,
            Lane::Others => &self.others,
        }
    }
}

impl Places {
    fn new(free: usize) -> Self {
        Self {
            free: Semaphore::new(free),
            debt: AtomicUsize::new(0),
        }
    }

    fn give_back(&self) {
        let order = Ordering::AcqRel;
        let pays = |debt: usize| debt.checked_sub(1);
        if self
            .debt
            .fetch_update(order, Ordering::Acquire, pays)
            .is_err()
        {
            self.free.add_permits(1);
        }
    }

    fn resize(&self, from: usize, to: usize) {
        for _ in from..to {
            self.give_back();
        }
        let less = from.saturating_sub(to);
        if less > 0 {
            let gone = self.free.forget_permits(less);
            self.debt.fetch_add(less - gone, Ordering::AcqRel);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        meter::link::gave_place();
        self.limit.places(self.lane).give_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls are in flight now.
    fn in_flight(limit: &Limit) -> usize {
        let size = limit.size.lock().unwrap();
        let taken = |all: usize, places: &Places| {
            all + places.debt.load(Ordering::Relaxed) - places.free.available_permits()
        };
        taken(size.others, &limit.others) + taken(size.ends, &limit.ends)
    }

    fn size(limit: &Limit) -> usize {
        limit.size.lock().unwrap().others
    }

    #[test]
    fn it_grows_while_it_is_used_fully_and_replies_come_soon() {
        let limit = Arc::new(Limit::new(250));
        limit.learn(0, 1);
        assert_eq!(size(&limit), FIRST, "not used fully");

        let places: Vec<Place> = (0..FIRST)
            .map(|_| limit.try_take(Lane::Others).unwrap())
            .collect();
        assert!(limit.try_take(Lane::Others).is_none());
        limit.learn(2, 3);
        limit.learn(2, 4);

        assert_eq!(size(&limit), FIRST + 1, "once a round trip");
        assert_eq!(in_flight(&limit), FIRST);
        drop(places);
        assert_eq!(in_flight(&limit), 0);
    }

    #[test]
    fn late_replies_shrink_it_once_a_round_trip_and_the_places_go_when_they_are_given_back() {
        let limit = Arc::new(Limit::new(250));
        limit.learn(0, 1);
        let places: Vec<Place> = (0..FIRST)
            .map(|_| limit.try_take(Lane::Others).unwrap())
            .collect();

        limit.learn(0, 300);
        limit.learn(10, 310);
        assert_eq!(size(&limit), 44);
        assert_eq!(in_flight(&limit), FIRST);
        drop(places);

        let places: Vec<Option<Place>> = (0..FIRST).map(|_| limit.try_take(Lane::Others)).collect();
        assert_eq!(places.iter().flatten().count(), 44);
        for at in 1..40 {
            limit.learn(at * 1_000, at * 1_000 + 300);
        }
        assert_eq!(size(&limit), LEAST);
    }

    #[test]
    fn replies_of_a_server_far_away_are_not_late() {
        let limit = Arc::new(Limit::new(250));
        for at in 1..40 {
            limit.learn(at * 1_000, at * 1_000 + 300);
        }
        assert_eq!(size(&limit), FIRST);

        limit.learn(50_000, 50_501);
        assert!(size(&limit) < FIRST, "the way takes 300 ms, the server 201");
        limit.connected();
        limit.learn(60_000, 60_001);
        let before = size(&limit);
        limit.learn(70_000, 70_300);
        assert!(size(&limit) < before, "it is near now");
    }

    #[test]
    fn ends_have_places_of_their_own() {
        let limit = Arc::new(Limit::new(250));
        let others: Vec<Place> = std::iter::from_fn(|| limit.try_take(Lane::Others)).collect();
        let ends: Vec<Place> = std::iter::from_fn(|| limit.try_take(Lane::Ends)).collect();

        assert_eq!((others.len(), ends.len()), (FIRST, LEAST_ENDS));
    }
}
