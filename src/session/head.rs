//! What happens when the response head passes back, and when it never does.

use std::time::Duration;

use super::{
    Session,
    error::CommitError,
    staged::{Staged, Target},
};
use crate::model::{EndReason, Token};

/// What the response does to the cookie.
#[derive(Debug)]
pub(crate) enum CookieChange {
    Keep,
    Remove,
    /// With the session's absolute lifetime.
    Set(Token, Duration),
}

/// What the service's answer says of the changes that were staged.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Verdict {
    /// All of it is stored.
    Store,
    /// The request failed: only ends are stored.
    OnlyEnds,
}

/// A session whose response is still to come. When it is dropped, what was made and not delivered
/// ends.
#[derive(Debug)]
pub(crate) struct OpenSession(Session);

impl OpenSession {
    pub(crate) fn new(session: Session) -> Self {
        Self(session)
    }

    pub(crate) fn session(&self) -> &Session {
        &self.0
    }

    /// Closes the session to its handlers. Whether something is left to commit.
    pub(crate) fn close(&self, verdict: Verdict) -> bool {
        let mut state = self.0.state();
        state.closed = true;
        if verdict == Verdict::OnlyEnds {
            let Staged { target, .. } = std::mem::take(&mut state.staged);
            let signed_out = match &target {
                Target::Stay => false,
                Target::LogOut => true,
                Target::LogIn(pending) => pending.after_logout,
            };
            if signed_out {
                state.staged.target = Target::LogOut;
            }
        }
        // A commit under way is waited for, and may leave something to do.
        !state.staged.is_empty() || state.replaced.is_some() || self.0.0.turn.try_lock().is_err()
    }

    /// Removes the cookie whatever became of the session.
    pub(crate) fn remove_cookie(&self) {
        self.0.state().cookie = CookieChange::Remove;
    }

    /// Writes the response's cookie; the session counts as delivered from here on.
    pub(crate) fn deliver(&self, write: impl FnOnce(&CookieChange)) {
        let mut state = self.0.state();
        write(&state.cookie);
        if let CookieChange::Set(token, _) = &state.cookie {
            let id = token.session_id();
            state.not_pending(id);
        }
    }

    /// Commits what is left.
    pub(crate) async fn commit(session: Session) -> Result<(), CommitError> {
        session.commit_staged().await.map(|_committed| ())
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        let pending = {
            let mut state = self.0.state();
            state.closed = true;
            state.abandoned = true;
            if state.pending.is_empty() {
                return;
            }
            std::mem::take(&mut state.pending)
        };
        for (tag, id) in pending {
            tracing::debug!(reason = EndReason::Undelivered.as_str(), "session given up");
            self.0.0.rules.store.end_undelivered(tag, id);
        }
    }
}
