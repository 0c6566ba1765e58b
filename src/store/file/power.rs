//! What a loss of power leaves of the file, in a model of a disk.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use redb::backends::FileBackend;

use super::{
    disk::{Disk, Parts, Times},
    log::Group,
    medium::Medium,
};
use crate::{
    model::{Arrival, Tag, Timestamp, Token, UserId},
    store::{Authenticated, Create, SessionSet},
};

type Sets = BTreeMap<[u8; 12], SessionSet>;

const SECTOR: usize = 512;
const USERS: u8 = 24;

/// Numbers that look random, the same in each run.
#[derive(Clone, Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: u64) -> u64 {
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
struct State {
    /// What a reader gets.
    cache: Vec<u8>,
    /// What is on the disk for certain.
    disk: Vec<u8>,
    loose: Vec<Loose>,
    random: Random,
    /// Disks as a loss of power would leave them.
    left: Vec<Vec<u8>>,
    /// One of so many operations takes such a picture, and fails. 0: none.
    takes: u64,
    fails: u64,
}

/// A disk with one file.
#[derive(Clone, Debug)]
struct Drive(Arc<Mutex<State>>);

impl Drive {
    fn new(disk: Vec<u8>, random: &mut Random) -> Self {
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

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn number(at: u64) -> usize {
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
    fn lose_power(&mut self) -> Vec<u8> {
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

fn failed() -> io::Error {
    io::Error::from_raw_os_error(5)
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

fn open(drive: &Drive) -> (Disk, Sets) {
    let mut sets = Sets::new();
    let path = Path::new("sessions.db");
    let opened = Disk::on(
        Box::new(drive.clone()),
        path,
        Times::default(),
        |tag, set| {
            sets.insert(*tag.as_bytes(), set);
        },
    );
    (opened.unwrap().0, sets)
}

/// A set with one more session, and with data.
fn more(user: u8, set: Option<&SessionSet>, random: &mut Random) -> SessionSet {
    let mut set = set.cloned().unwrap_or_default();
    let token = Token::random(Tag::from_bytes([user; 12])).unwrap();
    let mut create = Create::new(
        &token,
        UserId::new("alice").ok(),
        Authenticated::On(Arrival::now()),
    );
    if random.below(2) == 0 {
        let length = usize::try_from(random.below(3_000)).unwrap();
        create.changes.set("note", "x".repeat(length));
    }
    let now = Timestamp::from_millis(1_764_000_000_000);
    set.create(&create, now, Duration::from_secs(3_600));
    set
}

/// Opens what a loss of power left, and that again after a loss of power meanwhile. The sets are one of these.
fn check(left: Vec<u8>, states: &[Sets], random: &mut Random, again: bool) -> u32 {
    let drive = Drive::new(left, random);
    drive.state().takes = if again { 12 } else { 0 };
    let (disk, found) = open(&drive);
    assert!(states.contains(&found), "a commit is missing or half there");
    let left = std::mem::take(&mut drive.state().left);
    drop(disk);
    let after = left.into_iter();
    1 + after
        .map(|left| check(left, std::slice::from_ref(&found), random, false))
        .sum::<u32>()
}

/// Commits and loses power at many moments. Returns how often, and how many commits failed.
fn lives(seed: u64, commits: u32, fails: u64) -> (u32, u32) {
    let mut random = Random(seed);
    let drive = Drive::new(Vec::new(), &mut random);
    let (mut disk, before) = open(&drive);
    {
        let mut state = drive.state();
        (state.takes, state.fails) = (25, fails);
    }
    let (mut checked, mut failed) = (0, 0);
    // Sets whose commit failed, so that it is not known what is on the disk.
    let mut unknown: Vec<u8> = Vec::new();
    // What is on the disk is one of these.
    let mut states = vec![before];
    for _ in 0..commits {
        // Requests see what was there before.
        let mut after = states[0].clone();
        let mut users = std::mem::take(&mut unknown);
        let parts = if users.is_empty() {
            Parts::Changed
        } else {
            Parts::All
        };
        for _ in 0..1 + random.below(4) {
            let user = u8::try_from(random.below(USERS.into())).unwrap();
            users.push(user);
            let old = after.remove(&[user; 12]);
            // Half of them are new, so that the sets stay small.
            let old = old.filter(|_| random.below(2) == 0);
            if random.below(4) > 0 {
                after.insert([user; 12], more(user, old.as_ref(), &mut random));
            }
        }
        users.sort_unstable();
        users.dedup();
        let mut group = Group::new(users.len());
        for user in &users {
            group.put(
                Tag::from_bytes([*user; 12]),
                after.get(&[*user; 12]),
                parts,
                true,
            );
        }
        let done = disk.commit(group, Times::default(), true);
        let left = std::mem::take(&mut drive.state().left);
        states.push(after);
        for left in left {
            checked += check(left, &states, &mut random, true);
        }
        if done.is_ok() {
            states.drain(..states.len() - 1);
        } else {
            failed += 1;
            unknown = users;
        }
        let left = drive.state().lose_power();
        checked += check(left, &states, &mut random, false);
    }
    // The ids of sessions are random, so that each run writes other pages and meets other errors.
    assert!(disk.log().oldest() > Some(1), "the log is not cleaned");
    (checked, failed)
}

// T75
#[test]
fn after_a_loss_of_power_at_any_moment_every_commit_that_was_acknowledged_is_there_and_none_half() {
    for seed in 1..3 {
        let (checked, failed) = lives(seed * 7_919, 60, 0);

        assert!(checked > 60 && failed == 0, "{checked} {failed}");
    }
}

// T75
#[test]
fn after_errors_of_the_disk_and_a_loss_of_power_every_commit_that_was_acknowledged_is_there() {
    for seed in 1..3 {
        let (checked, failed) = lives(seed * 104_729, 80, 40);

        assert!(checked > 80 && failed > 5, "{checked} {failed}");
    }
}
