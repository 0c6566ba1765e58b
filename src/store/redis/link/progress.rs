//! How far a call has come, and where it may go on.

use std::{error::Error, fmt, sync::atomic::Ordering, time::Duration};

use super::{
    call::{Call, Resend},
    connection::Shared,
    failure::Failure,
    limit::Place,
};
use crate::store::{StoreError, StoreErrorKind, meter, redis::reply::Reply};

/// How far a call has come, for the error that ends it.
#[derive(Default)]
pub(in super::super) struct Progress {
    /// The connection whose answer is being waited for.
    pub(super) waits_on: Option<Shared>,
    pub(super) place: Option<Place>,
    /// The time, in ms, while nothing was waited for since it was read.
    pub(super) now: Option<i64>,
    /// Whether it may have run, by what is known.
    pub(super) unknown: bool,
    pub(super) mixed_up: u32,
    /// Whether an error came for it that can hardly be its own.
    pub(super) odd: bool,
    /// How often it was sent, and how often of that nobody knows what became of it.
    pub(super) sends: u32,
    pub(super) lost: u32,
    /// Whether the server refused it before anything ran, and no earlier sending may have run.
    pub(super) refused: bool,
    /// Whether the next sending is about a key that moves to that node.
    pub(in super::super) asking: bool,
    /// How often the link had lost slots when it was chosen.
    pub(in super::super) losses: u64,
}

impl Progress {
    /// The call is sent, for the first time or again.
    pub(super) fn is_sent(&mut self, call: &Call<'_>) {
        self.sends += 1;
        if let Some(sends) = call.sends {
            sends.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The call goes on elsewhere.
    pub(in super::super) fn leave(&mut self) {
        self.place = None;
    }

    /// The answer to the caller. What came last, as an outage or a refusal, hides that an earlier sending may have run.
    pub(in super::super) fn judge(
        &self,
        call: &Call<'_>,
        answer: Result<Reply, StoreError>,
    ) -> Result<Reply, StoreError> {
        answer.map_err(|error| {
            let hides = !matches!(
                error.kind(),
                StoreErrorKind::Corrupt | StoreErrorKind::Timeout | StoreErrorKind::Uncertain
            );
            if hides && self.unknown && call.says_uncertain {
                return StoreError::new(StoreErrorKind::Uncertain).with_source(error);
            }
            error
        })
    }

    /// No place came free in time.
    pub(super) fn busy(&self, call: &Call<'_>) -> StoreError {
        meter::link::busy();
        let uncertain = self.unknown && call.resend == Resend::Never;
        StoreError::new(if uncertain {
            StoreErrorKind::Uncertain
        } else {
            StoreErrorKind::Busy
        })
    }

    /// Whether this error can hardly be the reply to this call, and the call is sent once again.
    ///
    /// An error names no request. That a server is full does not keep it from running some scripts. So where a reply was
    /// lost, the error belongs to the request before, and the next reply says so.
    pub(super) fn is_odd(
        &mut self,
        call: &Call<'_>,
        connection: &Shared,
        failure: Failure,
    ) -> bool {
        let is_full = failure == Failure::Final(StoreErrorKind::Full);
        let runs = || connection.shebang() && call.script.needs_no_room();
        let is_odd = is_full && runs() && call.resend == Resend::Harmless && !self.odd;
        self.odd |= is_odd;
        is_odd
    }

    /// Whether it may have run, or may run yet.
    pub(in super::super) fn may_run(&self) -> bool {
        self.sends > 0 && !self.refused
    }
}

/// What came of a call on one link.
pub(in super::super) enum Came {
    /// Its answer.
    Answer(Result<Reply, StoreError>),
    /// Of a Cluster: nothing ran here, for the key is elsewhere.
    Elsewhere(Elsewhere),
}

/// Where the key is.
pub(in super::super) enum Elsewhere {
    /// This node serves its slot.
    Moved(Box<str>),
    /// This node has it, though the slot is not served there yet.
    Asked(Box<str>),
    /// Where the map says.
    Somewhere,
}

/// The calls before it have used all of the deadline: it is not sent.
pub(in super::super) fn over() -> (Result<Reply, StoreError>, bool) {
    let error = StoreError::new(StoreErrorKind::Timeout).known_not_run();
    (Err(error), false)
}

/// What follows a call that did not come to its reply.
pub(super) enum Next {
    Again(Duration),
    Fail(StoreError),
    Elsewhere(Elsewhere),
}

/// Why a call to one primary of a Cluster failed: its key is elsewhere. Nothing ran.
#[derive(Debug)]
pub(in super::super) struct NotHere;

impl fmt::Display for NotHere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server does not serve this slot of the Cluster any more")
    }
}

impl Error for NotHere {}

/// What came of waiting for a place.
pub(super) enum Waited {
    Place(Place),
    Down,
    Busy,
    Elsewhere,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::redis::script::source::Script;

    #[test]
    fn only_a_call_that_may_have_run_is_uncertain() {
        let script = Script::of(&["return 1"]);
        let mut call = Call::new(&script, "key", *b"8 bytes.");
        call.says_uncertain = true;
        let mut progress = Progress::default();
        let judged = |progress: &Progress, call: &Call<'_>, kind| {
            let answer = progress.judge(call, Err(StoreError::new(kind)));
            answer.unwrap_err().kind()
        };
        let down = StoreErrorKind::Unavailable;
        assert_eq!(judged(&progress, &call, down), down, "it was never sent");
        assert!(!progress.may_run());

        (progress.sends, progress.unknown) = (1, true);
        assert_eq!(judged(&progress, &call, down), StoreErrorKind::Uncertain);
        let late = StoreErrorKind::Timeout;
        assert_eq!(judged(&progress, &call, late), late, "that says it, too");
        assert_eq!(progress.busy(&call).kind(), StoreErrorKind::Busy);
        call.resend = Resend::Never;
        assert_eq!(progress.busy(&call).kind(), StoreErrorKind::Uncertain);
        call.says_uncertain = false;
        assert_eq!(judged(&progress, &call, down), down);
        assert!(progress.may_run());
        progress.refused = true;
        assert!(!progress.may_run(), "the server refused it");
    }
}
