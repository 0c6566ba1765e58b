//! A store without its type, so that `SessionLayer` and `Session` need no type parameter.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Weak},
};

#[cfg(feature = "live")]
use super::Feed;
use super::{
    Create, Created, End, EndEveryone, Ended, FeedMessage, FeedNews, FeedReader, Forget, Horizon,
    List, Look, Looked, NoteClient, Resolve, Resolved, Rotate, Rotated, Save, Saved, Scan, Scanned,
    SessionStore, StoreError, StoreErrorKind, Ticketed,
    boxed::boxed,
    genuine,
    horizon::Age,
    known::{ask_in_background, known, later, moment},
    meter::timed,
};
use crate::model::{Record, SessionId, Tag, Timestamp, UserId};

type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Any [`SessionStore`] behind one clonable type, for apps that choose their store at run time.
///
/// It takes the place of a `Box<dyn SessionStore>`, which is not possible: the methods are asynchronous.
///
/// ```
/// # #[cfg(all(feature = "file", feature = "redis"))] {
/// use std::{env, error::Error};
/// use tower_user_sessions::{FileStore, RedisStore, store::SharedStore};
///
/// /// A file in development. In production also the store to `drain` at the end.
/// fn store() -> Result<(SharedStore, Option<RedisStore>), Box<dyn Error>> {
///     let Ok(url) = env::var("REDIS_URL") else {
///         return Ok((FileStore::open("sessions.db")?.into(), None));
///     };
///     let redis = RedisStore::connect(&url)?;
///     Ok((redis.clone().into(), Some(redis)))
/// }
/// # let _ = store;
/// # }
/// ```
///
/// `SessionLayer::new`, `UserSessions::new` and `Everyone::new` take it as any other store.
#[derive(Clone)]
pub struct SharedStore {
    store: Arc<dyn ErasedStore>,
    /// The feed has it as a reader while this lives.
    _moments: Option<Arc<Moments>>,
}

/// Has the store asked for the moment before which all sessions ended as soon as a message speaks of a new one.
struct Moments(Weak<dyn ErasedStore>);

impl FeedReader for Moments {
    fn message(&self, message: &FeedMessage) {
        if let FeedNews::Everyone(moment) = message.news
            && let Some(store) = self.0.upgrade()
            && let Some(horizon) = store.horizon_of()
        {
            horizon.hear(moment);
            store.moment_now();
        }
    }

    /// The moment is asked for every few seconds anyway.
    fn epoch_changed(&self) {}
}

/// [`SessionStore`] for a store behind a pointer. The names differ, so that no method shadows another.
trait ErasedStore: Send + Sync {
    fn resolve_boxed(self: Arc<Self>, resolve: Resolve) -> Answer<Resolved>;
    fn create_boxed(self: Arc<Self>, create: Create) -> Answer<Created>;
    fn ticket_boxed(self: Arc<Self>, tag: Tag, ticket: Ticketed) -> Answer<Option<Vec<u8>>>;
    fn save_boxed(self: Arc<Self>, save: Save) -> Answer<Saved>;
    fn rotate_boxed(self: Arc<Self>, rotate: Rotate) -> Answer<Rotated>;
    fn list_boxed(self: Arc<Self>, list: List) -> Answer<Vec<Record>>;
    fn end_boxed(self: Arc<Self>, end: End) -> Answer<Ended>;
    fn forget_boxed(self: Arc<Self>, forget: Forget) -> Answer<()>;
    fn note_client_boxed(self: Arc<Self>, note: NoteClient) -> Answer<bool>;
    fn look_boxed(self: Arc<Self>, look: Look) -> Answer<Looked>;
    #[cfg(feature = "live")]
    fn feed_of(&self) -> Option<Feed>;
    fn tag_of(&self, user: &UserId) -> Tag;
    fn number(&self) -> Option<u64>;
    fn everyone_boxed(self: Arc<Self>) -> Answer<Option<Timestamp>>;
    fn end_everyone_boxed(self: Arc<Self>, end: EndEveryone) -> Answer<Timestamp>;
    fn scan_boxed(self: Arc<Self>, scan: Scan) -> Answer<Scanned>;
    fn estimate_boxed(self: Arc<Self>) -> Answer<u64>;
    fn horizon_of(&self) -> Option<&Horizon>;
    fn catch_up_boxed(self: Arc<Self>) -> Option<Answer<()>>;
    fn moment_now(self: Arc<Self>) -> Option<Timestamp>;
    fn resolve_at_once(&self, resolve: &mut Resolve) -> Option<Result<Resolved, StoreError>>;
    fn give_up(&self, tag: Tag, id: SessionId);
}

impl<St: SessionStore> ErasedStore for St {
    fn resolve_boxed(self: Arc<Self>, mut resolve: Resolve) -> Answer<Resolved> {
        // By the time it is polled, time has passed.
        resolve.read_at = None;
        boxed(|| async move {
            resolve.not_before = later(resolve.not_before, known(&self).await?);
            let mut answer = timed("resolve", self.resolve(&resolve)).await;
            genuine::resolved(&resolve, self.tag_key(), &mut answer);
            answer
        })
    }

