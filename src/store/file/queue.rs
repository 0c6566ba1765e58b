//! What the thread that writes has to do, and the answers that it gives.

use std::{
    error, fmt, io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    model::{Tag, clock::Monotonic},
    store::{StoreError, StoreErrorKind},
};

/// At so many sets whose commit failed, a new one first waits until these are written.
pub(super) const FAILED_MAX: usize = if cfg!(test) { 16 } else { 64 * 1024 };

/// The session sets whose commit a caller waits for.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    /// Whether there is activity that is not on the disk.
    seen: AtomicBool,
    /// How many sets wait since their commit failed.
    failed: AtomicUsize,
    /// Whether the disk has no space for more sessions.
    is_full: AtomicBool,
}

#[derive(Default)]
struct State {
    tags: Vec<Tag>,
    /// Who waits for any commit.
    waiting: Vec<Waiting>,
    /// Whether the database is wanted with all that was written.
    settles: bool,
    stops: bool,
    /// At so many session sets the thread stops gathering.
    enough: usize,
}

/// How long the next commit waits for more session sets, so that fewer commits carry them all.
///
/// The callers of the last commit have their answers and may come back at once, as users do who sign in one after the
/// other on the same connections.
pub(super) struct Gather {
    /// How many session sets the last commit had.
    pub(super) last: usize,
    /// When it ended.
    pub(super) at: Monotonic,
    /// How long to wait after it at most.
    pub(super) most: Duration,
}

/// What the thread got from the queue.
pub(super) struct Work {
    pub(super) tags: Vec<Tag>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) settles: bool,
    pub(super) stops: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, tag: Tag) {
        let mut state = self.state();
        state.tags.push(tag);
        let len = state.tags.len();
        if len == 1 || len == state.enough {
            self.work.notify_one();
        }
    }

    /// Waits for the next commit, whatever else is in it.
    pub(super) fn wait(&self) -> oneshot::Receiver<Landing> {
        self.wait_for(false)
    }

    /// Waits until the database has all that was written before.
    pub(super) fn settle(&self) -> oneshot::Receiver<Landing> {
        self.wait_for(true)
    }

    fn wait_for(&self, settles: bool) -> oneshot::Receiver<Landing> {
        let (waiting, done) = oneshot::channel();
        let mut state = self.state();
        state.waiting.push(waiting);
        state.settles |= settles;
        self.work.notify_one();
        done
    }

    pub(super) fn note_failed(&self, sets: usize) {
        self.failed.store(sets, Ordering::Release);
    }

    pub(super) fn failed(&self) -> usize {
        self.failed.load(Ordering::Acquire)
    }

    pub(super) fn note_full(&self, is_full: bool) {
        self.is_full.store(is_full, Ordering::Release);
    }

    pub(super) fn is_full(&self) -> bool {
        self.is_full.load(Ordering::Acquire)
    }

    /// Some activity has to be written within the second.
    pub(super) fn note_seen(&self) {
        // Runs on every request, so that it mostly only reads.
        if !self.seen.load(Ordering::Acquire) && !self.seen.swap(true, Ordering::AcqRel) {
            let _state = self.state();
            self.work.notify_one();
        }
    }

    pub(super) fn has_seen(&self) -> bool {
        self.seen.load(Ordering::Acquire)
    }

    /// The activity of before will be written now.
    pub(super) fn take_seen(&self) -> bool {
        self.seen.swap(false, Ordering::AcqRel)
    }

    /// The thread writes what is left and ends.
    pub(super) fn stop(&self) {
        self.state().stops = true;
        self.work.notify_one();
    }

    /// Waits until there is something to do, for so long at most, and gathers.
    pub(super) fn take(&self, most: Option<Duration>, gather: &Gather) -> Work {
        let state = self.state();
        let enough = gather.last + state.tags.len();
        let is_idle = |state: &mut State| {
            state.tags.is_empty()
                && state.waiting.is_empty()
                && !state.stops
                && (most.is_some() || !self.has_seen())
        };
        let mut state = if let Some(most) = most {
            let waited = self.work.wait_timeout_while(state, most, is_idle);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            let waited = self.work.wait_while(state, is_idle);
            waited.unwrap_or_else(PoisonError::into_inner)
        };
        let few = |state: &mut State| {
            !state.tags.is_empty()
                && state.tags.len() < enough
                && state.waiting.is_empty()
                && !state.stops
        };
        let rest = gather.most.saturating_sub(gather.at.elapsed());
        if !rest.is_zero() && few(&mut state) {
            state.enough = enough;
            let waited = self.work.wait_timeout_while(state, rest, few);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
            state.enough = 0;
        }
        Work {
            tags: mem::take(&mut state.tags),
            waiting: mem::take(&mut state.waiting),
            settles: mem::take(&mut state.settles) || state.stops,
            stops: state.stops,
        }
    }
}

