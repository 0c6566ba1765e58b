//! Why a file could not be opened or copied.

use std::{
    error, fmt, io,
    path::{Path, PathBuf},
};

type BoxError = Box<dyn error::Error + Send + Sync>;

/// A [`FileStore`](super::FileStore) could not open its file, or could not copy it.
///
/// No file of sessions changed. [`kind`](Self::kind) says what happened, and the text says what to do.
pub struct FileStoreError {
    kind: FileStoreErrorKind,
    path: PathBuf,
    source: Option<BoxError>,
}

/// What is wrong with the file of a [`FileStore`](super::FileStore).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FileStoreErrorKind {
    /// A part of the file is missing, or its bytes changed on the disk.
    Corrupt,
    /// The file was not made by a `FileStore`.
    Foreign,
    /// Another process has the file open, or another `FileStore` of this process.
    InUse,
    /// A newer version of this crate wrote the file.
    TooNew,
    /// An older version of this crate wrote the file, in a form that this one does not read.
    TooOld,
    /// The operating system refused, or the target of a backup exists: look at the directory, the permissions, the space.
    Unavailable,
}

impl FileStoreError {
    pub(super) fn new(kind: FileStoreErrorKind, path: &Path) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            source: None,
        }
    }

    pub(super) fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.source = Some(source.into());
        self
    }

    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::new(FileStoreErrorKind::Unavailable, path).with_source(source)
    }

    /// What is wrong with the file.
    #[must_use]
    pub const fn kind(&self) -> FileStoreErrorKind {
        self.kind
    }

    /// The file, or the target of the backup.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for FileStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.kind {
            FileStoreErrorKind::Corrupt => {
                "the file of sessions is damaged or cut off: restore a backup, or move the file away and all users sign in again"
            }
            FileStoreErrorKind::Foreign => {
                "this is no file of sessions, so it was left alone: check the path"
            }
            FileStoreErrorKind::InUse => {
                "the file of sessions is open in another process or another store: stop that one first. Several processes need another store, such as `RedisStore`"
            }
            FileStoreErrorKind::TooNew => {
                "a newer version of this crate wrote the file of sessions, so it was left alone: start that version, or restore a backup from before the update"
            }
            FileStoreErrorKind::TooOld => {
                "an older version of this crate wrote the file of sessions, and this one cannot read it: start a version in between first, or move the file away and all users sign in again"
            }
            FileStoreErrorKind::Unavailable => {
                "the file cannot be opened or written: check that its directory exists, that this process may write there, and that the disk has space. A backup needs a name that no file has"
            }
        };
        write!(f, "{}: {text}", self.path.display())
    }
}

impl fmt::Debug for FileStoreError {
    /// With the text, because `expect` and a `main` that returns an error print this.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileStoreError")
            .field("kind", &self.kind)
            .field("text", &self.to_string())
            .field("source", &self.source)
            .finish()
    }
}

impl error::Error for FileStoreError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
