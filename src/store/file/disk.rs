//! The database in the file.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    sync::{Arc, Weak},
    thread,
    time::Duration,
};

use redb::{
    Builder, Database, DatabaseError, ReadableTable, StorageError, TableDefinition,
    WriteTransaction,
};

use super::{
    FileStoreError, FileStoreErrorKind,
    header::{self, Header},
    load::load,
    log::{Cleaned, Group, LOG, Log, PartsOf},
    medium::{Medium, OsFile},
    storage::{START, Storage},
};
use crate::{
    model::{SessionId, Tag, Timestamp, clock::Monotonic},
    store::session_set::SessionSet,
};

/// The data of sessions, by tag and session id.
pub(super) const PARTS: TableDefinition<'_, &[u8; 24], &[u8]> = TableDefinition::new("parts");

/// The store's time at a commit, in milliseconds, and the cutoff of all users. Values of the [log](LOG) have a later time.
pub(super) const TIMES: TableDefinition<'_, &str, i64> = TableDefinition::new("times");
pub(super) const LAST: &str = "last";
pub(super) const EVERYONE: &str = "everyone";

/// All sets are in memory, so the database needs to remember little.
const CACHE: usize = 32 * 1024 * 1024;

/// How many of the parts that belong to no session a commit removes.
const STRAY: usize = 256;

/// How long a new store waits for the lock of the file.
const LOCK_WAIT: Duration = Duration::from_millis(250);

/// The open file. After an error of the disk its database is closed until the next commit.
#[derive(Debug)]
pub(super) struct Disk {
    // The same file is opened again after an error, whatever has its name then.
    medium: Box<dyn Medium>,
    database: Option<Arc<Database>>,
    /// One that an error closed. A backup may still read from it.
    closing: Weak<Database>,
    log: Log,
    /// The data of sessions that no set had when the file was opened. The next commits remove them.
    stray: Vec<[u8; 24]>,
    /// The cutoff of all users in the file.
    everyone: Option<Timestamp>,
}

/// Which parts a commit writes.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Parts {
    /// None. Only activity is written.
    #[default]
    Same,
    /// Those with another revision than on the disk.
    Changed,
    /// All: it is not known what is on the disk.
    All,
}

/// The moments in the file.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    /// The store's time at the last commit.
    pub(super) last: Option<Timestamp>,
    /// The moment before which the sessions of all users ended.
    pub(super) everyone: Option<Timestamp>,
}

impl Disk {
    /// Opens the file and hands every session set to `take`, or makes a file with these times. If it fails, the file did not
    /// change.
    pub(super) fn open(
        path: &Path,
        new: Times,
        take: impl FnMut(Tag, SessionSet),
    ) -> Result<(Self, Times), FileStoreError> {
        let io = |source| FileStoreError::io(path, source);
        let file = options().open(path).map_err(io)?;
        lock(&file, path)?;
        let medium = OsFile::new(file, path).map_err(io)?;
        Self::on(Box::new(medium), path, new, take)
    }

    /// Opens this file.
    pub(super) fn on(
        medium: Box<dyn Medium>,
        path: &Path,
        new: Times,
        take: impl FnMut(Tag, SessionSet),
    ) -> Result<(Self, Times), FileStoreError> {
        let io = |source| FileStoreError::new(of_io(&source), path).with_source(source);
        let header = header::read(&*medium).map_err(io)?;
        let header = header.map_err(|kind| FileStoreError::new(kind, path))?;
        if header == Header::Unmade {
            header::begin(&*medium).map_err(io)?;
        } else if medium.len().map_err(io)? <= START {
            // The database in an empty file would be a new one.
            return Err(FileStoreError::new(FileStoreErrorKind::Damaged, path));
        }
        let storage = medium.again().and_then(Storage::holding).map_err(io)?;
        let database = builder()
            .set_check_integrity_on_open(header == Header::Made)
            .create_with_backend(storage.clone())
            .map_err(|source| wrong(path, source))?;
        let loaded = load(&database, take).map_err(|error| error.at(path))?;
        let times = loaded.times;
        storage.release().map_err(io)?;
        let database = Some(Arc::new(database));
        let mut disk = Self {
            medium,
            database,
            closing: Weak::new(),
            log: loaded.log,
            stray: loaded.stray,
            everyone: times.everyone,
        };
        if header == Header::Unmade {
            // The tables and the directory are there before the header says so.
            disk.make(new).map_err(|source| {
                FileStoreError::new(FileStoreErrorKind::Unavailable, path).with_source(source)
            })?;
            header::complete(&*disk.medium).map_err(io)?;
            sync_directory(path).map_err(io)?;
        }
        Ok((disk, times))
    }

