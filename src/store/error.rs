//! The error of a store.

use std::{error, fmt};

use crate::model::{ParseDataError, RandomError, RecordError};

type BoxError = Box<dyn error::Error + Send + Sync>;

/// The store could not answer. An unknown session is never reported as an error.
///
/// The layer answers the request with 503, so that an outage does not look like a logout.
/// [`kind`](Self::kind) says what to do. The cause is the [`source`](error::Error::source). Neither text
/// contains an id, a token or a password.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<BoxError>,
    /// Whether it is certain that nothing ran, and that nothing will.
    not_run: bool,
}

/// What kind of failure it was, and so what helps.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StoreErrorKind {
    /// The backend has as much to do as it can handle, so this call was not sent. Try again a little later.
    Busy,
    /// The stored bytes are not a session. Look for other programs that write to the same keys.
    Corrupt,
    /// The backend refused access: check its password and permissions.
    Denied,
    /// The backend has no memory or disk space left, or as many guest sessions as it may have.
    Full,
    /// The backend did not answer in time. The change may still happen.
    Timeout,
    /// A newer version of this crate wrote the stored bytes. They were left alone. Update this node too.
    TooNew,
    /// The backend cannot be reached or is not ready. Trying again may help.
    Unavailable,
    /// The backend did it, but not enough replicas confirmed it in time. A failover may undo it. Call it again.
    Unconfirmed,
    /// A conditional write may have happened or not. Read the data again before you repeat it.
    Uncertain,
    /// This store does not have that operation.
    Unsupported,
}

impl StoreError {
    /// An error of this kind, without a cause.
    #[must_use]
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self {
            kind,
            source: None,
            not_run: false,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Nothing of the call ran, and nothing will: there is nothing to end.
    pub(crate) const fn known_not_run(mut self) -> Self {
        self.not_run = true;
        self
    }

    /// Whether nothing of the call ran. If it is not known, it may have.
    pub(crate) const fn is_known_not_run(&self) -> bool {
        self.not_run
    }

    /// What kind of failure it was.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            StoreErrorKind::Busy => "the store has more to do than it can handle, so nothing was sent: try again a little later",
            StoreErrorKind::Corrupt => "stored bytes are not a session: another program may write to the same keys",
            StoreErrorKind::Denied => "the store refused access: check its password and permissions",
            StoreErrorKind::Full => "the store is full: no memory or disk space is left, or there are as many guest sessions as it may have",
            StoreErrorKind::Timeout => "the store did not answer in time; the change may still happen",
            StoreErrorKind::TooNew => "stored bytes are of a newer version of this crate, and were left alone: update this node too",
            StoreErrorKind::Unavailable => "the store is unavailable: it cannot be reached or is not ready",
            StoreErrorKind::Unconfirmed => "done, but not enough replicas confirmed it in time, so a failover may undo it: call it again",
            StoreErrorKind::Uncertain => "a conditional write may have happened or not: read the data again before repeating it",
            StoreErrorKind::Unsupported => "this store does not have that operation: see the documentation of the store",
        })
    }
}

impl error::Error for StoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<RecordError> for StoreError {
    fn from(source: RecordError) -> Self {
        Self::new(StoreErrorKind::Corrupt).with_source(source)
    }
}

impl From<ParseDataError> for StoreError {
    fn from(source: ParseDataError) -> Self {
        Self::new(StoreErrorKind::Corrupt).with_source(source)
    }
}

impl From<RandomError> for StoreError {
    fn from(source: RandomError) -> Self {
        Self::new(StoreErrorKind::Unavailable).with_source(source)
    }
}
