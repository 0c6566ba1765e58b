//! The settings of a store in a file.

use std::{
    fmt,
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};

use super::{
    FileStore, FileStoreError, Inner,
    clock::FileClock,
    disk::{Disk, Times},
    front::{Front, Shards},
    writer::Writer,
};
use crate::{
    model::{Clock, Lifetime, TagKey},
    store::{EndEveryone, NOTICE_KEPT, identity},
};

/// The most guest sessions by default.
const GUESTS_MAX: usize = 1_000_000;

/// The settings of a [`FileStore`].
#[derive(Clone)]
pub struct FileStoreBuilder {
    clock: Clock,
    notice_kept: Duration,
    tag_key: Option<TagKey>,
    max_guests: usize,
}

impl FileStoreBuilder {
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
    /// When the file is opened, the store's time is not behind its last write. Defaults to the system's clock.
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
    /// Keep the key: [another one](TagKey) signs all users out. Defaults to no key.
    #[must_use]
    pub fn tag_key(mut self, key: TagKey) -> Self {
        self.tag_key = Some(key);
        self
    }

    /// The most guest sessions at one time.
    ///
    /// A request that would begin one more gets the error [`StoreErrorKind::Full`](super::super::StoreErrorKind::Full),
    /// which the layer answers with 503. Guest sessions that exist go on, and users can sign in. One that ended, for
    /// example by a sign-in, counts until its end notice is over ([`notice_kept`](Self::notice_kept)).
    ///
    /// Defaults to 1,000,000, which is about 400 MB of memory.
    #[must_use]
    pub fn max_guests(mut self, sessions: usize) -> Self {
        self.max_guests = sessions;
        self
    }

    /// Opens the file, or makes it, and reads all sessions.
    ///
    /// It waits for the disk: a million users take a few seconds. Call it before you serve requests.
    ///
    /// # Errors
    ///
    /// See [`FileStoreErrorKind`](super::FileStoreErrorKind). A file that is refused does not change.
    pub fn open(self, path: impl AsRef<Path>) -> Result<FileStore, FileStoreError> {
        let path = path.as_ref();
        self.on(path, |new, sets| Disk::open(path, new, sets))
    }

    /// `open` opens the file with this path.
    pub(super) fn on(
        self,
        path: &Path,
        open: impl FnOnce(Times, &mut &Shards) -> Result<(Disk, Times), FileStoreError>,
    ) -> Result<FileStore, FileStoreError> {
        let now = self.clock.now();
        let shards = Shards::new();
        let new = Times {
            last: Some(now),
            everyone: None,
        };
        let (disk, times) = open(new, &mut &shards)?;
        let Self {
            clock,
            notice_kept,
            tag_key,
            max_guests,
        } = self;
        let clock = FileClock::after(clock, times.last);
        let kept = |moment| EndEveryone::kept(moment, clock.now());
        let everyone = times.everyone.map(kept);
        let front = Front::new(shards, clock, notice_kept, max_guests, everyone);
        let front = Arc::new(front);
        let shown = Arc::new(Mutex::default());
        let thread = Writer::start(Arc::clone(&front), disk, Arc::clone(&shown));
        let thread = thread.map_err(|source| FileStoreError::io(path, source))?;
        Ok(FileStore(Arc::new(Inner {
            identity: identity::next(),
            front,
            tag_key,
            path: path.to_owned(),
            shown,
            thread: Some(thread),
        })))
    }
}

/// Does not print the key.
impl fmt::Debug for FileStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStoreBuilder")
            .field("clock", &self.clock)
            .field("notice_kept", &self.notice_kept)
            .finish_non_exhaustive()
    }
}
