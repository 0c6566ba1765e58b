//! One operation on a stored session set: read it, run the rules, write it, and again if another write won.

use std::time::Duration;

use super::{
    SetStorage, Urgency, Version, Write, WriteKind, Written,
    everyone::TAG as EVERYONE,
    turns::{Turn, Turns},
};
use crate::{
    model::{Arrival, SessionId, Tag, Timestamp},
    store::{FeedMessage, SessionSet, StoreError, StoreErrorKind},
};

/// How often an operation is tried after errors. Ends are tried more often, because a session that its user
/// ended must not stay live.
const TRIES: u32 = 3;
const TRIES_OF_ENDS: u32 = 12;

/// How often activity is tried again after another write won, if the session would expire early without it.
///
/// It is seldom due, and does not wait for a turn. So the requests of a thief do not delay the user's `end_all`.
const RETRIES_OF_ACTIVITY: u32 = 2;

/// How often head and part may be of two writes, before they count as corrupt.
const TORN_MAX: u32 = 2;

/// What an operation works on.
#[derive(Clone, Copy)]
pub(super) struct Task {
    pub(super) tag: Tag,
    /// The session whose data it most likely needs.
    pub(super) part: Option<SessionId>,
    pub(super) kind: TaskKind,
}

#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum TaskKind {
    /// It may be tried again, with the same outcome if it ran.
    Repeatable,
    /// It is repeated for longer.
    End,
    /// As `Repeatable`. It happens with each request and mostly writes activity, so it does not wait for others.
    Request,
    /// As `Repeatable`, for a session whose sign-in was given up. Until it has run, a session counts that nobody has.
    GivenUp,
    /// It must not run late.
    SignIn,
    /// If it may have run and another write followed, nobody knows whether it did.
    Once,
}

impl TaskKind {
    pub(super) fn urgency(self) -> Urgency {
        match self {
            Self::End => Urgency::End,
            Self::SignIn | Self::GivenUp => Urgency::SignIn,
            Self::Repeatable | Self::Request | Self::Once => Urgency::Other,
        }
    }
}

/// A session set as it was read.
pub(super) struct Loaded {
    pub(super) set: SessionSet,
    pub(super) now: Timestamp,
    version: Option<Version>,
}

/// An attempt that may have run.
struct Doubtful<T> {
    /// The version that the set has then.
    version: Option<Version>,
    messages: Vec<FeedMessage>,
    /// What it answers.
    outcome: T,
}

/// What came of one.
pub(super) struct Done<T> {
    pub(super) outcome: T,
    /// Whether it is a sign-in that was written after its time.
    pub(super) late: bool,
    /// Whether a read shows that an attempt ran, which the storage answered with an error.
    pub(super) ran: bool,
    /// Whether nothing was to be written, for example because an earlier call has done it.
    pub(super) found: bool,
    /// What earlier attempts answer if they still run.
    pub(super) doubtful: Vec<T>,
}

/// An operation without an outcome.
pub(super) struct Failed {
    error: StoreError,
    /// Whether an attempt ran, or may run yet.
    pub(super) may_have_run: bool,
}

impl Failed {
    /// Its error. The kind says so if an attempt may have run.
    pub(super) fn or_uncertain(self) -> StoreError {
        if self.may_have_run {
            StoreError::new(StoreErrorKind::Uncertain).with_source(self.error)
        } else {
            self.into()
        }
    }
}

impl From<Failed> for StoreError {
    fn from(failed: Failed) -> Self {
        if failed.may_have_run {
            failed.error
        } else {
            failed.error.known_not_run()
        }
    }
}

