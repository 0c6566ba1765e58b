//! What the log says while the store fails: a few lines, not one for each request.

use std::{
    error::Error,
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed},
    },
};

use crate::{
    model::clock::Monotonic,
    store::{StoreError, StoreErrorKind},
};

/// So long it is between two lines about the same failure, and without a failure until an outage is over. In ms.
const APART: i64 = 10_000;

/// The requests of a layer that fail because its store fails.
#[derive(Debug, Default)]
pub(crate) struct Outage {
    /// All that a request reads whose session was found.
    open: AtomicBool,
    began: AtomicI64,
    last: AtomicI64,
    failed: AtomicU64,
    lines: Failures<(&'static str, StoreErrorKind)>,
}

impl Outage {
    /// A request failed. Returns how many failed so since the last line about it, if the next line is due.
    pub(crate) fn failed(&self, what: &'static str, kind: StoreErrorKind) -> Option<u64> {
        self.failed_at(what, kind, Monotonic::now().as_millis())
    }

    /// Something that is not the request itself failed, and the request goes on.
    pub(super) fn beside(&self, error: &StoreError, what: &'static str) {
        let kind = error.kind();
        if let Some(failed) = self.lines.due((what, kind)) {
            tracing::warn!(error = error as &dyn Error, ?kind, failed, "{what}");
        } else {
            tracing::debug!(error = error as &dyn Error, ?kind, "{what}");
        }
    }

    /// The store answered a request.
    #[inline]
    pub(crate) fn answered(&self) {
        if self.open.load(Relaxed)
            && let Some((after_ms, failed)) = self.over_at(Monotonic::now().as_millis())
        {
            tracing::info!(after_ms, failed, "the store answers requests again");
        }
    }

    pub(crate) fn failed_at(
        &self,
        what: &'static str,
        kind: StoreErrorKind,
        now: i64,
    ) -> Option<u64> {
        self.last.store(now, Relaxed);
        if !self.open.swap(true, Relaxed) {
            self.began.store(now, Relaxed);
            self.failed.store(0, Relaxed);
        }
        self.failed.fetch_add(1, Relaxed);
        self.lines.due_at((what, kind), now)
    }

    /// How long the outage was and how many requests failed, if it is over. The first who asks gets it.
    #[cold]
    fn over_at(&self, now: i64) -> Option<(i64, u64)> {
        let last = self.last.load(Relaxed);
        let over = now.saturating_sub(last) >= APART && self.open.swap(false, Relaxed);
        let after = last.saturating_sub(self.began.load(Relaxed));
        over.then(|| (after, self.failed.load(Relaxed)))
    }

    #[cfg(test)]
    pub(crate) fn is_open(&self) -> bool {
        self.open.load(Relaxed)
    }
}

/// Failures that repeat, and when each was last in the log.
pub(crate) struct Failures<W>(Mutex<Vec<Line<W>>>);

struct Line<W> {
    what: W,
    at: i64,
    /// How many failed since.
    unsaid: u64,
}

impl<W: PartialEq> Failures<W> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// As [`Outage::failed`].
    pub(crate) fn due(&self, what: W) -> Option<u64> {
        self.due_at(what, Monotonic::now().as_millis())
    }

    fn due_at(&self, what: W, now: i64) -> Option<u64> {
        // Every change is whole.
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(line) = lines.iter_mut().find(|line| line.what == what) else {
            lines.push(Line {
                what,
                at: now,
                unsaid: 0,
            });
            return Some(1);
        };
        line.unsaid += 1;
        if now.saturating_sub(line.at) < APART {
            return None;
        }
        line.at = now;
        Some(std::mem::take(&mut line.unsaid))
    }
}

impl<W> Default for Failures<W> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<W> fmt::Debug for Failures<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Failures(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::{APART, Outage};
    use crate::store::StoreErrorKind::{Denied, Timeout};

    #[test]
    fn an_outage_is_a_line_in_ten_seconds_for_each_kind_and_one_at_its_end() {
        let outage = Outage::default();
        let fails = |kind, now| outage.failed_at("session not resolved", kind, now);

        let lines: Vec<_> = (0..=25)
            .filter_map(|second| fails(Timeout, second * 1_000))
            .collect();
        let another = [fails(Denied, 25_000), fails(Denied, 26_000)];

        assert_eq!(lines, [1, 10, 10]);
        assert_eq!(another, [Some(1), None]);
        assert_eq!(outage.over_at(26_000 + APART - 1), None);
        assert_eq!(outage.over_at(26_000 + APART), Some((26_000, 28)));
        assert_eq!(outage.over_at(26_000 + APART), None);
        assert!(!outage.is_open());
        assert_eq!(fails(Timeout, 60_000), Some(6));
    }

    #[test]
    fn failures_with_successes_in_between_are_one_outage() {
        let outage = Outage::default();

        let lines: Vec<_> = (0..30)
            .map(|second| second * 1_000)
            .filter_map(|now| {
                let line = outage.failed_at("session not resolved", Timeout, now);
                assert_eq!(outage.over_at(now + 500), None);
                line
            })
            .collect();

        assert_eq!(lines, [1, 10, 10]);
    }
}
