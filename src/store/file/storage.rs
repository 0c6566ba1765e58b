//! The file below the database: its header and its journal, and writes that are held back until the file proved to be good.

use std::{
    fmt, io, mem,
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use redb::{BackendError, StorageBackend, backends::FileBackend};

use super::{
    journal::{self, Journal, Replay},
    medium::Medium,
};

/// The bytes before the journal.
pub(super) const HEADER: u64 = 4_096;

/// The bytes before the database. In the tests of this module the journal begins again after a few commits.
pub(super) const START: u64 = HEADER + if cfg!(test) { 256 } else { 8 * 1024 } * 1024;

/// The file of a database. The database sees it without the header and the journal.
#[derive(Clone, Debug)]
pub(super) struct Storage(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    medium: Box<dyn Medium>,
    journal: Mutex<Journal>,
    /// Whether writes are held back.
    holds: AtomicBool,
    held: Mutex<Held>,
}

/// Writes that are not in the file yet, in their order.
#[derive(Default)]
struct Held {
    steps: Vec<Step>,
    /// How many of the first steps are from the journal.
    replayed: usize,
    /// How long the file would be.
    len: u64,
    /// How much of the file itself is still to be seen.
    solid: u64,
    /// What the journal said.
    replay: Replay,
    /// Whether the database has taken what waits in the journal.
    is_taken: bool,
}

enum Step {
    Len(u64),
    Write(u64, Vec<u8>),
    Sync,
}

impl Storage {
    /// This file. Nothing is written to it before [`release`](Self::release).
    pub(super) fn holding(medium: Box<dyn Medium>) -> io::Result<Self> {
        let mut replay = journal::read(&*medium)?;
        let len = medium.len()?.saturating_sub(START);
        let journal = Journal::after(&mut replay);
        let writes = mem::take(&mut replay.writes).into_iter();
        let steps: Vec<Step> = writes.map(|(at, bytes)| Step::Write(at, bytes)).collect();
        Ok(Self(Arc::new(Inner {
            medium,
            journal: Mutex::new(journal),
            holds: AtomicBool::new(true),
            held: Mutex::new(Held {
                replayed: steps.len(),
                steps,
                len,
                solid: len,
                replay,
                is_taken: false,
            }),
        })))
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        let journal = self.0.journal.lock();
        journal.unwrap_or_else(PoisonError::into_inner)
    }

    fn held(&self) -> Option<MutexGuard<'_, Held>> {
        let holds = || self.0.holds.load(Ordering::Acquire);
        if !holds() {
            return None;
        }
        let held = self.0.held.lock().unwrap_or_else(PoisonError::into_inner);
        holds().then_some(held)
    }

    /// Writes what was held back, in the same order, and holds nothing back from now on.
    pub(super) fn release(&self) -> io::Result<()> {
        let Some(mut held) = self.held() else {
            return Ok(());
        };
        held.replay.write_again(&*self.0.medium)?;
        // The database sees them until all are in the file, also if one fails.
        let (replayed, steps) = held.steps.split_at(held.replayed);
        for step in replayed {
            if let Step::Write(at, bytes) = step {
                self.0.medium.write(at.saturating_add(START), bytes)?;
            }
        }
        // Only now the pages in the records may go.
        self.journal().begin(&*self.0.medium)?;
        for step in steps {
            match step {
                Step::Len(len) => self.set_len_now(*len)?,
                Step::Write(at, bytes) => self.write_now(*at, bytes)?,
                Step::Sync => self.journal().sync(&*self.0.medium)?,
            }
        }
        if held.is_taken {
            self.journal().taken();
        }
        (held.steps, held.replay) = (Vec::new(), Replay::default());
        self.0.holds.store(false, Ordering::Release);
        Ok(())
    }

    /// Whether changes of so many bytes can wait in the journal.
    pub(super) fn has_place(&self, bytes: usize) -> bool {
        self.journal().has_place(bytes)
    }

    /// Waits until these changes are on the disk. They wait for the database.
    pub(super) fn add(&self, changes: &[u8]) -> io::Result<()> {
        self.journal().add(&*self.0.medium, changes)
    }

    /// What waits in the journal.
    pub(super) fn waiting(&self) -> Arc<Vec<u8>> {
        self.journal().waiting()
    }

    /// The database took the changes up to this number before.
    pub(super) fn took(&self, number: u64) {
        self.journal().took(number);
    }

    /// A commit of the database has all that waits.
    pub(super) fn taken(&self) {
        match self.held() {
            // It is in the file only after all steps are.
            Some(mut held) => held.is_taken = true,
            None => self.journal().taken(),
        }
    }

    /// Nothing is written to this file any more: it will be opened again.
    pub(super) fn fail(&self) {
        self.journal().fail();
    }

    fn write_now(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut journal = self.journal();
        journal.check()?;
        let written = self.0.medium.write(at.saturating_add(START), bytes);
        match &written {
            Ok(()) => journal.note(at, bytes),
            Err(_) => journal.fail(),
        }
        written
    }

    fn set_len_now(&self, len: u64) -> io::Result<()> {
        let mut journal = self.journal();
        // Its records are about the file as it is long now.
        journal.begin(&*self.0.medium)?;
        journal.skip();
        let done = self.0.medium.set_len(len.saturating_add(START));
        if done.is_err() {
            journal.fail();
        }
        done
    }
}

