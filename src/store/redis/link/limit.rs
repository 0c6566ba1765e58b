//! How many calls may be in flight at once on one server.
//!
//! A server that is asked for more than it can do works for callers who left. So a caller waits for
//! a place before it sends, and the number of places follows how long replies take.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicI64, AtomicUsize, Ordering},
};

use tokio::sync::{Semaphore, TryAcquireError};

use crate::store::meter;

/// How many calls may be in flight at first and at least, and at most.
///
/// Several processes share a server, and a server is one of several of a Cluster: so each begins with few.
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
    /// The most calls in flight since the last look, and when to look again, in ms.
    peak: AtomicUsize,
    look: AtomicI64,
    /// A reply that takes longer than this, in ms, is late, unless the server is far away.
    late: i64,
    /// What the fastest reply took since the link went up, in ms.
    fastest: AtomicI64,
}

#[derive(Debug)]
struct Size {
    others: usize,
    ends: usize,
    /// Whether it doubles with each round trip, until replies take longer.
    doubles: bool,
    /// When it changed last: only calls sent after that say something of the present size.
    changed: i64,
}

#[derive(Debug)]
struct Places {
    free: Semaphore,
    taken: AtomicUsize,
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
            others: Places::new(LEAST),
            ends: Places::new(LEAST_ENDS),
            size: Mutex::new(Size {
                others: LEAST,
                ends: LEAST_ENDS,
                doubles: true,
                changed: i64::MIN,
            }),
            peak: AtomicUsize::new(0),
            look: AtomicI64::new(i64::MIN),
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
        let took = now.saturating_sub(sent);
        let (is_late, in_flight) = (self.is_late(took), self.others.taken());
        if in_flight > self.peak.load(Ordering::Relaxed) {
            self.peak.store(in_flight, Ordering::Relaxed);
        }
        let look = self.look.load(Ordering::Relaxed);
        if now < look && !is_late && self.others.free.available_permits() > 0 {
            return;
        }
        let mut size = self.size();
        if now >= look {
            let next = now.saturating_add(self.late);
            self.look.store(next, Ordering::Relaxed);
            let peak = self.peak.swap(in_flight, Ordering::Relaxed);
            // After a pause the peak is an old one.
            let is_old = now.saturating_sub(look) > self.late;
            self.forget(&mut size, if is_old { in_flight } else { peak });
        }
        if is_late {
            self.shrink(&mut size, sent, now);
        } else if self.others.free.available_permits() == 0 {
            self.grow(&mut size, sent, now);
        }
    }

    /// What a busy time has shown says little about a server that becomes slow later.
    fn forget(&self, size: &mut Size, peak: usize) {
        let known = (peak * 2).max(LEAST);
        if size.others > known {
            size.doubles = true;
            self.resize(size, known);
        }
    }

    /// In proportion to how late the reply is, once a round trip.
    fn shrink(&self, size: &mut Size, sent: i64, now: i64) {
        if sent < size.changed {
            return;
        }
        let took = usize::try_from(now.saturating_sub(sent)).unwrap_or(usize::MAX);
        let late = usize::try_from(self.late).unwrap_or(1);
        let known = size.others.min(self.others.taken().max(LEAST));
        let fits = known.saturating_mul(late) / took.max(1);
        (size.doubles, size.changed) = (false, now);
        self.resize(size, fits.clamp(known * 3 / 10, known * 7 / 10).max(LEAST));
    }

    /// By one for each reply at first, then by a sixteenth once a round trip.
    fn grow(&self, size: &mut Size, sent: i64, now: i64) {
        // Replies of calls that were sent meanwhile take longer.
        size.doubles &= now.saturating_sub(sent) <= self.late / 2;
        if size.doubles {
            self.resize(size, size.others + 1);
        } else if sent >= size.changed {
            size.changed = now;
            self.resize(size, size.others + (size.others / 16).max(1));
        }
    }

    fn resize(&self, size: &mut Size, others: usize) {
        let others = others.min(MOST);
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

    fn size(&self) -> MutexGuard<'_, Size> {
        self.size.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn place(self: &Arc<Self>, lane: Lane) -> Place {
        meter::link::took_place();
        self.places(lane).taken.fetch_add(1, Ordering::Relaxed);
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
            taken: AtomicUsize::new(0),
            debt: AtomicUsize::new(0),
        }
    }

    fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// One comes free.
    fn add(&self) {
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
            self.add();
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
        let places = self.limit.places(self.lane);
        places.taken.fetch_sub(1, Ordering::Relaxed);
        places.add();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many calls are in flight now.
    fn in_flight(limit: &Limit) -> usize {
        let size = limit.size();
        let taken = |all: usize, places: &Places| {
            all + places.debt.load(Ordering::Relaxed) - places.free.available_permits()
        };
        let others = taken(size.others, &limit.others);
        assert_eq!(others, limit.others.taken());
        others + taken(size.ends, &limit.ends)
    }

    fn size(limit: &Limit) -> usize {
        limit.size().others
    }

    fn take_all(limit: &Arc<Limit>) -> Vec<Place> {
        std::iter::from_fn(|| limit.try_take(Lane::Others)).collect()
    }

    /// A limit of so many places, and these places.
    fn of_size(places: usize) -> (Arc<Limit>, Vec<Place>) {
        let limit = Arc::new(Limit::new(250));
        let mut all = take_all(&limit);
        while all.len() < places {
            limit.learn(0, 1);
            all.extend(take_all(&limit));
        }
        (limit, all)
    }

    #[test]
    fn it_doubles_with_each_round_trip_while_replies_come_soon() {
        let limit = Arc::new(Limit::new(250));
        limit.learn(0, 1);
        assert_eq!(size(&limit), LEAST, "not used fully");

        let mut places = take_all(&limit);
        for trip in 0..4 {
            assert_eq!(places.len(), LEAST << trip);
            let mut next = Vec::new();
            for place in places {
                limit.learn(trip, trip + 1);
                drop(place);
                // Callers wait.
                next.extend(take_all(&limit));
            }
            places = next;
        }
        drop(places);
        assert_eq!(in_flight(&limit), 0);
    }

    #[test]
    fn it_grows_once_a_round_trip_when_replies_take_longer() {
        let limit = Arc::new(Limit::new(250));
        let places = take_all(&limit);

        limit.learn(1, 127);
        limit.learn(2, 128);
        assert_eq!(size(&limit), LEAST + 1);
        drop(places);
        let places = take_all(&limit);
        limit.learn(128, 129);
        assert_eq!(size(&limit), LEAST + 2);

        drop(places);
        assert_eq!(in_flight(&limit), 0);
    }

    #[test]
    fn late_replies_shrink_it_once_a_round_trip_and_the_places_go_when_they_are_given_back() {
        let (limit, places) = of_size(100);

        limit.learn(10, 310);
        limit.learn(20, 320);
        assert_eq!(size(&limit), 70);
        assert_eq!(in_flight(&limit), 100);
        drop(places);
        let places = take_all(&limit);
        assert_eq!(places.len(), 70);

        limit.learn(1_000, 1_500);
        assert_eq!(size(&limit), 35, "the reply took twice as long as it may");
        limit.learn(2_000, 9_000);
        assert_eq!(size(&limit), 10);
        limit.learn(10_000, 20_000);
        assert_eq!(size(&limit), LEAST);
        drop(places);
        assert_eq!(in_flight(&limit), 0);
    }

    #[test]
    fn a_late_reply_shrinks_what_was_in_use_and_not_what_might_have_been() {
        let (limit, mut places) = of_size(500);
        places.truncate(300);

        limit.learn(10, 270);

        assert_eq!(size(&limit), 210);
    }

    #[test]
    fn a_busy_time_is_forgotten() {
        let (limit, places) = of_size(500);
        drop(places);
        let few: Vec<Place> = (0..20)
            .map(|_| limit.try_take(Lane::Others).unwrap())
            .collect();

        limit.learn(300, 301);
        assert_eq!(size(&limit), 500, "it was used a moment ago");
        limit.learn(600, 601);

        assert_eq!(size(&limit), 40);
        drop(few);
        limit.learn(9_000, 9_001);
        assert_eq!(size(&limit), LEAST, "after a pause");
        assert_eq!(in_flight(&limit), 0);
    }

    #[test]
    fn replies_of_a_server_far_away_are_not_late() {
        let (limit, _places) = of_size(100);
        limit.connected();
        limit.learn(1_000, 1_300);
        let far = size(&limit);
        assert!(far >= 100);

        limit.learn(50_000, 50_501);
        assert!(size(&limit) < far, "the way takes 300 ms, the server 201");
        limit.connected();
        limit.learn(60_000, 60_001);
        let before = size(&limit);
        limit.learn(70_000, 70_300);
        assert!(size(&limit) < before, "it is near now");
    }

    #[test]
    fn ends_have_places_of_their_own() {
        let limit = Arc::new(Limit::new(250));
        let others = take_all(&limit);
        let ends: Vec<Place> = std::iter::from_fn(|| limit.try_take(Lane::Ends)).collect();

        assert_eq!((others.len(), ends.len()), (LEAST, LEAST_ENDS));
    }
}
