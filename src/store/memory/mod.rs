//! The store in memory: its sessions are gone when the process ends.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

pub(super) mod agents;
mod builder;
mod scan;
mod shard;
mod turn;

pub use self::builder::MemoryStoreBuilder;
use self::shard::{Absent, Shard};
use super::{
    Create, Created, End, EndEveryone, Ended, Feed, FeedMessage, FeedSource, FeedState, Forget,
    Horizon, List, Look, Looked, NoteClient, Presence, Resolve, Resolved, Rotate, Rotated, Save,
    Saved, Scan, Scanned, SessionStore, StoreError, StoreErrorKind, Ticketed, Touch, Which,
    feed::report,
};
use crate::model::{Clock, EndReason, Record, SessionId, Tag, TagKey, Timestamp};

/// How many locks there are; each protects a share of the users.
const SHARDS: usize = 64;

/// Keeps sessions in the memory of this process.
///
/// Use it for development and tests, and for one server whose users may be signed out by a restart.
/// In `FileStore` (feature `file`) sessions survive a restart. Several servers need `RedisStore` or `PostgresStore`.
///
/// Clones share the same sessions. The limit bounds the memory per user,
/// [`max_guests`](MemoryStoreBuilder::max_guests) that of guest sessions. Expired sessions are removed
/// bit by bit while other requests run, so there is no background task. Their memory goes back to the allocator. That of
/// glibc keeps some of it for the next sessions, so the process does not shrink by all of it.
///
/// A session needs about 400 bytes if many users have the same user agent.
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
    horizon: Horizon,
    clock: Clock,
    notice_kept: Duration,
    tag_key: Option<TagKey>,
    max_guests: usize,
    guests: AtomicUsize,
    shards: Box<[Mutex<Shard>]>,
    /// Counts operations, so that locks which are not asked for are swept too.
    turn: AtomicUsize,
    feed: Feed,
}

/// Messages arrive before the call that caused them returns.
struct InProcess;

impl FeedSource for InProcess {
    fn state(&self, _: Tag) -> FeedState {
        FeedState::new(0, true)
    }
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
        MemoryStoreBuilder::new()
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

    fn listed(&self, list: &List) -> Vec<Record> {
        self.within(list.tag, Absent::Nothing, |set, _, now| set.list(list, now))
            .unwrap_or_default()
    }

    fn resolved(&self, resolve: &Resolve) -> Resolved {
        let (tag, kept) = (resolve.token.tag(), self.0.notice_kept);
        let mut first_use = false;
        let Some(mut turn) = self.turn(tag) else {
            return Resolved::Unknown;
        };
        // Without `seen`: what a closure returns is moved on its way, which costs each request.
        let answer = match turn.shard.set(tag) {
            Some(set) => {
                first_use = self.0.feed.is_wanted() && set.is_new_token(resolve);
                set.resolve(resolve, turn.now, kept)
            }
            None => Resolved::Unknown,
        };
        self.finish(turn);
        if matches!(answer, Resolved::Reused(_)) {
            // The only answer that may have ended a session: then the set is over earlier.
            self.within(tag, Absent::Nothing, |_, _, _| ());
        }
        if first_use || matches!(answer, Resolved::Reused(_)) {
            self.report(|| report::resolved(resolve, &answer, first_use));
        }
        answer
    }

    fn ended(&self, end: &End, absent: Absent) -> Option<Ended> {
        let kept = self.0.notice_kept;
        let ended = self.within(end.tag, absent, |set, _, now| set.end(end, now, kept))?;
        self.report(|| report::ended(end, &ended));
        Some(ended)
    }

    /// Delivers the message of an outcome, if anybody reads the feed.
    fn report(&self, message: impl FnOnce() -> Option<FeedMessage>) {
        if self.0.feed.is_wanted()
            && let Some(message) = message()
        {
            self.0.feed.deliver(&message);
        }
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
        Ok(self.resolved(resolve))
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let (kept, guest) = (self.0.notice_kept, create.user.is_none());
        if guest && self.is_full(create.tag) {
            return Err(StoreError::new(StoreErrorKind::Full));
        }
        let absent = if guest {
            Absent::MakeGuest
        } else {
            Absent::Make
        };
        let created = self
            .within(create.tag, absent, |set, agents, now| {
                set.create_sharing(create, now, kept, |client| agents.share(client))
            })
            .unwrap_or(Created::Ended);
        self.report(|| report::created(create, &created));
        Ok(created)
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self
            .within(tag, Absent::Nothing, |set, _, now| set.ticket(ticket, now))
            .flatten())
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let saved = self
            .within(save.tag, Absent::Nothing, |set, _, now| set.save(save, now))
            .unwrap_or(Saved::Ended);
        self.report(|| report::saved(save, &saved));
        Ok(saved)
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let kept = self.0.notice_kept;
        let rotated = self
            .within(rotate.tag, Absent::Nothing, |set, _, now| {
                set.rotate(rotate, now, kept)
            })
            .unwrap_or(Rotated::Ended);
        self.report(|| report::rotated(rotate, &rotated));
        Ok(rotated)
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        Ok(self.listed(list))
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        // A user without a session gets a cutoff too. An undelivered id is remembered before its `create`.
        let make = end.caller.is_none()
            && (!matches!(end.which, Which::One(_)) || end.reason == EndReason::Undelivered);
        let absent = if make { Absent::Make } else { Absent::Nothing };
        Ok(self.ended(end, absent).unwrap_or(if end.caller.is_some() {
            Ended::CallerEnded
        } else {
            Ended::Unknown
        }))
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.within(forget.tag, Absent::Nothing, |set, _, now| {
            set.forget(forget, now);
        });
        Ok(())
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        let noted = self.within(note.tag, Absent::Nothing, |set, agents, now| {
            set.note_client_sharing(note, now, |client| agents.share(client))
        });
        let noted = noted == Some(true);
        self.report(|| report::noted(note, noted));
        Ok(noted)
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        let seen = self.within(look.tag, Absent::Nothing, |set, _, now| {
            Looked::new(set.look(look, now), now)
        });
        Ok(seen.unwrap_or_else(|| {
            let unknown = vec![Presence::Unknown; look.ids.len()];
            Looked::new(unknown, self.0.clock.now())
        }))
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.seen(touch.tag, |set, now| set.touch(touch, now));
        Ok(())
    }

    fn horizon(&self) -> Option<&Horizon> {
        Some(&self.0.horizon)
    }

    async fn everyone(&self, knows: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.0.horizon.kept(knows, self.0.clock.now()))
    }

    async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        let moment = end.moment(self.0.clock.now(), self.0.horizon.moment());
        self.0.horizon.note(moment);
        self.report(|| Some(FeedMessage::everyone(moment)));
        Ok(moment)
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        self.part(scan)
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.sets()).unwrap_or(u64::MAX))
    }

    fn feed(&self) -> Option<Feed> {
        Some(self.0.feed.clone())
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.0.tag_key.as_ref()
    }

    fn identity(&self) -> Option<u64> {
        Some(self.0.identity)
    }

    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        Some(Ok(self.resolved(resolve)))
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        let end = End::new(tag, Which::One(id), EndReason::Undelivered);
        self.ended(&end, Absent::Make);
    }
}
