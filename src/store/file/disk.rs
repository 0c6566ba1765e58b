//! The database in the file.

use std::{
    io, mem,
    path::Path,
    sync::{Arc, Weak},
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, StorageError,
    TableDefinition, WriteTransaction,
};

use super::{
    FileStoreError, FileStoreErrorKind,
    changes::{Changes, Overlay, PARTS, Tables},
    header::{self, Header},
    journal,
    load::{LoadError, Sets, load},
    log::{Current, Group, Log},
    medium::{Medium, OsFile, sync_directory},
    space::Space,
    storage::{START, Storage},
};
use crate::model::Timestamp;

/// The number of the last changes from the journal that are in the tables. A backup has a journal of its own.
const TAKEN: TableDefinition<'_, &str, u64> = TableDefinition::new("taken");
const LATEST: &str = "latest";

/// All sets are in memory, so the database needs to remember little.
const CACHE: usize = 32 * 1024 * 1024;

/// How many of the parts that belong to no session a commit removes.
const STRAY: usize = 256;

/// The open file. After an error of the disk its database is closed until the next commit.
#[derive(Debug)]
pub(super) struct Disk {
    // The same file is opened again after an error, whatever has its name then.
    medium: Box<dyn Medium>,
    opened: Option<Opened>,
    /// One that an error closed. A backup may still read from it.
    closing: Weak<Database>,
    log: Log,
    /// The data of sessions that no set had when the file was opened. The next commits remove them.
    stray: Vec<[u8; 24]>,
    /// The cutoff of all users in the file.
    everyone: Option<Timestamp>,
    /// The data of sessions in the changes that wait in the journal.
    overlay: Overlay,
    /// How much of the file the data of sessions takes.
    parts: u64,
    space: Space,
}

/// The database, and the file below it.
#[derive(Debug)]
struct Opened {
    // It is closed before the file.
    database: Arc<Database>,
    storage: Storage,
}