/// Reads the session set, with the part that `lacks` asks for.
pub(super) async fn load<S: SetStorage>(
    storage: &S,
    tag: Tag,
    mut part: Option<SessionId>,
    urgency: Urgency,
    lacks: impl Fn(&SessionSet, Timestamp) -> Option<SessionId>,
) -> Result<Loaded, StoreError> {
    if tag == EVERYONE {
        // What is stored there is no session set.
        return Ok(Loaded {
            set: SessionSet::default(),
            now: storage.now(),
            version: None,
        });
    }
    let mut torn = 0;
    loop {
        let stored = storage.read_for(tag, part, urgency).await?;
        let now = stored.now.unwrap_or_else(|| storage.now());
        let Some((version, head)) = stored.found else {
            return Ok(Loaded {
                set: SessionSet::default(),
                now,
                version: None,
            });
        };
        let mut set = SessionSet::decode(&head)?;
        let added = match (part, stored.part) {
            (Some(id), Some(bytes)) => set.add_part(id, bytes),
            _ => Ok(()),
        };
        let lacked = lacks(&set, now);
        let failed = match added {
            Err(error) if error.kind() == StoreErrorKind::Corrupt => error,
            Err(error) => return Err(error),
            Ok(()) if lacked.is_none() => {
                let version = Some(version);
                return Ok(Loaded { set, now, version });
            }
            Ok(()) => StoreError::new(StoreErrorKind::Corrupt),
        };
        // Asked for and not there, or of another revision: head and part are of two writes.
        if lacked == part || lacked.is_none() {
            torn += 1;
        }
        if torn > TORN_MAX {
            return Err(failed);
        }
        part = lacked.or(part);
    }
}

