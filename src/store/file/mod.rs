//! The store in a file: one process, and its sessions are still there after a restart.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError},
    thread::{self, JoinHandle},
};

use redb::Database;
use tokio::sync::oneshot;

mod backup;
mod builder;
mod changes;
mod clock;
mod disk;
mod entry;
mod error;
mod front;
#[cfg(test)]
mod full;
mod header;
mod journal;
mod load;
mod log;
mod medium;
#[cfg(test)]
mod power;
mod queue;
mod request;
mod scan;
mod shard;
mod space;
mod storage;
mod writer;

pub use self::{
    builder::FileStoreBuilder,
    error::{FileStoreError, FileStoreErrorKind},
};
use self::{entry::Step, front::Front, queue::landed, writer::Shown};
use super::{
    Create, Created, End, EndEveryone, Ended, Feed, Forget, Horizon, List, Look, Looked,
    NoteClient, Presence, Resolve, Resolved, Rotate, Rotated, Save, Saved, Scan, Scanned,
    SessionStore, StoreError, StoreErrorKind, Ticketed, Touch, Which, meter::file as meter,
};
use crate::model::{EndReason, Record, SessionId, Tag, TagKey, Timestamp};

/// Keeps sessions in a file, for one process. They are still there after it restarts.
///
/// Use it for one server without a database. A request costs what it costs in
/// [`MemoryStore`](crate::MemoryStore), because all sessions are in memory too, with the app's data. Several processes need
/// `RedisStore` or `PostgresStore`: a second process that opens the file gets an error.
///
/// ```
/// use tower_user_sessions::{FileStore, SessionLayer};
///
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("sessions.db");
/// let layer = SessionLayer::new(FileStore::open(path)?);
/// # let _ = layer;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// # What is on the disk when
///
/// A sign-in, a sign-out, a rotation and changed data are on the disk before the response is sent. After a crash or a loss
/// of power they are all there, and nothing is half there, if the disk keeps what it says that it wrote. A thread of the
/// store writes; operations that wait at the same moment share a write. While several write at once, a write waits for more
/// of them: as long as the last write took, and one millisecond at most. An operation alone waits only for its own write.
/// [`resolve`](SessionStore::resolve) waits for nothing: the activity of a request, and that it was the first with
/// a new token, are written within a second. A crash can undo that second, so a session may look unused again, or a
/// previous token may work until the next request sends the new one.
///
/// If the disk fails or is full, requests go on. Sign-ins and other changes get [`Full`](StoreErrorKind::Full) if the disk
/// is full, and else mostly [`Unavailable`](StoreErrorKind::Unavailable). The layer answers with 503. They change nothing:
/// no session is evicted by them. Sessions that were ended stay ended while the process runs; the answer is an error, and
/// the store writes the end as soon as the disk works. If the process stops before that, they are
/// [live again](#restarts). Once the disk works, everything works again; the app needs no restart.
///
/// # A disk that fills up
///
/// To end a session takes space too, before it frees some. So on Linux 32 MB of the disk are left for ends and activity, and
/// less beside a small file. While no more is free, sign-ins and data that grow get [`Full`](StoreErrorKind::Full) as soon as
/// they make the file larger. What ends or expires becomes free in the file, and then users can sign in again, also if nobody
/// frees space of the disk. A part of what a session took is free only when its
/// [notice](FileStoreBuilder::notice_kept) is over.
///
/// If others fill the disk to its last block, or a quota ends before the disk does, nothing can be written, and signing out
/// frees nothing: free some megabytes. The same holds on other systems than Linux. There, keep a file of 64 MB that you can
/// delete then. A file of sessions that is nearly new may need space to be opened after a crash.
///
/// # Where to put the file
///
/// - On a local disk. The file system of `/tmp` and `/run` is often in memory (tmpfs) and empty after a reboot.
/// - Not on NFS or another network file system: its locks and its writes do not hold what this store needs.
/// - In a directory that the process may write. On Unix a new file is readable only for its user (mode 600). On Windows it
///   has the permissions of its folder. The tests run on Linux.
/// - Where only your app can read it: it has the ids of users, their addresses and the app's data. It has no token, only
///   hashes of tokens.
/// - Copy it with [`backup`](Self::backup). A copy made by other means while the process runs may be damaged.
///
/// A session takes about 400 bytes of the file, and the app's data. Older versions of what changed, and activity, take up to half as
/// much, and 32 MB. The file grows in large steps: while the process runs, half of it may be unused. Each file has a journal of
/// 8 MB, and so has each backup. When sessions end, the file may keep its size: their space is used for new ones.
///
/// # Restarts
///
/// Nothing has to be called before the process ends: a process that is killed loses at most the last second of activity.
/// Stop the old process before you start the new one. A deployment that runs both for a moment gets
/// [`InUse`](FileStoreErrorKind::InUse) in the new one: let it wait and try again.
///
/// Clones share the file. It is closed when the last clone is dropped, also those in layers. That waits for the last
/// write, for as long as the disk takes. After an error it is not tried again. Then the last second of
/// activity is missing. Ends that were answered with an error, because [the disk failed](#what-is-on-the-disk-when), are
/// missing too: those sessions are live again.
///
/// # Upgrades
///
/// A newer version of this crate reads the file of the version before, and may write it in a newer form. An older version
/// refuses such a file with the kind [`TooNew`](FileStoreErrorKind::TooNew), so make a [`backup`](Self::backup) before the update.
/// A file that is too old for this version is [`TooOld`](FileStoreErrorKind::TooOld). Nothing of a refused file changes.
///
/// # Time
///
/// The store's time is never behind its last write to the file. So a clock that was set back makes no session live longer
/// than the difference. After a clock that was ahead, the store's time is ahead too, also in lists and events. It runs an
/// eighth slower until the clock has caught up, and there is one warning at the start if it is more than a minute.
///
/// If the clock is more than a day ahead of the last write, it may be wrong. There
/// is one warning, and for ten minutes sessions are deleted only of users who sign in or end sessions. If all sessions were ended
/// then and the clock is set back, [all end again](crate::Everyone#clocks-that-are-wrong) when the file is opened.
///
/// The feature `file` needs Rust 1.90.
#[derive(Clone)]
pub struct FileStore(Arc<Inner>);

