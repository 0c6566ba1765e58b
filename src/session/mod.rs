//! What handlers work with: the session of the request, and all sessions of its user.

mod about;
pub(crate) mod audit;
mod client_change;
mod commit;
mod creation;
mod current;
mod data;
mod delivery;
#[cfg(feature = "device")]
mod device;
mod ended;
mod error;
mod everyone;
#[cfg(feature = "test")]
pub(crate) mod for_test;
mod head;
mod info;
mod life;
#[cfg(feature = "live")]
mod live;
#[cfg(not(feature = "live"))]
#[path = "no_live.rs"]
mod live;
mod log_out;
mod login;
mod missing;
mod not_before;
mod offered;
mod ops;
mod outage;
mod own_cutoffs;
mod peek;
mod recent;
mod renew;
mod replaced;
mod report;
mod rules;
mod sender;
mod sent;
mod sign_in;
mod staged;
mod state;
mod successor;
mod ticket;
mod turn;
mod unanswered;
mod unread;
mod user_sessions;
mod verify;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Mutex as AsyncMutex;

#[cfg(feature = "live")]
pub(crate) use self::live::{BoxError, LastWords, Registry, Waiting};
#[cfg(feature = "live")]
pub use self::live::{LiveEnd, LiveSession, StreamError, UntilEnded};
use self::state::State;
pub(crate) use self::{
    audit::Audit,
    client_change::Due,
    current::{Current, Live},
    head::{CookieChange, Delivery, OpenSession, Verdict},
    live::Mark,
    not_before::NotBefore,
    outage::{Failures, Outage},
    recent::Recent,
    rules::{ClassOf, LimitOf, Rules},
    sender::Sender,
    sent::{Dead, Place, Sent},
};
pub use self::{
    audit::{EventReceiver, EventSender, EventSink, channel},
    client_change::{ClientChange, ClientVerdict},
    error::{CommitError, LimitReached, SessionError, SessionErrorKind, UserSessionsError},
    everyone::{Everyone, EveryonePage, UserOnPage},
    info::SessionInfo,
    login::{Committed, Login},
    missing::MissingSession,
    peek::Peek,
    ticket::{ParseTicketError, Ticket},
    user_sessions::UserSessions,
};
use crate::model::{Arrival, CertainUserId, IntoUserId, Token};
#[cfg(feature = "api")]
use crate::request::Way;

/// The session of one request.
///
/// The [`SessionLayer`](crate::SessionLayer) puts it into the request's extensions. In axum a handler
/// takes it as an argument; elsewhere [`Session::of`] finds it. Clones are the same session.
///
/// Changes are *staged*: they are stored when the handler has returned and the response head passes
/// through the layer. [`commit`](Self::commit) stores them at once.
///
/// A stream, a WebSocket or a spawned task may hold the session longer than that. After the response head
/// was sent, reading or changing data returns [`SessionErrorKind::Closed`]: read what you need before. The
/// session then holds no data, and less than 3 KiB in all. The user, the id, the times and
/// [`user_sessions`](Self::user_sessions) still work.
///
/// ```
/// use http::Request;
/// use tower_user_sessions::Session;
///
/// fn handle<B>(request: &Request<B>) -> Result<(), Box<dyn std::error::Error>> {
///     let session = Session::of(request.extensions())?;
///     let visits: u32 = session.get("visits")?.unwrap_or(0);
///     session.insert("visits", &(visits + 1))?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct Session(Arc<Inner>);

struct Inner {
    rules: Arc<Rules>,
    arrival: Arrival,
    /// Commits of one session take turns.
    turn: AsyncMutex<()>,
    state: Mutex<State>,
}

impl Session {
    #[inline]
    pub(crate) fn new(rules: Arc<Rules>, arrival: Arrival, sender: Sender, sent: Sent) -> Self {
        Self(Arc::new(Inner {
            rules,
            arrival,
            turn: AsyncMutex::new(()),
            state: Mutex::new(State::new(sender, sent)),
        }))
    }

