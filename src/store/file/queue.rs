//! What the thread that writes has to do, and the answers that it gives.

use std::{
    error, fmt, io, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::sync::oneshot;

use crate::{
    model::Tag,
    store::{StoreError, StoreErrorKind},
};

/// The session sets whose commit a caller waits for.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    work: Condvar,
    /// Whether there is activity that is not on the disk.
    seen: AtomicBool,
}

#[derive(Default)]
struct State {
    tags: Vec<Tag>,
    /// Who waits for any commit.
    waiting: Vec<Waiting>,
    stops: bool,
}

/// What the thread got from the queue.
pub(super) struct Work {
    pub(super) tags: Vec<Tag>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) stops: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, tag: Tag) {
        let mut state = self.state();
        state.tags.push(tag);
        if state.tags.len() == 1 {
            self.work.notify_one();
        }
    }

    /// Waits for the next commit, whatever else is in it.
    pub(super) fn wait(&self) -> oneshot::Receiver<Landing> {
        let (waiting, done) = oneshot::channel();
        self.state().waiting.push(waiting);
        self.work.notify_one();
        done
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

    /// Waits until there is something to do, for so long at most.
    pub(super) fn take(&self, most: Option<Duration>) -> Work {
        let state = self.state();
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
        Work {
            tags: mem::take(&mut state.tags),
            waiting: mem::take(&mut state.waiting),
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
