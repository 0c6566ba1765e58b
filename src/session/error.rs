//! The errors of sessions.

use std::{error, fmt};

use rmp_serde::decode;

use super::unread::{self, Unread};
use crate::{
    model::{RandomError, Refusal},
    session::{SessionInfo, Ticket},
    store::{StoreError, StoreErrorKind},
};

/// A change could not be staged, or a value could not be read. Nothing was staged.
#[derive(Debug)]
pub struct SessionError {
    kind: SessionErrorKind,
    source: Option<Box<dyn error::Error + Send + Sync>>,
    /// Boxed, so that the errors of a handler stay small.
    unread: Option<Box<Unread>>,
}

/// Why a change could not be staged, or a value could not be read.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SessionErrorKind {
    /// The response head was already sent: the data can be neither read nor changed any more.
    Closed,
    /// The stored value has another type. The text of the error names its key and the wanted type, and never the value.
    Decode,
    /// The value cannot be serialized.
    Encode,
    /// The session has ended meanwhile, as [`verify`](super::Session::verify) found.
    Ended,
    /// The layer lets guest sessions keep no data.
    GuestsOff,
    /// The key is longer than 255 bytes.
    KeyTooLong,
    /// There is no tokio runtime, which a stream needs to learn that its session ended.
    NoRuntime,
    /// Nothing is stored for this session, so its end cannot be watched: a guest without data, or a sign-in
    /// before [`commit`](super::Session::commit).
    NoSession,
    /// The session has no signed-in user.
    NotSignedIn,
    /// The operating system had no randomness for a token.
    Random,
    /// The request has a safe method, such as GET.
    SafeMethod,
    /// The ticket is made up: its parts do not belong together. Or the store's `tag_key` has changed since
    /// it was made.
    Ticket,
    /// The data would be over its limit.
    TooLarge,
    /// The store could not be asked for this session.
    Unavailable,
    /// The text is no user id: it is empty or longer than 255 bytes. As a response it is 500 `not_stored`.
    UserId,
}

impl SessionError {
    pub(super) fn new(
        kind: SessionErrorKind,
        source: impl Into<Box<dyn error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            source: Some(source.into()),
            unread: None,
        }
    }

    /// The value of this key is not of the type `wanted`.
    pub(super) fn unread(key: &str, wanted: &'static str, error: &decode::Error) -> Self {
        let key = key.to_owned();
        Self {
            unread: Some(Box::new(Unread { key, wanted })),
            ..Self::new(SessionErrorKind::Decode, unread::without_value(error))
        }
    }

    pub(super) fn random(source: RandomError) -> Self {
        Self::new(SessionErrorKind::Random, source)
    }

    /// Why it failed.
    #[must_use]
    pub const fn kind(&self) -> SessionErrorKind {
        self.kind
    }
}

impl From<SessionErrorKind> for SessionError {
    fn from(kind: SessionErrorKind) -> Self {
        Self {
            kind,
            source: None,
            unread: None,
        }
    }
}

impl fmt::Display for SessionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(unread) = &self.unread {
            return unread.fmt(f);
        }
        f.write_str(match self.kind {
            SessionErrorKind::Closed => {
                "too late: the response was already sent; read and change the session's data before that"
            }
            SessionErrorKind::Decode => {
                "the stored value has another type: read it as what `insert` was given"
            }
            SessionErrorKind::Encode => "nothing staged: the value cannot be serialized",
            SessionErrorKind::Ended => "the session has ended meanwhile: sign in again",
            SessionErrorKind::GuestsOff => {
                "nothing staged: `SessionLayer::guests(false)` lets guests keep no data; sign in first"
            }
            SessionErrorKind::KeyTooLong => "nothing staged: the key is longer than 255 bytes",
            SessionErrorKind::NoRuntime => {
                "no tokio runtime: call `live` in a handler, or enter the runtime before"
            }
            SessionErrorKind::NoSession => {
                "nothing is stored for this session, so its end cannot be watched: sign in and commit first"
            }
            SessionErrorKind::NotSignedIn => {
                "nothing staged: the session has no user; call `log_in` first"
            }
            SessionErrorKind::Random => {
                "nothing staged: the operating system has no randomness for a token"
            }
            SessionErrorKind::SafeMethod => {
                "nothing staged: `forget` needs a request such as POST; call it where the user presses a button"
            }
            SessionErrorKind::Ticket => {
                "not signed in: the parts of the ticket do not belong together; sign in again"
            }
            SessionErrorKind::TooLarge => {
                "nothing staged: the data would be over its limit; see `SessionLayer::data_limit` and \
                 `guest_data_limit`"
            }
            SessionErrorKind::Unavailable => {
                "nothing staged: the store could not be reached when the request arrived"
            }
            SessionErrorKind::UserId => {
                "nothing staged: the user id is empty or longer than 255 bytes; sign in with the id of a user of your app"
            }
        })
    }
}

