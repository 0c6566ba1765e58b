//! Reads all session sets when the file is opened.

use std::{mem, path::Path};

use bytes::Bytes;
use redb::{Database, ReadableDatabase, ReadableTable, TableError};

use super::{
    FileStoreError, FileStoreErrorKind,
    changes::{EVERYONE, LAST, PARTS, TIMES, part_room},
    disk::{Times, of_io},
    log::{Activity, Entry, LOG, Log, Torn, What},
};
use crate::{
    model::{SessionId, Tag, Timestamp},
    store::{StoreError, StoreErrorKind, session_set::SessionSet},
};

/// What can be wrong with the content of a file.
pub(super) enum LoadError {
    Database(redb::Error),
    Set(StoreError),
}

impl From<Torn> for LoadError {
    fn from(_: Torn) -> Self {
        Self::Set(StoreError::new(StoreErrorKind::Corrupt))
    }
}

impl LoadError {
    pub(super) fn at(self, path: &Path) -> FileStoreError {
        match self {
            Self::Set(source) => {
                let kind = match source.kind() {
                    StoreErrorKind::TooNew => FileStoreErrorKind::TooNew,
                    _ => FileStoreErrorKind::Corrupt,
                };
                FileStoreError::new(kind, path).with_source(source)
            }
            Self::Database(source) => {
                let kind = match &source {
                    redb::Error::Io(error) => of_io(error),
                    redb::Error::PreviousIo => FileStoreErrorKind::Unavailable,
                    _ => FileStoreErrorKind::Corrupt,
                };
                FileStoreError::new(kind, path).with_source(source)
            }
        }
    }
}

impl<E: Into<redb::Error>> From<E> for LoadError {
    fn from(source: E) -> Self {
        Self::Database(source.into())
    }
}

/// Gets the session sets of a file.
pub(super) trait Sets {
    fn add(&mut self, tag: Tag, set: SessionSet);

    /// Sessions of this set, which was added before, were active. Without such a set it was of sessions that are gone.
    fn saw(&mut self, tag: Tag, activity: &[Activity]);
}

/// Nobody wants them.
impl Sets for () {
    fn add(&mut self, _: Tag, _: SessionSet) {}

    fn saw(&mut self, _: Tag, _: &[Activity]) {}
}

/// What is in a file beside session sets.
#[derive(Default)]
pub(super) struct Loaded {
    pub(super) times: Times,
    pub(super) log: Log,
    /// The data of sessions that no set has any more.
    pub(super) stray: Vec<[u8; 24]>,
    /// How much of the file the data of sessions takes.
    pub(super) parts: u64,
}

/// Hands every session set to `to`.
pub(super) fn load(database: &Database, to: &mut impl Sets) -> Result<Loaded, LoadError> {
    let read = database.begin_read()?;
    let table = match read.open_table(LOG) {
        Ok(table) => table,
        // A new file.
        Err(TableError::TableDoesNotExist(_)) => return Ok(<_>::default()),
        Err(error) => return Err(error.into()),
    };
    let mut log = Log::default();
    let mut found = Found {
        to,
        waiting: Vec::new(),
        activity: Vec::new(),
    };
    // The latest version of a set is the first that is seen.
    for value in table.iter()?.rev() {
        let (number, value) = value?;
        log.found(number.value(), value.value(), |entry| found.read(&entry))?;
    }
    let (stray, parts) = found.complete(&read.open_table(PARTS)?)?;
    found.see();
    let times = read.open_table(TIMES)?;
    let time = |name| {
        let at = times.get(name)?;
        Ok::<_, redb::Error>(at.map(|at| Timestamp::from_millis(at.value())))
    };
    log.note(time(LAST)?);
    let times = Times {
        last: log.time(),
        everyone: time(EVERYONE)?,
    };
    Ok(Loaded {
        times,
        log,
        stray,
        parts,
    })
}

struct Found<'a, S> {
    to: &'a mut S,
    /// Sets whose sessions have data.
    waiting: Vec<(Tag, SessionSet)>,
    /// All that is in the log. The latest version of a set has what is older, so that changes nothing.
    activity: Vec<Activity>,
}

