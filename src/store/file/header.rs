//! The first bytes of the file: what it is, and of which version.

use std::io;

use super::{
    FileStoreErrorKind,
    medium::Medium,
    storage::{HEADER, START},
};

/// What the file begins with.
const MAGIC: &[u8; 20] = b"tower-user-sessions\0";

/// The version of the file: which tables the database has, and what is in them.
const VERSION: u32 = 5;

/// The version before. Its log has no activity apart from sets.
const PREVIOUS: u32 = 4;

/// How many bytes of the header have a meaning: magic, version as `u32`, and whether the database was made.
const USED: usize = 25;

/// What the header says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Header {
    /// The file is empty, or its making was interrupted.
    Unmade,
    /// It is of the version before, which may be read as this one.
    Previous,
    Made,
}

/// Reads the header. It does not change the file.
pub(super) fn read(medium: &dyn Medium) -> io::Result<Result<Header, FileStoreErrorKind>> {
    let mut bytes = [0; USED];
    let len = usize::try_from(medium.len()?).unwrap_or(USED).min(USED);
    let (bytes, _) = bytes.split_at_mut(len);
    medium.read(0, bytes)?;
    Ok(of(bytes))
}

fn of(bytes: &[u8]) -> Result<Header, FileStoreErrorKind> {
    if bytes.is_empty() {
        return Ok(Header::Unmade);
    }
    let Some((magic, rest)) = bytes.split_first_chunk::<20>() else {
        return Err(match MAGIC.starts_with(bytes) {
            true => FileStoreErrorKind::Corrupt,
            false => FileStoreErrorKind::Foreign,
        });
    };
    if magic != MAGIC {
        return Err(FileStoreErrorKind::Foreign);
    }
    let Some((version, rest)) = rest.split_first_chunk() else {
        return Err(FileStoreErrorKind::Corrupt);
    };
    match (u32::from_be_bytes(*version), rest.first()) {
        (PREVIOUS | VERSION, Some(0)) => Ok(Header::Unmade),
        (PREVIOUS, Some(1)) => Ok(Header::Previous),
        (VERSION, Some(1)) => Ok(Header::Made),
        (version, Some(_)) if version > VERSION => Err(FileStoreErrorKind::TooNew),
        (1..PREVIOUS, Some(0 | 1)) => Err(FileStoreErrorKind::TooOld),
        _ => Err(FileStoreErrorKind::Corrupt),
    }
}

/// Begins a new file. What an interrupted making left is dropped.
pub(super) fn begin(medium: &dyn Medium) -> io::Result<()> {
    medium.set_len(0)?;
    write(medium, 0)?;
    medium.sync()?;
    // The journal gets its space on the disk now, so that no commit waits for that.
    let zeros = vec![0; 64 * 1024];
    for at in (HEADER..START).step_by(zeros.len()) {
        medium.write(at, &zeros)?;
    }
    medium.sync()
}

/// The database in the file was made, and the file is of this version.
pub(super) fn complete(medium: &dyn Medium) -> io::Result<()> {
    write(medium, 1)?;
    medium.sync()
}

fn write(medium: &dyn Medium, made: u8) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(USED);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_be_bytes());
    bytes.push(made);
    medium.write(0, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_says_what_the_file_is() {
        let whole = |version: u32, made: u8| {
            let mut bytes = MAGIC.to_vec();
            bytes.extend(version.to_be_bytes());
            bytes.push(made);
            bytes
        };
        let made = whole(VERSION, 1);

        assert_eq!(of(&made), Ok(Header::Made));
        assert_eq!(of(&whole(VERSION, 0)), Ok(Header::Unmade));
        assert_eq!(of(&[]), Ok(Header::Unmade));
        assert_eq!(of(&whole(VERSION + 1, 1)), Err(FileStoreErrorKind::TooNew));
        assert_eq!(of(&whole(PREVIOUS, 1)), Ok(Header::Previous));
        assert_eq!(of(&whole(PREVIOUS, 0)), Ok(Header::Unmade));
        for old in 1..PREVIOUS {
            assert_eq!(of(&whole(old, 1)), Err(FileStoreErrorKind::TooOld));
        }
        assert_eq!(of(&whole(0, 1)), Err(FileStoreErrorKind::Corrupt));
        assert_eq!(of(&whole(VERSION, 7)), Err(FileStoreErrorKind::Corrupt));
        for short in 1..made.len() {
            assert_eq!(of(&made[..short]), Err(FileStoreErrorKind::Corrupt));
        }
        assert_eq!(of(b"SQLite format 3\0"), Err(FileStoreErrorKind::Foreign));
        assert_eq!(of(&[0; 4_096][..25]), Err(FileStoreErrorKind::Foreign));
    }
}