    /// Makes the tables.
    fn make(&mut self, times: Times) -> Result<(), redb::Error> {
        self.run(|database, _| {
            let write = database.begin_write()?;
            write.open_table(LOG)?;
            write.open_table(PARTS)?;
            write.open_table(TIMES)?;
            write_times(&write, times)?;
            Ok(write.commit()?)
        })?;
        self.log.note(times.last);
        Ok(())
    }

    /// Writes these session sets, all or none, and cleans the log if it is long. Opens the file again if an error closed it.
    ///
    /// The sets of a commit that failed may be in the file or not. Until all of them were written again with [`Parts::All`],
    /// say no to `clean`: it would add the versions that are known here behind later ones.
    pub(super) fn commit(
        &mut self,
        mut group: Group,
        times: Times,
        clean: bool,
    ) -> Result<(), redb::Error> {
        let has_sets = group.len() > 0;
        // The time of a group is in the log.
        let new = Times {
            last: times.last.filter(|_| !has_sets),
            everyone: times.everyone.filter(|it| Some(*it) > self.everyone),
        };
        let (mut cleaned, mut numbers) = (Cleaned::default(), Vec::new());
        let left = self.stray.len().saturating_sub(STRAY);
        let stray: Vec<_> = self.stray.get(left..).unwrap_or_default().to_vec();
        self.run(|database, log| {
            let write = database.begin_write()?;
            if has_sets {
                let mut table = write.open_table(LOG)?;
                if clean {
                    cleaned = log.clean(&mut table, &mut group)?;
                }
                // No value that is removed has a later time.
                let time = log.time().max(times.last);
                group.seal(time).map_err(io::Error::other)?;
                numbers.extend(log.next(group.values().len()));
                for (number, value) in numbers.iter().zip(group.values()) {
                    table.insert(number, value.as_slice())?;
                }
            }
            write_parts(&write, &group.parts)?;
            remove_parts(&write, &stray)?;
            write_times(&write, new)?;
            Ok(write.commit()?)
        })?;
        self.stray.truncate(left);
        self.everyone = self.everyone.max(times.everyone);
        self.log.note(times.last);
        self.log.keep(&group, &numbers);
        self.log.cleaned(&cleaned);
        Ok(())
    }

    #[cfg(test)]
    pub(super) fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    fn run(
        &mut self,
        work: impl FnOnce(&Database, &mut Log) -> Result<(), redb::Error>,
    ) -> Result<(), redb::Error> {
        let database = match &self.database {
            Some(database) => database,
            None if self.closing.strong_count() > 0 => return Err(redb::Error::PreviousIo),
            None => self.database.insert(Arc::new(reopen(&*self.medium)?)),
        };
        let done = work(database, &mut self.log);
        if done.is_err() {
            // After one error the database refuses everything.
            self.close();
        }
        done
    }

    /// Closes the database until the next commit.
    pub(super) fn close(&mut self) {
        let closing = self.database.take();
        self.closing = closing.as_ref().map(Arc::downgrade).unwrap_or_default();
    }

    /// The database, to read from.
    pub(super) fn database(&self) -> Weak<Database> {
        let database = self.database.as_ref();
        database.map(Arc::downgrade).unwrap_or_default()
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    private(&mut options);
    options
}

/// Only the user of this process may read a new file: addresses and user ids are in it.
#[cfg(unix)]
fn private(options: &mut OpenOptions) {
    use std::os::unix::fs::OpenOptionsExt;
    options.mode(0o600);
}

#[cfg(not(unix))]
fn private(_: &mut OpenOptions) {}

#[expect(clippy::incompatible_msrv, reason = "the feature needs Rust 1.90")]
fn lock(file: &File, path: &Path) -> Result<(), FileStoreError> {
    let began = Monotonic::now();
    while matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
        // A process that the previous one was starting as it ended has the lock until its program runs.
        if began.elapsed() >= LOCK_WAIT {
            return Err(FileStoreError::new(FileStoreErrorKind::InUse, path));
        }
        thread::sleep(LOCK_WAIT / 50);
    }
    // Locked, or on a file system without locks: the database warns about it.
    Ok(())
}

