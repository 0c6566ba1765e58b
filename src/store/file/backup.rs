//! Copies the file while it is in use.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use redb::{
    Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, TableDefinition, Value,
};
use tokio::sync::oneshot::Receiver;

use super::{
    FileStoreError, FileStoreErrorKind,
    changes::{PARTS, TIMES},
    disk::{Disk, Times},
    log::LOG,
    medium::sync_directory,
    queue::Landing,
};
use crate::store::{StoreError, nonce};

/// How many bytes of the copy are written in one commit.
const AT_ONCE: usize = 8 * 1024 * 1024;

/// Waits until the database has what waits in the journal.
pub(super) fn settled(done: Receiver<Landing>, to: &Path) -> Result<(), FileStoreError> {
    let failed = FileStoreError::new(FileStoreErrorKind::Unavailable, to);
    match done.blocking_recv() {
        Ok(Landing::Done(Err(failure))) => Err(failed.with_source(StoreError::from(failure))),
        Ok(_) => Ok(()),
        Err(closed) => Err(failed.with_source(closed)),
    }
}

/// Copies what is in the database at this moment to a new file.
pub(super) fn copy(database: &Database, to: &Path) -> Result<(), FileStoreError> {
    let io = |source| FileStoreError::io(to, source);
    if to.try_exists().map_err(io)? {
        return Err(io(io::ErrorKind::AlreadyExists.into()));
    }
    // Under its name there is the whole copy or nothing.
    let part = part(to);
    let copied = fill(database, &part)
        .and_then(|()| publish(&part, to).map_err(io))
        .and_then(|()| sync_directory(to).map_err(io));
    if copied.is_err() {
        let _ = remove(&part);
    }
    copied
}

/// The file that becomes the copy. No other backup to the same name has it, in this process or another.
fn part(to: &Path) -> PathBuf {
    let mut part = to.as_os_str().to_owned();
    part.push(format!(".{:016x}.part", u64::from_be_bytes(nonce())));
    part.into()
}

/// Gives the copy its name, if no other file has it meanwhile.
fn publish(part: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(part, to) {
        Ok(()) => remove(part),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        // A file system without links.
        Err(_) if !to.try_exists()? => fs::rename(part, to),
        Err(_) => Err(io::ErrorKind::AlreadyExists.into()),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn fill(database: &Database, path: &Path) -> Result<(), FileStoreError> {
    let (disk, _) = Disk::open(path, Times::default(), &mut ())?;
    let tables = || {
        let read = database.begin_read()?;
        let target = disk
            .database()
            .upgrade()
            .ok_or(redb::Error::DatabaseClosed)?;
        table(&read, &target, LOG)?;
        table(&read, &target, PARTS)?;
        table(&read, &target, TIMES)
    };
    tables().map_err(|source: redb::Error| FileStoreError::io(path, io::Error::other(source)))
}

fn table<K: Key + 'static, V: Value + 'static>(
    read: &ReadTransaction,
    to: &Database,
    definition: TableDefinition<'static, K, V>,
) -> Result<(), redb::Error> {
    let from = read.open_table(definition)?;
    let mut rows = from.iter()?.peekable();
    while rows.peek().is_some() {
        let write = to.begin_write()?;
        let mut table = write.open_table(definition)?;
        let mut bytes = 0;
        for row in rows.by_ref() {
            let (key, value) = row?;
            bytes += V::as_bytes(&value.value()).as_ref().len();
            table.insert(key.value(), value.value())?;
            if bytes >= AT_ONCE {
                break;
            }
        }
        drop(table);
        write.commit()?;
    }
    Ok(())
}
