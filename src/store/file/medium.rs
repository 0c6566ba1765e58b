//! The file as the disk has it: writes that may wait, and writes that are waited for.

use std::{fmt, fs::File, io, path::Path};

use redb::{StorageBackend, backends::FileBackend};

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
    pub(super) fn new(file: File, path: &Path) -> io::Result<Self> {
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
