//! A sign-in with settings of its own, and the outcome of a commit.

use crate::{
    model::{
        ClientClass, IntoUserId, Lifetime, Limit, ParseUserIdError, Proof, SessionId, Terms,
        Timestamp, UserId,
    },
    session::{SessionInfo, Ticket},
};

/// A sign-in with settings of its own, for [`Session::log_in_with`](super::Session::log_in_with).
///
/// ```
/// use tower_user_sessions::{Limit, Login};
///
/// let login = Login::new("alice").limit(Limit::at_most(5)).persistent(false);
/// # let _ = login;
/// ```
#[derive(Clone, Debug)]
pub struct Login {
    pub(super) user: Result<UserId, ParseUserIdError>,
    pub(super) limit: Option<Limit>,
    pub(super) lifetime: Option<Lifetime>,
    pub(super) persistent: Option<bool>,
    pub(super) carry: Vec<Box<str>>,
    pub(super) since: Option<Timestamp>,
    pub(super) class: Option<ClientClass>,
    pub(super) counts: Option<bool>,
    pub(super) proof: Proof,
    pub(super) ticket: Option<(Ticket, Option<SessionId>)>,
}

impl Login {
    /// A sign-in of this user, with the layer's settings.
    ///
    /// If the text is no user id, [`log_in_with`](super::Session::log_in_with) returns the error.
    #[must_use]
    pub fn new(user: impl IntoUserId) -> Self {
        Self {
            user: user.into_user_id(),
            limit: None,
            lifetime: None,
            persistent: None,
            carry: Vec::new(),
            since: None,
            class: None,
            counts: None,
            proof: Proof::default(),
            ticket: None,
        }
    }

    /// A sign-in with the [`Ticket`] of one that the limit refused
    /// ([`LimitReached::ticket`](crate::LimitReached::ticket)).
    ///
    /// The client sends back the ticket and the session that the user chose to end. The password is not
    /// needed again. The sign-in counts as authenticated when the refused one was, and has its limit, class,
    /// lifetime, proof, [`counts`](Self::counts) and [`persistent`](Self::persistent). Of the settings of a login you only
    /// repeat [`carry`](Self::carry). What you set here replaces what the refused sign-in had, except for
    /// [`since`](Self::since), which is ignored. The ticket keeps no data: insert again what the refused handler inserted.
    ///
    /// With `None` it ends no session of choice: it works if there is room by now. If there is still no room, the
    /// sign-in is refused again, and the chosen session does not end. A refusal does not use the ticket up,
    /// and does not prolong its five minutes.
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
        let mut login = Self::new(ticket.user_id());
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

    /// Whether the browser keeps the cookie when it closes: `false` for "keep me signed in" left
    /// unticked.
    ///
    /// With `false` the cookie has no `Max-Age`, also when a new token is sent later. The session in the
    /// store lives until its lifetime is over: give it a short one as well.
    ///
    /// Defaults to the layer's setting ([`SessionLayer::persistent`](crate::SessionLayer::persistent)).
    ///
    /// ```no_run
    /// # fn sign_in(session: &tower_user_sessions::Session, keep_me_signed_in: bool) -> Result<(), tower_user_sessions::SessionError> {
    /// use tower_user_sessions::Login;
    ///
    /// session.log_in_with(Login::new("alice").persistent(keep_me_signed_in))
    /// # }
    /// ```
    #[must_use]
    pub fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = Some(persistent);
        self
    }

    /// The keys of the guest session's stored data that the new session keeps: `["cart"]`.
    ///
    /// A key that the guest session does not have is left out. Data of another user is never kept. Data of the same user
    /// is, unless this request signed out first.
    ///
    /// Defaults to none: an attacker may have planted the guest session, and its return address or CSRF
    /// token must not come along.
    #[must_use]
    pub fn carry<K: Into<Box<str>>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.carry = keys.into_iter().map(Into::into).collect();
        self
    }

    /// For sign-ins in several steps (password, then code): when the first step succeeded.
    ///
    /// Step one keeps something in the session, so the guest session exists from then on. In step two,
    /// pass its [`Session::authenticated_at`](super::Session::authenticated_at), which is the time of that
    /// first request. If the guest session may be older than step one, store
    /// [`Session::seen_at`](super::Session::seen_at) in step one and pass that. If the user is signed out
    /// everywhere in between, this sign-in is rejected too. The store remembers that for a day. So a first
    /// step a day ago or earlier is refused with [`CommitError::TooOld`](crate::CommitError::TooOld).
    ///
    /// Defaults to when this request arrived. A later moment than that has no effect.
    #[must_use]
    pub fn since(mut self, moment: Timestamp) -> Self {
        // A ticket knows when its user authenticated.
        if self.ticket.is_none() {
            self.since = Some(moment);
        }
        self
    }

    /// The class of this client, which may have a limit of its own ([`Limit::of_class`]).
    ///
    /// Defaults to what [`SessionLayer::class_of`](crate::SessionLayer::class_of) returns.
    #[must_use]
    pub fn class(mut self, class: ClientClass) -> Self {
        self.class = Some(class);
        self
    }

    /// Whether the session counts against the user's limit: `false` for the support staff.
    ///
    /// A session that does not count is marked in lists. A user has at most 16 of them
    /// ([`UNCOUNTED_MAX`](crate::store::UNCOUNTED_MAX)). The 17th ends the least recently active of them,
    /// or is refused if the limit refuses. The numbers of the limit, also for its class, do not apply to it.
    ///
    /// Defaults to `true`.
    #[must_use]
    pub fn counts(mut self, counts: bool) -> Self {
        self.counts = Some(counts);
        self
    }

    /// How the user authenticated: methods, level, and the session id of the identity provider.
    ///
    /// Defaults to nothing noted.
    #[must_use]
    pub fn proof(mut self, proof: Proof) -> Self {
        self.proof = proof;
        self
    }

    /// Takes over what the refused sign-in asked for.
    pub(super) fn fill(&mut self, terms: Terms) {
        let Terms {
            limit,
            class,
            counts,
            lifetime,
            persistent,
            proof,
        } = terms;
        self.limit.get_or_insert(limit);
        self.class.get_or_insert(class);
        self.counts.get_or_insert(counts);
        self.lifetime.get_or_insert(lifetime);
        self.persistent.get_or_insert(persistent);
        if self.proof.is_empty() {
            self.proof = proof;
        }
    }

    pub(super) fn carries(&self, key: &str) -> bool {
        self.carry.iter().any(|carried| **carried == *key)
    }
}

/// The outcome of a [`commit`](super::Session::commit).
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct Committed {
    /// The sessions of the user that were ended to make room for this sign-in.
    ///
    /// The session that the user chose with a ticket comes first; its reason is `Revoked`. Then come those
    /// of a class over its limit, then the others, each in the order of eviction ([`Excess::Evict`](crate::Excess::Evict)).
    pub evicted: Vec<SessionInfo>,
    /// Whether the store does not remember this device of the user. It remembers 32 devices of a user, for 90
    /// days after the user's last sign-in by default. Always `false` unless the layer
    /// [remembers devices](crate::SessionLayer::device_cookie).
    pub new_device: bool,
}
