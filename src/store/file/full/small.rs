//! A disk with one file and little space.

use std::{
    collections::HashSet,
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard},
};

use redb::backends::FileBackend;

use super::{
    super::{
        FileStore, FileStoreBuilder,
        disk::{Disk, Times},
        medium::Medium,
        space::Room,
    },
    USERS,
};

const BLOCK: usize = 4_096;

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) bytes: Vec<u8>,
    /// The blocks that take space on the disk.
    pub(super) taken: HashSet<usize>,
    /// How many more there is space for.
    pub(super) free: usize,
    /// Whether the disk says how many that is.
    pub(super) says: bool,
    /// How many writes were waited for.
    pub(super) through: u64,
    /// The one that is done and answered with an error.
    pub(super) fails: Option<u64>,
    /// Nothing goes on while it is set.
    pub(super) is_held: bool,
    /// How many wait for that.
    pub(super) waiting: usize,
    /// How long the file was at most, and whether it became less than half of that.
    longest: usize,
    pub(super) is_halved: bool,
    /// Files as the end of the process would have left them, since they are wanted.
    pub(super) left: Option<Vec<Vec<u8>>>,
}

/// A disk with one file. The process may end at any moment, and the power stays.
#[derive(Clone, Debug, Default)]
pub(super) struct Small(Arc<(Mutex<State>, Condvar)>);

impl Small {
    pub(super) fn with(bytes: Vec<u8>) -> Self {
        let small = Self::default();
        {
            let mut state = small.state();
            state.taken = (0..bytes.len().div_ceil(BLOCK)).collect();
            state.bytes = bytes;
            state.free = usize::MAX;
        }
        small
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.0.lock().unwrap()
    }

    /// The store on it.
    pub(super) fn open(&self) -> FileStore {
        self.open_with(FileStore::builder())
    }

    pub(super) fn open_with(&self, builder: FileStoreBuilder) -> FileStore {
        let opened = builder.on(Path::new("sessions.db"), |new, sets| {
            Disk::on(Box::new(self.clone()), Path::new("sessions.db"), new, sets)
        });
        opened.unwrap()
    }

    /// The disk as it is at this moment.
    pub(super) fn copy(&self) -> Self {
        let copy = Self::with(Vec::new());
        let (from, mut to) = (self.state(), copy.state());
        (to.bytes, to.taken) = (from.bytes.clone(), from.taken.clone());
        (to.free, to.says) = (from.free, from.says);
        drop(to);
        copy
    }

    /// The database on it, without a store.
    pub(super) fn disk(&self) -> Disk {
        let (file, path) = (Box::new(self.clone()), Path::new("sessions.db"));
        let opened = Disk::on(file, path, Times::default(), &mut ());
        opened.unwrap().0
    }

    /// Whether values of its log were cleaned away.
    pub(super) fn is_cleaned(&self) -> bool {
        let copy = Self::with(self.state().bytes.clone());
        copy.disk().log().oldest() > Some(USERS as u64)
    }

    pub(super) fn hold(&self, is_held: bool) {
        self.state().is_held = is_held;
        self.0.1.notify_all();
    }
}

impl State {
    /// The whole file takes space, as after the database has used other parts of it in turn.
    pub(super) fn take_all(&mut self) {
        self.take(0, self.bytes.len());
    }

    /// Takes space for these bytes. Returns how many of them have it.
    fn take(&mut self, at: usize, len: usize) -> usize {
        for block in at / BLOCK..(at + len).div_ceil(BLOCK) {
            if self.taken.contains(&block) {
                continue;
            }
            let Some(free) = self.free.checked_sub(1) else {
                return (block * BLOCK).saturating_sub(at);
            };
            self.free = free;
            self.taken.insert(block);
        }
        len
    }

    fn write(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let at = number(at);
        let room = self.take(at, bytes.len());
        let end = at + room;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        self.bytes[at..end].copy_from_slice(&bytes[..room]);
        match room == bytes.len() {
            true => Ok(()),
            false => Err(io::Error::from_raw_os_error(28)),
        }
    }
}

fn number(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

impl Medium for Small {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().bytes.len() as u64)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = state.bytes.get(number(at)..number(at) + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.state().write(at, bytes)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut state, len) = (self.state(), number(len));
        state.bytes.resize(len, 0);
        state.longest = state.longest.max(len);
        state.is_halved |= len < state.longest / 2;
        let before = state.taken.len();
        state.taken.retain(|block| block * BLOCK < len);
        // What is longer takes no space until it is written.
        let gone = before - state.taken.len();
        state.free = state.free.saturating_add(gone);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn write_through(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.waiting += 1;
        let held = self.0.1.wait_while(state, |state| state.is_held);
        state = held.unwrap();
        state.waiting -= 1;
        state.write(at, bytes)?;
        state.through += 1;
        let picture = state.left.is_some().then(|| state.bytes.clone());
        if let Some(left) = &mut state.left {
            left.extend(picture);
        }
        match state.fails == Some(state.through) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }
    }

    fn again(&self) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(self.clone()))
    }

    fn locks(&self) -> Option<&FileBackend> {
        None
    }

    fn fill(&self, bytes: u64) {
        let mut state = self.state();
        if state.says {
            state.take(0, number(bytes));
        }
    }

    fn room(&self) -> Option<Room> {
        let state = self.state();
        let bytes = |blocks: usize| (blocks as u64).saturating_mul(BLOCK as u64);
        state.says.then(|| Room {
            free: bytes(state.free),
            size: bytes(state.taken.len()),
        })
    }
}
