//! What a storage has of a session set.

use std::fmt;

use bytes::Bytes;

use super::version::Version;
use crate::model::Timestamp;

/// What a [`SetStorage`](super::SetStorage) has of one session set: its head, and the part that was asked for.
#[derive(Clone)]
pub struct Stored {
    pub(in super::super) found: Option<(Version, Bytes)>,
    pub(in super::super) part: Option<Bytes>,
    pub(in super::super) now: Option<Timestamp>,
}

impl Stored {
    /// The storage has nothing under this tag.
    #[must_use]
    pub const fn absent() -> Self {
        Self {
            found: None,
            part: None,
            now: None,
        }
    }

    /// The head as the last write gave it, and the version of that write.
    ///
    /// `part` is the part that was asked for, as it was after that same write; `None` if there is none.
    #[must_use]
    pub const fn new(version: Version, head: Bytes, part: Option<Bytes>) -> Self {
        Self {
            found: Some((version, head)),
            part,
            now: None,
        }
    }

    /// Sets the moment of the read by the backend's clock.
    ///
    /// Without it, [`SetStorage::now`](super::SetStorage::now) is asked after the read.
    #[must_use]
    pub const fn at(mut self, now: Timestamp) -> Self {
        self.now = Some(now);
        self
    }
}

/// Prints only sizes, because the bytes are personal data.
impl fmt::Debug for Stored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { found, part, now } = self;
        f.debug_struct("Stored")
            .field("version", &found.as_ref().map(|(version, _)| version))
            .field("head", &found.as_ref().map(|(_, head)| head.len()))
            .field("part", &part.as_ref().map(Bytes::len))
            .field("now", now)
            .finish()
    }
}