    fn create_boxed(self: Arc<Self>, mut create: Create) -> Answer<Created> {
        create.not_before = later(create.not_before, moment(&*self));
        boxed(|| async move {
            let answer = timed("create", self.create(&create)).await;
            genuine::created(&create, answer)
        })
    }

    fn ticket_boxed(self: Arc<Self>, tag: Tag, ticket: Ticketed) -> Answer<Option<Vec<u8>>> {
        Box::pin(async move { timed("ticket", self.ticket(tag, &ticket)).await })
    }

    fn save_boxed(self: Arc<Self>, mut save: Save) -> Answer<Saved> {
        save.not_before = later(save.not_before, moment(&*self));
        boxed(|| async move { timed("save", self.save(&save)).await })
    }

    fn rotate_boxed(self: Arc<Self>, mut rotate: Rotate) -> Answer<Rotated> {
        rotate.not_before = later(rotate.not_before, moment(&*self));
        boxed(|| async move {
            let answer = timed("rotate", self.rotate(&rotate)).await;
            genuine::rotated(&rotate, answer)
        })
    }

    fn list_boxed(self: Arc<Self>, mut list: List) -> Answer<Vec<Record>> {
        boxed(|| async move {
            list.not_before = later(list.not_before, known(&self).await?);
            timed("list", self.list(&list)).await
        })
    }

    fn end_boxed(self: Arc<Self>, mut end: End) -> Answer<Ended> {
        boxed(|| async move {
            if end.caller.is_some() {
                end.not_before = later(end.not_before, known(&self).await?);
            }
            timed("end", self.end(&end)).await
        })
    }

    fn forget_boxed(self: Arc<Self>, forget: Forget) -> Answer<()> {
        Box::pin(async move { timed("forget", self.forget(&forget)).await })
    }

    fn note_client_boxed(self: Arc<Self>, mut note: NoteClient) -> Answer<bool> {
        note.not_before = later(note.not_before, moment(&*self));
        Box::pin(async move { timed("note_client", self.note_client(&note)).await })
    }

    fn look_boxed(self: Arc<Self>, mut look: Look) -> Answer<Looked> {
        boxed(|| async move {
            look.not_before = later(look.not_before, known(&self).await?);
            let answer = timed("look", self.look(&look)).await;
            genuine::looked(&look, answer)
        })
    }

    #[cfg(feature = "live")]
    fn feed_of(&self) -> Option<Feed> {
        self.feed()
    }

    fn tag_of(&self, user: &UserId) -> Tag {
        self.tag(user)
    }

    fn number(&self) -> Option<u64> {
        self.identity()
    }

    fn everyone_boxed(self: Arc<Self>) -> Answer<Option<Timestamp>> {
        Box::pin(async move {
            let Some(horizon) = self.horizon() else {
                return Err(StoreError::new(StoreErrorKind::Unsupported));
            };
            let read = |knows| timed("everyone", self.everyone(knows));
            horizon.ask(read).await?;
            Ok(horizon.moment())
        })
    }

    fn end_everyone_boxed(self: Arc<Self>, end: EndEveryone) -> Answer<Timestamp> {
        Box::pin(async move {
            let moment = timed("end_everyone", self.end_everyone(end)).await?;
            if let Some(horizon) = self.horizon() {
                horizon.note(moment);
            }
            Ok(moment)
        })
    }

    fn scan_boxed(self: Arc<Self>, mut scan: Scan) -> Answer<Scanned> {
        Box::pin(async move {
            scan.not_before = later(scan.not_before, known(&self).await?);
            timed("scan", self.scan(&scan)).await
        })
    }

    fn estimate_boxed(self: Arc<Self>) -> Answer<u64> {
        Box::pin(async move { timed("estimate", self.estimate()).await })
    }

    fn horizon_of(&self) -> Option<&Horizon> {
        self.horizon()
    }

    fn catch_up_boxed(self: Arc<Self>) -> Option<Answer<()>> {
        if self.horizon()?.age() == Age::Young {
            return None;
        }
        Some(Box::pin(async move { known(&self).await.map(|_| ()) }))
    }

    fn moment_now(self: Arc<Self>) -> Option<Timestamp> {
        let horizon = self.horizon()?;
        if horizon.age() != Age::Young {
            ask_in_background(&self, horizon);
        }
        horizon.moment()
    }

    fn resolve_at_once(&self, resolve: &mut Resolve) -> Option<Result<Resolved, StoreError>> {
        // Assigned in one place, so that it is written where the caller wants it.
        let mut answer = if knows_moment(self, resolve) {
            self.resolve_now(resolve)
        } else {
            None
        };
        if let Some(answer) = &mut answer {
            genuine::resolved(resolve, self.tag_key(), answer);
        }
        answer
    }

    fn give_up(&self, tag: Tag, id: SessionId) {
        self.end_undelivered(tag, id);
    }
}