/// Runs an operation until its outcome is written, or there is nothing to write.
///
/// `holds_unwritten` says of which outcomes it does no harm that the storage cannot write them.
pub(super) async fn run<S: SetStorage, T>(
    storage: &S,
    turns: &Turns,
    patience: Duration,
    task: Task,
    lacks: impl Fn(&SessionSet, Timestamp) -> Option<SessionId>,
    holds_unwritten: impl Fn(&T) -> bool,
    mut operation: impl FnMut(&mut SessionSet, Timestamp) -> T,
) -> Result<Done<T>, Failed> {
    let Task { tag, part, kind } = task;
    let urgency = kind.urgency();
    let began = Arrival::now();
    let tries = match kind {
        TaskKind::End => TRIES_OF_ENDS,
        TaskKind::Repeatable
        | TaskKind::Request
        | TaskKind::GivenUp
        | TaskKind::SignIn
        | TaskKind::Once => TRIES,
    };
    let (mut lost, mut failed, mut missed) = (0, 0, 0);
    // The outcome of an attempt whose activity was lost.
    let mut known = None;
    let mut doubtful: Vec<Doubtful<T>> = Vec::new();
    let mut expected = None;
    let mut turn = None;
    // Why the attempt before failed.
    let mut last = None;
    loop {
        // While others take turns, a new operation joins them. So a flood of writes cannot overtake them for ever.
        let joins = || kind != TaskKind::Request && turns.are_taken(tag);
        // A request that lost mostly finds its change done, so it looks again before it waits.
        let most = u32::from(kind == TaskKind::Request);
        if turn.is_none() && (lost > most || joins()) {
            turn = turns.take(tag, urgency).await;
            // Many may have had their turns before. An end goes first, and is not given up while the storage answers.
            let is_over =
                |turn: &Turn<'_>| began.age() > patience && (kind != TaskKind::End || turn.fails());
            if turn.as_ref().is_none_or(is_over) {
                let busy = last.unwrap_or(StoreError::new(StoreErrorKind::Busy));
                return Err(unknown(kind, !doubtful.is_empty(), busy));
            }
        }
        let loaded = load(storage, tag, part, urgency, &lacks).await;
        if let Some(turn) = &turn {
            turn.found(loaded.as_ref().is_err_and(may_help));
        }
        let loaded = match loaded {
            Ok(loaded) => {
                known = None;
                loaded
            }
            Err(error) if !may_help(&error) => return Err(failure(error, !doubtful.is_empty())),
            Err(error) => {
                // Only activity is left to write, and an outcome does not wait for that.
                if let Some(done) = known.take() {
                    return Ok(done);
                }
                failed += 1;
                let spent = began.age() > patience;
                if spent || failed >= tries || kind != TaskKind::End && doubtful.is_empty() {
                    return Err(unknown(kind, !doubtful.is_empty(), error));
                }
                storage.pause(failed).await;
                continue;
            }
        };
        let ran = doubtful
            .iter()
            .position(|attempt| attempt.version == loaded.version);
        if let Some(at) = ran {
            let attempt = doubtful.swap_remove(at);
            // Readers of the messages may have looked before it ran.
            storage.report(&attempt.messages);
            return Ok(Done {
                outcome: attempt.outcome,
                late: kind == TaskKind::SignIn && began.age() > patience,
                ran: true,
                found: false,
                doubtful: Vec::new(),
            });
        }
        if kind == TaskKind::Once && !doubtful.is_empty() && loaded.version != expected {
            return Err(failure(StoreError::new(StoreErrorKind::Uncertain), true));
        }
        let Loaded { set, now, version } = loaded;
        let mut after = set.clone();
        let outcome = operation(&mut after, now);
        let done = Done {
            outcome,
            late: false,
            ran: false,
            found: false,
            doubtful: Vec::new(),
        };
        let write = Write::between(tag, version, &set, &after, now);
        let write = write.map_err(|error| failure(error, !doubtful.is_empty()))?;
        let Some(mut write) = write else {
            let doubtful = doubtful
                .into_iter()
                .map(|attempt| attempt.outcome)
                .collect();
            return Ok(Done {
                found: true,
                doubtful,
                ..done
            });
        };
        if tag == EVERYONE {
            return Err(failure(StoreError::new(StoreErrorKind::Unsupported), false));
        }
        if write.kind == WriteKind::Activity {
            // Another request of the user was written at this moment. That one was for another session, maybe.
            let matters = missed < RETRIES_OF_ACTIVITY && after.has_late_activity(&set);
            if !matters && turns.are_taken(tag) {
                return Ok(done);
            }
            let written = storage.write(tag, &write).await;
            if matters && matches!(written, Ok(Written::Lost)) {
                missed += 1;
                known = Some(done);
                storage.pause(missed).await;
                continue;
            }
            return Ok(done);
        }
        write.urgency = urgency;
        if kind == TaskKind::SignIn {
            let left = patience.saturating_sub(began.age());
            if left.is_zero() {
                let error = last.unwrap_or(StoreError::new(StoreErrorKind::Timeout));
                return Err(unknown(kind, !doubtful.is_empty(), error));
            }
            write.latest = Some(now.plus(left));
        }
        let written = storage.write(tag, &write).await;
        if let Some(turn) = &turn {
            let error = match &written {
                Ok(Written::NothingRan(error)) | Err(error) => Some(error),
                Ok(Written::Written { .. } | Written::Lost) => None,
            };
            turn.found(error.is_some_and(may_help));
        }
        let (error, may_have_run) = match written {
            Ok(Written::Written { when }) => {
                let when = || when.unwrap_or_else(|| storage.now());
                let late = write.latest.is_some_and(|latest| when() > latest);
                return Ok(Done { late, ..done });
            }
            Ok(Written::Lost) if began.age() <= patience => {
                lost += 1;
                if turn.is_some() {
                    storage.pause(lost).await;
                }
                continue;
            }
            Ok(Written::Lost) => (StoreError::new(StoreErrorKind::Busy), false),
            Ok(Written::NothingRan(error)) => (error, false),
            Err(error) => (error, true),
        };
        failed += 1;
        if failed >= tries || began.age() > patience || !may_have_run && !may_help(&error) {
            if holds_unwritten(&done.outcome) {
                return Ok(done);
            }
            return Err(unknown(kind, may_have_run || !doubtful.is_empty(), error));
        }
        if may_have_run {
            expected = version;
            // A deleted set has no version.
            let version = write.head.as_ref().map(|_| write.version);
            doubtful.push(Doubtful {
                version,
                messages: write.messages,
                outcome: done.outcome,
            });
        }
        last = Some(error);
        storage.pause(failed).await;
    }
}

/// Whether trying again may help after this error.
fn may_help(error: &StoreError) -> bool {
    !matches!(
        error.kind(),
        StoreErrorKind::Corrupt
            | StoreErrorKind::Denied
            | StoreErrorKind::Full
            | StoreErrorKind::TooNew
            | StoreErrorKind::Unsupported
    )
}

fn failure(error: StoreError, may_have_run: bool) -> Failed {
    Failed {
        error,
        may_have_run,
    }
}

/// What the caller gets of an error, if the operation may have run.
pub(super) fn unknown(kind: TaskKind, may_have_run: bool, error: StoreError) -> Failed {
    let failed = failure(error, may_have_run);
    if kind == TaskKind::Once {
        return failure(failed.or_uncertain(), may_have_run);
    }
    failed
}
