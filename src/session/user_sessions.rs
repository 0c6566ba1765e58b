//! All sessions of one user.

use super::{Session, error::UserSessionsError, info::SessionInfo};
use crate::{
    model::{EndReason, Record, SessionId, Tag, UserId},
    store::{End, Ended, List, SharedStore, Which},
};

/// All sessions of one user: list them, end one, end others, end all.
///
/// In a request it comes from [`Session::user_sessions`]; an administrator or a job makes one from a
/// store and a user id. Every method is one round trip and takes effect at once: the very next
/// request with an ended session's token is a guest's, on any node (ASVS 7.4.1).
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
    /// The session that asks.
    current: Option<SessionId>,
    /// The request that it asks in.
    session: Option<Session>,
}

impl UserSessions {
    /// The sessions of a user, for whoever may see and end them all.
    #[must_use]
    pub fn new(store: impl Into<SharedStore>, user: impl Into<UserId>) -> Self {
        let (store, user) = (store.into(), user.into());
        Self {
            tag: store.tag(&user),
            store,
            user,
            current: None,
            session: None,
        }
    }

    pub(super) fn of_session(session: &Session, user: UserId, current: Option<SessionId>) -> Self {
        Self {
            current,
            session: Some(session.clone()),
            ..Self::new(session.0.rules.store.clone(), user)
        }
    }

    /// Whose sessions they are.
    #[must_use]
    pub fn user_id(&self) -> &UserId {
        &self.user
    }

    /// The live sessions, the current one first, then by last activity, the latest first.
    ///
    /// # Errors
    ///
    /// If the store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// Changes nothing.
    pub async fn list(&self) -> Result<Vec<SessionInfo>, UserSessionsError> {
        let mut list = List::new(self.tag);
        list.not_before = self
            .session
            .as_ref()
            .and_then(|session| session.0.rules.not_before);
        let mut records = self.store.list(list).await?;
        // Two users may share a tag, if only in theory: never show one the other's.
        records.retain(|record| record.user_id() == Some(&self.user));
        records.sort_by_key(|record| {
            let other = Some(record.id) != self.current;
            (other, std::cmp::Reverse(record.eviction_order()))
        });
        Ok(records
            .into_iter()
            .map(|record| SessionInfo::new(record, self.current))
            .collect())
    }

    /// Ends one session. Again while its notice is kept: the same answer.
    ///
    /// # Errors
    ///
    /// [`UserSessionsError::Unknown`] for any id that is not this user's, whether there is such a
    /// session or not; and if the store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has ended the session or not; calling again is harmless.
    pub async fn end(&self, id: SessionId) -> Result<(), UserSessionsError> {
        self.end_which(Which::One(id)).await.map(|_count| ())
    }

    /// Ends all sessions but the current one, and voids sign-ins that are under way, one that this
    /// request staged before included: sign in afterwards. Returns how many ended. Without a current
    /// session that is all of them.
    ///
    /// # Errors
    ///
    /// [`UserSessionsError::CallerEnded`] if the current session has itself ended by now; and if the
    /// store cannot answer.
    ///
    /// # Cancel safety
    ///
    /// A dropped call has ended them all or none; calling again is harmless.
    pub async fn end_others(&self) -> Result<usize, UserSessionsError> {
        let which = self.current.map_or(Which::All, Which::Others);
        self.end_which(which).await
    }

    /// Ends all sessions, the current one too, and voids sign-ins that are under way: any that was
    /// authenticated before this, but for one that this very request stages afterwards. Returns how
    /// many ended.
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

    async fn end_which(&self, which: Which) -> Result<usize, UserSessionsError> {
        let reason = match (which, self.current) {
            (_, None) => EndReason::Administrator,
            (Which::One(id), Some(current)) if id == current => EndReason::LoggedOut,
            (_, Some(_)) => EndReason::Revoked,
        };
        let mut end = End::new(self.tag, which, reason);
        end.by = self.current;
        // Signing out oneself is harmless when it has happened already.
        end.caller = self.current.filter(|id| which != Which::One(*id));
        match self.store.end(end).await? {
            Ended::Ended { count, now, .. } => {
                if let Some(session) = &self.session {
                    let mut state = session.state();
                    if !matches!(which, Which::One(_)) {
                        state.made_cut(self.tag, now);
                    }
                    if state.tag() == Some(self.tag) && hits(which, state.record()) {
                        state.gone();
                    }
                }
                Ok(count)
            }
            Ended::CallerEnded => Err(UserSessionsError::CallerEnded),
            Ended::Unknown => Err(UserSessionsError::Unknown),
        }
    }
}

/// Whether this session is one of those that ended.
fn hits(which: Which, record: Option<&Record>) -> bool {
    record.is_some_and(|record| match which {
        Which::All => true,
        Which::One(id) => record.id == id,
        Which::Others(keep) => record.id != keep,
    })
}
