//! What a handler reads of its session.

use std::{net::IpAddr, time::Duration};

use super::{
    Session,
    client_change::is_doubted,
    current::{Current, Live},
    staged::{Renew, Target},
    state::State,
};
use crate::model::{Proof, Record, SessionId, Timestamp, UserId};

impl Session {
    /// The signed-in user. Returns `None` for a guest session.
    ///
    /// A staged sign-in or sign-out already counts, although the store may still refuse the sign-in.
    /// [`RequireUser`](crate::RequireUser), [`RequireFresh`](crate::RequireFresh) and the extractor `User`
    /// see a sign-in once it is [committed](Self::commit).
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        self.read().user_id()
    }

    /// The signed-in user as the store knows it. A staged sign-in does not count, because the store may
    /// refuse it. While one as another user is staged, or a sign-out, there is none.
    pub(crate) fn stored_user(&self) -> Option<UserId> {
        let state = self.read();
        let record = state.record()?;
        let stays = match &state.staged.target {
            Target::Stay => true,
            Target::LogOut => false,
            Target::LogIn(pending) => pending.continues(record),
        };
        record.user_id().filter(|_| stays).cloned()
    }

    /// Whether the user of the stored session authenticated within this time, and since the client changed
    /// if the app asked for that. What is staged does not count.
    pub(crate) fn is_stored_fresh(&self, within: Duration) -> bool {
        let is_fresh = |live: &Live| {
            live.now.since(live.record.authenticated_at) <= within && !is_doubted(&live.record)
        };
        self.stored_user().is_some() && self.state().live().is_some_and(is_fresh)
    }

    /// The public name of the session, for logs and device lists. It signs nobody in.
    ///
    /// Returns `None` for a guest session that has nothing stored. A staged sign-in already counts.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        self.read().id()
    }

    /// When the stored session was created.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.read().record().map(|record| record.created_at)
    }

    /// When the user of the stored session last signed in or
    /// [authenticated again](Self::reauthenticated).
    ///
    /// Of a guest session: when the request that began it arrived.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.read().record().map(|record| record.authenticated_at)
    }

    /// How long ago the user signed in or authenticated again, by the store's clock.
    ///
    /// Zero if a sign-in or a re-authentication is staged. Returns `None` for a guest session, and if the
    /// staged sign-in began earlier ([`Login::since`](crate::Login::since), a ticket).
    #[must_use]
    pub fn authentication_age(&self) -> Option<Duration> {
        let state = self.read();
        match (&state.staged.target, &state.staged.renew, &state.current) {
            (Target::LogIn(pending), _, _) => {
                let login = &pending.login;
                let now = login.since.is_none() && login.ticket.is_none();
                now.then_some(Duration::ZERO)
            }
            (Target::Stay, Renew::Prove(_), Current::Live(_)) => Some(Duration::ZERO),
            (Target::Stay, _, Current::Live(live)) => {
                live.record.user_id()?;
                Some(live.now.since(live.record.authenticated_at))
            }
            _ => None,
        }
    }

    /// Whether the user signed in or authenticated again within this time (ASVS 7.5.3).
    ///
    /// What is staged already counts, as in [`authentication_age`](Self::authentication_age). For
    /// [`RequireFresh`](crate::RequireFresh) it counts once it is [committed](Self::commit).
    ///
    /// Also `false` after [`ClientVerdict::RequireFresh`](crate::ClientVerdict::RequireFresh), until the
    /// user authenticates again.
    #[must_use]
    pub fn is_fresh(&self, within: Duration) -> bool {
        let doubted = {
            let state = self.read();
            let proves = matches!(state.staged.renew, Renew::Prove(_))
                || matches!(state.staged.target, Target::LogIn(_));
            !proves && state.record().is_some_and(is_doubted)
        };
        !doubted && self.authentication_age().is_some_and(|age| age <= within)
    }

    /// The address of the client of this request, for a limit of attempts to sign in, for example.
    ///
    /// It is what lists have too: that of [`PeerAddr`](crate::PeerAddr) or of `SessionLayer::client_ip`. `None` if the app passes
    /// none on. Of an IPv6 client take the first 64 bits: it has all addresses that begin with them.
    ///
    /// ```
    /// use tower_user_sessions::Session;
    ///
    /// // Your part: counts the failed attempts of this user and of this address.
    /// async fn may_try(session: &Session, user: &str) -> bool {
    ///     let (of_user, of_address) = (user, session.address());
    ///     # let _ = (of_user, of_address);
    ///     true
    /// }
    /// # let _ = may_try;
    /// ```
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        self.read().sender.address
    }

    /// When the stored session was last active.
    #[must_use]
    pub fn last_activity(&self) -> Option<Timestamp> {
        self.read().record().map(|record| record.last_activity)
    }

    /// When the stored session ends whatever the activity: the user must sign in again then.
    ///
    /// Returns `None` if nothing is stored. A staged change counts once it is committed.
    ///
    /// ```
    /// # #[cfg(feature = "test")] {
    /// use tower_user_sessions::{Lifetime, Session};
    ///
    /// let session = Session::for_test("alice");
    /// let (began, ends) = (session.created_at().unwrap(), session.expires_at().unwrap());
    /// assert_eq!(ends.since(began), Lifetime::default().absolute());
    /// # }
    /// ```
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.read().record().map(|record| record.deadline)
    }

    /// When the stored session ends if there is no further activity. Never later than
    /// [`expires_at`](Self::expires_at).
    ///
    /// Returns `None` if nothing is stored.
    ///
    /// Show a countdown to it: "You will be signed out in two minutes" (WCAG 2.2.1). Any request that
    /// counts as activity moves it.
    ///
    /// ```
    /// # #[cfg(feature = "test")] {
    /// use tower_user_sessions::{Lifetime, Session};
    ///
    /// let session = Session::for_test("alice");
    /// let (seen, ends) = (session.last_activity().unwrap(), session.idle_expires_at().unwrap());
    /// assert_eq!(ends.since(seen), Lifetime::default().idle());
    /// # }
    /// ```
    #[must_use]
    pub fn idle_expires_at(&self) -> Option<Timestamp> {
        self.read().record().map(Record::idle_expires_at)
    }

    /// The store's time when it looked up the session of this request, for
    /// [`Login::since`](crate::Login::since).
    ///
    /// Returns `None` if nothing is stored.
    #[must_use]
    pub fn seen_at(&self) -> Option<Timestamp> {
        self.read().seen_at()
    }

    /// Whether the store could be asked for the session.
    ///
    /// Returns `false` only with [`OnOutage::Guest`](crate::OnOutage::Guest) while the store cannot be
    /// reached. Such a session has no user, and nothing can be staged on it.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.read().is_available()
    }

    /// Whether a browser loads the page ahead, and its user has not opened it yet: prefetch, prerender, or a
    /// preview.
    ///
    /// Such a request is GET or another safe method, and its `Sec-Purpose`, `Purpose`, `X-Moz` or `X-Purpose`
    /// says so. It does not count as activity. It begins no guest session: what a handler inserts for a guest
    /// can be read in this request, and is not stored. Changes of a session that is stored already are
    /// saved as usual. A sign-in is stored as on any other request.
    ///
    /// If your page needs the guest session, such as for a token in its form, answer 503. Browsers then load
    /// the page again when the user opens it.
    ///
    /// ```
    /// use http::StatusCode;
    /// use tower_user_sessions::{Session, SessionError};
    ///
    /// async fn form(session: Session) -> Result<StatusCode, SessionError> {
    ///     if session.is_speculative() {
    ///         return Ok(StatusCode::SERVICE_UNAVAILABLE);
    ///     }
    ///     session.insert("form", "shown")?;
    ///     Ok(StatusCode::OK)
    /// }
    /// # #[cfg(feature = "test")]
    /// # tokio_test::block_on(form(Session::for_test_guest())).unwrap();
    /// ```
    #[must_use]
    pub fn is_speculative(&self) -> bool {
        self.state().sent.speculative
    }

    /// Whether this request prolongs its session.
    #[cfg(feature = "api")]
    pub(crate) fn is_activity(&self) -> bool {
        self.state().sent.activity
    }

    /// How the user of the stored session proved who they are, if the sign-in noted it
    /// ([`Login::proof`](crate::Login::proof)).
    #[must_use]
    pub fn proof(&self) -> Option<Proof> {
        self.read().record().and_then(Record::proof).cloned()
    }

    /// Whether the stored session counts against the user's limit
    /// ([`Login::counts`](crate::Login::counts)).
    #[must_use]
    pub fn counts(&self) -> bool {
        self.read().record().is_none_or(|record| record.counts)
    }
}

impl State {
    pub(super) fn user_id(&self) -> Option<UserId> {
        match &self.staged.target {
            Target::LogIn(pending) => Some(pending.user.clone()),
            Target::LogOut => None,
            Target::Stay => self.record().and_then(|record| record.user_id().cloned()),
        }
    }

    pub(super) fn id(&self) -> Option<SessionId> {
        match &self.staged.target {
            Target::LogIn(pending) => Some(pending.token.session_id()),
            Target::LogOut => None,
            Target::Stay => self.record().map(|record| record.id),
        }
    }

    pub(super) fn seen_at(&self) -> Option<Timestamp> {
        self.live().map(|live| live.now)
    }

    pub(super) fn is_available(&self) -> bool {
        !matches!(self.current, Current::Unavailable)
    }
}
