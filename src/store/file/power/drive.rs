//! A disk with one file that loses power, and that fails.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard},
};

use redb::backends::FileBackend;

use super::super::medium::Medium;

pub(super) const SECTOR: usize = 512;

/// Numbers that look random, the same in each run.
#[derive(Clone, Debug)]
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A write that may be on the disk or not.
#[derive(Clone, Debug)]
enum Loose {
    Write(usize, Vec<u8>),
    Len(usize),
}

#[derive(Debug)]
pub(super) struct State {
    /// What a reader gets.
    cache: Vec<u8>,
    /// What is on the disk for certain.
    disk: Vec<u8>,
    loose: Vec<Loose>,
    random: Random,
    /// Disks as a loss of power would leave them.
    left: Vec<Vec<u8>>,
    /// One of so many operations takes such a picture, and fails. 0: none.
    pub(super) takes: u64,
    pub(super) fails: u64,
}

/// A disk with one file.
#[derive(Clone, Debug)]
pub(super) struct Drive(Arc<Mutex<State>>);

impl Drive {
    pub(super) fn new(disk: Vec<u8>, random: &mut Random) -> Self {
        Self(Arc::new(Mutex::new(State {
            cache: disk.clone(),
            disk,
            loose: Vec::new(),
            random: Random(random.next() | 1),
            left: Vec::new(),
            takes: 0,
            fails: 0,
        })))
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Disks as a loss of power would have left them, since this was asked last.
    pub(super) fn left(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.state().left)
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

pub(super) fn number(at: u64) -> usize {
    usize::try_from(at).unwrap()
}

impl State {
    /// Writes those sectors that chance takes.
    fn put_some(disk: &mut [u8], at: usize, new: &[u8], random: &mut Random, of_eight: u64) {
        for (sector, bytes) in new.chunks(SECTOR).enumerate() {
            if random.below(8) < of_eight {
                put(disk, at + sector * SECTOR, bytes);
            }
        }
    }

    /// The disk if the power were lost now.
    pub(super) fn lose_power(&mut self) -> Vec<u8> {
        let mut disk = self.disk.clone();
        let of_eight = self.random.below(9);
        for loose in &self.loose {
            match loose {
                Loose::Write(at, bytes) if at + bytes.len() <= disk.len() => {
                    Self::put_some(&mut disk, *at, bytes, &mut self.random, of_eight);
                }
                Loose::Len(len) if self.random.below(8) < of_eight => disk.resize(*len, 0),
                // Beyond the end of the file there is nothing.
                Loose::Write(..) | Loose::Len(_) => {}
            }
        }
        disk
    }

    /// Before an operation. Returns whether it fails.
    fn begins(&mut self) -> bool {
        if self.takes > 0 && self.random.below(self.takes) == 0 {
            let left = self.lose_power();
            self.left.push(left);
        }
        self.fails > 0 && self.random.below(self.fails) == 0
    }
}

/// The error of an operation that failed.
pub(super) const EIO: i32 = 5;

fn failed() -> io::Error {
    io::Error::from_raw_os_error(EIO)
}

impl Medium for Drive {
    fn len(&self) -> io::Result<u64> {
        Ok(self.state().cache.len() as u64)
    }

    fn read(&self, at: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.state();
        let from = state.cache.get(number(at)..number(at) + out.len());
        out.copy_from_slice(from.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut state, at) = (self.state(), number(at));
        let fails = state.begins();
        let end = at + bytes.len();
        if state.cache.len() < end {
            state.cache.resize(end, 0);
            state.loose.push(Loose::Len(end));
        }
        if fails {
            let some = number(state.random.below(bytes.len() as u64));
            let half = &bytes[..some];
            put(&mut state.cache, at, half);
            state.loose.push(Loose::Write(at, half.to_vec()));
            return Err(failed());
        }
        put(&mut state.cache, at, bytes);
        state.loose.push(Loose::Write(at, bytes.to_vec()));
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let (mut state, len) = (self.state(), number(len));
        if state.begins() {
            return Err(failed());
        }
        state.cache.resize(len, 0);
        state.loose.push(Loose::Len(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.begins() {
            // What was not written now will not be written by the next call either.
            state.disk = state.lose_power();
            let len = state.cache.len();
            state.disk.resize(len, 0);
            state.loose.clear();
            return Err(failed());
        }
        for loose in std::mem::take(&mut state.loose) {
            match loose {
                Loose::Write(at, bytes) if at + bytes.len() <= state.disk.len() => {
                    put(&mut state.disk, at, &bytes);
                }
                Loose::Write(..) => {}
                Loose::Len(len) => state.disk.resize(len, 0),
            }
        }
        Ok(())
    }

    fn write_through(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut state, at) = (self.state(), number(at));
        // While it is written, any part of it may be there.
        state.loose.push(Loose::Write(at, bytes.to_vec()));
        let fails = state.begins();
        state.loose.pop();
        put(&mut state.cache, at, bytes);
        if fails {
            // Also all of it: then the commit is there, and its caller has an error.
            let State { disk, random, .. } = &mut *state;
            let of_eight = random.below(9);
            State::put_some(disk, at, bytes, random, of_eight);
            return Err(failed());
        }
        put(&mut state.disk, at, bytes);
        Ok(())
    }

    fn again(&self) -> io::Result<Box<dyn Medium>> {
        Ok(Box::new(self.clone()))
    }

    fn locks(&self) -> Option<&FileBackend> {
        None
    }
}
