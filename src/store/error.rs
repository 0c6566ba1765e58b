//! Why a store could not answer.

use std::{error, fmt};

use crate::model::{ParseDataError, RandomError, RecordError};

type BoxError = Box<dyn error::Error + Send + Sync>;

/// A store could not answer. Never means "no such session".
///
/// The cause is its [`source`](error::Error::source); no id, token or password is in either.
#[derive(Debug)]
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<BoxError>,
}

/// What kind of failure it was.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StoreErrorKind {
    /// The backend has as much to do as it can handle. Nothing was asked of it; trying again a little later may help.
    Busy,
    /// What is stored is not a session.
    Corrupt,
    /// The backend refused us: a wrong password, a missing permission.
    Denied,
    /// The backend has no room for more.
    Full,
    /// The backend did not answer in time; what was asked may still happen.
    Timeout,
    /// The backend cannot be reached or is not ready; trying again may help.
    Unavailable,
    /// A conditional write may or may not have happened.
    Uncertain,
}

impl StoreError {
    /// A failure of this kind.
    #[must_use]
    pub const fn new(kind: StoreErrorKind) -> Self {
        Self { kind, source: None }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
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
            StoreErrorKind::Busy => "the store has more to do than it can handle",
            StoreErrorKind::Corrupt => "the store holds something that is not a session",
            StoreErrorKind::Denied => "the store refused access",
            StoreErrorKind::Full => "the store is full",
            StoreErrorKind::Timeout => "the store did not answer in time",
            StoreErrorKind::Unavailable => "the store is unavailable",
            StoreErrorKind::Uncertain => "the outcome of a write is unknown",
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
