//! The store in memory: its sessions are gone when the process ends.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

mod session_set;
mod shard;

use self::{session_set::SessionSet, shard::Shard};
use super::{
    Create, Created, End, Ended, List, NOTICE_KEPT, Resolve, Resolved, Rotate, Rotated, Save,
    Saved, SessionStore, StoreError, Ticketed, Which, identity,
};
use crate::model::{Clock, EndReason, Record, SessionId, Tag, TagKey, Timestamp, UserId};

/// How many locks there are; each protects a share of the users.
const SHARDS: usize = 64;

/// Keeps sessions in the memory of this process.
///
/// Use it for development and tests, and for one server whose users may be signed out by a restart.
/// Several servers need a shared store such as `RedisStore`.
///
/// Clones share the same sessions. The limit bounds the memory per user. Expired sessions are removed
/// bit by bit while other requests run, so there is no background task.
///
/// ```
/// use tower_user_sessions::{MemoryStore, SessionLayer};
///
/// let layer = SessionLayer::new(MemoryStore::new());
/// # let _ = layer;
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    identity: u64,
    clock: Clock,
    notice_kept: Duration,
    tag_key: Option<TagKey>,
    shards: Box<[Mutex<Shard>]>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::builder().build()
    }

    /// An empty store with other settings than the default.
    #[must_use]
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder {
            clock: Clock::system(),
            notice_kept: NOTICE_KEPT,
            tag_key: None,
        }
    }

    /// How many session sets there are, one for each user and guest session.
    ///
    /// It counts expired ones that are not removed yet.
    #[must_use]
    pub fn sets(&self) -> usize {
        self.0.shards.iter().map(|shard| lock(shard).sets()).sum()
    }

    fn shard(&self, tag: Tag) -> Option<MutexGuard<'_, Shard>> {
        // A tag is a hash or random, so that any byte of it distributes the users evenly.
        let at = usize::from(tag.as_bytes()[0]) % SHARDS;
        self.0.shards.get(at).map(lock)
    }

    /// Runs `work` on a session set. If there is none, `make` says whether to make one; an empty one is
    /// not kept.
    fn within<T>(
        &self,
        tag: Tag,
        make: bool,
        work: impl FnOnce(&mut SessionSet, Timestamp) -> T,
    ) -> Option<T> {
        let mut shard = self.shard(tag)?;
        // Read under the lock, so that time never steps back between two steps on one session set.
        let now = self.0.clock.now();
        let done = shard.within(tag, make, now, |set| work(set, now));
        shard.sweep(now);
        done
    }

    fn look(&self, resolve: &Resolve) -> Resolved {
        let kept = self.0.notice_kept;
        self.within(resolve.token.tag(), false, |set, now| {
            set.resolve(resolve, now, kept)
        })
        .unwrap_or(Resolved::Unknown)
    }
}

// After a panic under a lock the data is still valid: every step leaves plain values behind.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("notice_kept", &self.0.notice_kept)
            .finish_non_exhaustive()
    }
}

impl SessionStore for MemoryStore {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        Ok(self.look(resolve))
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let kept = self.0.notice_kept;
        Ok(self
            .within(create.tag, true, |set, now| set.create(create, now, kept))
            .unwrap_or(Created::Ended))
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .within(tag, false, |set, now| set.terms(ticket, now))
            .flatten())
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        Ok(self
            .within(save.tag, false, |set, now| set.save(save, now))
            .unwrap_or(Saved::Ended))
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let kept = self.0.notice_kept;
        Ok(self
            .within(rotate.tag, false, |set, now| set.rotate(rotate, now, kept))
            .unwrap_or(Rotated::Ended))
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        Ok(self
            .within(list.tag, false, |set, now| set.list(list, now))
            .unwrap_or_default())
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        let kept = self.0.notice_kept;
        // A user without a session gets a cutoff too. An undelivered id is remembered before its `create`.
        let make = end.caller.is_none()
            && (!matches!(end.which, Which::One(_)) || end.reason == EndReason::Undelivered);
        Ok(self
            .within(end.tag, make, |set, now| set.end(end, now, kept))
            .unwrap_or(if end.caller.is_some() {
                Ended::CallerEnded
            } else {
                Ended::Unknown
            }))
    }

    fn tag(&self, user: &UserId) -> Tag {
        match &self.0.tag_key {
            Some(key) => Tag::keyed(key, user),
            None => Tag::of(user),
        }
    }

    fn identity(&self) -> Option<u64> {
        Some(self.0.identity)
    }

    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        Some(Ok(self.look(resolve)))
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        let end = End::new(tag, Which::One(id), EndReason::Undelivered);
        let kept = self.0.notice_kept;
        self.within(tag, true, |set, now| set.end(&end, now, kept));
    }
}

/// The settings of a [`MemoryStore`].
#[derive(Clone)]
pub struct MemoryStoreBuilder {
    clock: Clock,
    notice_kept: Duration,
    tag_key: Option<TagKey>,
}

impl MemoryStoreBuilder {
    /// Takes the time from this clock, for example a `ManualClock` in tests.
    ///
    /// Defaults to the system's clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// How long an end notice is kept.
    ///
    /// A request with the token of an ended session gets the reason during this time. Defaults to 1
    /// hour.
    #[must_use]
    pub fn notice_kept(mut self, kept: Duration) -> Self {
        self.notice_kept = kept;
        self
    }

    /// Derives tags with this secret key, so that user ids cannot be guessed from cookies.
    ///
    /// Changing the key signs all users out. Defaults to no key.
    #[must_use]
    pub fn tag_key(mut self, key: TagKey) -> Self {
        self.tag_key = Some(key);
        self
    }

    /// Makes the store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let Self {
            clock,
            notice_kept,
            tag_key,
        } = self;
        MemoryStore(Arc::new(Inner {
            identity: identity::next(),
            clock,
            notice_kept,
            tag_key,
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }))
    }
}

/// Does not print the key.
impl fmt::Debug for MemoryStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStoreBuilder")
            .field("clock", &self.clock)
            .field("notice_kept", &self.notice_kept)
            .finish_non_exhaustive()
    }
}
