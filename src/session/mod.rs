//! What handlers hold: the session of the request, and all sessions of its user.

pub(crate) mod audit;
mod commit;
mod creation;
mod data;
#[cfg(feature = "device")]
mod device;
mod error;
mod head;
mod info;
mod login;
mod missing;
mod renew;
mod replaced;
mod report;
mod rules;
mod sender;
mod staged;
mod state;
mod ticket;
mod user_sessions;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Mutex as AsyncMutex;

pub(crate) use self::{
    audit::Audit,
    head::{CookieChange, Delivery, OpenSession, Verdict},
    rules::{ClassOf, Guests, LimitOf, RotationRules, Rules},
    sender::Sender,
    state::{Current, Live},
};
pub use self::{
    audit::{EventReceiver, EventSender, EventSink, channel},
    error::{CommitError, LimitReached, SessionError, SessionErrorKind, UserSessionsError},
    info::SessionInfo,
    login::{Committed, Login},
    missing::MissingSession,
    ticket::{ParseTicketError, Ticket},
    user_sessions::UserSessions,
};
use self::{
    staged::{Renew, Target},
    state::State,
};
use crate::{
    model::{Arrival, EndNotice, Proof, Record, SessionId, Timestamp, Token, UserId},
    request::Way,
    store::meter,
};

/// The session of one request, as its handler sees it.
///
/// The layer puts it into the request's extensions; in axum it is an extractor too. Clones are the
/// same session. Changes are *staged* and stored when the response head passes back through the
/// layer; [`commit`](Self::commit) stores them at once. After the head has passed, staging is an
/// error rather than lost.
///
/// ```
/// use http::Request;
/// use tower_user_sessions::{Session, SessionError};
///
/// fn handle<B>(request: &Request<B>) -> Result<(), SessionError> {
///     let session: &Session = request.extensions().get().expect("the layer is there");
///     let visits: u32 = session.get("visits")?.unwrap_or(0);
///     session.insert("visits", &(visits + 1))
/// }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    rules: Arc<Rules>,
    arrival: Arrival,
    /// How the request showed a token, if it is the one that counts.
    sent: Option<Way>,
    /// Commits of one session take turns.
    turn: AsyncMutex<()>,
    state: Mutex<State>,
}

impl Session {
    pub(crate) fn new(
        rules: Arc<Rules>,
        arrival: Arrival,
        sender: Sender,
        sent: Option<Way>,
    ) -> Self {
        Self(Arc::new(Inner {
            rules,
            arrival,
            sent,
            turn: AsyncMutex::new(()),
            state: Mutex::new(State::new(sender)),
        }))
    }

    /// The state of a session that nobody else holds yet.
    fn own_state(&mut self) -> Option<&mut State> {
        let inner = Arc::get_mut(&mut self.0)?;
        Some(
            inner
                .state
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in one handler clone leaves plain data behind, never a half-made invariant.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a bearer token, which no browser sends by itself, says whose session it is.
    #[cfg(feature = "api")]
    pub(crate) fn is_by_bearer(&self) -> bool {
        self.0.sent == Some(Way::Bearer) && self.state().record().is_some()
    }

    /// Whose session it is: `None` of a guest. A staged sign-in or sign-out counts already.
    #[must_use]
    pub fn user_id(&self) -> Option<UserId> {
        let state = self.state();
        match &state.staged.target {
            Target::LogIn(pending) => Some(pending.login.user.clone()),
            Target::LogOut => None,
            Target::Stay => state.record().and_then(|record| record.user_id().cloned()),
        }
    }

    /// The public name of the session: `None` of a guest for whom nothing is stored.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        let state = self.state();
        match &state.staged.target {
            Target::LogIn(pending) => Some(pending.token.session_id()),
            Target::LogOut => None,
            Target::Stay => state.record().map(|record| record.id),
        }
    }

    /// When the stored session began.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.state().record().map(|record| record.created_at)
    }

    /// When the user of the stored session proved who they are; of a guest, when the request arrived
    /// that began it.
    #[must_use]
    pub fn authenticated_at(&self) -> Option<Timestamp> {
        self.state().record().map(|record| record.authenticated_at)
    }

