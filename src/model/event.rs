//! What happened to a session, for whoever keeps watch.

use std::sync::Arc;

use super::{
    body::Body, client::Client, clock::Timestamp, ended::EndReason, id::SessionId, record::Record,
    user::UserId,
};

/// What happened to a session: who, what, when, where, by whom and why (ASVS 16.2.1).
///
/// It holds no token and nothing that one could be made of. Cloning it is cheap.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When, by the store's clock; a refused sign-in of a client without a session by the node's. Of
    /// what expired, when it did.
    pub at: Timestamp,
    /// The session's public name.
    pub session: Option<SessionId>,
    /// Why it ended, if it did.
    pub reason: Option<EndReason>,
    /// On whose behalf.
    pub initiator: Initiator,
    /// The session that caused it: that signed in, or from which another was ended.
    pub by: Option<SessionId>,
    origin: Origin,
}

/// What happened. The code for machines is [`as_str`](Self::as_str).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// A user signed in.
    Created,
    /// A session ended, for the event's reason.
    Ended,
    /// A session passed one of its deadlines; raised where that is seen first.
    Expired,
    /// A user signed in on a device for the first time, as far as that is remembered.
    NewDevice,
    /// A user proved again who they are.
    Reauthenticated,
    /// A sign-in was refused.
    Refused(Refusal),
    /// A session has another token.
    Rotated,
    /// A previous token was shown after its time.
    TokenReuse,
}

/// Why a sign-in was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// The user may not sign in for now.
    Disabled,
    /// The limit refuses more sessions.
    LimitReached,
    /// The ticket of an earlier refusal is good no longer.
    NoTicket,
    /// It was authenticated before the user's sessions were ended.
    Rejected,
}

/// On whose behalf something happened: the `initiating_entity` of CAEP.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Initiator {
    /// An administrator, or a job of theirs.
    Admin,
    /// A rule: the limit, a deadline, reuse of a token.
    Policy,
    /// The app or the layer by itself.
    System,
    /// The user.
    User,
}

/// To whom it happened, and where it came from. Small, so that an event fits into one line of a cache:
/// it goes from the core that signs somebody in to the one that keeps watch.
#[derive(Clone, Debug)]
enum Origin {
    Unknown,
    User(UserId),
    /// From the client of a session of the same user. One pointer for both: an event is made where a
    /// sign-in waits for it.
    Session(Arc<Body>),
    Request(Arc<(Option<UserId>, Client)>),
}

impl EventKind {
    /// The code for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::NewDevice => "new_device",
            Self::Reauthenticated => "reauthenticated",
            Self::Refused(_) => "refused",
            Self::Rotated => "rotated",
            Self::TokenReuse => "token_reuse",
        }
    }
}

impl Refusal {
    /// The code for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::LimitReached => "limit_reached",
            Self::NoTicket => "no_ticket",
            Self::Rejected => "void",
        }
    }
}

impl Initiator {
    /// The code for machines, as CAEP has it.
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

impl Event {
    /// Something that happened to nobody known yet; the fields say more.
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

    /// Whose session it is.
    #[must_use]
    pub fn user(&self) -> Option<&UserId> {
        match &self.origin {
            Origin::Session(body) => body.user.as_ref(),
            Origin::User(user) => Some(user),
            Origin::Request(request) => request.0.as_ref(),
            Origin::Unknown => None,
        }
    }

    /// What is known of the client that the event came from: its address and its user agent.
    #[must_use]
    pub fn client(&self) -> Option<&Client> {
        match &self.origin {
            Origin::Unknown | Origin::User(_) => None,
            Origin::Session(body) => Some(&body.client),
            Origin::Request(request) => Some(&request.1),
        }
    }

    /// The code for machines of why it ended or was refused.
    #[must_use]
    pub fn why(&self) -> Option<&'static str> {
        match self.kind {
            EventKind::Refused(refusal) => Some(refusal.as_str()),
            _ => self.reason.map(EndReason::as_str),
        }
    }

    /// To this session.
    pub(crate) fn of(mut self, record: &Record) -> Self {
        self.origin = record
            .user_id()
            .cloned()
            .map_or(Origin::Unknown, Origin::User);
        self.session = Some(record.id);
        self
    }

    /// To a session of this user.
    pub(crate) fn to(mut self, user: UserId, session: Option<SessionId>) -> Self {
        self.origin = Origin::User(user);
        self.session = session;
        self
    }

    /// An end for this reason, caused by a session if one did.
    pub(crate) fn because(mut self, reason: EndReason, by: Option<SessionId>) -> Self {
        self.reason = Some(reason);
        self.by = by;
        self
    }

    /// From the client of this session, to it or to another one of its user's.
    pub(super) fn at_session(mut self, client: Arc<Body>, to: SessionId) -> Self {
        self.session = Some(to);
        self.origin = Origin::Session(client);
        self
    }

    /// From this client.
    pub(crate) fn at_client(mut self, client: Client) -> Self {
        self.origin = Origin::Request(Arc::new((self.user().cloned(), client)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_no_longer_than_a_line_of_a_cache() {
        assert!(size_of::<Event>() <= 64, "{}", size_of::<Event>());
    }
}
