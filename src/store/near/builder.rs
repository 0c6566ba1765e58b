//! The settings of a near cache.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Inner, LEASE, Near, cache::Cache, late::Late};
use crate::{
    model::Clock,
    store::{SessionStore, feed::FeedReader},
};

static MADE: AtomicBool = AtomicBool::new(false);

/// Whether this process has made a near cache.
pub(crate) fn near_was_made() -> bool {
    MADE.load(Ordering::Relaxed)
}

/// The settings of a [`Near`].
#[must_use]
pub struct NearBuilder<St> {
    store: St,
    lease: Duration,
    max_entries: usize,
    max_bytes: usize,
    clock: Clock,
}

impl<St: SessionStore> NearBuilder<St> {
    pub(super) fn new(store: St) -> Self {
        Self {
            store,
            lease: LEASE,
            max_entries: 100_000,
            max_bytes: 64 * 1024 * 1024,
            clock: Clock::system(),
        }
    }

    /// How old an answer may be. This is how long a session that was ended elsewhere may be answered here, in the
    /// worst case.
    ///
    /// It counts from when the question was sent to the store. Some answers are kept for less. No answer is kept for
    /// longer than a sixteenth of the idle time or than the [`rotation_grace`](crate::SessionLayer::rotation_grace).
    /// Nor is one kept for more than half of the time that its session would still live without activity.
    ///
    /// Defaults to 5 s. More than 60 s counts as that. With zero it answers nothing.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = lease.min(Duration::from_secs(60));
        self
    }

    /// How many answers are kept. If there are more, the oldest goes. Each of 64 groups of users has its share, rounded up.
    ///
    /// Defaults to 100,000. With zero none is kept.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.max_entries = entries;
        self
    }

    /// How many bytes the kept answers may have, together with the data of their sessions.
    ///
    /// An answer that is larger than a 64th of this is not kept.
    ///
    /// Defaults to 64 MiB. With zero none is kept.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Counts the age of answers by this clock, for tests.
    ///
    /// Defaults to a clock that never jumps and that counts suspended time.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// The cache. Its store listens to the messages of other nodes from now on.
    #[must_use]
    pub fn build(self) -> Near<St> {
        let Self {
            store,
            lease,
            max_entries,
            max_bytes,
            clock,
        } = self;
        MADE.store(true, Ordering::Relaxed);
        let feed = store.feed();
        if feed.is_none() {
            tracing::warn!(
                "the near cache answers nothing: its store has no feed. Build it with `.live(…)`, not on a Redis pool"
            );
        }
        if feed.as_ref().is_some_and(|feed| !feed.reports_writes()) {
            tracing::warn!(
                "the near cache has what other nodes write only after its lease, because the store reports ends only. \
                 Build it with `.live(RedisLive::all())`, or a `PostgresStore` with `.report_writes(true)`"
            );
        }
        let cache =
            feed.map(|feed| Arc::new(Cache::new(feed, lease, max_entries, max_bytes, clock)));
        let interest = cache.as_ref().map(|cache| {
            let reader: Arc<dyn FeedReader> = Arc::clone(cache) as Arc<dyn FeedReader>;
            cache.feed().read_by(Arc::downgrade(&reader))
        });
        let entries = cache.as_ref().map_or(0, |cache| cache.most_entries());
        Near(Arc::new(Inner {
            store,
            cache,
            late: Late::new(entries),
            _interest: interest,
        }))
    }
}

impl<St> fmt::Debug for NearBuilder<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NearBuilder")
            .field("lease", &self.lease)
            .field("max_entries", &self.max_entries)
            .field("max_bytes", &self.max_bytes)
            .finish_non_exhaustive()
    }
}
