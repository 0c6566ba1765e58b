//! The sessions of all users.

use super::{
    audit::{Audit, EventSink},
    info::SessionInfo,
};
use crate::{
    model::{EndReason, Event, EventKind, Initiator, Record, Timestamp, UserId},
    store::{EndEveryone, Scan, SharedStore, StoreError},
};

/// The sessions of all users: end them at one moment, read them page by page, count them.
///
/// For administrators, jobs and incident response. It checks no permission. Keep it out of reach of requests from the
/// internet. `examples/admin` of the repository is a small program with it.
///
/// ```
/// # async fn after_an_incident() -> Result<(), tower_user_sessions::store::StoreError> {
/// use tower_user_sessions::{Everyone, MemoryStore};
///
/// let store = MemoryStore::new();
/// let before = Everyone::new(store.clone()).end_all().await?;
/// println!("sessions from before {before} have ended");
/// # Ok(())
/// # }
/// ```
///
/// # What an end does
///
/// The store keeps one moment, for ever. A session that was created before it, or whose user authenticated before it, is not
/// live on any node:
///
/// - A request with its token is a guest, and `RequireUser` answers 401. [`Session::ended`](crate::Session::ended) returns
///   [`EndReason::Everyone`].
/// - A sign-in in progress is rejected if the user entered the password before the moment. A ticket from before it is
///   rejected too.
/// - Guest sessions and all realms end as well. Nothing is deleted: what has ended expires as before.
///
/// # How soon
///
/// A node of your app reads the moment about every 2 s while requests come, beside them. If what it knows is older than 5 s, a
/// request first reads it. So no node answers as before more than 5 s after [`end_all`](Self::end_all) returned:
/// also one that was suspended, was cut off, or started since. If it cannot be read,
/// [`OnOutage`](crate::OnOutage) decides. In the process that ends them it takes effect on the next request. A node that
/// hears a [`feed`](crate::SessionStore::feed), because it has open streams or a near cache, notices it within milliseconds.
/// One without them listens to no feed, also if its store has one: it notices within the 5 s.
///
/// For up to 5 s a node that does not know the moment yet makes new sessions. They begin after the moment, so they stay
/// live. There is one exception: if a failover leads to a Redis server whose clock is behind the moment, sessions of such a node
/// begin before the moment and end. Those of a node that knows the moment stay live there too. On a Cluster clocks may
/// differ by a second, so the moment is a second in the future. A user who signs in within that second may have to sign
/// in again.
///
/// # Clocks that are wrong
///
/// If the clock of the server was ahead during `end_all` and was set back, the moment is in the future. A minute of that is normal:
/// sessions then begin at the moment. If it is more, the store ends all sessions again as soon as a node reads the moment, and
/// logs a warning. That ends every session that began until then, also those that were made while the clock was ahead. Users
/// sign in again, and the moment is the time of that. A node that does not know it yet makes sessions for up to 5 s that end then.
///
/// The same happens if the clock is more than a minute behind now, and sessions ended since that time. A clock before the year 2025
/// was not set yet: it ends nothing.
///
/// If the clock was ahead and was set back before `end_all`, sessions made meanwhile begin after the moment, so they stay. Until the
/// clock has passed that time, [`page`](Self::page) lists them, and [`UserSessions::end_all`](crate::UserSessions::end_all) ends them.
///
/// A request costs the same as before: the moment travels with the call that it makes anyway.
///
/// | store | |
/// |---|---|
/// | [`MemoryStore`](crate::MemoryStore) | takes effect on the next request; forgotten when the process ends, as its sessions are |
/// | `FileStore` | takes effect on the next request; is in the file |
/// | `RedisStore`, `PostgresStore` | takes effect within 5 s on every node. A failover that loses the moment gets it back from any node that knew it |
/// | `RedisStore` on a Cluster pool | as above. [`page`](Self::page) and [`count`](Self::count) are [`Unsupported`] |
/// | a [`SetStore`](crate::store::SetStore) of your own | as above. `page` needs `scan`, and `count` needs `estimate` |
/// | another store of your own | [`Unsupported`], until it has `horizon` |
///
/// [`Unsupported`]: crate::store::StoreErrorKind::Unsupported
#[derive(Clone, Debug)]
pub struct Everyone {
    store: SharedStore,
    /// Where events go.
    audit: Audit,
}

/// One page of all users, from [`Everyone::page`].
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct EveryonePage {
    /// The users with their live sessions, those of all realms.
    pub users: Vec<UserOnPage>,
    /// The cursor of the next page; `None` if this was the last.
    pub next: Option<String>,
}

/// A user with live sessions, on a page of all users.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct UserOnPage {
    /// The user.
    pub user: UserId,
    /// The live sessions, by last activity, the latest first.
    pub sessions: Vec<SessionInfo>,
}

impl Everyone {
    /// The sessions of all users in this store.
    #[must_use]
    pub fn new(store: impl Into<SharedStore>) -> Self {
        Self {
            store: store.into(),
            audit: Audit::default(),
        }
    }

