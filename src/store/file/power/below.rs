//! What a loss of power leaves of the file below the database, whatever that writes.
//!
//! The database of this test only writes pages, makes the file longer and shorter, and syncs. So it does that much more often
//! than the real one, and at other moments.

use std::{io, mem};

use redb::StorageBackend;

use super::{
    super::{
        journal,
        medium::Medium,
        storage::{START, Storage},
    },
    drive::{Drive, EIO, Random, SECTOR, number},
};

const PAGE: usize = 4_096;

/// The most pages of the database.
const MOST: u64 = 40;

/// The most bytes of the changes of one commit.
const CHANGES: u64 = 6_000;

/// What is in the file, and what else a loss of power may leave of it.
#[derive(Clone, Default)]
struct Known {
    /// How long the database may be. The last one is what it is.
    lens: Vec<usize>,
    sectors: Vec<Sector>,
    /// The changes that wait.
    waiting: Vec<Vec<u8>>,
    /// Changes that may wait too.
    new: Option<Vec<u8>>,
    /// The number of the last changes that the database has.
    taken: Option<u64>,
}

#[derive(Clone)]
struct Sector {
    /// The bytes that it may have.
    may: Vec<u8>,
    /// What was written since the last sync and the last error.
    written: Option<u8>,
}

impl Known {
    fn len(&self) -> usize {
        self.lens.last().copied().unwrap_or_default()
    }

    fn write(&mut self, at: usize, len: usize, byte: u8) {
        for sector in &mut self.sectors[at / SECTOR..(at + len) / SECTOR] {
            sector.may.push(byte);
            sector.written = Some(byte);
        }
    }

    fn set_len(&mut self, len: usize) {
        let sectors = self.sectors.len().max(len / SECTOR);
        let zeros = Sector {
            may: vec![0],
            written: None,
        };
        self.sectors.resize(sectors, zeros);
        if len < self.len() {
            self.write(len, sectors * SECTOR - len, 0);
        }
        self.lens.push(len);
    }

    /// All that was written since the last error is on the disk.
    fn synced(&mut self) {
        self.lens = vec![self.len()];
        for sector in &mut self.sectors {
            if let Some(written) = sector.written.take() {
                sector.may = vec![written];
            }
        }
    }

    /// A reader finds what may be there.
    fn check(&mut self, storage: &Storage) {
        let len = number(storage.len().unwrap());
        assert!(self.lens.contains(&len), "the file has another length");
        self.lens.push(len);
        let mut bytes = vec![0; len];
        storage.read(0, &mut bytes).unwrap();
        for (is, Sector { may, .. }) in bytes.chunks(SECTOR).zip(&self.sectors) {
            // After an error it may have the first bytes of a write.
            let is_known = is.iter().all(|byte| may.contains(byte));
            assert!(is_known, "a sector has bytes of before");
        }
        let waiting = storage.waiting();
        let waiting = journal::changes(&waiting, self.taken).map(|(_, bytes)| bytes.to_vec());
        let waiting: Vec<_> = waiting.collect();
        let new = self.new.take();
        if waiting != self.waiting {
            self.waiting.extend(new);
        }
        assert!(waiting == self.waiting, "changes are missing");
    }
}

/// What was seen.
#[derive(Debug, Default)]
struct Seen {
    checked: u32,
    failed: u32,
    grew: u32,
    shrank: u32,
    waited: u32,
}

impl Seen {
    /// Opens what a loss of power left, and that again after a loss of power meanwhile.
    fn check(&mut self, left: Vec<u8>, known: &Known, random: &mut Random, again: bool) {
        let drive = Drive::new(left, random);
        drive.state().takes = if again { 12 } else { 0 };
        let mut known = known.clone();
        let storage = open(&drive, &mut known).unwrap();
        self.checked += 1;
        self.waited += u32::from(!known.waiting.is_empty());
        storage.close().unwrap();
        for left in drive.left() {
            self.check(left, &known, random, false);
        }
    }
}

/// Opens the file. It has what may be there.
fn open(drive: &Drive, known: &mut Known) -> io::Result<Storage> {
    let storage = Storage::holding(drive.again()?)?;
    if let Some(taken) = known.taken {
        storage.took(taken);
    }
    known.check(&storage);
    storage.release()?;
    known.check(&storage);
    Ok(storage)
}

struct Life {
    drive: Drive,
    storage: Storage,
    known: Known,
    random: Random,
    seen: Seen,
}

