//! What a store is asked, and what it answers.

use crate::model::{
    Arrival, Changes, Client, Data, Digest, EndNotice, EndReason, Lifetime, Limit, Record,
    SessionId, Tag, Timestamp, Token, UserId,
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
    /// A session that ended, and its notice is still kept.
    Ended(EndNotice),
    /// None that is known.
    Unknown,
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
#[expect(clippy::exhaustive_enums, reason = "a store must know both")]
pub enum Authenticated {
    /// At this moment by the store's clock.
    At(Timestamp),
    /// On a request that arrived then: the store counts back its age when it sends and when it runs.
    On(Arrival),
}

/// Asks for a new session.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Create {
    /// The corner.
    pub tag: Tag,
    /// The new session's public name.
    pub id: SessionId,
    /// Digest of its token.
    pub digest: Digest,
    /// Whose it is; `None` of a guest, for whom there is no limit and no cut.
    pub user: Option<UserId>,
    /// What is known of the client.
    pub client: Client,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// When the user proved who they are.
    pub authenticated: Authenticated,
    /// How many sessions the user may have, and what happens to the excess.
    pub limit: Limit,
    /// A session of the same corner that ends first and leaves its data to the new one.
    pub replaces: Option<SessionId>,
    /// Its data, or what changes in the data of the one that it replaces.
    pub changes: Changes,
    /// The most bytes that its data may take.
    pub data_limit: usize,
    /// Sessions that began earlier are void and do not count.
    pub not_before: Option<Timestamp>,
}

impl Create {
    /// A session for this token, with defaults for the rest: at most 100 sessions, data of 64 KiB.
    #[must_use]
    pub fn new(token: &Token, user: Option<UserId>, authenticated: Authenticated) -> Self {
        Self {
            tag: token.tag(),
            id: token.session_id(),
            digest: token.digest(),
            user,
            client: Client::default(),
            lifetime: Lifetime::default(),
            authenticated,
            limit: Limit::default(),
            replaces: None,
            changes: Changes::default(),
            data_limit: 64 * 1024,
            not_before: None,
        }
    }
}

/// What became of a new session.
#[derive(Clone, Debug)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every caller must answer all of them"
)]
pub enum Created {
    /// It is live.
    Created(Box<NewSession>),
    /// A session of this id was live before and has ended since.
    Ended,
    /// The user has as many sessions as the limit allows: these. Nothing changed.
    LimitReached(Vec<Record>),
    /// Its data is over the limit. Nothing changed.
    TooLarge,
    /// It was authenticated before the user's sessions were ended. Nothing changed.
    Void,
}

/// A session that was just made.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct NewSession {
    /// The session.
    pub record: Record,
    /// Its data.
    pub data: Data,
    /// The sessions that ended for it, the least recently active first.
    pub evicted: Vec<Record>,
    /// The store's time when it was made.
    pub now: Timestamp,
    /// The user's cut, if there is one.
    pub cut: Option<Timestamp>,
}

impl NewSession {
    /// A session that was made at `now` and needed nobody's place.
    #[must_use]
    pub fn new(record: Record, data: Data, now: Timestamp) -> Self {
        Self {
            record,
            data,
            evicted: Vec::new(),
            now,
            cut: None,
        }
    }
}

/// Asks for a change of data.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Save {
    /// The corner.
    pub tag: Tag,
    /// The session.
    pub id: SessionId,
    /// What changes.
    pub changes: Changes,
    /// The revision that the change was computed from, if it depends on it.
    pub expect: Option<u64>,
    /// The most bytes that the data may take.
    pub data_limit: usize,
}

impl Save {
    /// An unconditional change, up to 64 KiB in all.
    #[must_use]
    pub fn new(tag: Tag, id: SessionId, changes: Changes) -> Self {
        Self {
            tag,
            id,
            changes,
            expect: None,
            data_limit: 64 * 1024,
        }
    }
}

/// What became of a change.
#[derive(Clone, Debug, Eq, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "every caller must answer all of them"
)]
pub enum Saved {
    /// It is stored, as this revision.
    Saved {
        /// The new revision.
        revision: u64,
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

/// Asks for the live sessions of a corner.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct List {
    /// The corner.
    pub tag: Tag,
    /// Sessions that began earlier are void.
    pub not_before: Option<Timestamp>,
}

impl List {
    /// All live sessions of this corner.
    #[must_use]
    pub fn new(tag: Tag) -> Self {
        Self {
            tag,
            not_before: None,
        }
    }
}

/// Which sessions of a corner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a store must know all three")]
pub enum Which {
    /// All of them; sets the cut.
    All,
    /// This one.
    One(SessionId),
    /// All but this one; sets the cut.
    Others(SessionId),
}

/// Asks for the end of sessions.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct End {
    /// The corner.
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
        /// How many were live until now: 0 of one whose notice is still kept.
        count: usize,
        /// The store's time: the cut, where one was set.
        now: Timestamp,
        /// Data that was written since it was read.
        data: Option<Data>,
    },
    /// The caller's own session is not live. Nothing changed.
    CallerEnded,
    /// There is no such session in this corner, nor a notice of one.
    Unknown,
}
