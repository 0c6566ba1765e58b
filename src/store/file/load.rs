//! Reads all session sets when the file is opened.

use std::{iter::Peekable, path::Path};

use bytes::Bytes;
use redb::{Database, Range, ReadableDatabase, ReadableTable, TableError};

use super::{
    FileStoreError, FileStoreErrorKind,
    disk::{EVERYONE, HEADS, LAST, PARTS, TIMES, Times, of_io},
    log::{LOG, Log, ReadError},
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

impl LoadError {
    pub(super) fn at(self, path: &Path) -> FileStoreError {
        match self {
            Self::Set(source) => {
                let kind = match source.kind() {
                    StoreErrorKind::TooNew => FileStoreErrorKind::Newer,
                    _ => FileStoreErrorKind::Damaged,
                };
                FileStoreError::new(kind, path).with_source(source)
            }
            Self::Database(source) => {
                let kind = match &source {
                    redb::Error::Io(error) => of_io(error),
                    redb::Error::PreviousIo => FileStoreErrorKind::Unavailable,
                    _ => FileStoreErrorKind::Damaged,
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

/// Hands every session set to `take`.
pub(super) fn load(
    database: &Database,
    take: impl FnMut(Tag, SessionSet),
) -> Result<(Times, Log), LoadError> {
    let read = database.begin_read()?;
    let heads = match read.open_table(HEADS) {
        Ok(heads) => heads,
        // A new file.
        Err(TableError::TableDoesNotExist(_)) => return Ok(<_>::default()),
        Err(error) => return Err(error.into()),
    };
    let log = Log::read(&read.open_table(LOG)?);
    let log = log.map_err(|error| match error {
        ReadError::Database(source) => LoadError::from(source),
        ReadError::Torn => LoadError::Set(StoreError::new(StoreErrorKind::Corrupt)),
    })?;
    let parts = read.open_table(PARTS)?;
    let mut sets = Sets {
        parts: parts.iter()?.peekable(),
        take,
    };
    // Both are in the order of tags, and the set of the log is the newer one.
    let mut newer = log.heads().iter().peekable();
    for head in heads.iter()? {
        let (tag, head) = head?;
        let tag = tag.value();
        while let Some((before, head)) = newer.next_if(|(it, _)| *it < tag) {
            sets.read(before, head.as_deref())?;
        }
        match newer.next_if(|(it, _)| *it == tag) {
            Some((_, head)) => sets.read(tag, head.as_deref())?,
            None => sets.read(tag, Some(head.value()))?,
        }
    }
    for (tag, head) in newer {
        sets.read(tag, head.as_deref())?;
    }
    let times = read.open_table(TIMES)?;
    let time = |name| {
        let at = times.get(name)?;
        Ok::<_, redb::Error>(at.map(|at| Timestamp::from_millis(at.value())))
    };
    let times = Times {
        last: time(LAST)?.max(log.time()),
        everyone: time(EVERYONE)?,
    };
    Ok((times, log))
}

/// Reads one set after another, in the order of their tags.
struct Sets<'a, F> {
    parts: Peekable<Range<'a, &'static [u8; 24], &'static [u8]>>,
    take: F,
}

impl<F: FnMut(Tag, SessionSet)> Sets<'_, F> {
    fn read(&mut self, tag: &[u8; 12], head: Option<&[u8]>) -> Result<(), LoadError> {
        let Some(head) = head else {
            return Ok(());
        };
        let mut set = SessionSet::decode(head).map_err(LoadError::Set)?;
        while let Some(part) = self.parts.next_if(|part| match part {
            Ok((key, _)) => key.value()[..12] <= tag[..],
            Err(_) => true,
        }) {
            let (key, part) = part?;
            if let Some((of, id)) = key.value().split_first_chunk::<12>()
                && of == tag
                && let Some(id) = id.first_chunk()
            {
                let bytes = Bytes::copy_from_slice(part.value());
                let added = set.add_part(SessionId::from_bytes(*id), bytes);
                added.map_err(LoadError::Set)?;
            }
        }
        if set.parts().any(|(id, _)| set.lacks_part(id)) {
            return Err(LoadError::Set(StoreError::new(StoreErrorKind::Corrupt)));
        }
        (self.take)(Tag::from_bytes(*tag), set);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use redb::StorageError;

    use super::*;

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
            FileStoreErrorKind::Damaged
        );
        let corrupted = StorageError::Corrupted(String::new());
        assert_eq!(kind(corrupted), FileStoreErrorKind::Damaged);
    }
}
