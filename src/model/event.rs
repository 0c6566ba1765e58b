//! What happened to a session, for logs, alerts and audits.

use std::{fmt, sync::Arc};

use super::{
    body::Body, client::Client, clock::Timestamp, ended::EndReason, id::SessionId, record::Record,
    user::UserId,
};

/// Something that happened to a session: who, what, when, where, by whom and why (ASVS 16.2.1).
///
/// The layer hands each event to the sink that you set with `SessionLayer::events`. Write it to your
/// audit log, send the user an email about a new device, or raise an alert. The methods
/// [`user`](Self::user) and [`client`](Self::client) say whose session it is and where the request
/// came from.
///
/// An event contains no token, and no token can be derived from it. Cloning it is cheap.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When it happened, by the store's clock.
    ///
    /// For a refused sign-in without a session this is the node's time. For an expiry it is the moment
    /// at which the session expired.
    pub at: Timestamp,
    /// The id of the session.
    pub session: Option<SessionId>,
    /// Why the session ended, if it did.
    pub reason: Option<EndReason>,
    /// On whose behalf it happened. Of an end the reason says that, see [`UserSessions::because`](crate::UserSessions::because).
    pub initiator: Initiator,
    /// The session that caused it: the one that signed in, or from which another one was ended.
    ///
    /// `None` if it was no session of this user: an administrator, for example. Log in your own handler who that was.
    pub by: Option<SessionId>,
    origin: Origin,
}

/// What kind of event it is. [`as_str`](Self::as_str) is its code for logs and metrics.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// A session is used from another address or agent than before. Raised at most once an hour for each
    /// session and pair of address and agent. Of those a session remembers eight, so a client that moves through more networks
    /// in an hour raises it again.
    ClientChanged,
    /// A user signed in.
    Created,
    /// A session ended; the event's `reason` says why.
    ///
    /// For another user's session that a sign-in replaced, it is raised also if the store could not end that session yet. The
    /// reason is [`Replaced`](EndReason::Replaced). The store then ends the session later, as
    /// [`Undelivered`](EndReason::Undelivered), and the log has a line.
    Ended,
    /// The sessions of all users ended that began before the event's time. The event names no user.
    EveryoneEnded,
    /// A session expired; the event's `reason` says so too. Raised when a request first sends its token after that, if one does and the
    /// store has not removed the session by then.
    Expired,
    /// A user signed in on a device that the store does not remember.
    NewDevice,
    /// A user authenticated again in a live session.
    Reauthenticated,
    /// A sign-in was refused.
    Refused(Refusal),
    /// A session got a new token.
    Rotated,
    /// A new token was given to a second client, which differs from the first in address or agent: one of
    /// them may have a copy of the previous token. Raised as often as
    /// [`ClientChanged`](Self::ClientChanged) at most.
    TokenShared,
    /// A request sent a previous token after its time: another client may have a copy. The session ended,
    /// unless [`SessionLayer::end_on_reuse`](crate::SessionLayer::end_on_reuse) says otherwise or the user
    /// authenticated again since. An event of kind `Ended` follows if it did.
    TokenReuse,
    /// A session ended during a request, whose changes of data were lost. Its response was sent as it was.
    WriteLost,
}

/// Why a sign-in was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// The user is disabled.
    Disabled,
    /// The user has as many sessions as the limit allows.
    LimitReached,
    /// The ticket of an earlier refusal stopped working while this sign-in was in progress: another request used it. One that
    /// the store did not have before raises no event, because anyone can make it up.
    NoTicket,
    /// The user was signed out everywhere while this sign-in was in progress.
    Rejected,
    /// The user authenticated a day ago or earlier, in the first step of this sign-in.
    TooOld,
}

/// On whose behalf something happened: the `initiating_entity` of CAEP.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Initiator {
    /// An administrator or one of their jobs.
    Admin,
    /// A rule: the limit, a deadline, the reuse of a token, or a change of the client.
    Policy,
    /// The app or the layer on its own.
    System,
    /// The user.
    User,
}

/// Whose session it was, and where the request came from. Small, so that an event fits into one cache
/// line: another core than the one of the request reads it.
#[derive(Clone, Debug)]
enum Origin {
    Unknown,
    User(UserId),
    /// User and client of a session. One pointer for both, because a sign-in waits while it is made.
    Session(Arc<Body>),
    Request(Arc<Request>),
}

