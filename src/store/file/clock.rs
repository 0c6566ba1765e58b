//! The time of a store that outlives its process.

use std::time::Duration;

use crate::model::{Clock, Timestamp};

/// If the clock is further ahead of the last commit than this, it may be wrong.
const PLAUSIBLE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long sessions are deleted then only of users who sign in or end sessions.
const HOLD: Duration = Duration::from_secs(10 * 60);

/// If the clock is further behind the last commit than this, it is wrong or was.
const NOTED: Duration = Duration::from_secs(60);

/// While the store's time is ahead of the clock, it runs slower by one in so many. So sessions live a little longer meanwhile. It
/// is not much slower, because the age of a sign-in is real time and is compared with a cutoff in the store's time.
const SLOWER: u32 = 8;

/// A clock that is never behind the last commit in the file, and that never goes back.
#[derive(Debug)]
pub(super) struct FileClock {
    clock: Clock,
    /// What the clock said when the file was opened.
    opened: Timestamp,
    /// How far it was behind the last commit then.
    behind: Duration,
    /// The clock is doubted before this moment.
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
                "the clock is days ahead of the last write to the file of sessions: if it is wrong, set it and start again within 10 minutes. Until then sessions are deleted only of users who sign in or end sessions"
            );
            now.plus(HOLD)
        } else {
            Timestamp::from_millis(i64::MIN)
        };
        let behind = last.since(now);
        if behind > NOTED {
            tracing::warn!(
                minutes = behind.as_secs() / 60,
                "the clock is behind the last write to the file of sessions: it is wrong or was. The store's time is ahead of it, and runs an eighth slower until the clock has caught up"
            );
        }
        Self {
            opened: now,
            behind,
            clock,
            hold,
        }
    }

    pub(super) fn now(&self) -> Timestamp {
        let now = self.clock.now();
        let caught_up = now.since(self.opened) / SLOWER;
        now.plus(self.behind.saturating_sub(caught_up))
    }

    /// Whether the clock may be wrong, so that nothing is deleted yet just because its time is over.
    pub(super) fn is_doubted(&self, now: Timestamp) -> bool {
        now < self.hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ManualClock;

    #[test]
    fn the_time_of_a_clock_that_was_set_back_never_goes_back_and_is_right_in_the_end() {
        let start = Timestamp::from_millis(1_764_000_000_000);
        let manual = ManualClock::at(start);
        let behind = Duration::from_millis(100);
        let clock = FileClock::after(manual.clone().into(), Some(start.plus(behind)));
        let mut before = clock.now();
        assert_eq!(before, start.plus(behind));

        for elapsed in 1..=1_000 {
            manual.advance(Duration::from_millis(1));
            let now = clock.now();
            let step = now.since(before).as_millis();
            assert!(before <= now && step <= 1, "{step} ms after {elapsed}");
            assert!(manual.now() <= now && now <= manual.now().plus(behind));
            before = now;
            // Seven eighths of it passed.
            if elapsed == 400 {
                assert_eq!(now, start.plus(Duration::from_millis(450)));
            }
        }
        assert_eq!(before, manual.now());
    }
}
