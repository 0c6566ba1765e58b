//! Reads the state of sessions by their ids, and writes activity that was recorded elsewhere.

use std::time::Duration;

#[cfg(feature = "live")]
use crate::model::record::began_at;
use crate::model::{EndNotice, Era, Record, SessionId, Tag, Timestamp};

/// The arguments of [`look`](crate::store::SessionStore::look): sessions of one session set, by id.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Look {
    /// The session set.
    pub tag: Tag,
    /// The sessions.
    pub ids: Vec<SessionId>,
    /// Sessions that [began](Record::began_at) earlier are not live.
    pub not_before: Option<Timestamp>,
}

impl Look {
    /// These sessions of this session set.
    #[must_use]
    pub fn new(tag: Tag, ids: impl Into<Vec<SessionId>>) -> Self {
        Self {
            tag,
            ids: ids.into(),
            not_before: None,
        }
    }
}

/// The outcome of [`look`](crate::store::SessionStore::look).
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Looked {
    /// What each session is, in the order of [`Look::ids`].
    pub sessions: Vec<Presence>,
    /// The store's time when they were read.
    pub now: Timestamp,
}

impl Looked {
    /// What these sessions are at `now`.
    #[must_use]
    pub fn new(sessions: Vec<Presence>, now: Timestamp) -> Self {
        Self { sessions, now }
    }
}

/// What a session is, without its token and its data.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Presence {
    /// It is live.
    Live(Deadlines),
    /// It ended, and its notice is still kept.
    Ended(EndNotice),
    /// The store knows no such session. It expired, or nobody knows why it is gone.
    Unknown,
}

/// The times of a live session.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Deadlines {
    /// When it began.
    pub created_at: Timestamp,
    /// When the user last authenticated.
    pub authenticated_at: Timestamp,
    /// When it expires without activity.
    pub idle: Timestamp,
    /// When it expires in any case.
    pub absolute: Timestamp,
    /// Its times are of this era.
    pub(crate) era: Era,
}

impl Deadlines {
    /// The times of this session.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        Self {
            created_at: record.created_at,
            authenticated_at: record.authenticated_at,
            idle: record.idle_expires_at(),
            absolute: record.deadline,
            era: record.era(),
        }
    }

    /// As [`Record::began_at`].
    #[cfg(feature = "live")]
    pub(crate) fn began_at(&self) -> Timestamp {
        began_at(self.created_at, self.authenticated_at, self.era)
    }

    /// When it expires unless something moves its deadlines.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.idle.min(self.absolute)
    }
}

/// The arguments of [`touch`](crate::store::SessionStore::touch): the activity of a session.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Touch {
    /// The session set.
    pub tag: Tag,
    /// The session.
    pub id: SessionId,
    /// How long ago the activity was. The store subtracts it from its own time.
    pub age: Duration,
    /// A session that [began](Record::began_at) earlier is not live.
    pub not_before: Option<Timestamp>,
}

impl Touch {
    /// Activity of this session, so long ago.
    #[must_use]
    pub fn new(tag: Tag, id: SessionId, age: Duration) -> Self {
        Self {
            tag,
            id,
            age,
            not_before: None,
        }
    }
}