fn reopen(medium: &dyn Medium) -> Result<Database, redb::Error> {
    let storage = Storage::holding(medium.again()?)?;
    let database = builder().create_with_backend(storage.clone())?;
    storage.release()?;
    Ok(database)
}

/// A new name is in the directory only after the directory is written.
#[cfg(unix)]
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    File::open(parent.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
pub(super) fn sync_directory(_: &Path) -> io::Result<()> {
    Ok(())
}

fn wrong(path: &Path, source: DatabaseError) -> FileStoreError {
    let kind = match &source {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            FileStoreErrorKind::InUse
        }
        DatabaseError::Storage(StorageError::Io(error)) => of_io(error),
        DatabaseError::Storage(StorageError::PreviousIo) => FileStoreErrorKind::Unavailable,
        _ => FileStoreErrorKind::Damaged,
    };
    FileStoreError::new(kind, path).with_source(source)
}

/// What an error of the file means while it is opened. Bytes that are missing are damage.
pub(super) fn of_io(error: &io::Error) -> FileStoreErrorKind {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => FileStoreErrorKind::Damaged,
        _ => FileStoreErrorKind::Unavailable,
    }
}

/// Writes those moments that are later than the ones in the file.
fn write_times(write: &WriteTransaction, times: Times) -> Result<(), redb::Error> {
    for (name, time) in [(LAST, times.last), (EVERYONE, times.everyone)] {
        let Some(time) = time.map(Timestamp::as_millis) else {
            continue;
        };
        let mut table = write.open_table(TIMES)?;
        let before = table.get(name)?.map(|at| at.value());
        if before.is_none_or(|before| before < time) {
            table.insert(name, time)?;
        }
    }
    Ok(())
}

/// Writes the data of sessions to their table.
fn write_parts(write: &WriteTransaction, of: &[PartsOf]) -> Result<(), redb::Error> {
    if of.is_empty() {
        return Ok(());
    }
    let mut parts = write.open_table(PARTS)?;
    for PartsOf { tag, set, all } in of {
        let known = stored(&parts, *tag)?;
        let has = |id: SessionId| set.as_ref().is_some_and(|set| set.has_part(id));
        for (id, _) in known.iter().filter(|(id, _)| !has(*id)) {
            parts.remove(&key(*tag, *id))?;
        }
        for (id, revision) in set.iter().flat_map(SessionSet::parts) {
            if !all && known.contains(&(id, Some(revision))) {
                continue;
            }
            if let Some(bytes) = set.as_ref().and_then(|set| set.encode_part(id)) {
                parts.insert(&key(*tag, id), bytes.as_ref())?;
            }
        }
    }
    Ok(())
}

/// Removes data of sessions. Their ids were random, so no session has them again.
fn remove_parts(write: &WriteTransaction, keys: &[[u8; 24]]) -> Result<(), redb::Error> {
    if keys.is_empty() {
        return Ok(());
    }
    let mut parts = write.open_table(PARTS)?;
    for key in keys {
        parts.remove(key)?;
    }
    Ok(())
}

/// The parts of a set that are on the disk, and the revision of each.
fn stored(
    parts: &impl ReadableTable<&'static [u8; 24], &'static [u8]>,
    tag: Tag,
) -> Result<Vec<(SessionId, Option<u64>)>, redb::Error> {
    let first = key(tag, SessionId::from_bytes([0; 12]));
    let last = key(tag, SessionId::from_bytes([255; 12]));
    let mut known = Vec::new();
    for part in parts.range::<&[u8; 24]>(&first..=&last)? {
        let (key, part) = part?;
        let revision = part.value().get(1..).and_then(|rest| rest.first_chunk());
        if let Some(id) = key.value().last_chunk() {
            let revision = revision.map(|revision| u64::from_be_bytes(*revision));
            known.push((SessionId::from_bytes(*id), revision));
        }
    }
    Ok(known)
}

fn key(tag: Tag, id: SessionId) -> [u8; 24] {
    let mut key = [0; 24];
    let (of, session) = key.split_at_mut(12);
    of.copy_from_slice(tag.as_bytes());
    session.copy_from_slice(id.as_bytes());
    key
}