impl error::Error for SessionError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

/// What was staged could not be stored, or a sign-in was refused.
#[non_exhaustive]
#[derive(Debug)]
pub enum CommitError {
    /// Too late: the response head was already sent, or the request was dropped. Nothing was stored. A
    /// session that was created just then ends as undelivered.
    Closed,
    /// Parallel requests kept changing the data that an update depends on. Nothing was stored.
    Conflict,
    /// The user is disabled for now. Nothing changed.
    Disabled,
    /// The session ended while the request was running. It was not brought back. No guest session was begun in its place,
    /// because the data was meant for the user. A re-authentication, a rotation and a shorter life are lost too.
    ///
    /// Or a bearer client sent the token of a session that a sign-in had replaced, and the handler inserted data. No guest
    /// session was begun: the client may have a newer token by now.
    ///
    /// If your handler does not call `commit`, its response is sent as it is. It may say "kept" although the changes
    /// are lost, together with the data of the session. A handler whose response must not say so calls
    /// `commit` first. Of a user's session the layer raises
    /// [`EventKind::WriteLost`](crate::events::EventKind::WriteLost).
    Ended,
    /// The user has as many sessions as the limit allows, and the limit refuses more. Nothing changed.
    LimitReached(LimitReached),
    /// The ticket was used already, is older than five minutes, or four newer tickets replaced it. Nothing
    /// changed.
    NoTicket,
    /// The request is [speculative](super::Session::is_speculative), and its data would begin a guest
    /// session. None begins. Nothing was stored.
    ///
    /// If your handler does not call `commit`, its response is sent as it is, without a cookie.
    Speculative,
    /// The store could not answer. What was staged is still staged, so committing again may help.
    ///
    /// There is one exception: with [`StoreErrorKind::Uncertain`] the change may be stored. An update or a rotation
    /// is no longer staged then, so that it does not happen twice. All else is still staged. The next request reads what is
    /// stored.
    Store(StoreError),
    /// Another request with the same token re-authenticated before this one, and the
    /// [`rotation_grace`](crate::SessionLayer::rotation_grace) since then is over. The session goes on, with the token of that
    /// request. The re-authentication of this one is lost, and a shorter life with it. Its data is stored.
    TokenReplaced,
    /// The data would be over its limit, together with what parallel requests stored.
    TooLarge,
    /// The user authenticated a day ago or earlier ([`Login::since`](crate::Login::since)). The store does not
    /// remember whether they were signed out everywhere since. Nobody is signed in: ask for the first step
    /// again.
    TooOld,
    /// An update failed on the newest value, or there was no randomness for a token.
    Update(SessionError),
    /// The user was signed out everywhere after this sign-in was authenticated. Nobody is signed in.
    Rejected,
}

impl CommitError {
    pub(super) fn random(source: RandomError) -> Self {
        Self::Update(SessionError::random(source))
    }

