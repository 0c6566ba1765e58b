//! Whether PostgreSQL can be reached, so that an outage costs few connections and little time.

use std::{
    error::Error,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use super::{
    failure::Failure,
    link::{Missed, Time},
};
use crate::{
    model::clock::{Monotonic, millis},
    store::{
        Lacks, StoreError, StoreErrorKind,
        meter::postgres as meter,
        outage::{DENIED, SharedCause, jitter},
    },
};

/// A gap of this length is bridged: calls wait for it.
const BRIDGED: Duration = Duration::from_millis(300);

/// The pauses between two attempts to connect.
const FIRST: Duration = Duration::from_millis(25);
const LONGEST: Duration = Duration::from_secs(1);

/// While calls wait, a server that is back shall answer them in time.
const SOON: Duration = Duration::from_millis(50);

/// Closed while the server cannot be reached. Then one call at a time tries, and the others get its error.
#[derive(Debug, Default)]
pub(super) struct Gate {
    outage: Mutex<Option<Outage>>,
    changed: Notify,
    /// When the server last answered, in ms.
    answered: AtomicI64,
}

#[derive(Debug)]
struct Outage {
    kind: StoreErrorKind,
    cause: SharedCause,
    lacks: Option<Lacks>,
    since: Monotonic,
    failed: u32,
    /// How long after `last` the next attempt may begin.
    pause: Duration,
    last: Monotonic,
    trying: bool,
}

/// May connect. While the server is away it is the only one.
#[derive(Debug)]
pub(super) struct Pass<'a> {
    gate: &'a Gate,
    tries: bool,
}

enum Next {
    Go { tries: bool },
    Wait(Duration),
    Fail(StoreError),
}

impl Gate {
    /// Waits while a short outage may be over in time, and fails in a long one.
    pub(super) async fn enter(&self, time: Time) -> Result<Pass<'_>, Missed> {
        loop {
            let changed = self.changed.notified();
            match self.next() {
                Next::Go { tries } => return Ok(Pass { gate: self, tries }),
                Next::Fail(error) => return Err(Missed::nothing_ran(error)),
                Next::Wait(pause) => {
                    let left = time.left();
                    // Either way the loop looks again.
                    let _ = timeout(pause.min(left), changed).await;
                    if left.is_zero() {
                        let error = self
                            .error()
                            .unwrap_or(StoreError::new(StoreErrorKind::Timeout));
                        return Err(Missed::nothing_ran(error));
                    }
                }
            }
        }
    }

    fn next(&self) -> Next {
        let mut outage = self.outage();
        let Some(outage) = &mut *outage else {
            return Next::Go { tries: false };
        };
        let waited = outage.last.elapsed();
        if !outage.trying && waited >= outage.pause {
            outage.trying = true;
            return Next::Go { tries: true };
        }
        let bridged = BRIDGED.saturating_sub(outage.since.elapsed());
        if bridged.is_zero() {
            return Next::Fail(outage.error());
        }
        let next = outage.pause.saturating_sub(waited);
        Next::Wait(if outage.trying {
            bridged
        } else {
            bridged.min(next)
        })
    }

    fn error(&self) -> Option<StoreError> {
        self.outage().as_ref().map(Outage::error)
    }

    /// The server has answered.
    pub(super) fn answered(&self) {
        self.answered.store(Monotonic::now().as_millis(), Relaxed);
        let mut outage = self.outage();
        if let Some(over) = outage.take() {
            meter::went(true);
            tracing::info!(after = ?over.since.elapsed(), "PostgreSQL answers again");
            drop(outage);
            self.changed.notify_waiters();
        }
    }

    /// Whether it did since then, or so shortly before.
    pub(super) fn answered_since(&self, moment: Monotonic, before: Duration) -> bool {
        let moment = moment.as_millis().saturating_sub(millis(before));
        self.answered.load(Relaxed) > moment
    }

    /// The server cannot be reached. Only a try makes the pauses longer: those that were on their way when the outage began
    /// fail all at once.
    pub(super) fn failed(&self, failure: Failure, pass: &mut Pass<'_>) -> StoreError {
        let mut guard = self.outage();
        let (since, failed) = match &*guard {
            // A refusal came meanwhile, and says more.
            Some(outage) if pass.tries && !outage.trying => return outage.error(),
            Some(outage) if pass.tries => (outage.since, outage.failed.saturating_add(1)),
            Some(_) => return failure.error(),
            None => (Monotonic::now(), 0),
        };
        // Another call may try from here on.
        pass.tries = false;
        let lacks = failure.lacks();
        let Failure {
            kind,
            cause,
            refused,
            ..
        } = failure;
        let cause = SharedCause::new(cause);
        if guard.is_none() {
            meter::went(false);
            let error = &cause as &dyn Error;
            if refused {
                tracing::warn!(error, "PostgreSQL refuses the connection");
            } else {
                tracing::warn!(error, "PostgreSQL cannot be reached");
            }
        }
        let outage = guard.insert(Outage {
            kind,
            cause,
            lacks,
            since,
            failed,
            pause: pause(kind, failed, since.elapsed()),
            last: Monotonic::now(),
            trying: false,
        });
        let error = outage.error();
        drop(guard);
        self.changed.notify_waiters();
        error
    }

    /// A connection that no call waited for was opened. Whether statements are answered, the next call finds out: a pooler
    /// opens connections also while its server is away.
    pub(super) fn opened_beside(&self) {
        self.answered.store(Monotonic::now().as_millis(), Relaxed);
        if let Some(outage) = &mut *self.outage() {
            outage.pause = Duration::ZERO;
        }
        self.changed.notify_waiters();
    }

    /// A connection that no call waited for was refused. If none has answered since, that says more than that it took long.
    pub(super) fn failed_beside(&self, failure: Failure) {
        if let Some(outage) = &mut *self.outage() {
            outage.trying = true;
        } else {
            return;
        }
        let mut pass = Pass {
            gate: self,
            tries: true,
        };
        self.failed(failure, &mut pass);
    }

    fn outage(&self) -> MutexGuard<'_, Option<Outage>> {
        self.outage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outage {
    fn error(&self) -> StoreError {
        let error = StoreError::new(self.kind).with_lack(self.lacks);
        error.with_source(self.cause.clone())
    }
}

/// The pause after so many attempts that failed, so long after the first one.
fn pause(kind: StoreErrorKind, failed: u32, away: Duration) -> Duration {
    let longest = if away < BRIDGED { SOON } else { LONGEST };
    match kind {
        StoreErrorKind::Denied => DENIED,
        // The attempt was pause enough.
        StoreErrorKind::Timeout => Duration::ZERO,
        _ => jitter((FIRST * (1 << failed.min(6))).min(longest)),
    }
}

impl Pass<'_> {
    /// The gate knows what became of the try.
    pub(super) fn done(mut self) {
        self.tries = false;
    }
}

/// A try that was dropped leaves its place to the next call.
impl Drop for Pass<'_> {
    fn drop(&mut self) {
        if self.tries
            && let Some(outage) = &mut *self.gate.outage()
        {
            outage.trying = false;
            self.gate.changed.notify_waiters();
        }
    }
}
