//! What a store is asked, and what it answers.

use std::time::Duration;

mod create;
mod rotate;

pub use self::{
    create::{Create, Created, NewSession, Redeem, SeenDevice, Ticketed, UNCOUNTED_MAX},
    rotate::{Renewal, Rotate, Rotated},
};
use crate::model::{
    Arrival, Changes, Data, EndNotice, EndReason, Lifetime, Record, SessionId, Tag, Timestamp,
    Token,
};

/// Asks whose token this is.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Resolve {
    /// What the client showed.
    pub token: Token,
    /// Whether the request counts as activity.
    pub activity: bool,
    /// Sessions that began earlier are void.
    pub not_before: Option<Timestamp>,
}

impl Resolve {
    /// A request that counts as activity.
    #[must_use]
    pub fn new(token: Token) -> Self {
        Self {
            token,
            activity: true,
            not_before: None,
        }
    }
}

/// Whose token it is.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every caller must answer all of them"
)]
pub enum Resolved {
    /// A live session.
    Live(Found),
    /// A session that ended, and its notice is still kept; or a previous token of one whose user proved
    /// again who they are, which was replaced by that.
    Ended(EndNotice),
    /// A session that passed one of its deadlines, the first time that this is seen.
    Expired(Record),
    /// A previous token after its time: somebody may have a copy of it.
    Reused(Reused),
    /// None that is known.
    Unknown,
}

/// A previous token that was shown after its time.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Reused {
    /// The session that it opened once.
    pub record: Record,
    /// Whether the session has ended by this.
    pub ended: bool,
    /// The store's time when it was read.
    pub now: Timestamp,
}

impl Reused {
    /// A previous token of this session, shown at `now`.
    #[must_use]
    pub fn new(record: Record, ended: bool, now: Timestamp) -> Self {
        Self { record, ended, now }
    }
}

/// A live session with its data.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Found {
    /// The session.
    pub record: Record,
    /// The app's data.
    pub data: Data,
    /// The store's time when it was read.
    pub now: Timestamp,
}

impl Found {
    /// A live session with its data, read at `now`.
    #[must_use]
    pub fn new(record: Record, data: Data, now: Timestamp) -> Self {
        Self { record, data, now }
    }
}

/// When the user proved who they are.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a store must know all of them")]
pub enum Authenticated {
    /// Just after this cutoff, which the same request made. Any other cutoff is a later one, whatever the
    /// store's clock did meanwhile.
    After(Timestamp),
    /// At this moment by the store's clock.
    At(Timestamp),
    /// On a request that arrived then: the store counts back its age when it sends and when it runs.
    On(Arrival),
}

impl Authenticated {
    /// The moment, seen from this one.
    pub(crate) fn counted_back(self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(cutoff) => cutoff.plus(Duration::from_millis(1)),
            Self::At(moment) => moment,
            Self::On(arrival) => now.minus(arrival.age()),
        }
    }
}

/// Asks for a change of a session's data, a shorter life, or both.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Save {
    /// The session set.
    pub tag: Tag,
    /// The session.
    pub id: SessionId,
    /// What changes in the data.
    pub changes: Changes,
    /// The revision that the change was computed from, if it depends on it.
    pub expect: Option<u64>,
    /// The most bytes that the data may take.
    pub data_limit: usize,
    /// How long the session may live from now on: without activity, and at most. Never longer than
    /// it would without this; see [`Record::shortened`].
    pub shorten: Option<Lifetime>,
}

impl Save {
    /// An unconditional change of data, up to 64 KiB in all.
    #[must_use]
    pub fn new(tag: Tag, id: SessionId, changes: Changes) -> Self {
        Self {
            tag,
            id,
            changes,
            expect: None,
            data_limit: 64 * 1024,
            shorten: None,
        }
    }

    /// Whether it leaves the data and its revision alone.
    pub(crate) fn shortens_only(&self) -> bool {
        self.shorten.is_some() && self.changes.is_empty()
    }
}

/// What became of a [`Save`].
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every caller must answer all of them"
)]
pub enum Saved {
    /// The data is stored, as this revision.
    Saved {
        /// The new revision.
        revision: u64,
    },
    /// The same, of a `Save` that shortens.
    Shortened {
        /// The new revision; where no data changed, the one before.
        revision: u64,
        /// How long the session lives without activity.
        idle: Duration,
        /// When it ends, whatever its activity.
        deadline: Timestamp,
    },
    /// The revision is another one by now. Nothing changed.
    Conflict {
        /// The revision.
        revision: u64,
        /// The newest data.
        data: Data,
    },
    /// The session is not live. Nothing changed.
    Ended,
    /// The data would be over the limit. Nothing changed.
    TooLarge,
}

/// Asks for the live sessions of a session set.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct List {
    /// The session set.
    pub tag: Tag,
    /// Sessions that began earlier are void.
    pub not_before: Option<Timestamp>,
}

impl List {
    /// All live sessions of this session set.
    #[must_use]
    pub fn new(tag: Tag) -> Self {
        Self {
            tag,
            not_before: None,
        }
    }
}

/// Which sessions of a session set.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a store must know all three")]
pub enum Which {
    /// All of them; sets the cutoff.
    All,
    /// This one.
    One(SessionId),
    /// All but this one; sets the cutoff.
    Others(SessionId),
}

/// Asks for the end of sessions.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct End {
    /// The session set.
    pub tag: Tag,
    /// Which sessions.
    pub which: Which,
    /// Why.
    pub reason: EndReason,
    /// The session that causes it, for the notice.
    pub by: Option<SessionId>,
    /// A session that must itself be live for this to happen: the one whose user asks.
    pub caller: Option<SessionId>,
    /// The revision at which the ended session's data was read: if it moved, the answer has the data.
    pub read_at: Option<u64>,
    /// Whether sessions that do not count against the limit stay, where several end.
    pub spare_uncounted: bool,
    /// Refuses the user's sign-ins for so long, where all end; zero lets them in again.
    pub bar: Option<Duration>,
}

impl End {
    /// Ends these sessions for this reason.
    #[must_use]
    pub fn new(tag: Tag, which: Which, reason: EndReason) -> Self {
        Self {
            tag,
            which,
            reason,
            by: None,
            caller: None,
            read_at: None,
            spare_uncounted: false,
            bar: None,
        }
    }
}

/// What became of them.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every caller must answer all of them"
)]
pub enum Ended {
    /// They have ended.
    Ended {
        /// Those that were live until now, in no particular order: none of one whose notice is still
        /// kept.
        ids: Vec<SessionId>,
        /// The store's time: the cutoff, where one was set.
        now: Timestamp,
        /// Data that was written since it was read.
        data: Option<Data>,
    },
    /// The caller's own session is not live. Nothing changed.
    CallerEnded,
    /// There is no such session in this session set, nor a notice of one.
    Unknown,
}