    /// The state of a session that has no clone yet.
    #[inline]
    fn own_state(&mut self) -> Option<&mut State> {
        let inner = Arc::get_mut(&mut self.0)?;
        Some(
            inner
                .state
                .get_mut()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    /// Whether something beside the layer holds this session.
    #[inline]
    fn is_shared(&self) -> bool {
        Arc::strong_count(&self.0) > 1
    }

    #[inline]
    fn state(&self) -> MutexGuard<'_, State> {
        // A panic in one handler clone leaves plain data behind, never a half-made invariant.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, for a handler that reads it: the response may differ from user to user.
    #[inline]
    fn read(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.was_read = true;
        state
    }

    /// Whether the request was authenticated by a bearer token, which no browser sends by itself.
    #[cfg(feature = "api")]
    pub(crate) fn is_by_bearer(&self) -> bool {
        let state = self.state();
        state.sent.way == Some(Way::Bearer) && !state.sent.as_guest && state.record().is_some()
    }

    /// Stages a sign-in of this user, with the layer's limit and lifetime.
    ///
    /// Call it when the password (or what you use instead) was checked. The new session has a new token
    /// and a new id (ASVS 7.2.4). The limit is enforced when the sign-in is committed.
    ///
    /// | session of the request before | what happens to it |
    /// |---|---|
    /// | a guest session | ends, and its cookie is removed; its stored data stays behind, but for keys that [`Login::carry`] names |
    /// | of the same user | is replaced, and the new one keeps its data |
    /// | of another user | ends; nothing of it is kept |
    ///
    /// What the request itself inserted before `log_in`, and did not commit, goes into the new session. So that no data of
    /// other people comes along, these do not:
    ///
    /// - an [`update`](Self::update) of a value that the guest session had stored, unless `carry` names the key;
    /// - what was inserted while another user was signed in.
    ///
    /// Before `log_in` the data limit of guest sessions applies.
    ///
    /// If a request calls it twice without a [`commit`](Self::commit) in between, only the last sign-in is stored. If that
    /// is of another user, nothing that was inserted before is kept.
    ///
    /// After a [`log_out`](Self::log_out) in the same request nothing is kept, also of the same user.
    ///
    /// If the store fails just after the sign-in, the replaced session of a guest or of another user may stay live
    /// for a while: the store ends it as soon as it answers. The log says so. A store of your own without
    /// [`end_undelivered`](crate::SessionStore::end_undelivered) keeps it until it expires.
    ///
    /// ```
    /// use tower_user_sessions::{Session, SessionError};
    ///
    /// fn sign_in(session: &Session) -> Result<(), SessionError> {
    ///     session.insert("theme", "dark")?;
    ///     session.log_in("alice")?;
    ///     assert_eq!(session.get("theme")?, Some("dark".to_owned()));
    ///     Ok(())
    /// }
    /// # #[cfg(feature = "test")]
    /// # sign_in(&Session::for_test_guest()).unwrap();
    /// ```
    ///
    /// # Errors
    ///
    /// [`SessionErrorKind::UserId`] if the text is empty or longer than 255 bytes. Also if the response
    /// head was sent, the session is unavailable, or the system has no randomness.
    ///
    /// If the handler returns the error, the response is 500 `not_stored`, and 503 `unavailable` in an outage. So check a
    /// name that comes from a form first.
    pub fn log_in(&self, user: impl IntoUserId) -> Result<(), SessionError> {
        self.log_in_with(Login::new(user))
    }

    /// Stages a sign-in with settings of its own: limit, lifetime, data to carry over.
    ///
    /// ```no_run
    /// # fn sign_in(session: &tower_user_sessions::Session) -> Result<(), tower_user_sessions::SessionError> {
    /// use tower_user_sessions::{Lifetime, Limit, Login};
    ///
    /// let login = Login::new("alice")
    ///     .limit(Limit::at_most(5))
    ///     .lifetime(Lifetime::AAL1)
    ///     .carry(["cart"]);
    /// session.log_in_with(login)
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`log_in`](Self::log_in). Also [`SessionErrorKind::Ticket`] if the parts of the login's ticket do
    /// not belong together.
    pub fn log_in_with(&self, login: Login) -> Result<(), SessionError> {
        let user = match &login.user {
            Ok(user) => user.clone(),
            Err(error) => return Err(SessionError::new(SessionErrorKind::UserId, *error)),
        };
        let tag = self.0.rules.store.tag(&user);
        let ticket = login.ticket.as_ref();
        if ticket.is_some_and(|(ticket, _)| ticket.token().tag() != tag) {
            return Err(SessionErrorKind::Ticket.into());
        }
        let token = Token::random(tag).map_err(SessionError::random)?;
        let mut state = self.state();
        state.stageable()?;
        state.stage_login(token, user, login);
        Ok(())
    }

    /// Stores what is staged at once.
    ///
    /// You may call it several times: what is staged afterwards is stored by the next call, or with the response. With
    /// nothing staged it returns an empty [`Committed`].
    ///
    /// Call it in a handler that must know the outcome: which sessions were evicted, that the limit refused
    /// the sign-in, or that the session ended meanwhile and the changes are lost
    /// ([`CommitError::Ended`]). Without it, a response of your service says that the changes are stored,
    /// unless the session ended before that. The response sets the cookie, whatever its status. If there is no response,
    /// because the service returns `Err`, panics or is dropped, the new session is ended as undelivered.
    ///
    /// # Errors
    ///
    /// A handler in axum that uses `?` on [`SessionError`] and on [`CommitError`] returns
    /// [`Rejection`](crate::Rejection): both turn into it.
    ///
    /// See [`CommitError`]. After a refused sign-in nothing is staged. After a failure of the store the
    /// changes stay staged, and committing again is the same sign-in. If the outcome is unknown
    /// ([`StoreErrorKind::Uncertain`](crate::store::StoreErrorKind::Uncertain)), updates and rotations do not stay staged: they
    /// may have happened, and would happen twice.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the changes stay staged. Committing again is the same sign-in, never a
    /// second one. An [`update`](Self::update) may have been stored by the dropped commit; it then runs
    /// again.
    pub async fn commit(&self) -> Result<Committed, CommitError> {
        drop(self.read());
        // Boxed, so that handlers stay small.
        Box::pin(self.commit_staged()).await
    }

    /// All sessions of the signed-in user: list them, end them.
    ///
    /// Returns `None` for a guest session. A staged sign-in or sign-out counts once it is committed.
    #[must_use]
    pub fn user_sessions(&self) -> Option<UserSessions> {
        let (user, id) = {
            let state = self.read();
            let record = state.record()?;
            (record.user_id()?.clone(), record.id)
        };
        Some(UserSessions::of_caller(self, user, id))
    }

    /// All sessions of any user, from within this request.
    ///
    /// Use it for a password reset: a guest has proved to be this user. End all sessions first, sign in
    /// afterwards: a sign-in staged after [`end_all`](UserSessions::end_all) is not rejected by it. It is rejected if
    /// another request ended them too: after this one arrived, or after the moment of [`Login::since`].
    ///
    /// Do not use this to allow each user one session: if two such requests run at the same time, both may be rejected. Use
    /// [`Limit::at_most`](crate::Limit::at_most) for that.
    ///
    /// Say why with [`because`](UserSessions::because), or the user reads that an administrator did it.
    ///
    /// If it is the signed-in user, the session of this request is the current one, which
    /// [`end_others`](UserSessions::end_others) keeps. Unlike with [`user_sessions`](Self::user_sessions) it need not
    /// be live any more to end others: your app decides who may call this.
    ///
    /// ```no_run
    /// # async fn reset(session: tower_user_sessions::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use tower_user_sessions::{EndReason, UserId};
    ///
    /// let user = UserId::new("alice")?;
    /// let sessions = session.sessions_of(&user).because(EndReason::CredentialsChanged);
    /// sessions.end_all().await?;
    /// session.log_in(user)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn sessions_of(&self, user: impl CertainUserId) -> UserSessions {
        let user = user.certain_user_id();
        let own = {
            let state = self.read();
            let record = state.record();
            record
                .filter(|record| record.user_id() == Some(&user))
                .map(|record| record.id)
        };
        UserSessions::of_session(self, user, own)
    }
}

/// Prints neither the token nor the user, so that it can be logged.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.peek().id())
            .finish_non_exhaustive()
    }
}