    /// How long ago the user proved who they are, by the store's clock; `None` of a guest. Zero where a
    /// sign-in or a re-authentication is staged; `None` where the sign-in states an earlier moment, by
    /// [`Login::since`] or by a ticket.
    #[must_use]
    pub fn authentication_age(&self) -> Option<Duration> {
        let state = self.state();
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

    /// Whether the user proved who they are within this time (ASVS 7.5.3).
    #[must_use]
    pub fn is_fresh(&self, within: Duration) -> bool {
        self.authentication_age().is_some_and(|age| age <= within)
    }

    /// The stored session's last activity.
    #[must_use]
    pub fn last_activity(&self) -> Option<Timestamp> {
        self.state().record().map(|record| record.last_activity)
    }

    /// The store's time when it found the session of this request, for [`Login::since`].
    #[must_use]
    pub fn seen_at(&self) -> Option<Timestamp> {
        match &self.state().current {
            Current::Live(live) => Some(live.now),
            Current::Nothing | Current::Ended(_) | Current::Gone | Current::Unavailable => None,
        }
    }

    /// Whether the store could be asked: `false` only under `OnOutage::Guest` in an outage. An
    /// unavailable session has no user, and nothing can be staged on it.
    #[must_use]
    pub fn is_available(&self) -> bool {
        !matches!(self.state().current, Current::Unavailable)
    }

    /// Why and when the session of the token that came with this request ended, while its notice is
    /// kept. Only the holder of the previous token is told.
    ///
    /// Whoever reads this takes note: the response removes the cookie, so that the notice shows once.
    #[must_use]
    pub fn ended(&self) -> Option<EndNotice> {
        let mut state = self.state();
        let Current::Ended(notice) = &state.current else {
            return None;
        };
        let notice = (**notice).clone();
        if matches!(state.cookie, CookieChange::Keep) {
            // Read again, it is no other one.
            meter::shown();
        }
        state.note_read();
        Some(notice)
    }

    /// Stages a sign-in with the layer's limit and lifetime.
    ///
    /// The new session always has a new token and id (ASVS 7.2.4). The guest session before it ends,
    /// and none of its data comes along; the user's own session before it is replaced and its data
    /// kept; another user's ends. The limit is enforced when it is committed.
    ///
    /// # Errors
    ///
    /// If the response head has passed, the session is unavailable, or there is no randomness.
    pub fn log_in(&self, user: impl Into<UserId>) -> Result<(), SessionError> {
        self.log_in_with(Login::new(user))
    }

    /// Stages a sign-in with a limit, a lifetime or data of its own.
    ///
    /// ```no_run
    /// # fn sign_in(session: &tower_user_sessions::Session) -> Result<(), tower_user_sessions::SessionError> {
    /// use tower_user_sessions::{Lifetime, Limit, Login};
    ///
    /// let login = Login::new(42)
    ///     .limit(Limit::at_most(5))
    ///     .lifetime(Lifetime::AAL1)
    ///     .carry(["cart"]);
    /// session.log_in_with(login)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`log_in`](Self::log_in); and if the login's ticket is not of its user.
    pub fn log_in_with(&self, login: Login) -> Result<(), SessionError> {
        let tag = self.0.rules.store.tag(&login.user);
        let ticket = login.ticket.as_ref();
        if ticket.is_some_and(|(ticket, _)| ticket.token().tag() != tag) {
            return Err(SessionErrorKind::Ticket.into());
        }
        let token = Token::random(tag).map_err(SessionError::random)?;
        let mut state = self.state();
        state.stageable()?;
        state.stage_login(token, login);
        Ok(())
    }

    /// Stages another token for the session that there is (ASVS 7.2.4). Its id, its place in the list
    /// and its lifetime stay; so does what it opens: this is not a new sign-in.
    ///
    /// The previous token goes on until the new one was seen on a request, and for the grace of
    /// [`SessionLayer::rotation_grace`](crate::SessionLayer::rotation_grace) after that, so that
    /// neither requests in parallel nor a lost answer sign anybody out. While a previous token is still
    /// in that time, the token stays as it is. Nothing happens to a guest of whom nothing is stored,
    /// nor where a sign-in or a sign-out is staged.
    ///
    /// # Errors
    ///
    /// If the response head has passed or the session is unavailable.
    pub fn rotate(&self) -> Result<(), SessionError> {
        let mut state = self.state();
        state.stageable()?;
        if matches!(state.staged.target, Target::Stay)
            && matches!(state.staged.renew, Renew::No)
            && state.record().is_some()
        {
            state.staged.renew = Renew::Rotate;
        }
        Ok(())
    }

    /// Stages that the user has proved again who they are (ASVS 7.2.4, 7.5.1): the session has a new
    /// token, its previous ones are void at once, and both parts of its lifetime begin again. Its id and
    /// its data stay.
    ///
    /// Nothing happens where a sign-in is staged, which does all of that. As of a sign-in, a session whose
    /// new token never left for its client ends.
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::NotSignedIn`] of a guest; if the response head has passed, the session is
    /// unavailable, or there is no randomness.
    pub fn reauthenticated(&self) -> Result<(), SessionError> {
        let mut state = self.state();
        state.stageable()?;
        match &state.staged.target {
            Target::Stay => {}
            Target::LogIn(_) => return Ok(()),
            Target::LogOut => return Err(SessionErrorKind::NotSignedIn.into()),
        }
        let signed_in = state
            .record()
            .is_some_and(|record| record.user_id().is_some());
        let next = match &state.token {
            Some(token) if signed_in => token.renewed().map_err(SessionError::random)?,
            _ => return Err(SessionErrorKind::NotSignedIn.into()),
        };
        state.staged.renew = Renew::Prove(Box::new(next));
        Ok(())
    }

    /// How the user of the stored session proved who they are, where the sign-in noted it.
    #[must_use]
    pub fn proof(&self) -> Option<Proof> {
        self.state().record().and_then(Record::proof).cloned()
    }

    /// Whether the stored session counts against its user's limit.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.state().record().is_none_or(|record| record.counts)
    }

    /// Stages the sign-out: the session ends, its data goes, the cookie is removed. What is inserted
    /// afterwards begins a new guest session.
    ///
    /// Where the request found no session, there is nothing to end, and the cookie stays as it would
    /// without this: it may be one of two that differ, or the previous one of a browser that holds a
    /// new one by now. That of a session that ended for a reason is removed.
    ///
    /// # Errors
    ///
    /// If the response head has passed or the session is unavailable.
    pub fn log_out(&self) -> Result<(), SessionError> {
        let mut state = self.state();
        state.stageable()?;
        state.stage_logout();
        Ok(())
    }

    /// Stores what is staged at once, for handlers that must see the outcome: who was evicted, or
    /// that the limit refuses the sign-in. The cookie goes on whatever response follows; if none
    /// does, the new session is ended as undelivered.
    ///
    /// # Errors
    ///
    /// See [`CommitError`]. After a refusal nothing of it is staged any more; after a failure of the
    /// store it stays staged, and committing again is the same sign-in.
    ///
    /// # Cancel safety
    ///
    /// A dropped commit stays staged; committing again is the same sign-in, never a second one. An
    /// [`update`](Self::update) whose commit was dropped may have happened, and counts again then.
    pub async fn commit(&self) -> Result<Committed, CommitError> {
        // Boxed, so that handlers stay small.
        Box::pin(self.commit_staged()).await
    }

    /// All sessions of the signed-in user; `None` of a guest. A staged sign-in counts once it is
    /// committed.
    #[must_use]
    pub fn user_sessions(&self) -> Option<UserSessions> {
        let (user, id) = {
            let state = self.state();
            let record = state.record()?;
            (record.user_id()?.clone(), record.id)
        };
        Some(UserSessions::of_session(self, user, Some(id)))
    }

    /// All sessions of any user, in this request: for a password reset, where a guest proved to be
    /// this user. A sign-in of that user staged afterwards counts as authenticated at the cutoff that
    /// [`end_all`](UserSessions::end_all) makes here.
    #[must_use]
    pub fn sessions_of(&self, user: impl Into<UserId>) -> UserSessions {
        UserSessions::of_session(self, user.into(), None)
    }
}

/// Says nothing of the token, and no more of the user than the log may hold.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .finish_non_exhaustive()
    }
}
