//! All sessions of one user.

mod order;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    Session,
    audit::{Audit, EventSink},
    error::UserSessionsError,
    info::SessionInfo,
};
use crate::{
    model::{CertainUserId, EndReason, Lifetime, Realm, SessionId, Tag, UserId},
    store::{End, List, SharedStore, Which},
};

/// All sessions of one user: list them, end one, end others, end all.
///
/// In a request take it from [`Session::user_sessions`]. An administrator or a job makes one from a store
/// and a user id. Every method is one round trip, except for [`end_external`](Self::end_external). What it
/// ends is refused from the next request on, on any node (ASVS 7.4.1). With a near cache (`store::Near`) another
/// node may answer for a few seconds more: 5 s by default.
///
/// Nothing is staged: it happens at once, and stays done whatever the response is.
///
/// ```
/// # async fn disable() -> Result<(), tower_user_sessions::UserSessionsError> {
/// use tower_user_sessions::{MemoryStore, UserSessions};
///
/// let store = MemoryStore::new();
/// let ended = UserSessions::new(store.clone(), 42).end_all().await?;
/// # let _ = ended; Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct UserSessions {
    store: SharedStore,
    user: UserId,
    tag: Tag,
    realm: Realm,
    /// The session of the request, if it is one of them.
    current: Option<SessionId>,
    /// The session that ends others by its own right, so it has to be live.
    caller: Option<SessionId>,
    /// The request, if there is one.
    session: Option<Session>,
    /// Why sessions are ended, if the app said so.
    reason: Option<EndReason>,
    /// Where events go, outside of a request.
    audit: Audit,
    spare_uncounted: bool,
    /// The last call, if its reply was lost: made again, it reports what it ended.
    unanswered: Arc<Mutex<Option<End>>>,
}

impl UserSessions {
    /// The sessions of a user, for administrators and jobs. It checks no permission. Keep it out of
    /// reach of requests from the internet. It knows no request, so it removes no cookie.
    /// Check text first: `UserId::new(text)?`. If the layer has a realm, call [`realm`](Self::realm) too.
    #[must_use]
    pub fn new(store: impl Into<SharedStore>, user: impl CertainUserId) -> Self {
        let (store, user) = (store.into(), user.certain_user_id());
        Self {
            tag: store.tag(&user),
            realm: Realm::NONE,
            store,
            user,
            current: None,
            caller: None,
            session: None,
            reason: None,
            audit: Audit::default(),
            spare_uncounted: false,
            unanswered: Arc::default(),
        }
    }

    /// The sessions of the user of this session.
    pub(super) fn of_caller(session: &Session, user: UserId, caller: SessionId) -> Self {
        Self {
            caller: Some(caller),
            ..Self::of_session(session, user, Some(caller))
        }
    }

    /// The sessions of a user whom the app names in a request.
    pub(super) fn of_session(session: &Session, user: UserId, current: Option<SessionId>) -> Self {
        Self {
            current,
            realm: session.0.rules.realm,
            session: Some(session.clone()),
            ..Self::new(session.0.rules.store.clone(), user)
        }
    }

    /// The realm of the sessions to list and to end, outside of a request: the name that
    /// [`SessionLayer::realm`](crate::SessionLayer::realm) has. In a request it is that of the layer.
    ///
    /// [`end_all`](Self::end_all), [`end_others`](Self::end_others) and [`disable_for`](Self::disable_for) end
    /// the sessions of all realms.
    ///
    /// ```
    /// # async fn at_work() -> Result<(), tower_user_sessions::UserSessionsError> {
    /// use tower_user_sessions::{MemoryStore, UserSessions};
    ///
    /// let store = MemoryStore::new();
    /// let at_work = UserSessions::new(store.clone(), 42).realm("admin").count().await?;
    /// # let _ = at_work; Ok(())
    /// # }
    /// ```
    ///
    /// Defaults to no realm, which is not all realms: sessions of a layer with a realm are not listed or counted, and
    /// [`end`](Self::end) answers [`Unknown`](UserSessionsError::Unknown) for them.
    #[must_use]
    pub fn realm(mut self, name: &str) -> Self {
        self.realm = Realm::named(name);
        self
    }

