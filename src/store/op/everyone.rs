//! The arguments and the outcomes of the methods for administrators: they are about the sessions of all users.

use std::time::Duration;

use crate::model::{Era, Record, Timestamp};

/// The argument of [`end_everyone`](crate::store::SessionStore::end_everyone): from when on sessions stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a store must know both")]
pub enum EndEveryone {
    /// All sessions of now end: the moment is 1 ms after now, or 1 ms after the one before if that is later.
    Now,
    /// The sessions that began before this moment end. A moment in the future counts as [`Now`](Self::Now).
    Before(Timestamp),
}

/// The moment may be ahead of the store's clock by so much: that of another server, or the clock stepped back.
const AHEAD: Duration = Duration::from_secs(60);

/// The year 2025. A clock that is earlier was not set yet.
const SET: Timestamp = Timestamp::from_millis(1_735_689_600_000);

impl EndEveryone {
    /// The moment, in a store whose clock says `now` and that has the moment `before`.
    ///
    /// It is later than `before` for [`Now`](Self::Now): sessions that a clock which was behind let begin at `before` end
    /// too. The moment has its era, as in [`kept`](Self::kept).
    #[must_use]
    pub fn moment(self, now: Timestamp, before: Option<Timestamp>) -> Timestamp {
        let before = before.map(|before| Self::kept(before, now));
        let era = before.map_or_else(Era::default, Timestamp::era);
        let latest = before.map_or(now, |before| now.max(before.time()));
        let all = latest.plus(Duration::from_millis(1)).in_era(era);
        match self {
            Self::Now => all,
            Self::Before(moment) => {
                let moment = moment.in_era(era).min(all);
                before.map_or(moment, |before| before.max(moment))
            }
        }
    }

    /// What a store has to keep that has the moment `stored`, and whose clock says `now`.
    ///
    /// That is `stored`, unless it is more than a minute in the future. Then the clock was ahead when the sessions ended, and was set
    /// back. Until it came to that moment, nobody could sign in. So a new era begins: the first moment of it is `now`, and is later
    /// than each moment of the era before. All sessions end that began until now, also those that began in the future.
    ///
    /// Such a moment is a number to store and to compare, not a time to show. If several servers begin the era at once, the latest
    /// moment counts, as always.
    #[must_use]
    pub fn kept(stored: Timestamp, now: Timestamp) -> Timestamp {
        if stored.time() <= now.plus(AHEAD) || now < SET {
            return stored;
        }
        let Some(era) = stored.era().next() else {
            return stored;
        };
        tracing::warn!(
            moment = %stored.time(),
            %now,
            "the moment at which all sessions ended is in the future, so the store's clock was ahead or is behind: all sessions that \
             began until now have ended too"
        );
        now.in_era(era)
    }
}

/// The arguments of [`scan`](crate::store::SessionStore::scan): which part of all session sets to read.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Scan {
    /// Where the part before ended: its [`Scanned::next`]. `None` for the first part.
    pub cursor: Option<String>,
    /// About how many session sets to read.
    pub most: usize,
    /// Sessions that [began](Record::began_at) earlier are not live.
    pub not_before: Option<Timestamp>,
}

impl Scan {
    /// The first part: about 100 session sets.
    #[must_use]
    pub fn new() -> Self {
        Self {
            cursor: None,
            most: 100,
            not_before: None,
        }
    }
}

impl Default for Scan {
    fn default() -> Self {
        Self::new()
    }
}

/// The outcome of [`scan`](crate::store::SessionStore::scan).
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Scanned {
    /// The live sessions of each session set, in no particular order. Sets without one are left out.
    pub sets: Vec<Vec<Record>>,
    /// Where the next part begins; `None` if this was the last one.
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
    const MS: Duration = Duration::from_millis(1);
    const YEARS: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

    #[test]
    fn a_moment_that_is_a_minute_ahead_stays_and_a_later_one_begins_an_era() {
        let ahead = NOW.plus(AHEAD);
        assert_eq!(EndEveryone::kept(ahead, NOW), ahead);

        let kept = EndEveryone::kept(ahead.plus(MS), NOW);

        assert!(kept > NOW.plus(YEARS));
        assert_eq!(kept.time(), NOW);
        // It is done again, also with a clock that steps back.
        assert_eq!(EndEveryone::kept(kept, NOW.minus(AHEAD)), kept);
        assert_eq!(EndEveryone::kept(kept, NOW.plus(YEARS)), kept);
    }

    #[test]
    fn a_clock_that_was_not_set_yet_begins_no_era() {
        let unset = Timestamp::from_millis(5_000);
        assert_eq!(EndEveryone::kept(NOW, unset), NOW);
        let again = EndEveryone::Now.moment(unset, Some(NOW));
        assert_eq!(again, NOW.plus(MS));
    }

    #[test]
    fn the_last_era_stays() {
        let mut moment = NOW;
        for _ in 1..128 {
            let next = EndEveryone::kept(moment.plus(YEARS), NOW);
            assert!(next > moment.plus(YEARS));
            moment = next;
        }
        let ahead = moment.plus(YEARS);
        assert_eq!(EndEveryone::kept(ahead, NOW), ahead);
        assert_eq!(EndEveryone::Now.moment(NOW, Some(ahead)), ahead.plus(MS));
    }

    #[test]
    fn an_end_of_all_in_an_era_is_later_than_its_first_moment() {
        let first = EndEveryone::kept(NOW.plus(YEARS), NOW);
        let later = NOW.plus(Duration::from_secs(100));
        let all = EndEveryone::Now.moment(later, Some(first));
        assert_eq!((all.era(), all.time()), (first.era(), later.plus(MS)));
        let before = EndEveryone::Before(NOW.plus(MS)).moment(later, Some(first));
        assert_eq!(before, first.plus(MS));
        let earlier = EndEveryone::Before(NOW.minus(MS)).moment(later, Some(first));
        assert_eq!(earlier, first);
        // The moment is still that of a clock that was ahead.
        let all = EndEveryone::Now.moment(NOW, Some(NOW.plus(YEARS)));
        assert_eq!(all, first.plus(MS));
    }
}
