//! The arguments and the outcomes of a store's methods.

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

mod create;
mod everyone;
mod forget;
mod look;
mod note_client;
mod rotate;

pub use self::{
    create::{Create, Created, NewSession, Offer, Redeem, SeenDevice, Ticketed, UNCOUNTED_MAX},
    everyone::{EndEveryone, Scan, Scanned},
    forget::Forget,
    look::{Deadlines, Look, Looked, Presence, Touch},
    note_client::NoteClient,
    rotate::{Renewal, Rotate, Rotated},
};
use crate::model::{
    Arrival, Changes, Data, Digest, EndNotice, EndReason, Lifetime, Realm, Record, SessionId, Tag,
    Timestamp, Token, clock::Monotonic, random,
};

/// The arguments of [`resolve`](super::SessionStore::resolve): a token.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Resolve {
    /// The token that the request sent.
    pub token: Token,
    /// Its digest in the realm of the layer. Compare this one.
    pub digest: Digest,
    /// Whether the request counts as activity.
    pub activity: bool,
    /// Activity is written only if the stored one is older than this. A step longer than a seventeenth of
    /// the idle time counts as that. Zero writes each.
    pub activity_every: Duration,
    /// Sessions that [began](Record::began_at) earlier are not live.
    pub not_before: Option<Timestamp>,
    /// How old the answer may be if a near cache gives it, such as [`Near`](super::Near). `None` asks the store.
    pub near: Option<Duration>,
    /// What the clock read just now, in a call of [`resolve_now`](super::SessionStore::resolve_now) by the layer: it need
    /// not be read again.
    pub(crate) read_at: Option<Monotonic>,
}

impl Resolve {
    /// The token of a request that counts as activity, in no realm.
    #[must_use]
    pub fn new(token: Token) -> Self {
        Self::within(token, Realm::NONE)
    }

    /// As [`new`](Self::new), in a realm.
    #[must_use]
    #[inline]
    pub fn within(token: Token, realm: Realm) -> Self {
        Self {
            digest: token.digest_in(realm),
            token,
            activity: true,
            activity_every: Duration::ZERO,
            not_before: None,
            near: None,
            read_at: None,
        }
    }
}

/// The outcome of [`resolve`](super::SessionStore::resolve).
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum Resolved {
    /// The session is live.
    Live(Found),
    /// The session ended, and its notice is still kept. Or the token was replaced by a
    /// re-authentication a short time ago (`Rotate::grace`); the session itself is live then.
    Ended(EndNotice),
    /// The session expired, and the store still has it.
    ///
    /// The first request since then gets the record as it was. A store may keep a user's record for a while,
    /// after [`Record::note_expired`]. Then later requests get that. Without it they are `Unknown`.
    Expired(Record),
    /// A previous token after its grace period: another client may have a copy of it.
    Reused(Reused),
    /// The store knows no session with this token.
    Unknown,
}

/// The reuse of a previous token after its grace period.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Reused {
    /// The session that the token belonged to.
    pub record: Record,
    /// Whether the session ended because of it.
    pub ended: bool,
    /// The store's time when it was read.
    pub now: Timestamp,
}

impl Reused {
    /// The reuse of a token of this session, at `now`.
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
    /// A near cache answered, so another node may have changed or ended the session a moment ago.
    pub near: bool,
}

impl Found {
    /// A live session with its data, read at `now`.
    #[must_use]
    pub fn new(record: Record, data: Data, now: Timestamp) -> Self {
        Self {
            record,
            data,
            now,
            near: false,
        }
    }
}

/// When the user authenticated.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::exhaustive_enums, reason = "a store must know all of them")]
pub enum Authenticated {
    /// Just after this cutoff, which the same request set. The store takes any other cutoff for a later
    /// one, even if its clock stepped back meanwhile.
    After(Timestamp),
    /// At this moment by the store's clock.
    At(Timestamp),
    /// On a request that arrived then. The store subtracts the age of the request from its own time.
    On(Arrival),
}

impl Authenticated {
    /// The moment of authentication, if it is `now` by the store's clock.
    pub(crate) fn counted_back(self, now: Timestamp) -> Timestamp {
        match self {
            Self::After(cutoff) => cutoff.plus(Duration::from_millis(1)),
            Self::At(moment) => moment,
            Self::On(arrival) => now.minus(arrival.age()),
        }
    }
}

/// The arguments of [`save`](super::SessionStore::save): changes of data, a shorter lifetime, or both.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Save {
    /// The session set.
    pub tag: Tag,
    /// The session.
    pub id: SessionId,
    /// The changes of the data.
    pub changes: Changes,
    /// The revision that the changes depend on. If the data has another one, nothing changes.
    pub expect: Option<u64>,
    /// The most bytes that the data may grow to.
    pub data_limit: usize,
    /// A shorter lifetime from now on. It never makes the session live longer, see
    /// [`Record::shortened`].
    pub shorten: Option<Lifetime>,
    /// Sessions that [began](Record::began_at) earlier are not live.
    pub not_before: Option<Timestamp>,
}

impl Save {
    /// Changes that depend on no revision; the data may have 64 KiB.
    #[must_use]
    pub fn new(tag: Tag, id: SessionId, changes: Changes) -> Self {
        Self {
            tag,
            id,
            changes,
            expect: None,
            data_limit: 64 * 1024,
            shorten: None,
            not_before: None,
        }
    }

