//! What can go wrong between a handler and its session.

use std::{error, fmt};

use crate::{
    model::{RandomError, Refusal},
    session::{SessionInfo, Ticket},
    store::{StoreError, StoreErrorKind},
};

/// Something could not be staged or read. Nothing was staged.
#[derive(Debug)]
pub struct SessionError {
    kind: SessionErrorKind,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

/// What kind of failure it was.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SessionErrorKind {
    /// The response head has passed: nothing can be stored for it any more.
    Closed,
    /// The stored value is not what was asked for.
    Decode,
    /// The value cannot be written.
    Encode,
    /// The layer lets guests keep nothing.
    GuestsOff,
    /// The key is over 255 bytes.
    KeyTooLong,
    /// There is no user whose session it is.
    NotSignedIn,
    /// The operating system had no randomness for a token.
    Random,
    /// The ticket is another user's.
    Ticket,
    /// The data would be over its limit.
    TooLarge,
    /// The store could not be asked for this session.
    Unavailable,
}

impl SessionError {
    pub(super) fn new(
        kind: SessionErrorKind,
        source: impl Into<Box<dyn error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into()),
        }
    }

    pub(super) fn random(source: RandomError) -> Self {
        Self::new(SessionErrorKind::Random, source)
    }

    /// What kind of failure it was.
    #[must_use]
    pub const fn kind(&self) -> SessionErrorKind {
        self.kind
    }
}

impl From<SessionErrorKind> for SessionError {
    fn from(kind: SessionErrorKind) -> Self {
        Self { kind, source: None }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            SessionErrorKind::Closed => "the response has gone out",
            SessionErrorKind::Decode => "the stored value is of another type",
            SessionErrorKind::Encode => "the value cannot be stored",
            SessionErrorKind::GuestsOff => "guests may keep no data",
            SessionErrorKind::KeyTooLong => "the key is over 255 bytes",
            SessionErrorKind::NotSignedIn => "nobody is signed in",
            SessionErrorKind::Random => "no token could be made",
            SessionErrorKind::Ticket => "the ticket is another user's",
            SessionErrorKind::TooLarge => "the data would be over its limit",
            SessionErrorKind::Unavailable => "the session is unavailable",
        })
    }
}

impl error::Error for SessionError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What was staged could not be stored.
#[non_exhaustive]
#[derive(Debug)]
pub enum CommitError {
    /// The response has gone out, or never will: what is still staged has nobody to go to.
    Closed,
    /// Other requests kept changing what an update depends on.
    Conflict,
    /// The user may not sign in for now. Nothing changed.
    Disabled,
    /// The session ended while the request was in flight, or its token had been replaced before. It
    /// was not brought back, and no guest session took its place: the browser may hold another
    /// cookie by now.
    Ended,
    /// The user has as many sessions as the limit allows, and it refuses more. Nothing changed.
    LimitReached(LimitReached),
    /// The ticket was used, or its time has passed. Nothing changed.
    NoTicket,
    /// The store could not answer. What was staged stays staged.
    Store(StoreError),
    /// With what parallel requests stored, the data would be over its limit.
    TooLarge,
    /// An update failed on the newest value.
    Update(SessionError),
    /// The sign-in was authenticated before the user's sessions were ended. Nobody is signed in.
    Rejected,
}

impl CommitError {
    pub(super) fn random(source: RandomError) -> Self {
        Self::Update(SessionError::random(source))
    }

    /// Why a sign-in was refused, if it was.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Disabled => Some(Refusal::Disabled),
            Self::LimitReached(_) => Some(Refusal::LimitReached),
            Self::NoTicket => Some(Refusal::NoTicket),
            Self::Rejected => Some(Refusal::Rejected),
            _ => None,
        }
    }

    /// Whether a save that failed so may be run again. One of unknown outcome may have happened: an
    /// update would count twice.
    pub(super) fn may_run_again(&self) -> bool {
        self.store_kind()
            .is_some_and(|kind| kind != StoreErrorKind::Uncertain)
    }

    /// The store's kind of failure, if it was one.
    #[must_use]
    pub fn store_kind(&self) -> Option<StoreErrorKind> {
        match self {
            Self::Store(error) => Some(error.kind()),
            _ => None,
        }
    }
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the response has gone out, or never will",
            Self::Conflict => "the session's data kept changing",
            Self::Disabled => "the user may not sign in for now",
            Self::Ended => "the session has ended",
            Self::LimitReached(_) => "the user has as many sessions as the limit allows",
            Self::NoTicket => "the ticket is good no longer",
            Self::Store(_) => "the store could not answer",
            Self::TooLarge => "the data would be over its limit",
            Self::Update(_) => "an update failed",
            Self::Rejected => "the sign-in is older than the end of the user's sessions",
        })
    }
}

impl error::Error for CommitError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::Update(error) => Some(error),
            Self::Closed
            | Self::Conflict
            | Self::Disabled
            | Self::Ended
            | Self::LimitReached(_)
            | Self::NoTicket
            | Self::TooLarge
            | Self::Rejected => None,
        }
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The sessions that fill a user's limit, so that the app can offer them to be signed out.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct LimitReached {
    /// They, the most recently active first: those whose end would help.
    pub sessions: Vec<SessionInfo>,
    /// With this the client may end one of them and be signed in, see
    /// [`Login::by_ticket`](crate::Login::by_ticket).
    pub ticket: Option<Ticket>,
}

/// A user's sessions could not be listed or ended.
#[non_exhaustive]
#[derive(Debug)]
pub enum UserSessionsError {
    /// The session that asks has itself ended. Nothing changed.
    CallerEnded,
    /// The store could not answer.
    Store(StoreError),
    /// The user has no such session: somebody else's and none at all are the same. Nothing changed.
    Unknown,
}

impl fmt::Display for UserSessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallerEnded => "the session that asks has ended",
            Self::Store(_) => "the store could not answer",
            Self::Unknown => "the user has no such session",
        })
    }
}

impl error::Error for UserSessionsError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Store(error) => Some(error),
            Self::CallerEnded | Self::Unknown => None,
        }
    }
}

impl From<StoreError> for UserSessionsError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}
