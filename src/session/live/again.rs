//! Whether a call still has the session that its streams wait for.

use std::task::{Poll, Waker};

use super::{
    super::{Session, current::Current, staged::Target, state::State},
    LiveSession,
    watched::wake,
};
use crate::model::{SessionId, Tag};

/// What a request notes of its streams.
#[derive(Default)]
pub(in crate::session) struct Streams {
    /// Boxed: the state is moved on every request.
    look_again: Option<Box<LookAgain>>,
    /// The handler watches the session for a stream.
    pub(super) taken: bool,
    /// The body of the request failed, because the session had ended.
    cut_off: bool,
}

/// Tasks that look again after a commit or an end.
#[derive(Default)]
struct LookAgain(Vec<Waker>);

impl Session {
    /// Whether a session that ended is still that of the request.
    ///
    /// It is not if the request itself ended or replaced it. Where that is not known yet, the task is woken after the
    /// commit or the end that decides it.
    pub(crate) fn poll_still(&self, live: &LiveSession, task: &Waker) -> Poll<bool> {
        let mut state = self.state();
        if !state.has(live.watched().of()) {
            return Poll::Ready(false);
        }
        // The turn is given back before tasks are woken, and that needs the lock of the state.
        let commits = state.committing && self.0.turn.try_lock().is_err();
        if !commits && state.ends == 0 && matches!(state.staged.target, Target::Stay) {
            return Poll::Ready(true);
        }
        let tasks = &mut state.streams.look_again.get_or_insert_default().0;
        if !tasks.iter().any(|known| known.will_wake(task)) {
            tasks.push(task.clone());
        }
        Poll::Pending
    }

    /// The body of the request fails, because the session has ended.
    pub(super) fn cut_off(&self) {
        self.state().streams.cut_off = true;
    }

    /// Whether the body of the request failed for that reason.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.state().streams.cut_off
    }

    /// The client gets the reason for that. Another layer around this one leaves the answer alone.
    pub(crate) fn cut_off_is_answered(&self) {
        self.state().streams.cut_off = false;
    }

    /// Whether the session is that of the request, or was until it ended.
    pub(crate) fn has(&self, live: &LiveSession) -> bool {
        self.state().has(live.watched().of())
    }

    /// A commit or an end is over.
    pub(in crate::session) fn look_again(&self) {
        let tasks = self.state().streams.look_again.take();
        for task in tasks.into_iter().flat_map(|tasks| tasks.0) {
            wake(|| task.wake());
        }
    }
}

impl State {
    /// Whether this is the session of the request, or was until it ended.
    pub(super) fn has(&self, (tag, id): (Tag, SessionId)) -> bool {
        match &self.current {
            Current::Live(current) => current.record.id == id,
            // A clone of the session may have found out what this request itself did.
            Current::Gone(_) => !self.own_cutoffs.has(tag),
            Current::Nothing | Current::Unavailable => false,
        }
    }
}