struct Inner {
    identity: u64,
    front: Arc<Front>,
    tag_key: Option<TagKey>,
    path: PathBuf,
    shown: Shown,
    thread: Option<JoinHandle<()>>,
}

impl FileStore {
    /// Opens the file, or makes it, and reads all sessions.
    ///
    /// It waits for the disk: a million users take a few seconds. It blocks the thread and needs no runtime. Call it before you
    /// serve requests, or in `spawn_blocking`.
    ///
    /// # Errors
    ///
    /// See [`FileStoreErrorKind`]. A file that is refused does not change.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileStoreError> {
        Self::builder().open(path)
    }

    /// Settings other than the default.
    #[must_use]
    pub fn builder() -> FileStoreBuilder {
        FileStoreBuilder::new()
    }

    /// How many session sets there are, one for each user and guest session.
    ///
    /// It counts expired ones that are not removed yet.
    #[must_use]
    pub fn sets(&self) -> usize {
        self.0.front.sets()
    }

    /// Copies the sessions of this moment to a new file, while requests go on.
    ///
    /// A thread of its own copies. Sessions that end after the backup are live in it. So to restore one: stop the app, put the
    /// copy in the place of the file, [open](Self::open) it, call [`Everyone::end_all`](crate::Everyone::end_all), then serve
    /// requests. Do not use `end_before` here unless its moment is in the [store's time](Self#time).
    /// Users who were disabled since the backup can sign in again, so call
    /// [`disable_for`](crate::UserSessions::disable_for) for them again.
    ///
    /// Give each backup a name of its own, such as its date, and delete old ones. The target has its name only when the copy
    /// is whole. A process that dies meanwhile leaves a file that ends with `.part`; delete it.
    ///
    /// # Errors
    ///
    /// If the target exists or cannot be written, or if this store's own file cannot be read or written. Of two backups to
    /// one name at once, one gets an error. The kind is [`Unavailable`](FileStoreErrorKind::Unavailable).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the copy is made all the same.
    pub async fn backup(&self, to: impl AsRef<Path>) -> Result<(), FileStoreError> {
        let closed = || {
            let source = "the database is closed until the next write: the last one failed, or the file is being made shorter";
            FileStoreError::new(FileStoreErrorKind::Unavailable, &self.0.path).with_source(source)
        };
        let database = self.0.database().ok_or_else(closed)?;
        // It is opened again only without this handle, so it is this database that has everything then.
        let settled = self.0.front.queue.settle();
        let to = to.as_ref().to_owned();
        let path = to.clone();
        let (done, copied) = oneshot::channel();
        let thread = thread::Builder::new().name("session backup".to_owned());
        let copy = move || {
            let copied = backup::settled(settled, &to).and_then(|()| backup::copy(&database, &to));
            drop(done.send(copied));
        };
        thread
            .spawn(copy)
            .map_err(|source| FileStoreError::io(&path, source))?;
        let copied = copied.await.unwrap_or_else(|closed| {
            Err(FileStoreError::new(FileStoreErrorKind::Unavailable, &path).with_source(closed))
        });
        meter::copied(copied.is_ok());
        copied
    }
}

