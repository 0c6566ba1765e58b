//! A storage of session sets in a map, which counts, pauses, fails and breaks rules as a test wants.

mod faults;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use tower_user_sessions::{
    SessionId, Timestamp,
    store::{
        Clock, ManualClock, SetStorage, SetStore, StoreError, StoreErrorKind, Stored, Tag, Version,
        Write, WriteKind, Written,
    },
};

pub use self::faults::{Broken, Fault};

#[derive(Clone, Default)]
pub struct Shelf(Arc<Inner>);

#[derive(Default)]
struct Inner {
    sets: Mutex<HashMap<Tag, Set>>,
    clock: Mutex<Option<(Clock, Option<ManualClock>)>>,
    broken: Mutex<Broken>,
    /// The parts of deleted sets, in a storage that keeps them.
    left: Mutex<HashMap<Tag, HashMap<SessionId, Bytes>>>,
    faults: Mutex<VecDeque<Fault>>,
    /// A write whose answer was lost, and that runs before the next.
    later: Mutex<Option<(Tag, Write)>>,
    /// Whether it waits for `run_later`.
    delayed: AtomicBool,
    /// Reads fail while it is set.
    down: AtomicBool,
    /// How many more reads work; zero for all.
    reads_left: AtomicU64,
    /// How many more writes of activity lose, as to another process.
    activity_loses: AtomicU64,
    /// Whether other tasks run between a read and a write.
    yields: AtomicBool,
    passed: AtomicU64,
    pub counts: Counts,
}

#[derive(Default, Debug)]
pub struct Counts {
    pub reads: AtomicU64,
    pub writes: AtomicU64,
    pub activity: AtomicU64,
    pub lost: AtomicU64,
    pub bytes_read: AtomicU64,
    pub bytes_written: AtomicU64,
}

#[derive(Clone)]
struct Set {
    version: Version,
    head: Bytes,
    parts: HashMap<SessionId, Bytes>,
    before: HashMap<SessionId, Bytes>,
    kept_until: Timestamp,
}

impl Shelf {
    /// On this clock, which `Fault::Slow` moves.
    pub fn on(clock: &ManualClock) -> Self {
        let shelf = Self::default();
        *shelf.0.clock.lock().unwrap() = Some((clock.clone().into(), Some(clock.clone())));
        shelf
    }

    pub fn broken(self, broken: Broken) -> Self {
        *self.0.broken.lock().unwrap() = broken;
        self
    }

    /// Other tasks run before each read and each write.
    pub fn yielding(self) -> Self {
        self.0.yields.store(true, Ordering::Relaxed);
        self
    }

    /// A store on it that writes every activity.
    pub fn store(&self) -> SetStore<Self> {
        SetStore::builder(self.clone())
            .activity_every(std::time::Duration::ZERO)
            .build()
    }

    pub fn fail(&self, faults: impl IntoIterator<Item = Fault>) {
        self.0.faults.lock().unwrap().extend(faults);
    }

    pub fn set_down(&self, down: bool) {
        self.0.down.store(down, Ordering::Relaxed);
    }

    /// Only so many more reads work.
    pub fn set_reads(&self, left: u64) {
        self.0.reads_left.store(left, Ordering::Relaxed);
    }

    /// So many more writes of activity lose, as to another process.
    pub fn lose_activity(&self, count: u64) {
        self.0.activity_loses.store(count, Ordering::Relaxed);
    }

    /// What `Fault::RunsLater` held back does not run before `run_later`.
    pub fn delay_later(&self) {
        self.0.delayed.store(true, Ordering::Relaxed);
    }

    pub fn run_later(&self) {
        let (tag, write) = self.0.later.lock().unwrap().take().unwrap();
        self.put(tag, &write, true);
    }

    /// As a purge, or another program, would.
    pub fn delete(&self, tag: Tag) {
        self.0.sets.lock().unwrap().remove(&tag);
    }

    pub fn counts(&self) -> &Counts {
        &self.0.counts
    }

    pub fn sets(&self) -> usize {
        self.0.sets.lock().unwrap().len()
    }

    /// The stored head.
    pub fn head(&self, tag: Tag) -> Option<Bytes> {
        let sets = self.0.sets.lock().unwrap();
        sets.get(&tag).map(|set| set.head.clone())
    }

