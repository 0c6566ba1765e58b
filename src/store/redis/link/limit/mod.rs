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

/// How many calls of [`Lane::Ends`] may be in flight at least, beside the others.
const LEAST_ENDS: usize = 16;

/// Which calls share places.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) enum Lane {
    /// Signing out must work while sign-ins wait, and so must the few calls of each node that others depend on.
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
    fn learn(&self, sent: i64, now: i64) {
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
        let mut fastest = self.fastest.load(Ordering::Relaxed);
        if took < fastest {
            self.fastest.fetch_min(took, Ordering::Relaxed);
            fastest = took;
        }
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

impl Place {
    /// As [`Limit::learn`].
    pub(super) fn learn(&self, sent: i64, now: i64) {
        self.limit.learn(sent, now);
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
mod tests;