/// Whether it is known without a question of which sessions all users' ends speak, and notes it.
#[inline]
fn knows_moment(store: &impl SessionStore, resolve: &mut Resolve) -> bool {
    let Some(horizon) = store.horizon() else {
        return true;
    };
    let age = resolve
        .read_at
        .map_or_else(|| horizon.age(), |now| horizon.age_at(now));
    if age != Age::Young {
        return false;
    }
    resolve.not_before = later(resolve.not_before, horizon.moment());
    true
}

impl SharedStore {
    pub(crate) fn resolve(&self, resolve: Resolve) -> Answer<Resolved> {
        Arc::clone(&self.store).resolve_boxed(resolve)
    }

    /// Waits until it is known of the last five seconds whether the sessions of all users ended. [`create`](Self::create)
    /// itself does not ask, so that its error means that the store was asked to make the session.
    pub(crate) async fn catch_up(&self) -> Result<(), StoreError> {
        match Arc::clone(&self.store).catch_up_boxed() {
            Some(answer) => answer.await,
            None => Ok(()),
        }
    }

    /// After [`catch_up`](Self::catch_up).
    pub(crate) fn create(&self, create: Create) -> Answer<Created> {
        Arc::clone(&self.store).create_boxed(create)
    }

    pub(crate) fn ticket(&self, tag: Tag, ticket: Ticketed) -> Answer<Option<Vec<u8>>> {
        Arc::clone(&self.store).ticket_boxed(tag, ticket)
    }

    pub(crate) fn save(&self, save: Save) -> Answer<Saved> {
        Arc::clone(&self.store).save_boxed(save)
    }

    pub(crate) fn rotate(&self, rotate: Rotate) -> Answer<Rotated> {
        Arc::clone(&self.store).rotate_boxed(rotate)
    }

    pub(crate) fn list(&self, list: List) -> Answer<Vec<Record>> {
        Arc::clone(&self.store).list_boxed(list)
    }

    pub(crate) fn end(&self, end: End) -> Answer<Ended> {
        Arc::clone(&self.store).end_boxed(end)
    }

    pub(crate) fn forget(&self, forget: Forget) -> Answer<()> {
        Arc::clone(&self.store).forget_boxed(forget)
    }

    pub(crate) fn note_client(&self, note: NoteClient) -> Answer<bool> {
        Arc::clone(&self.store).note_client_boxed(note)
    }

    pub(crate) fn look(&self, look: Look) -> Answer<Looked> {
        Arc::clone(&self.store).look_boxed(look)
    }

    #[cfg(feature = "live")]
    pub(crate) fn feed(&self) -> Option<Feed> {
        self.store.feed_of()
    }

    /// The moment before which the sessions of all users ended, as far as is known now. If that is not young any more,
    /// the store is asked in the background.
    #[cfg(feature = "live")]
    pub(crate) fn moment(&self) -> Option<Timestamp> {
        Arc::clone(&self.store).moment_now()
    }

    /// Whether a message spoke of a later moment, and the store has not answered yet.
    #[cfg(feature = "live")]
    pub(crate) fn is_reported(&self) -> bool {
        self.horizon().is_some_and(Horizon::is_reported)
    }

    pub(crate) fn tag(&self, user: &UserId) -> Tag {
        self.store.tag_of(user)
    }

    pub(crate) fn identity(&self) -> Option<u64> {
        self.store.number()
    }

    /// The moment before which the sessions of all users ended, read from the store now.
    pub(crate) fn everyone(&self) -> Answer<Option<Timestamp>> {
        Arc::clone(&self.store).everyone_boxed()
    }

    pub(crate) fn end_everyone(&self, end: EndEveryone) -> Answer<Timestamp> {
        Arc::clone(&self.store).end_everyone_boxed(end)
    }

    pub(crate) fn scan(&self, scan: Scan) -> Answer<Scanned> {
        Arc::clone(&self.store).scan_boxed(scan)
    }

    pub(crate) fn estimate(&self) -> Answer<u64> {
        Arc::clone(&self.store).estimate_boxed()
    }

    /// What this process knows of the moment before which the sessions of all users ended.
    pub(crate) fn horizon(&self) -> Option<&Horizon> {
        self.store.horizon_of()
    }

    pub(crate) fn resolve_now(
        &self,
        resolve: &mut Resolve,
    ) -> Option<Result<Resolved, StoreError>> {
        self.store.resolve_at_once(resolve)
    }

    pub(crate) fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.store.give_up(tag, id);
    }
}

impl<St: SessionStore> From<St> for SharedStore {
    fn from(store: St) -> Self {
        let feed = store.feed().filter(|_| store.horizon().is_some());
        let store: Arc<dyn ErasedStore> = Arc::new(store);
        let moments = feed.map(|feed| {
            let moments = Arc::new(Moments(Arc::downgrade(&store)));
            let reader: Weak<dyn FeedReader> = Arc::downgrade(&moments) as _;
            feed.overheard_by(reader);
            moments
        });
        Self {
            store,
            _moments: moments,
        }
    }
}

impl fmt::Debug for SharedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStore(..)")
    }
}