impl<S: Sets> Found<'_, S> {
    fn read(&mut self, entry: &Entry<'_>) -> Result<(), LoadError> {
        let tag = Tag::from_bytes(entry.tag);
        let head = match entry.what {
            What::Head(head) => head,
            What::Gone => return Ok(()),
            What::Seen(id, at) => {
                self.activity.push(Activity { tag, id, at });
                return Ok(());
            }
        };
        let set = SessionSet::decode(head).map_err(LoadError::Set)?;
        if set.parts().next().is_some() {
            self.waiting.push((tag, set));
        } else {
            self.to.add(tag, set);
        }
        Ok(())
    }

    /// Adds the data of sessions. They are in the order of tags too. Returns the keys of those that belong to none, and how
    /// much of the file all take.
    fn complete(
        &mut self,
        parts: &impl ReadableTable<&'static [u8; 24], &'static [u8]>,
    ) -> Result<(Vec<[u8; 24]>, u64), LoadError> {
        self.waiting
            .sort_unstable_by_key(|(tag, _)| *tag.as_bytes());
        let (mut stray, mut room) = (Vec::new(), 0);
        let mut parts = parts.iter()?.peekable();
        for (tag, mut set) in mem::take(&mut self.waiting) {
            while let Some(part) = parts.next_if(|part| match part {
                Ok((key, _)) => key.value()[..12] <= tag.as_bytes()[..],
                Err(_) => true,
            }) {
                let (key, part) = part?;
                room += part_room(part.value());
                if let Some((of, id)) = key.value().split_first_chunk::<12>()
                    && let Some(id) = id.first_chunk()
                    && let id = SessionId::from_bytes(*id)
                    && of == tag.as_bytes()
                    && set.has_part(id)
                {
                    let added = set.add_part(id, Bytes::copy_from_slice(part.value()));
                    added.map_err(LoadError::Set)?;
                } else {
                    stray.push(*key.value());
                }
            }
            if set.parts().any(|(id, _)| set.lacks_part(id)) {
                return Err(LoadError::Set(StoreError::new(StoreErrorKind::Corrupt)));
            }
            self.to.add(tag, set);
        }
        for part in parts {
            let (key, part) = part?;
            room += part_room(part.value());
            stray.push(*key.value());
        }
        Ok((stray, room))
    }

    /// Adds the activity. A long log has millions of it: in order, each set is looked for once, and that waits for memory.
    fn see(mut self) {
        self.activity.sort_unstable_by_key(|it| *it.tag.as_bytes());
        for activity in self.activity.chunk_by(|one, next| one.tag == next.tag) {
            if let Some(first) = activity.first() {
                self.to.saw(first.tag, activity);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, io};

    use redb::StorageError;

    use super::*;
    use crate::store::file::log::latest;

    impl Sets for BTreeMap<[u8; 12], SessionSet> {
        fn add(&mut self, tag: Tag, set: SessionSet) {
            let twice = self.insert(*tag.as_bytes(), set);
            assert!(twice.is_none());
        }

        fn saw(&mut self, tag: Tag, activity: &[Activity]) {
            if let Some(set) = self.get_mut(tag.as_bytes()) {
                set.saw(|id| latest(activity, id));
            }
        }
    }

    #[test]
    fn an_error_of_the_disk_while_the_file_is_read_is_not_called_damage() {
        let kind = |source: StorageError| LoadError::from(source).at(Path::new("x")).kind();
        let io = |error: io::Error| kind(StorageError::Io(error));

        assert_eq!(
            io(io::Error::from_raw_os_error(5)),
            FileStoreErrorKind::Unavailable
        );
        assert_eq!(
            kind(StorageError::PreviousIo),
            FileStoreErrorKind::Unavailable
        );
        assert_eq!(
            io(io::ErrorKind::UnexpectedEof.into()),
            FileStoreErrorKind::Corrupt
        );
        let corrupted = StorageError::Corrupted(String::new());
        assert_eq!(kind(corrupted), FileStoreErrorKind::Corrupt);
    }
}