    /// Why the sign-in was refused, if it was.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Disabled => Some(Refusal::Disabled),
            Self::LimitReached(_) => Some(Refusal::LimitReached),
            Self::NoTicket => Some(Refusal::NoTicket),
            Self::Rejected => Some(Refusal::Rejected),
            Self::TooOld => Some(Refusal::TooOld),
            _ => None,
        }
    }

    /// Whether a save that failed like this may run again. If its outcome is unknown it may have happened,
    /// and an update would count twice.
    pub(super) fn may_run_again(&self) -> bool {
        self.store_kind()
            .is_some_and(|kind| kind != StoreErrorKind::Uncertain)
    }

    /// How the store failed, if it was the store.
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
            Self::Closed => {
                "not stored: the response was already sent, or the request was dropped; commit before the handler returns"
            }
            Self::Conflict => {
                "not stored: parallel requests kept changing the data that an update depends on"
            }
            Self::Disabled => "not signed in: the user is disabled for now",
            Self::Ended => "not stored: the session ended while the request was running",
            Self::LimitReached(_) => {
                "not signed in: the user has as many sessions as the limit allows; end one first"
            }
            Self::NoTicket => {
                "not signed in: the ticket was used or is older than five minutes; sign in again"
            }
            Self::Speculative => {
                "not stored: a browser loads the page ahead, which begins no guest session"
            }
            Self::Store(error) if error.kind() == StoreErrorKind::Uncertain => {
                "stored or not: the store's reply was lost; read the data in another request before \
                 you repeat the change"
            }
            Self::Store(error) if error.kind() == StoreErrorKind::Unconfirmed => {
                "done, but replicas of the store did not confirm it in time; commit again"
            }
            Self::Store(error) if error.kind() == StoreErrorKind::Denied => {
                "not stored: the store refused access"
            }
            Self::Store(_) => "not stored: the store could not answer; committing again may help",
            Self::TokenReplaced => {
                "not re-authenticated: another request did so before, and the session has its token"
            }
            Self::TooLarge => "not stored: the data would be over its limit",
            Self::TooOld => {
                "not signed in: the first step of this sign-in was a day ago or earlier; begin again"
            }
            Self::Update(_) => "not stored: a change failed on the newest data",
            Self::Rejected => {
                "not signed in: the user was signed out everywhere meanwhile; sign in again"
            }
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
            | Self::Speculative
            | Self::TokenReplaced
            | Self::TooLarge
            | Self::TooOld
            | Self::Rejected => None,
        }
    }
}

impl From<StoreError> for CommitError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The sessions of a user who is at the limit, so that your app can offer to end one of them.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct LimitReached {
    /// The sessions whose end makes room, the most recently active first.
    ///
    /// If the class of the client is over its limit, these are the sessions of that class. Usually the
    /// end of one is enough. If you lowered the limit by several places, as many more have to end.
    pub sessions: Vec<SessionInfo>,
    /// Lets the client end one of them and sign in without the password, see
    /// [`Login::by_ticket`](crate::Login::by_ticket). If more than one has to end, that sign-in is
    /// refused too. The ticket still works then: the error has it again.
    ///
    /// `None` only if a clone of the session staged another sign-in meanwhile.
    pub ticket: Option<Ticket>,
}

/// The sessions of a user could not be listed or ended.
#[non_exhaustive]
#[derive(Debug)]
pub enum UserSessionsError {
    /// The session of this request has itself ended. Nothing changed.
    CallerEnded,
    /// The store could not answer.
    Store(StoreError),
    /// The user has no such session; another user may have it. Nothing changed.
    Unknown,
}

impl UserSessionsError {
    /// How the store failed, if it was the store.
    #[must_use]
    pub fn store_kind(&self) -> Option<StoreErrorKind> {
        match self {
            Self::Store(error) => Some(error.kind()),
            Self::CallerEnded | Self::Unknown => None,
        }
    }
}

impl fmt::Display for UserSessionsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallerEnded => "nothing ended: the session of this request has ended itself",
            Self::Store(error) if error.kind() == StoreErrorKind::Unconfirmed => {
                "ended, but replicas of the store did not confirm it in time; call again"
            }
            Self::Store(error) if error.kind() == StoreErrorKind::Denied => {
                "the store refused access"
            }
            Self::Store(_) => "the store could not answer; calling again may help",
            Self::Unknown => "nothing ended: the user has no session with this id",
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