/// Whether a commit is on the disk.
pub(super) type Outcome = Result<(), Failure>;

/// Who waits for a commit.
pub(super) type Waiting = oneshot::Sender<Landing>;

/// What came of an operation that waits for a commit.
#[derive(Clone, Debug)]
pub(super) enum Landing {
    Done(Outcome),
    /// The commit before it failed, so it has to run again on the set as it was.
    Again,
}

/// Why a commit is not on the disk. All operations of one commit get the same.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    kind: StoreErrorKind,
    cause: Cause,
}

/// The error of the database, for all operations of one commit.
#[derive(Clone, Debug)]
struct Cause(Arc<redb::Error>);

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl error::Error for Cause {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.0.source()
    }
}

impl From<redb::Error> for Failure {
    fn from(error: redb::Error) -> Self {
        let kind = match &error {
            redb::Error::Io(error) => match error.kind() {
                io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::FileTooLarge => StoreErrorKind::Full,
                io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                    StoreErrorKind::Denied
                }
                _ => StoreErrorKind::Unavailable,
            },
            redb::Error::Corrupted(_) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Unavailable,
        };
        Self {
            kind,
            cause: Cause(Arc::new(error)),
        }
    }
}

impl From<Failure> for StoreError {
    fn from(failure: Failure) -> Self {
        Self::new(failure.kind).with_source(failure.cause)
    }
}

impl Failure {
    pub(super) fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    pub(super) fn cause(&self) -> &(dyn error::Error + 'static) {
        &self.cause
    }
}

/// Waits for a commit. Returns whether the operation has to run again.
pub(super) async fn landed(done: oneshot::Receiver<Landing>) -> Result<bool, StoreError> {
    match done.await {
        Ok(Landing::Done(outcome)) => {
            outcome?;
            Ok(false)
        }
        Ok(Landing::Again) => Ok(true),
        // The thread that writes has ended.
        Err(closed) => Err(StoreError::new(StoreErrorKind::Unavailable).with_source(closed)),
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    const LONG: Duration = Duration::from_secs(30);

    fn tag(user: u8) -> Tag {
        Tag::from_bytes([user; 12])
    }

    /// After a commit of so many sets that took so long and ended now.
    fn after(last: usize, most: Duration) -> Gather {
        Gather {
            last,
            at: Monotonic::now(),
            most,
        }
    }

    #[test]
    fn a_commit_waits_until_those_of_the_last_one_are_back_and_those_that_waited() {
        let queue = Queue::default();
        queue.push(tag(0));
        let gather = after(2, LONG);

        let work = thread::scope(|scope| {
            scope.spawn(|| {
                // The thread gathers.
                while queue.state().enough == 0 {
                    thread::yield_now();
                }
                queue.push(tag(1));
                assert_eq!(queue.state().enough, 3);
                queue.push(tag(2));
            });
            queue.take(None, &gather)
        });

        assert_eq!(work.tags, [tag(0), tag(1), tag(2)]);
        assert_eq!(queue.state().enough, 0);
    }

    #[test]
    fn a_commit_waits_for_nobody_after_one_set_alone_or_when_its_time_is_over() {
        let queue = Queue::default();
        let mut nobody = Vec::new();
        for gather in [after(0, LONG), after(1, LONG), after(9, Duration::ZERO)] {
            let began = Monotonic::now();
            queue.push(tag(1));
            // As the thread is when the set comes while it has nothing to do.
            let gather = Gather {
                last: gather.last - usize::from(gather.last == 1),
                ..gather
            };
            nobody.append(&mut queue.take(None, &gather).tags);
            assert!(began.elapsed() < LONG / 2);
        }

        assert_eq!(nobody.len(), 3);
    }

    #[test]
    fn a_commit_that_gathers_ends_with_its_time_with_a_stop_and_with_a_caller_who_waits_for_any() {
        let queue = Queue::default();
        queue.push(tag(1));
        let work = queue.take(None, &after(9, Duration::from_millis(1)));
        assert_eq!(work.tags, [tag(1)]);

        queue.push(tag(2));
        let _done = queue.wait();
        assert_eq!(queue.take(None, &after(9, LONG)).waiting.len(), 1);

        queue.push(tag(3));
        queue.stop();
        assert!(queue.take(None, &after(9, LONG)).stops);
    }
}
