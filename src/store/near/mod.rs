//! Answers of a store, kept in this process for a few seconds.

mod builder;
mod cache;
mod entry;
mod hash;
mod late;
mod own;
mod shard;
#[cfg(test)]
mod tests;

use std::{fmt, sync::Arc, time::Duration};

pub use self::builder::NearBuilder;
pub(crate) use self::builder::near_was_made;
use self::{
    cache::Cache,
    late::Late,
    own::{Owed, What, Write},
    shard::Active,
};
use super::{
    Create, Created, End, EndEveryone, Ended, Feed, Forget, Horizon, List, Look, Looked,
    NoteClient, Resolve, Resolved, Rotate, Rotated, Save, Saved, Scan, Scanned, SessionStore,
    StoreError, Ticketed, Touch, feed::FeedInterest,
};
use crate::model::{Record, SessionId, Tag, TagKey, Timestamp, UserId};

/// Answers requests from this process, so that most of them need no trip to the store: a cache around a store with
/// a [feed](SessionStore::feed).
///
/// It answers only the requests that you choose with [`SessionLayer::near`](crate::SessionLayer::near). All others
/// ask the store, and so does [`Session::verify`](crate::Session::verify).
///
/// An answer is at most as old as the [lease](NearBuilder::lease), whatever happens: 5 s by default. So a session that was
/// ended elsewhere is refused at the latest that long after its end. Normally a message of the feed removes it within
/// milliseconds. On this node it is refused at once, and a browser always sees what it wrote here. What another
/// node wrote may come later, by up to the lease.
///
/// The guide's page [`near_cache`](crate::guide::near_cache) says what to leave out, and why.
///
/// Around a store without a feed it answers nothing by itself. [`MemoryStore`](crate::MemoryStore) and `FileStore` have
/// one. `RedisStore` and `PostgresStore` have one if you build them with `live`, but never on a pool of deadpool-redis.
///
/// ```
/// use http::Method;
/// use tower_user_sessions::{MemoryStore, SessionLayer, store::Near};
///
/// let layer = SessionLayer::new(Near::new(MemoryStore::new()))
///     .near(|request| request.method == Method::GET && request.uri.path().starts_with("/api/"));
/// # let _ = layer;
/// ```
pub struct Near<St>(Arc<Inner<St>>);

struct Inner<St> {
    store: St,
    cache: Option<Arc<Cache>>,
    late: Late,
    /// The store listens while this lives.
    _interest: Option<FeedInterest>,
}

impl<St: SessionStore> Near<St> {
    /// A cache around this store, with a lease of 5 s.
    #[must_use]
    pub fn new(store: St) -> Self {
        Self::builder(store).build()
    }

    /// As [`new`](Self::new), with other settings.
    pub fn builder(store: St) -> NearBuilder<St> {
        NearBuilder::new(store)
    }

    /// Writes the activity of requests that were answered here, as far as it is not written yet. Call it at shutdown,
    /// after the last request. Without it, sessions lose the activity of the last few seconds.
    ///
    /// It waits up to 10 s for writes of others that are on their way. Its own writes take as long as the store: put it
    /// into a timeout. What fails is lost.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the rest is written in the background.
    pub async fn flush(&self) {
        self.0.write_all().await;
    }

    /// How many answers are kept.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.0.cache.as_ref().map_or(0, |cache| cache.entries())
    }

    #[inline]
    fn found(&self, resolve: &Resolve) -> Option<Resolved> {
        let hit = self.0.cache.as_ref()?.hit(resolve)?;
        if let Some(late) = hit.late {
            Inner::note(&self.0, late);
        }
        Some(Resolved::Live(hit.found))
    }

    /// An own change of sessions: what is kept of them goes, before it is sent and after its outcome.
    fn writes(&self, tag: Tag, what: What) -> Write<'_, impl FnMut(Vec<Active>)> {
        let unwritten = |active| Inner::evicted(&self.0, active);
        Write::begin(self.0.cache.as_deref(), tag, what, unwritten)
    }
}

impl<St: SessionStore> SessionStore for Near<St> {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        if let Some(found) = self.found(resolve) {
            return Ok(found);
        }
        let asked = self.0.cache.as_ref().map(|cache| cache.asks(resolve));
        let answer = self.0.store.resolve(resolve).await;
        if let (Some(cache), Some(asked)) = (&self.0.cache, asked) {
            Inner::evicted(&self.0, cache.keep(resolve, &answer, asked));
        }
        answer
    }

    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        if let Some(found) = self.found(resolve) {
            return Some(Ok(found));
        }
        let asked = self.0.cache.as_ref().map(|cache| cache.asks(resolve));
        let answer = self.0.store.resolve_now(resolve)?;
        if let (Some(cache), Some(asked)) = (&self.0.cache, asked) {
            Inner::evicted(&self.0, cache.keep(resolve, &answer, asked));
        }
        Some(answer)
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        // It may evict any session of the user.
        let _write = self.writes(create.tag, What::All);
        self.0.store.create(create).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.store.ticket(tag, ticket).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let _write = self.writes(save.tag, What::One(save.id));
        self.0.store.save(save).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let _write = self.writes(rotate.tag, What::One(rotate.id));
        self.0.store.rotate(rotate).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.0.store.list(list).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let mut owed = Owed::new(&self.0);
        let outcome = {
            let unwritten = |active| owed.add(active);
            let cache = self.0.cache.as_deref();
            let _write = Write::begin(cache, end.tag, What::of(end.which), unwritten);
            self.0.store.end(end).await
        };
        if let Ok(ended) = &outcome {
            owed.settle(end, ended);
        }
        outcome
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.0.store.forget(forget).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        let _write = self.writes(note.tag, What::One(note.record.id));
        self.0.store.note_client(note).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.0.store.look(look).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        let _write = self.writes(touch.tag, What::One(touch.id));
        self.0.store.touch(touch).await
    }

    fn feed(&self) -> Option<Feed> {
        self.0.store.feed()
    }

    fn horizon(&self) -> Option<&Horizon> {
        self.0.store.horizon()
    }

    async fn everyone(&self, knows: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        self.0.store.everyone(knows).await
    }

    async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        self.0.store.end_everyone(end).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        self.0.store.scan(scan).await
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        self.0.store.estimate().await
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.0.store.tag_key()
    }

    fn tag(&self, user: &UserId) -> Tag {
        self.0.store.tag(user)
    }

    fn identity(&self) -> Option<u64> {
        self.0.store.identity()
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        // It ends for sure, now or later, so its activity is not written any more.
        let _write = Write::begin(self.0.cache.as_deref(), tag, What::One(id), drop);
        self.0.store.end_undelivered(tag, id);
    }
}

impl<St> Clone for Near<St> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<St: fmt::Debug> fmt::Debug for Near<St> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Near")
            .field("store", &self.0.store)
            .finish_non_exhaustive()
    }
}

/// The longest that an answer is kept, by default.
const LEASE: Duration = Duration::from_secs(5);
