//! The settings of a store in memory.

use std::{
    fmt,
    sync::{Arc, Mutex, atomic::AtomicUsize},
    time::Duration,
};

use super::{InProcess, Inner, MemoryStore, SHARDS};
use crate::{
    model::{Clock, Lifetime, TagKey},
    store::{Feed, Horizon, NOTICE_KEPT, identity},
};

/// The most guest sessions by default.
const GUESTS_MAX: usize = 1_000_000;

/// The settings of a [`MemoryStore`].
#[derive(Clone)]
pub struct MemoryStoreBuilder {
    clock: Clock,
    notice_kept: Duration,
    tag_key: Option<TagKey>,
    max_guests: usize,
}

impl MemoryStoreBuilder {
    pub(super) fn new() -> Self {
        Self {
            clock: Clock::system(),
            notice_kept: NOTICE_KEPT,
            tag_key: None,
            max_guests: GUESTS_MAX,
        }
    }

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
    /// A request with the token of an ended session gets the reason during this time: 400 days at most. Defaults to 1
    /// hour.
    #[must_use]
    pub fn notice_kept(mut self, kept: Duration) -> Self {
        self.notice_kept = kept.min(Lifetime::MAX);
        self
    }

    /// Derives tags with this secret key, so that user ids cannot be guessed from cookies.
    ///
    /// [Another key](TagKey) signs all users out. Defaults to no key.
    #[must_use]
    pub fn tag_key(mut self, key: TagKey) -> Self {
        self.tag_key = Some(key);
        self
    }

    /// The most guest sessions at one time.
    ///
    /// A request that would begin one more gets the error [`StoreErrorKind::Full`](crate::store::StoreErrorKind::Full), which the layer answers
    /// with 503. Guest sessions that exist go on, and users can sign in. A guest session that no second
    /// request uses is removed after 15 minutes, so this many can begin in 15 minutes at least. One that ended, for
    /// example by a sign-in, counts until its end notice is over ([`notice_kept`](Self::notice_kept)).
    ///
    /// Defaults to 1,000,000, which is about 400 MB.
    #[must_use]
    pub fn max_guests(mut self, sessions: usize) -> Self {
        self.max_guests = sessions;
        self
    }

    /// Makes the store.
    #[must_use]
    pub fn build(self) -> MemoryStore {
        let Self {
            clock,
            notice_kept,
            tag_key,
            max_guests,
        } = self;
        MemoryStore(Arc::new(Inner {
            identity: identity::next(),
            horizon: Horizon::of_process(),
            clock,
            notice_kept,
            tag_key,
            max_guests,
            guests: AtomicUsize::new(0),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            turn: AtomicUsize::new(0),
            feed: Feed::new(InProcess),
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