/// Which parts a commit writes.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Parts {
    /// None: they did not change.
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
    /// Opens the file and hands every session set to `sets`, or makes a file with these times. If it fails, the file did not
    /// change.
    pub(super) fn open(
        path: &Path,
        new: Times,
        sets: &mut impl Sets,
    ) -> Result<(Self, Times), FileStoreError> {
        Self::on(Box::new(OsFile::open(path)?), path, new, sets)
    }

    /// Opens this file.
    pub(super) fn on(
        medium: Box<dyn Medium>,
        path: &Path,
        new: Times,
        sets: &mut impl Sets,
    ) -> Result<(Self, Times), FileStoreError> {
        let io = |source| FileStoreError::new(of_io(&source), path).with_source(source);
        let header = header::read(&*medium).map_err(io)?;
        let header = header.map_err(|kind| FileStoreError::new(kind, path))?;
        if header == Header::Unmade {
            header::begin(&*medium).map_err(io)?;
        } else if medium.len().map_err(io)? <= START {
            // The database in an empty file would be a new one.
            return Err(FileStoreError::new(FileStoreErrorKind::Corrupt, path));
        }
        let storage = medium.again().and_then(Storage::holding).map_err(io)?;
        let database = builder()
            .set_check_integrity_on_open(header != Header::Unmade)
            .create_with_backend(storage.clone())
            .map_err(|source| wrong(path, source))?;
        recover(&database, &storage).map_err(|source| LoadError::from(source).at(path))?;
        let loaded = load(&database, sets).map_err(|error| error.at(path))?;
        let times = loaded.times;
        storage.release().map_err(io)?;
        medium.fill(START);
        let database = Arc::new(database);
        let mut disk = Self {
            medium,
            opened: Some(Opened { database, storage }),
            closing: Weak::new(),
            log: loaded.log,
            stray: loaded.stray,
            everyone: times.everyone,
            overlay: Overlay::default(),
            parts: loaded.parts,
            space: Space::new(),
        };
        if header == Header::Previous {
            header::complete(&*disk.medium).map_err(io)?;
        }
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
        let mut changes = Changes::default();
        changes.times(times);
        self.run(|opened, _| {
            let write = opened.database.begin_write()?;
            Tables::open(&write)?.make(changes.bytes())?;
            write.open_table(TAKEN)?;
            Ok(write.commit()?)
        })?;
        self.log.note(times.last);
        Ok(())
    }

    /// Writes these session sets, all or none. Opens the file again if an error closed it.
    ///
    /// They wait in the journal, if it has a place and nobody wants to read the database. If it has none, one commit of the
    /// database takes all that waits, and cleans the log if it is long.
    ///
    /// The sets of a commit that failed may be in the file or not. Until all of them were written again with [`Parts::All`],
    /// say no to `clean`: it would add the versions that are known here behind later ones. Else say what sets are now.
    pub(super) fn commit(
        &mut self,
        mut group: Group,
        times: Times,
        clean: Option<Current<'_>>,
        may_wait: bool,
    ) -> Result<(), redb::Error> {
        let left = self.stray.len().saturating_sub(STRAY);
        let stray = self.stray.get(left..).unwrap_or_default().to_vec();
        let times = Times {
            everyone: times.everyone.filter(|it| Some(*it) > self.everyone),
            ..times
        };
        let overlay = mem::take(&mut self.overlay);
        let is_low = self.space.is_low();
        let (mut cleaned, mut numbers, mut parts) = (None, Vec::new(), self.parts);
        let changes_of = |group: &mut Group, log: &mut Log| {
            // No value that is removed has a later time.
            let time = log.time().max(times.last);
            group.seal(time).map_err(io::Error::other)?;
            let numbers: Vec<_> = log.next(group.values().len()).collect();
            Ok::<_, io::Error>((Changes::of(group, &numbers, times, &stray)?, numbers))
        };
        self.overlay = self.run(|Opened { database, storage }, log| {
            if may_wait && !is_low {
                let (mut changes, of) = changes_of(&mut group, log)?;
                numbers = of;
                if !group.parts.is_empty() {
                    let table = database.begin_read()?.open_table(PARTS)?;
                    changes.parts(&group.parts, &table, &overlay)?;
                }
                if storage.has_place(changes.bytes().len()) {
                    storage.add(changes.bytes())?;
                    return Ok(overlay.and(changes));
                }
            }
            let write = database.begin_write()?;
            let mut tables = take(&write, storage)?;
            if let Some(current) = clean {
                cleaned = Some(log.clean(&mut tables.log, &mut group, current, is_low)?);
            }
            let (mut changes, of) = changes_of(&mut group, log)?;
            numbers = of;
            changes.parts(&group.parts, &tables.parts, &Overlay::default())?;
            tables.make(changes.bytes())?;
            parts = tables.parts_after(parts);
            drop(tables);
            write.commit()?;
            storage.taken();
            Ok(Overlay::default())
        })?;
        self.parts = parts;
        self.stray.truncate(left);
        self.everyone = self.everyone.max(times.everyone);
        self.log.note(times.last);
        self.log.keep(&group, &numbers);
        if let Some(cleaned) = &cleaned {
            self.log.cleaned(cleaned);
        }
        Ok(())
    }

    /// How much of the file the session sets take.
    fn used(&self) -> u64 {
        self.log.bytes() + self.parts
    }

    /// Looks how much space the disk has. Returns whether there is none for more sessions.
    pub(super) fn look(&mut self) -> bool {
        self.space.note(self.medium.room(), self.used())
    }

    /// Whether to make the file shorter.
    pub(super) fn is_hollow(&self) -> bool {
        self.space.is_hollow()
    }

    /// Gives what is unused of the file back to the disk. The database would rather take more of the disk than use all of it.
    /// Returns whether it did: it does not while a backup reads from the file.
    pub(super) fn compact(&mut self) -> Result<bool, redb::Error> {
        let Some(Opened { database, storage }) = self.opened.take() else {
            return Ok(false);
        };
        let (database, done) = match Arc::try_unwrap(database) {
            Ok(mut database) => {
                self.space.shorten(self.used());
                let done = database.compact();
                (Arc::new(database), done.map(|_| true))
            }
            // A backup reads from it.
            Err(shared) => (shared, Ok(false)),
        };
        self.opened = Some(Opened { database, storage });
        if done.is_err() {
            self.close();
        }
        Ok(done?)
    }

    /// Whether the disk has only what is left for ends.
    pub(super) fn is_low(&self) -> bool {
        self.space.is_low()
    }

    /// Whether the disk is nearly full, and older versions in the log take some of it.
    pub(super) fn has_older(&self) -> bool {
        self.space.is_low() && self.log.has_older()
    }

    #[cfg(test)]
    pub(super) fn parts(&self) -> u64 {
        self.parts
    }

    #[cfg(test)]
    pub(super) fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    fn run<T>(
        &mut self,
        work: impl FnOnce(&Opened, &mut Log) -> Result<T, redb::Error>,
    ) -> Result<T, redb::Error> {
        let opened = match &self.opened {
            Some(opened) => opened,
            None if self.closing.strong_count() > 0 => return Err(redb::Error::PreviousIo),
            None => self.opened.insert(reopen(&*self.medium)?),
        };
        let done = work(opened, &mut self.log);
        if done.is_err() {
            // After one error the database refuses everything.
            self.close();
        }
        done
    }

    /// Closes the database until the next commit.
    pub(super) fn close(&mut self) {
        let opened = self.opened.take();
        if let Some(Opened { database, storage }) = &opened {
            storage.fail();
            self.closing = Arc::downgrade(database);
        }
        self.overlay = Overlay::default();
    }

    /// The database, to read from.
    pub(super) fn database(&self) -> Weak<Database> {
        let opened = self.opened.as_ref();
        let database = opened.map(|opened| Arc::downgrade(&opened.database));
        database.unwrap_or_default()
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE);
    builder
}

