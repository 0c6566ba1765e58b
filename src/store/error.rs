//! The error of a store.

use std::{error, fmt};

use crate::model::{ParseDataError, RandomError, RecordError};

type BoxError = Box<dyn error::Error + Send + Sync>;

/// The store could not answer. An unknown session is never reported as an error.
///
/// The layer answers the request with 503, so that an outage does not look like a logout.
/// [`kind`](Self::kind) says what to do. The cause is the [`source`](error::Error::source). Neither text
/// contains an id, a token or a password.
pub struct StoreError {
    kind: StoreErrorKind,
    source: Option<BoxError>,
    /// What is missing, if that is known.
    lacks: Option<Lacks>,
    /// Whether it is certain that nothing ran, and that nothing will.
    not_run: bool,
}

/// What a store that answers lacks. For an app it is unavailable like any other, but something else helps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lacks {
    #[cfg(feature = "postgres")]
    Database,
    #[cfg(feature = "postgres")]
    Tables,
}

impl Lacks {
    /// What to do about it.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            #[cfg(feature = "postgres")]
            Self::Database => {
                "the server has no such database: create it, or change its name in the settings of the pool"
            }
            #[cfg(feature = "postgres")]
            Self::Tables => {
                "the store has no tables: create them with `PostgresStore::migrate`, for example when the app starts"
            }
        }
    }
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
            lacks: None,
            not_run: false,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Adds what is missing.
    #[cfg(feature = "postgres")]
    pub(crate) const fn with_lack(mut self, lacks: Option<Lacks>) -> Self {
        self.lacks = lacks;
        self
    }

    /// What is missing, if that is known.
    pub(crate) const fn lacks(&self) -> Option<Lacks> {
        self.lacks
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
        if let Some(lacks) = self.lacks {
            return f.write_str(lacks.advice());
        }
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

impl fmt::Debug for StoreError {
    /// With the texts of the causes, because `expect` and a `main` that returns an error print this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("source", &error::Error::source(self).map(in_full))
            .finish()
    }
}

/// The error and its causes.
pub(crate) fn in_full(error: &dyn error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_has_the_sentences_of_the_causes() {
        let cause = StoreError::new(StoreErrorKind::Busy).with_source("the queue is full");
        let error = StoreError::new(StoreErrorKind::Timeout).with_source(cause);

        assert_eq!(
            format!("{error:?}"),
            "StoreError { kind: Timeout, source: Some(\"the store has more to do than it can handle, so nothing was sent: try \
             again a little later: the queue is full\") }"
        );
        let bare = StoreError::new(StoreErrorKind::Full);
        assert_eq!(
            format!("{bare:?}"),
            "StoreError { kind: Full, source: None }"
        );
    }
}
