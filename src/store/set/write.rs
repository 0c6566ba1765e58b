//! A conditional write of a session set, and its outcome.

use std::fmt;

use bytes::Bytes;

use super::{urgency::Urgency, version::Version};
use crate::{
    model::{SessionId, Tag, Timestamp, UserId},
    store::{
        FeedMessage, StoreError,
        session_set::{Changed, SessionSet},
    },
};

/// One write of a session set. All of it happens or nothing.
///
/// A simple [`SetStorage`](super::SetStorage) needs only `expect`, `version`, `head` and `parts`. The other fields
/// help a database: when a row can go, what administrators read, what may be lost in a crash.
#[non_exhaustive]
#[derive(Clone)]
pub struct Write {
    /// The version that the set must have; `None` if the storage must have no such set. Otherwise nothing is
    /// written, and the answer is [`Written::Lost`].
    pub expect: Option<Version>,
    /// The version that the set has afterwards.
    pub version: Version,
    /// The new head. `None` deletes the set with all its parts.
    pub head: Option<Bytes>,
    /// The parts to replace, each under the id of its session. `None` removes the part. Other parts stay.
    pub parts: Vec<(SessionId, Option<Bytes>)>,
    /// Nothing of the set is needed from this moment on, by the store's clock. Then the storage may delete it, and
    /// any write moves the moment.
    pub kept_until: Timestamp,
    /// The storage must not begin the write after this moment: it answers [`Written::NothingRan`] then. If it cannot
    /// ensure that, it says when it wrote, see [`Written::Written`]. Only sign-ins have one.
    pub latest: Option<Timestamp>,
    /// What the write is for.
    pub kind: WriteKind,
    /// How urgent the operation is, for a storage whose writes wait for something before they run.
    pub urgency: Urgency,
    /// What administrators may want to see beside the set.
    pub row: Row,
    /// What the write changes for clients, mostly nothing. A storage with a [`Feed`](crate::store::Feed) sends these
    /// messages to all processes once it has written, and also if it does not know whether it has.
    pub messages: Vec<FeedMessage>,
}

impl Write {
    /// What brings a stored set from `before` to `after`; `None` if nothing is to be written.
    pub(in super::super) fn between(
        tag: Tag,
        expect: Option<Version>,
        before: &SessionSet,
        after: &SessionSet,
        now: Timestamp,
    ) -> Result<Option<Self>, StoreError> {
        let kind = match after.changed_since(before) {
            Changed::Nothing => return Ok(None),
            Changed::Activity => WriteKind::Activity,
            Changed::More => WriteKind::Change,
        };
        let kept_until = after.kept_until().filter(|until| now < *until);
        let head = kept_until.map(|_| after.encode()).transpose()?;
        if head.is_none() && expect.is_none() {
            return Ok(None);
        }
        let parts = match head {
            Some(_) => after.parts_since(before),
            None => Vec::new(),
        };
        let messages = after.news_since(before, now).into_iter();
        Ok(Some(Self {
            expect,
            version: Version::new(),
            head: head.map(Bytes::from),
            parts,
            kept_until: kept_until.unwrap_or(now),
            latest: None,
            kind,
            urgency: Urgency::Other,
            row: after.row(),
            messages: messages.map(|news| FeedMessage::new(tag, news)).collect(),
        }))
    }
}

/// What a write is for.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum WriteKind {
    /// Only the last activity of a session moves. It may be lost in a crash. If another write of the same set is
    /// under way, the storage answers [`Written::Lost`] at once and does not wait for it.
    Activity,
    /// Anything else. Once the storage has answered, a crash does not undo it.
    Change,
}

/// A summary of a session set, for columns that administrators read. No operation needs it.
#[non_exhaustive]
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Row {
    /// The user, if a live session names one.
    pub user: Option<UserId>,
    /// How many sessions are stored as live. Some of them may have expired.
    pub live: usize,
    /// The last activity of all these sessions.
    pub last_activity: Option<Timestamp>,
}

/// The outcome of a [`Write`].
#[non_exhaustive]
#[derive(Debug)]
pub enum Written {
    /// It is written.
    Written {
        /// When, by the backend's clock. Without it, [`SetStorage::now`](super::SetStorage::now) is asked after the
        /// write.
        when: Option<Timestamp>,
    },
    /// The set has another version than expected. Nothing is written.
    Lost,
    /// Nothing is written and nothing will be, because of this error.
    NothingRan(StoreError),
}

/// Prints no bytes, because they are personal data.
impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts.iter();
        let parts: Vec<_> = parts
            .map(|(id, part)| (id, part.as_ref().map(Bytes::len)))
            .collect();
        f.debug_struct("Write")
            .field("expect", &self.expect)
            .field("version", &self.version)
            .field("head", &self.head.as_ref().map(Bytes::len))
            .field("parts", &parts)
            .field("kept_until", &self.kept_until)
            .field("latest", &self.latest)
            .field("kind", &self.kind)
            .field("urgency", &self.urgency)
            .finish_non_exhaustive()
    }
}