fn reopen(medium: &dyn Medium) -> Result<Opened, redb::Error> {
    let storage = Storage::holding(medium.again()?)?;
    let database = builder().create_with_backend(storage.clone())?;
    recover(&database, &storage)?;
    storage.release()?;
    Ok(Opened {
        database: Arc::new(database),
        storage,
    })
}

/// Takes what waits in the journal of a file that was opened. What the database took before does not count.
fn recover(database: &Database, storage: &Storage) -> Result<(), redb::Error> {
    if storage.waiting().is_empty() {
        return Ok(());
    }
    let write = database.begin_write()?;
    {
        let table = write.open_table(TAKEN)?;
        if let Some(taken) = table.get(LATEST)? {
            storage.took(taken.value());
        }
    }
    drop(take(&write, storage)?);
    write.commit()?;
    storage.taken();
    Ok(())
}

/// Makes all changes that wait in the journal.
fn take<'txn>(
    write: &'txn WriteTransaction,
    storage: &Storage,
) -> Result<Tables<'txn>, redb::Error> {
    let mut tables = Tables::open(write)?;
    let waiting = storage.waiting();
    let mut last = None;
    for (number, changes) in journal::changes(&waiting, None) {
        tables.make(changes)?;
        last = Some(number);
    }
    if let Some(last) = last {
        write.open_table(TAKEN)?.insert(LATEST, last)?;
    }
    Ok(tables)
}

fn wrong(path: &Path, source: DatabaseError) -> FileStoreError {
    let kind = match &source {
        DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch => {
            FileStoreErrorKind::InUse
        }
        DatabaseError::Storage(StorageError::Io(error)) => of_io(error),
        DatabaseError::Storage(StorageError::PreviousIo) => FileStoreErrorKind::Unavailable,
        _ => FileStoreErrorKind::Corrupt,
    };
    FileStoreError::new(kind, path).with_source(source)
}

/// What an error of the file means while it is opened. Bytes that are missing are damage.
pub(super) fn of_io(error: &io::Error) -> FileStoreErrorKind {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData => FileStoreErrorKind::Corrupt,
        _ => FileStoreErrorKind::Unavailable,
    }
}
