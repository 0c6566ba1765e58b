//! The arguments and the outcomes of the methods for administrators: they are about the sessions of all users.

use std::time::Duration;

use crate::model::{Record, Timestamp};

/// The argument of [`end_everyone`](crate::store::SessionStore::end_everyone): from when on sessions stay.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a store must know both")]
pub enum EndEveryone {
    /// All sessions of now end: the moment is 1 ms after now, or 1 ms after the one before if that is later.
    Now,
    /// The sessions that began before this moment end. A moment in the future counts as [`Now`](Self::Now).
    Before(Timestamp),
}

impl EndEveryone {
    /// The moment, in a store whose clock says `now` and that has the moment `before`.
    ///
    /// It is later than `before` for [`Now`](Self::Now): sessions that a clock which was behind let begin at `before` end
    /// too.
    #[must_use]
    pub fn moment(self, now: Timestamp, before: Option<Timestamp>) -> Timestamp {
        let latest = before.map_or(now, |before| now.max(before));
        let all = latest.plus(Duration::from_millis(1));
        match self {
            Self::Now => all,
            Self::Before(moment) => {
                let moment = moment.min(all);
                before.map_or(moment, |before| before.max(moment))
            }
        }
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
