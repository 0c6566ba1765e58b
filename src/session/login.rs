//! A sign-in with settings of its own, and what came of a commit.

use crate::{
    model::{ClientClass, Lifetime, Limit, Proof, SessionId, Timestamp, UserId},
    session::{SessionInfo, Ticket},
};

/// A sign-in with settings of its own. See [`Session::log_in_with`](super::Session::log_in_with).
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) user: UserId,
    pub(super) limit: Option<Limit>,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) carry: Vec<Box<str>>,
    pub(super) since: Option<Timestamp>,
    pub(super) class: Option<ClientClass>,
    pub(super) counts: bool,
    pub(super) proof: Proof,
    pub(super) ticket: Option<(Ticket, Option<SessionId>)>,
}

impl Login {
    /// A sign-in of this user, with the layer's settings.
    #[must_use]
    pub fn new(user: impl Into<UserId>) -> Self {
        Self {
            user: user.into(),
            limit: None,
            lifetime: None,
            carry: Vec::new(),
            since: None,
            class: None,
            counts: true,
            proof: Proof::default(),
            ticket: None,
        }
    }

    /// A sign-in that the limit refused before, and that goes on with the ticket of that refusal
    /// ([`LimitReached::ticket`](crate::LimitReached::ticket)): the session `ends` ends for it. It
    /// counts as authenticated when the refused one was.
    ///
    /// ```no_run
    /// # fn pick(session: &tower_user_sessions::Session, form: [&str; 2]) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_user_sessions::Login;
    ///
    /// let [ticket, ends] = form;
    /// session.log_in_with(Login::by_ticket(ticket.parse()?, Some(ends.parse()?)))?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn by_ticket(ticket: Ticket, ends: Option<SessionId>) -> Self {
        let mut login = Self::new(ticket.user_id().clone());
        login.ticket = Some((ticket, ends));
        login
    }

    /// How many sessions this user may have: by plan or role.
    ///
    /// Defaults to the layer's limit.
    #[must_use]
    pub fn limit(mut self, limit: Limit) -> Self {
        self.limit = Some(limit);
        self
    }

    /// How long this session lives: "remember me".
    ///
    /// Defaults to the layer's lifetime.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Which keys of the guest's data come along.
    ///
    /// Defaults to none: a planted guest session must not bring its return address or CSRF token
    /// into the user's. Another user's data never comes along; the same user's always stays.
    #[must_use]
    pub fn carry<K: Into<Box<str>>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.carry = keys.into_iter().map(Into::into).collect();
        self
    }

    /// When the first factor of a sign-in of several steps was proven, by the store's clock.
    ///
    /// A first step keeps [`Session::seen_at`](super::Session::seen_at) with its pending sign-in (or
    /// the second one reads [`Session::authenticated_at`](super::Session::authenticated_at) of the
    /// guest session that the first step began). A sign-in that began before the user's sessions
    /// were all ended is void then.
    ///
    /// Defaults to when this request arrived.
    #[must_use]
    pub fn since(mut self, moment: Timestamp) -> Self {
        self.since = Some(moment);
        self
    }

    /// The class of this client, which may have a limit of its own ([`Limit::of_class`]).
    ///
    /// Defaults to what [`SessionLayer::class_of`](crate::SessionLayer::class_of) says.
    #[must_use]
    pub fn class(mut self, class: ClientClass) -> Self {
        self.class = Some(class);
        self
    }

    /// Whether the session counts against the user's limit. One that does not, such as that of the
    /// support staff, is marked in lists; a user has at most
    /// [`UNCOUNTED_MAX`](crate::store::UNCOUNTED_MAX) of them.
    ///
    /// Defaults to yes.
    #[must_use]
    pub fn counts(mut self, counts: bool) -> Self {
        self.counts = counts;
        self
    }

    /// How the user proved who they are: methods, level, and the identity provider's name of it.
    ///
    /// Defaults to nothing noted.
    #[must_use]
    pub fn proof(mut self, proof: Proof) -> Self {
        self.proof = proof;
        self
    }

    pub(super) fn carries(&self, key: &str) -> bool {
        self.carry.iter().any(|carried| **carried == *key)
    }
}

/// What came of a commit.
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The sessions of the user that ended for this sign-in, the least recently active first.
    pub evicted: Vec<SessionInfo>,
    /// Whether this device has not signed in as this user before, where the layer
    /// [remembers devices](crate::SessionLayer::device_cookie).
    pub first_sight: bool,
}