impl Held {
    /// Puts what was written to `at` and after it into `out`.
    fn cover(&self, at: u64, out: &mut [u8]) {
        for step in &self.steps {
            match step {
                Step::Len(len) => {
                    let from = usize::try_from(len.saturating_sub(at)).unwrap_or(usize::MAX);
                    if let Some(beyond) = out.get_mut(from..) {
                        beyond.fill(0);
                    }
                }
                Step::Write(from, bytes) => copy(*from, bytes, at, out),
                Step::Sync => {}
            }
        }
    }
}

/// Copies the bytes that both have.
fn copy(from: u64, bytes: &[u8], at: u64, out: &mut [u8]) {
    let skip = |by: u64| usize::try_from(by).unwrap_or(usize::MAX);
    let source = bytes.get(skip(at.saturating_sub(from))..);
    let target = out.get_mut(skip(from.saturating_sub(at))..);
    if let (Some(source), Some(target)) = (source, target) {
        let both = source.len().min(target.len());
        if let (Some(source), Some(target)) = (source.get(..both), target.get_mut(..both)) {
            target.copy_from_slice(source);
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("steps", &self.steps.len())
            .finish_non_exhaustive()
    }
}

impl StorageBackend for Storage {
    fn len(&self) -> io::Result<u64> {
        match self.held() {
            Some(held) => Ok(held.len),
            None => Ok(self.0.medium.len()?.saturating_sub(START)),
        }
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let Some(held) = self.held() else {
            return self.0.medium.read(offset.saturating_add(START), out);
        };
        let end = offset.saturating_add(u64::try_from(out.len()).unwrap_or(u64::MAX));
        if end > held.len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let solid = usize::try_from(held.solid.saturating_sub(offset)).unwrap_or(usize::MAX);
        let (solid, beyond) = out.split_at_mut(solid.min(out.len()));
        beyond.fill(0);
        if !solid.is_empty() {
            self.0.medium.read(offset.saturating_add(START), solid)?;
        }
        held.cover(offset, out);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let Some(mut held) = self.held() else {
            return self.set_len_now(len);
        };
        held.len = len;
        held.solid = held.solid.min(len);
        held.steps.push(Step::Len(len));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let Some(mut held) = self.held() else {
            return self.journal().sync(&*self.0.medium);
        };
        held.steps.push(Step::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let Some(mut held) = self.held() else {
            return self.write_now(offset, data);
        };
        held.steps.push(Step::Write(offset, data.to_vec()));
        Ok(())
    }

    fn close(&self) -> io::Result<()> {
        // The lock goes with the last handle of the file. It must not be free before the file is opened again.
        if self.held().is_some() {
            return Ok(());
        }
        self.journal().close(&*self.0.medium)
    }

    fn try_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.locks()?.try_lock_range(start, end)
    }

    fn try_lock_shared_range(
        &self,
        start: Bound<u64>,
        end: Bound<u64>,
    ) -> Result<bool, BackendError> {
        self.locks()?.try_lock_shared_range(start, end)
    }

    fn lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.locks()?.lock_range(start, end)
    }

    fn lock_shared_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.locks()?.lock_shared_range(start, end)
    }

    fn unlock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<(), BackendError> {
        self.locks()?.unlock_range(start, end)
    }

    fn query_lock_range(&self, start: Bound<u64>, end: Bound<u64>) -> Result<bool, BackendError> {
        self.locks()?.query_lock_range(start, end)
    }
}

impl Storage {
    fn locks(&self) -> Result<&FileBackend, BackendError> {
        self.0.medium.locks().ok_or(BackendError::Unsupported)
    }
}