/// What is known of a request.
#[derive(Debug)]
struct Request {
    user: Option<UserId>,
    client: Client,
    /// The session, if another client than its own may have sent the request.
    session: Option<Arc<Body>>,
}

impl EventKind {
    /// The code of this kind, for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientChanged => "client_changed",
            Self::Created => "created",
            Self::Ended => "ended",
            Self::EveryoneEnded => "everyone_ended",
            Self::Expired => "expired",
            Self::NewDevice => "new_device",
            Self::Reauthenticated => "reauthenticated",
            Self::Refused(_) => "refused",
            Self::Rotated => "rotated",
            Self::TokenReuse => "token_reuse",
            Self::TokenShared => "token_shared",
            Self::WriteLost => "write_lost",
        }
    }
}

impl Refusal {
    /// The code of this reason, for logs, metrics and the `reason` of a response.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::LimitReached => "limit_reached",
            Self::NoTicket => "no_ticket",
            Self::Rejected => "void",
            Self::TooOld => "too_old",
        }
    }
}

impl Initiator {
    /// The code of this initiator, as CAEP spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Policy => "policy",
            Self::System => "system",
            Self::User => "user",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Initiator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Event {
    /// An event without a user, a client or a session.
    #[must_use]
    pub fn new(kind: EventKind, at: Timestamp, initiator: Initiator) -> Self {
        Self {
            kind,
            at,
            session: None,
            reason: None,
            initiator,
            by: None,
            origin: Origin::Unknown,
        }
    }

    /// The user whose session it is.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match &self.origin {
            Origin::Session(body) => body.user.as_ref(),
            Origin::User(user) => Some(user),
            Origin::Request(request) => request.user.as_ref(),
            Origin::Unknown => None,
        }
    }

    /// The client that the request came from: its address and its user agent.
    #[must_use]
    pub fn client(&self) -> Option<&Client> {
        match &self.origin {
            Origin::Unknown | Origin::User(_) => None,
            Origin::Session(body) => Some(&body.client),
            Origin::Request(request) => Some(&request.client),
        }
    }

    /// The client that signed in to the session, where another one may have sent the request.
    ///
    /// An event of kind [`TokenReuse`](EventKind::TokenReuse) has it: compare it with
    /// [`client`](Self::client), which sent the old token. `None` for all other kinds.
    #[must_use]
    pub fn session_client(&self) -> Option<&Client> {
        match &self.origin {
            Origin::Request(request) => request.session.as_ref().map(|body| &body.client),
            Origin::Unknown | Origin::User(_) | Origin::Session(_) => None,
        }
    }

    /// The code of why the session ended or the sign-in was refused.
    #[must_use]
    pub fn why(&self) -> Option<&'static str> {
        match self.kind {
            EventKind::Refused(refusal) => Some(refusal.as_str()),
            _ => self.reason.map(EndReason::as_str),
        }
    }

    /// The event happened to this session.
    pub(crate) fn of(mut self, record: &Record) -> Self {
        self.origin = record
            .user_id()
            .cloned()
            .map_or(Origin::Unknown, Origin::User);
        self.session = Some(record.id);
        self
    }

    /// The event happened to a session of this user.
    pub(crate) fn to(mut self, user: UserId, session: Option<SessionId>) -> Self {
        self.origin = Origin::User(user);
        self.session = session;
        self
    }

    /// The session ended for this reason, because of the session `by` if there is one.
    pub(crate) fn because(mut self, reason: EndReason, by: Option<SessionId>) -> Self {
        self.reason = Some(reason);
        self.by = by;
        self
    }

    /// The event happened to the session `to`; user and client are those of this body.
    pub(super) fn at_session(mut self, client: Arc<Body>, to: SessionId) -> Self {
        self.session = Some(to);
        self.origin = Origin::Session(client);
        self
    }

    /// The request came from this client.
    pub(crate) fn at_client(mut self, client: Client) -> Self {
        self.origin = Origin::Request(Arc::new(Request {
            user: self.user().cloned(),
            client,
            session: None,
        }));
        self
    }

    /// The request came from this client, and may not come from the one that signed in to the session.
    pub(crate) fn beside(mut self, record: &Record, client: Client) -> Self {
        self.session = Some(record.id);
        self.origin = Origin::Request(Arc::new(Request {
            user: record.user_id().cloned(),
            client,
            session: Some(record.shared()),
        }));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_fits_into_one_cache_line() {
        assert!(size_of::<Event>() <= 64, "{}", size_of::<Event>());
    }
}
