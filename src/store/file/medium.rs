//! The file as the disk has it: writes that may wait, and writes that are waited for.

use std::{
    fmt,
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    thread,
    time::Duration,
};

use redb::{StorageBackend, backends::FileBackend};

use super::{FileStoreError, FileStoreErrorKind, space::Room};
use crate::model::clock::Monotonic;

/// How long a new store waits for the lock of the file.
const LOCK_WAIT: Duration = Duration::from_millis(250);

/// A file, or what a test puts in its place.
pub(super) trait Medium: fmt::Debug + Send + Sync {
    fn len(&self) -> io::Result<u64>;
    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()>;
    /// Without waiting for the disk.
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Waits until everything that was written is on the disk.
    fn sync(&self) -> io::Result<()>;
    /// Waits until these bytes are on the disk, whatever else was written.
    fn write_through(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    /// The same file again, with locks of its own.
    fn again(&self) -> io::Result<Box<dyn Medium>>;
    /// Where its locks are, if it has any.
    fn locks(&self) -> Option<&FileBackend>;
    /// Takes the space of the first bytes, if that is possible, so that a write to them needs none later.
    fn fill(&self, _bytes: u64) {}
    /// How much space there is, if that is known.
    fn room(&self) -> Option<Room> {
        None
    }
}

/// A file of the operating system.
#[derive(Debug)]
pub(super) struct OsFile {
    backend: FileBackend,
    file: File,
    /// The same file, where a write returns when it is on the disk.
    through: Option<File>,
}

impl OsFile {
    /// Opens a file, or makes it, for this process only.
    pub(super) fn open(path: &Path) -> Result<Self, FileStoreError> {
        let io = |source| FileStoreError::io(path, source);
        let file = options().open(path).map_err(io)?;
        lock(&file, path)?;
        Self::new(file, path).map_err(io)
    }

    fn new(file: File, path: &Path) -> io::Result<Self> {
        let through = through(path).filter(|through| is_same(through, &file));
        Self::with(file, through)
    }

    fn with(file: File, through: Option<File>) -> io::Result<Self> {
        let backend = FileBackend::new(file.try_clone()?).map_err(io::Error::other)?;
        Ok(Self {
            backend,
            file,
            through,
        })
    }
}

impl Medium for OsFile {
    fn len(&self) -> io::Result<u64> {
        self.backend.len()
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        self.backend.read(at, out)
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.backend.write(at, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.backend.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        self.backend.sync_data()
    }

    fn write_through(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if let Some(through) = &self.through {
            return std::os::unix::fs::FileExt::write_all_at(through, bytes, at);
        }
        self.write(at, bytes)?;
        self.sync()
    }

    fn again(&self) -> io::Result<Box<dyn Medium>> {
        let through = self.through.as_ref().map(File::try_clone).transpose()?;
        Ok(Box::new(Self::with(self.file.try_clone()?, through)?))
    }

    fn locks(&self) -> Option<&FileBackend> {
        Some(&self.backend)
    }

    #[cfg(target_os = "linux")]
    fn fill(&self, bytes: u64) {
        use rustix::fs::{FallocateFlags, fallocate};
        // Not every file system can do it. Then the space is taken as it is written.
        let _ = fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, bytes);
    }

    #[cfg(target_os = "linux")]
    fn room(&self) -> Option<Room> {
        use std::os::unix::fs::MetadataExt;
        let disk = rustix::fs::fstatvfs(&self.file).ok()?;
        Some(Room {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            size: self.file.metadata().ok()?.blocks().saturating_mul(512),
        })
    }
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

#[cfg(target_os = "linux")]
fn through(path: &Path) -> Option<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = File::options();
    options.write(true).custom_flags(libc::O_DSYNC);
    options.open(path).ok()
}

#[cfg(target_os = "linux")]
fn is_same(one: &File, other: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of = |file: &File| file.metadata().ok().map(|it| (it.dev(), it.ino()));
    of(one).is_some_and(|one| of(other) == Some(one))
}

#[cfg(not(target_os = "linux"))]
fn through(_: &Path) -> Option<File> {
    None
}

#[cfg(not(target_os = "linux"))]
fn is_same(_: &File, _: &File) -> bool {
    false
}