impl Life {
    /// One of so many operations of the disk fails. 0: none.
    fn begin(seed: u64, fails: u64) -> Self {
        let mut random = Random(seed);
        let drive = Drive::new(vec![0; number(START)], &mut random);
        let mut known = Known::default();
        known.lens.push(0);
        let storage = open(&drive, &mut known).unwrap();
        {
            let mut state = drive.state();
            (state.takes, state.fails) = (12, fails);
        }
        Self {
            drive,
            storage,
            known,
            random,
            seen: Seen::default(),
        }
    }

    fn go(mut self, steps: u32) -> Seen {
        for _ in 0..steps {
            match self.random.below(16) {
                0..8 => self.write(),
                8 => self.set_len(),
                9..12 => drop(self.sync()),
                _ => self.add(),
            }
        }
        let done = self.storage.close();
        self.done(&done);
        self.seen
    }

    /// Looks at what losses of power left meanwhile. After an error it opens the file again.
    fn done(&mut self, done: &io::Result<()>) -> bool {
        self.look();
        if done.is_ok() {
            return true;
        }
        self.seen.failed += 1;
        assert!(self.storage.write(0, &[0; SECTOR]).is_err());
        for sector in &mut self.known.sectors {
            sector.written = None;
        }
        loop {
            // What a reader finds may not be on the disk before the file is open.
            let mut known = self.known.clone();
            let opened = open(&self.drive, &mut known);
            self.look();
            match opened {
                Ok(storage) => {
                    (self.storage, self.known) = (storage, known);
                    return false;
                }
                Err(error) => assert_eq!(error.raw_os_error(), Some(EIO)),
            }
        }
    }

    fn look(&mut self) {
        for left in self.drive.left() {
            self.seen.check(left, &self.known, &mut self.random, true);
        }
    }

    /// Writes a few pages, the first bytes, or more than a record has.
    fn write(&mut self) {
        let pages = (self.known.len() / PAGE) as u64;
        if pages == 0 {
            return;
        }
        let (from, len) = match self.random.below(16) {
            0 => (0, SECTOR),
            1 => (0, self.known.len()),
            _ => {
                let from = self.random.below(pages);
                let len = 1 + self.random.below(3);
                (number(from) * PAGE, number(len.min(pages - from)) * PAGE)
            }
        };
        let byte = u8::try_from(self.random.below(256)).unwrap();
        self.known.write(from, len, byte);
        let done = self.storage.write(from as u64, &vec![byte; len]);
        self.done(&done);
    }

    /// Makes the file longer, or shorter after a sync.
    fn set_len(&mut self) {
        let len = PAGE * (1 + number(self.random.below(MOST)));
        let before = self.known.len();
        if len < before && !self.sync() {
            return;
        }
        self.known.set_len(len);
        let takes = mem::replace(&mut self.drive.state().takes, 1);
        let done = self.storage.set_len(len as u64);
        self.drive.state().takes = takes;
        if self.done(&done) {
            self.seen.grew += u32::from(before < len);
            self.seen.shrank += u32::from(len < before);
        }
    }

    fn sync(&mut self) -> bool {
        let done = self.storage.sync_data();
        let done = self.done(&done);
        if done {
            self.known.synced();
        }
        done
    }

    /// Adds changes. If they have no place, the database takes those that wait.
    fn add(&mut self) {
        let len = number(self.random.below(CHANGES));
        if self.storage.has_place(len) {
            let changes = vec![u8::try_from(self.random.below(256)).unwrap(); len];
            self.known.new = Some(changes.clone());
            let done = self.storage.add(&changes);
            if self.done(&done) {
                self.known.waiting.extend(self.known.new.take());
            }
        } else if self.sync() {
            let waiting = self.storage.waiting();
            self.known.taken = journal::changes(&waiting, None).last().map(|it| it.0);
            self.known.waiting.clear();
            self.storage.taken();
        }
    }
}

// T75
#[test]
fn a_file_that_grows_and_shrinks_has_after_a_loss_of_power_all_pages_and_changes_of_before() {
    for seed in 1..4 {
        let seen = Life::begin(seed * 6_700_417, 0).go(800);

        assert!(
            seen.checked > 90 && seen.waited > 50 && seen.failed == 0,
            "{seen:?}"
        );
        assert!(seen.grew > 10 && seen.shrank > 10, "{seen:?}");
    }
}

// T75
#[test]
fn a_file_that_grows_and_shrinks_on_a_disk_that_fails_has_all_pages_and_changes_of_before() {
    for seed in 1..4 {
        let seen = Life::begin(seed * 2_147_483_647, 25).go(800);

        assert!(
            seen.checked > 90 && seen.waited > 50 && seen.failed > 20,
            "{seen:?}"
        );
        assert!(seen.grew > 10 && seen.shrank > 10, "{seen:?}");
    }
}