    /// Whether it changes neither data nor revision.
    pub(crate) fn shortens_only(&self) -> bool {
        self.shorten.is_some() && self.changes.is_empty()
    }
}

/// The outcome of [`save`](super::SessionStore::save).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Saved {
    /// The data is stored.
    Saved {
        /// The new revision.
        revision: u64,
    },
    /// The lifetime is shorter, and the data is stored if there were changes.
    Shortened {
        /// The new revision; the one before if no data changed.
        revision: u64,
        /// How long the session lives without activity.
        idle: Duration,
        /// The absolute deadline.
        deadline: Timestamp,
    },
    /// The data has another revision than expected. Nothing changed.
    Conflict {
        /// The present revision.
        revision: u64,
        /// The present data.
        data: Data,
    },
    /// The session is not live. Nothing changed.
    Ended,
    /// The data would grow beyond its limit. Nothing changed.
    TooLarge,
}

/// The arguments of [`list`](super::SessionStore::list): a session set.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct List {
    /// The session set.
    pub tag: Tag,
    /// Only the sessions of this realm; `None` for all.
    pub within: Option<Realm>,
    /// Sessions that [began](Record::began_at) earlier are not live.
    pub not_before: Option<Timestamp>,
}

impl List {
    /// All live sessions of this session set.
    #[must_use]
    pub fn new(tag: Tag) -> Self {
        Self {
            tag,
            within: None,
            not_before: None,
        }
    }
}

/// Which sessions of a session set end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a store must know all three")]
pub enum Which {
    /// All of them. Sets the cutoff.
    All,
    /// This one.
    One(SessionId),
    /// All but this one. Sets the cutoff.
    Others(SessionId),
}

impl Which {
    /// Whether this session is surely one of them. If several end, it is not where those that do not count are
    /// `spared`.
    pub(crate) fn names(self, id: SessionId, spared: bool) -> bool {
        match self {
            Self::One(one) => one == id,
            Self::All => !spared,
            Self::Others(keep) => !spared && keep != id,
        }
    }
}

/// The arguments of [`end`](super::SessionStore::end): which sessions end, and why.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct End {
    /// The session set.
    pub tag: Tag,
    /// Which sessions end.
    pub which: Which,
    /// With [`Which::One`]: it ends only if it is in this realm. `None` for any. The others end in all realms.
    pub within: Option<Realm>,
    /// Why they end.
    pub reason: EndReason,
    /// The session that causes the end; the notice names it.
    pub by: Option<SessionId>,
    /// The session of the request that asks for this. If it is set and not live, nothing changes.
    pub caller: Option<SessionId>,
    /// The revision at which the data was read, with [`Which::One`]. If the data changed since, the session does not end, and the
    /// answer contains the new data: keep it, and call again.
    pub read_at: Option<u64>,
    /// Whether sessions that do not count for the limit stay live when several end.
    pub spare_uncounted: bool,
    /// With [`Which::All`]: refuses the user's sign-ins for this long. Zero allows them again.
    pub bar: Option<Duration>,
    /// A `caller` that [began](Record::began_at) earlier is not live.
    pub not_before: Option<Timestamp>,
    /// Names this call. If its reply is lost, send it again with the same name: the answer then has the
    /// same sessions, and the same cutoff before it.
    pub call: [u8; 8],
}

impl End {
    /// Ends these sessions for this reason.
    #[must_use]
    pub fn new(tag: Tag, which: Which, reason: EndReason) -> Self {
        Self {
            tag,
            which,
            within: None,
            reason,
            by: None,
            caller: None,
            read_at: None,
            spare_uncounted: false,
            bar: None,
            not_before: None,
            call: nonce(),
        }
    }
}

/// 8 bytes that no other call has.
pub(crate) fn nonce() -> [u8; 8] {
    static NEXT: LazyLock<AtomicU64> = LazyLock::new(|| {
        // Two processes may share a connection behind a proxy, and a store.
        let start = random::bytes().unwrap_or_default();
        AtomicU64::new(u64::from_be_bytes(start))
    });
    NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()
}

/// The outcome of [`end`](super::SessionStore::end).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Ended {
    /// The sessions have ended.
    Ended {
        /// The sessions that this call ended, in no particular order. Empty if the session had ended
        /// before and its notice is still kept, or if there is `data`.
        ids: Vec<SessionId>,
        /// The store's time. If a cutoff was set, it is the cutoff.
        now: Timestamp,
        /// If a cutoff was set: the one before it, unless that is a day old. If the call was sent twice, the one before
        /// its first cutoff, unless another call set one in between.
        before: Option<Timestamp>,
        /// The data, if it changed since `read_at`. Then the session is still live.
        data: Option<Data>,
    },
    /// The caller's own session is not live. Nothing changed.
    CallerEnded,
    /// This session set has no such session and no notice of one.
    Unknown,
}

impl Ended {
    /// Whether this call ended this session.
    pub(crate) fn has(&self, id: SessionId) -> bool {
        matches!(self, Self::Ended { ids, .. } if ids.contains(&id))
    }
}