    /// Reports each end to this sink, as one event of kind
    /// [`EveryoneEnded`](crate::events::EventKind::EveryoneEnded).
    ///
    /// Defaults to none.
    #[must_use]
    pub fn events(mut self, sink: impl EventSink) -> Self {
        self.audit = Audit::new(sink);
        self
    }

    /// Ends all sessions of all users (ASVS 7.4.5). Returns the moment before which they ended.
    ///
    /// Use it when a secret or a backup leaked. Users sign in again; nobody is disabled. Your own session ends too.
    ///
    /// # Errors
    ///
    /// If the store cannot answer, or does not support it. On a Cluster an error means that a primary did not answer: some
    /// nodes may know the moment already. Call it again until it succeeds.
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have ended them. Calling it again is harmless: users who signed in meanwhile sign in again.
    pub async fn end_all(&self) -> Result<Timestamp, StoreError> {
        self.end(EndEveryone::Now).await
    }

    /// Ends all sessions that began before this moment. Returns the moment before which sessions have ended.
    ///
    /// Use it after you restored a backup of the store: in it sessions are live that had ended since. Give it the time at
    /// which the restored store went into service, or use [`end_all`](Self::end_all).
    ///
    /// The store keeps the latest moment: an earlier one than that changes nothing, and the latest is returned. A moment in the future
    /// counts as now.
    ///
    /// ```
    /// # async fn after_restore() -> Result<(), tower_user_sessions::store::StoreError> {
    /// use std::time::SystemTime;
    /// use tower_user_sessions::{Everyone, MemoryStore};
    ///
    /// let (store, back_in_service) = (MemoryStore::new(), SystemTime::now());
    /// Everyone::new(store.clone()).end_before(back_in_service).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`end_all`](Self::end_all).
    ///
    /// # Cancel safety
    ///
    /// A dropped call may have ended them. Calling it again is harmless.
    pub async fn end_before(&self, moment: impl Into<Timestamp>) -> Result<Timestamp, StoreError> {
        self.end(EndEveryone::Before(moment.into())).await
    }

    /// Returns the moment before which the sessions of all users have ended, as the store has it now. `None` if they never
    /// did.
    ///
    /// # Errors
    ///
    /// If the store cannot answer, or does not support it.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn ended_before(&self) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.store.everyone().await?.map(Timestamp::time))
    }

    /// Returns a page of users with their live sessions. `None` is the cursor of the first page.
    ///
    /// A user who has a session all the while is on a page, and may be on several. No user is on one page twice. Users are
    /// in no order. A page may be empty: go on until there is no [`next`](EveryonePage::next).
    ///
    /// ```
    /// # async fn all() -> Result<(), tower_user_sessions::store::StoreError> {
    /// use tower_user_sessions::{Everyone, MemoryStore};
    ///
    /// let everyone = Everyone::new(MemoryStore::new());
    /// let mut cursor = None;
    /// loop {
    ///     let page = everyone.page(cursor.as_deref()).await?;
    ///     for user in page.users {
    ///         println!("{} has {} sessions", user.user, user.sessions.len());
    ///     }
    ///     cursor = page.next;
    ///     if cursor.is_none() {
    ///         break;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// It reads about 100 session sets, one call for each. The cursor is text without a meaning, and no secret.
    ///
    /// # Errors
    ///
    /// If the store cannot answer. [`StoreErrorKind::Unsupported`](crate::store::StoreErrorKind::Unsupported) if the store
    /// does not support it, as a Cluster pool, or if the cursor is not one of this store.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn page(&self, cursor: Option<&str>) -> Result<EveryonePage, StoreError> {
        let mut scan = Scan::new();
        scan.cursor = cursor.map(str::to_owned);
        let scanned = self.store.scan(scan).await?;
        let users = scanned.sets.into_iter().filter_map(on_page);
        Ok(EveryonePage {
            users: users.collect(),
            next: scanned.next,
        })
    }

    /// Returns about how many session sets the store has: one for each user and each guest session.
    ///
    /// It looks at a sample, so it is an estimate. It also counts users whose sessions have ended or expired, while the store keeps
    /// something of them.
    ///
    /// # Errors
    ///
    /// If the store cannot answer, or does not support it.
    ///
    /// # Cancel safety
    ///
    /// It changes nothing.
    pub async fn count(&self) -> Result<u64, StoreError> {
        self.store.estimate().await
    }

    async fn end(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        let moment = self.store.end_everyone(end).await?.time();
        self.audit.raise(|| {
            Event::new(EventKind::EveryoneEnded, moment, Initiator::Admin)
                .because(EndReason::Everyone, None)
        });
        Ok(moment)
    }
}

/// A session set with a user. The sets of guest sessions have none.
fn on_page(mut records: Vec<Record>) -> Option<UserOnPage> {
    let user = records.first()?.user_id()?.clone();
    // In theory two users may share a tag.
    records.retain(|record| record.user_id() == Some(&user));
    records.sort_by_key(|record| std::cmp::Reverse(record.activity_order()));
    let sessions = records
        .into_iter()
        .map(|record| SessionInfo::new(record, None));
    Some(UserOnPage {
        user,
        sessions: sessions.collect(),
    })
}