    /// Replaces the stored head by these bytes.
    pub fn put_head(&self, tag: Tag, head: impl Into<Bytes>) {
        let mut sets = self.0.sets.lock().unwrap();
        sets.get_mut(&tag).unwrap().head = head.into();
    }

    pub fn parts(&self, tag: Tag) -> usize {
        let sets = self.0.sets.lock().unwrap();
        sets.get(&tag).map_or(0, |set| set.parts.len())
    }

    /// All stored bytes, one after the other.
    pub fn dump(&self) -> Vec<u8> {
        let sets = self.0.sets.lock().unwrap();
        let stored = sets.values();
        let stored = stored.flat_map(|set| [&set.head].into_iter().chain(set.parts.values()));
        stored.flatten().copied().collect()
    }

    /// Deletes what nobody needs any more, as a database may.
    pub fn purge(&self) {
        let now = self.now();
        let mut sets = self.0.sets.lock().unwrap();
        sets.retain(|_, set| now < set.kept_until);
    }

    async fn pass(&self) {
        if self.0.yields.load(Ordering::Relaxed) {
            // Calls take different times, so that no order of tasks lasts.
            let passed = self.0.passed.fetch_add(1, Ordering::Relaxed) + 1;
            for _ in 0..=passed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 62 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Compares and writes.
    pub fn put(&self, tag: Tag, write: &Write, compares: bool) -> Written {
        let broken = *self.0.broken.lock().unwrap();
        let mut sets = self.0.sets.lock().unwrap();
        let stored = sets.get(&tag).map(|set| set.version);
        let loses = match broken {
            Broken::WritesAnyway => false,
            Broken::WritesOverWhenAbsentIsExpected if write.expect.is_none() => false,
            _ => compares && stored != write.expect,
        };
        if loses {
            self.0.counts.lost.fetch_add(1, Ordering::Relaxed);
            return Written::Lost;
        }
        let Some(head) = write.head.clone() else {
            let deleted = sets.remove(&tag);
            if broken == Broken::KeepsPartsOfDeletedSets {
                let parts = deleted.map(|set| set.parts).unwrap_or_default();
                self.0.left.lock().unwrap().insert(tag, parts);
            }
            return Written::Written {
                when: Some(self.now()),
            };
        };
        let mut size = head.len();
        let version = match (broken, stored) {
            (Broken::CountsVersions, Some(version)) => {
                let next = u64::from_be_bytes(*version.as_bytes()) + 1;
                Version::from_bytes(next.to_be_bytes())
            }
            (Broken::CountsVersions, None) => Version::from_bytes(1_u64.to_be_bytes()),
            _ => write.version,
        };
        let left = self.0.left.lock().unwrap().remove(&tag);
        let set = sets.entry(tag).or_insert_with(|| Set {
            version,
            head: Bytes::new(),
            parts: left.unwrap_or_default(),
            before: HashMap::new(),
            kept_until: write.kept_until,
        });
        set.version = version;
        set.head = head;
        set.kept_until = write.kept_until;
        set.before = set.parts.clone();
        if broken == Broken::DropsOtherParts && !write.parts.is_empty() {
            set.parts.clear();
        }
        for (id, part) in &write.parts {
            match part {
                _ if broken == Broken::KeepsOldParts && set.parts.contains_key(id) => {}
                Some(part) => {
                    size += part.len();
                    set.parts.insert(*id, part.clone());
                }
                None => {
                    set.parts.remove(id);
                }
            }
        }
        let counts = &self.0.counts;
        counts
            .bytes_written
            .fetch_add(size as u64, Ordering::Relaxed);
        Written::Written {
            when: Some(self.now()),
        }
    }
}

impl SetStorage for Shelf {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        self.pass().await;
        let left = self.0.reads_left.load(Ordering::Relaxed);
        let fails = left == 1;
        self.0
            .reads_left
            .store(left.saturating_sub(1).max(left.min(1)), Ordering::Relaxed);
        if fails || self.0.down.load(Ordering::Relaxed) {
            return Err(StoreError::new(StoreErrorKind::Unavailable));
        }
        let broken = *self.0.broken.lock().unwrap();
        let stored = {
            let sets = self.0.sets.lock().unwrap();
            let Some(set) = sets.get(&tag) else {
                return Ok(Stored::absent().at(self.now()));
            };
            let parts = if broken == Broken::ReadsPartLater {
                &set.before
            } else {
                &set.parts
            };
            let part = part.and_then(|id| match parts.get(&id) {
                Some(_) if broken == Broken::ReadsPartOfAnother => parts.values().next(),
                part => part,
            });
            let (counts, size) = (&self.0.counts, set.head.len() + part.map_or(0, Bytes::len));
            counts.reads.fetch_add(1, Ordering::Relaxed);
            counts.bytes_read.fetch_add(size as u64, Ordering::Relaxed);
            Stored::new(set.version, set.head.clone(), part.cloned()).at(self.now())
        };
        self.pass().await;
        Ok(stored)
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        let counts = &self.0.counts;
        let later = {
            let mut later = self.0.later.lock().unwrap();
            let delayed = self.0.delayed.load(Ordering::Relaxed);
            later.take_if(|(of, _)| *of == tag && !delayed)
        };
        if let Some((tag, write)) = later {
            self.put(tag, &write, true);
        }
        let unavailable = || StoreError::new(StoreErrorKind::Unavailable);
        if self.0.down.load(Ordering::Relaxed) {
            return Ok(Written::NothingRan(unavailable()));
        }
        let change = write.kind == WriteKind::Change;
        let counter = if change {
            &counts.writes
        } else {
            &counts.activity
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let loses = &self.0.activity_loses;
        let less = |left: u64| left.checked_sub(1);
        if !change
            && loses
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
                .is_ok()
        {
            return Ok(Written::Lost);
        }
        let fault = match change {
            true => self.0.faults.lock().unwrap().pop_front(),
            false => None,
        };
        match fault {
            Some(Fault::AnswerLost) => {
                self.put(tag, write, true);
                return Err(unavailable());
            }
            Some(Fault::Vanishes) => return Err(unavailable()),
            Some(Fault::NothingRan(kind)) => {
                return Ok(Written::NothingRan(StoreError::new(kind)));
            }
            Some(Fault::RunsLater) => {
                *self.0.later.lock().unwrap() = Some((tag, write.clone()));
                return Err(unavailable());
            }
            Some(Fault::Slow(millis)) => {
                let (_, clock) = self.0.clock.lock().unwrap().clone().unwrap();
                clock
                    .unwrap()
                    .advance(std::time::Duration::from_millis(millis));
                return Ok(self.put(tag, write, true));
            }
            Some(Fault::Runs) | None => {}
        }
        let broken = *self.0.broken.lock().unwrap();
        if broken == Broken::ComparesFirst {
            let stored = {
                let sets = self.0.sets.lock().unwrap();
                sets.get(&tag).map(|set| set.version)
            };
            if stored != write.expect {
                return Ok(Written::Lost);
            }
            tokio::task::yield_now().await;
            return Ok(self.put(tag, write, false));
        }
        self.pass().await;
        match broken {
            Broken::WritesHeadFirst => {
                let mut head = write.clone();
                head.parts.clear();
                let written = self.put(tag, &head, true);
                tokio::task::yield_now().await;
                if matches!(written, Written::Written { .. }) {
                    self.put(tag, write, false);
                }
                Ok(written)
            }
            Broken::HidesItsTime if write.latest.is_some() => {
                self.put(tag, write, true);
                Ok(Written::Written { when: write.latest })
            }
            _ if write.latest.is_some_and(|latest| self.now() > latest) => {
                let late = StoreError::new(StoreErrorKind::Timeout);
                Ok(Written::NothingRan(late))
            }
            _ => Ok(self.put(tag, write, true)),
        }
    }

    fn now(&self) -> Timestamp {
        let mut clock = self.0.clock.lock().unwrap();
        let (clock, _) = clock.get_or_insert_with(|| (Clock::system(), None));
        clock.now()
    }

    async fn pause(&self, _: u32) {
        tokio::task::yield_now().await;
    }

    async fn scan(&self, after: Option<Tag>, most: usize) -> Result<Vec<(Tag, Bytes)>, StoreError> {
        let sets = self.0.sets.lock().unwrap();
        let heads = sets.iter().map(|(tag, set)| (*tag, set.head.clone()));
        let mut heads: Vec<_> = heads
            .filter(|(tag, _)| after.is_none_or(|after| after.as_bytes() < tag.as_bytes()))
            .collect();
        heads.sort_by_key(|(tag, _)| *tag.as_bytes());
        heads.truncate(most);
        Ok(heads)
    }

    async fn estimate(&self) -> Result<u64, StoreError> {
        Ok(self.sets() as u64)
    }
}