impl Inner {
    fn database(&self) -> Option<Arc<Database>> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.upgrade()
    }
}

impl Drop for Inner {
    /// Waits until everything is on the disk, so that the file can be opened again.
    fn drop(&mut self) {
        self.front.queue.stop();
        if let Some(thread) = self.thread.take()
            && thread.thread().id() != thread::current().id()
        {
            // It has ended by a panic: there is nothing to wait for.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStore")
            .field("path", &self.0.path)
            .finish_non_exhaustive()
    }
}

impl SessionStore for FileStore {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        Ok(self.0.front.resolve(resolve))
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        let front = &self.0.front;
        let (kept, guest) = (front.notice_kept, create.user.is_none());
        if guest && front.is_full(create.tag) {
            return Err(StoreError::new(StoreErrorKind::Full));
        }
        front.has_space().await?;
        let created = front.change(create.tag, Some(guest), |set, agents, now| {
            set.create_sharing(create, now, kept, |client| agents.share(client))
        });
        // The copy with the session is gone, so there is nothing to end: not even a mark, of which a full disk would gather many.
        let created = created.await.map_err(StoreError::known_not_run)?;
        Ok(created.unwrap_or(Created::Ended))
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        let terms = self.0.front.read(tag, |set, now| set.ticket(ticket, now));
        Ok(terms.flatten())
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        let front = &self.0.front;
        if front.queue.is_full() && front.grows(save) {
            front.has_space().await?;
        }
        let saved = front.change(save.tag, None, |set, _, now| set.save(save, now));
        Ok(saved.await?.unwrap_or(Saved::Ended))
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        let kept = self.0.front.notice_kept;
        let rotated = self.0.front.change(rotate.tag, None, |set, _, now| {
            set.rotate(rotate, now, kept)
        });
        Ok(rotated.await?.unwrap_or(Rotated::Ended))
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        Ok(self.0.front.list(list))
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        // A user without a session gets a cutoff too. An undelivered id is remembered before its `create`.
        let make = end.caller.is_none()
            && (!matches!(end.which, Which::One(_)) || end.reason == EndReason::Undelivered);
        match self.0.front.end_now(end, make) {
            Some(Step::Same(ended)) => Ok(ended),
            Some(Step::Changed(ended, done, _)) => {
                // It took effect before it was written, so it never runs again.
                landed(done).await?;
                Ok(ended)
            }
            None if end.caller.is_some() => Ok(Ended::CallerEnded),
            None => Ok(Ended::Unknown),
        }
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        let front = &self.0.front;
        let forgot = front.change(forget.tag, None, |set, _, now| set.forget(forget, now));
        forgot.await?;
        Ok(())
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        let front = &self.0.front;
        let noted = front.change(note.tag, None, |set, agents, now| {
            set.note_client_sharing(note, now, |client| agents.share(client))
        });
        Ok(noted.await? == Some(true))
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        let front = &self.0.front;
        let seen = front.read(look.tag, |set, now| Looked::new(set.look(look, now), now));
        Ok(seen.unwrap_or_else(|| {
            let unknown = vec![Presence::Unknown; look.ids.len()];
            Looked::new(unknown, front.clock.now())
        }))
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.0.front.touch(touch);
        Ok(())
    }

    fn horizon(&self) -> Option<&Horizon> {
        Some(&self.0.front.horizon)
    }

    async fn everyone(&self, knows: Option<Timestamp>) -> Result<Option<Timestamp>, StoreError> {
        let now = self.0.front.clock.now();
        Ok(self.0.front.horizon.kept(knows, now))
    }

    async fn end_everyone(&self, end: EndEveryone) -> Result<Timestamp, StoreError> {
        self.0.front.end_everyone(end).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        self.0.front.scan(scan)
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        Ok(u64::try_from(self.sets()).unwrap_or(u64::MAX))
    }

    fn feed(&self) -> Option<Feed> {
        Some(self.0.front.feed.clone())
    }

    fn tag_key(&self) -> Option<&TagKey> {
        self.0.tag_key.as_ref()
    }

    fn identity(&self) -> Option<u64> {
        Some(self.0.identity)
    }

    fn resolve_now(&self, resolve: &Resolve) -> Option<Result<Resolved, StoreError>> {
        Some(Ok(self.0.front.resolve(resolve)))
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        let end = End::new(tag, Which::One(id), EndReason::Undelivered);
        // The thread writes it. Nobody waits.
        drop(self.0.front.end_now(&end, true));
    }
}
