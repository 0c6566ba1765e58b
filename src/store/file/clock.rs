//! The time of a store that outlives its process.

use std::time::Duration;

use crate::model::{Clock, Timestamp};

/// If the clock is further ahead of the last commit than this, it may be wrong.
const PLAUSIBLE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long nothing is deleted then.
const HOLD: Duration = Duration::from_secs(10 * 60);

/// A clock that is never behind the last commit in the file.
#[derive(Debug)]
pub(super) struct FileClock {
    clock: Clock,
    /// How far the clock was behind the last commit when the file was opened.
    behind: Duration,
    /// Nothing is deleted before this moment.
    hold: Timestamp,
}

impl FileClock {
    /// This clock, after the commit at `last`.
    pub(super) fn after(clock: Clock, last: Option<Timestamp>) -> Self {
        let now = clock.now();
        let last = last.unwrap_or(now);
        let ahead = now.since(last);
        let hold = if ahead > PLAUSIBLE {
            tracing::warn!(
                days = ahead.as_secs() / PLAUSIBLE.as_secs(),
                "the clock is days ahead of the last write to the file of sessions: if it is wrong, set it and start again within 10 minutes. Until then no session is deleted"
            );
            now.plus(HOLD)
        } else {
            Timestamp::from_millis(i64::MIN)
        };
        Self {
            behind: last.since(now),
            clock,
            hold,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now().plus(self.behind)
    }

    /// Whether the clock may be wrong, so that nothing is deleted yet.
    pub(super) fn is_doubted(&self, now: Timestamp) -> bool {
        now < self.hold
    }
}