    /// Why sessions are ended, for their end notices.
    ///
    /// After a change of password: [`EndReason::CredentialsChanged`]. Reasons that only this crate gives count as the
    /// default: `Replaced`, `Expired`, `Undelivered` and `Rejected`.
    /// If [`end`](Self::end) ends the current session, the reason is always [`EndReason::LoggedOut`].
    ///
    /// The reason also says on whose behalf it happened ([`Event::initiator`](crate::events::Event::initiator)): that of
    /// [`EndReason::Revoked`] is the user, and that of [`EndReason::TokenReuse`] is a policy, also if an administrator calls this.
    ///
    /// | default | for |
    /// |---|---|
    /// | [`EndReason::Revoked`] | [`Session::user_sessions`] |
    /// | [`EndReason::Administrator`] | [`Session::sessions_of`] and [`UserSessions::new`] |
    /// | [`EndReason::Disabled`] | [`disable_for`](Self::disable_for) |
    /// | [`EndReason::IdentityProvider`] | [`end_external`](Self::end_external) |
    #[must_use]
    pub fn because(mut self, reason: EndReason) -> Self {
        self.reason = Some(reason).filter(|reason| reason.is_for_apps());
        self
    }

    /// Reports to this sink which sessions end, outside of a request. In a request events go to the sink
    /// of the layer ([`SessionLayer::events`](crate::SessionLayer::events)).
    ///
    /// Defaults to none.
    #[must_use]
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.audit = Audit::new(sink);
        self
    }

    /// Whether [`end_others`](Self::end_others), [`end_all`](Self::end_all) and [`enable`](Self::enable) leave out
    /// sessions that do not count against the limit. [`disable_for`](Self::disable_for) ends them all the same.
    ///
    /// Defaults to `false`.
    #[must_use]
    pub fn spare_uncounted(mut self, spare: bool) -> Self {
        self.spare_uncounted = spare;
        self
    }

    /// The user.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user
    }

    /// The live sessions: the current one first, then by last activity, the latest first.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. It is no error if the session of this request has ended: then none is the current one.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn list(&self) -> Result<Vec<SessionInfo>, UserSessionsError> {
        let mut list = List::new(self.tag);
        list.within = Some(self.realm);
        list.not_before = self
            .session
            .as_ref()
            .and_then(|session| session.0.rules.not_before.get());
        let mut records = self.store.list(list).await?;
        // In theory two users may share a tag: never list the sessions of another user.
        records.retain(|record| record.user_id() == Some(&self.user));
        records.sort_by_key(|record| {
            let other = Some(record.id) != self.current;
            (other, std::cmp::Reverse(record.activity_order()))
        });
        Ok(records
            .into_iter()
            .map(|record| SessionInfo::new(record, self.current))
            .collect())
    }

    /// How many live sessions there are. It costs as much as [`list`](Self::list).
    ///
    /// # Errors
    ///
    /// If the store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn count(&self) -> Result<usize, UserSessionsError> {
        Ok(self.list().await?.len())
    }

    /// Ends one session.
    ///
    /// Ending it again is `Ok` while the store keeps the end notice: an hour at most by default.
    ///
    /// # Errors
    ///
    /// [`UserSessionsError::Unknown`] if this user has no such session, or none any more, whether another user has it
    /// or not. [`UserSessionsError::CallerEnded`] if the current session has itself ended, unless it is the one to end.
    /// Also if the store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have ended the session. Calling it again is harmless.
    pub async fn end(&self, id: SessionId) -> Result<(), UserSessionsError> {
        self.end_which(Which::One(id)).await.map(|_count| ())
    }

    /// Ends all sessions but the current one, those of other realms too. Returns how many ended.
    ///
    /// Without a current session it ends all of them. Sign-ins in progress are rejected, also one that
    /// this request staged before: sign in afterwards.
    ///
    /// # Errors
    ///
    /// [`UserSessionsError::CallerEnded`] if the current session has itself ended by now. Also if the
    /// store cannot answer: then they may have ended or not. Call it again on the same `UserSessions`. If the first call
    /// ended them, the second one returns how many that were, and raises their events. Another `UserSessions` counts
    /// only what is live by then.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has ended all of them or none. Calling it again is harmless, and as after an error.
    pub async fn end_others(&self) -> Result<usize, UserSessionsError> {
        let which = self.current.map_or(Which::All, Which::Others);
        self.end_which(which).await
    }

    /// Ends all sessions, in all realms, the current one too. Returns how many ended.
    ///
    /// Sign-ins in progress are rejected: all that were authenticated before this. A sign-in that the same
    /// request stages afterwards is rejected only if another request ended them meanwhile.
    ///
    /// # Errors
    ///
    /// As [`end_others`](Self::end_others).
    ///
    /// # Cancel safety
    ///
    /// As [`end_others`](Self::end_others).
    pub async fn end_all(&self) -> Result<usize, UserSessionsError> {
        self.end_which(Which::All).await
    }

    /// Disables the user: ends all sessions and refuses sign-ins for this long, from 1 ms to 400 days. Returns
    /// how many ended. A second call replaces the first, also with a shorter time.
    ///
    /// The store forgets it afterwards. Whether the user may sign in then is for your app to know.
    ///
    /// # Errors
    ///
    /// As [`end_others`](Self::end_others).
    ///
    /// # Cancel safety
    ///
    /// As [`end_others`](Self::end_others).
    pub async fn disable_for(&self, duration: Duration) -> Result<usize, UserSessionsError> {
        let mut end = self.order(Which::All);
        end.reason = self.reason.unwrap_or(EndReason::Disabled);
        end.spare_uncounted = false;
        end.bar = Some(duration.clamp(Duration::from_millis(1), Lifetime::MAX));
        self.give(end).await
    }

    /// Lets a disabled user sign in again. Sessions that are live at that moment end. With
    /// [`spare_uncounted`](Self::spare_uncounted) those that do not count stay live.
    ///
    /// # Errors
    ///
    /// As [`end_others`](Self::end_others).
    ///
    /// # Cancel safety
    ///
    /// As [`end_others`](Self::end_others).
    pub async fn enable(&self) -> Result<(), UserSessionsError> {
        let mut end = self.order(Which::All);
        end.bar = Some(Duration::ZERO);
        self.give(end).await.map(|_count| ())
    }

    /// Ends the sessions with this `sid` of the identity provider. Returns how many ended.
    ///
    /// For back-channel logout (`OpenID` Connect Back-Channel Logout 1.0 §2.4): the logout token has the
    /// user as `sub` and the session as `sid`. It takes one round trip to list, and one per session ended.
    /// A sign-in with this `sid` that is in progress is not stopped. Of a longer `sid` the first 255 bytes count, as in
    /// [`Proof::with_external_sid`](crate::Proof::with_external_sid).
    ///
    /// If no session of this user has this `sid`, it is `Ok(0)`. Other users are not searched: for a logout token without
    /// `sub`, your app needs a table from `sid` to user.
    ///
    /// # Errors
    ///
    /// [`UserSessionsError::Unknown`] if one of them expires after it was listed: call it again.
    /// [`UserSessionsError::CallerEnded`] if the current session has itself ended by now. Also if the
    /// store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have ended some of them. Calling it again is harmless. The same is true after an error. What had
    /// ended before is not in the second count, and raises no event then.
    pub async fn end_external(&self, sid: &str) -> Result<usize, UserSessionsError> {
        let mut count = 0;
        // The current one is the first of the list. Once it has ended, it may end no other.
        for info in self.list().await?.into_iter().rev() {
            if info
                .proof()
                .is_some_and(|proof| proof.has_external_sid(sid))
            {
                let mut end = self.order(Which::One(info.id()));
                end.reason = self.reason.unwrap_or(EndReason::IdentityProvider);
                count += self.give(end).await?;
            }
        }
        Ok(count)
    }
}
