//! The turn of a commit.

use tokio::sync::MutexGuard;

use super::Session;

/// While it lives, a commit is in progress, or waits until others are done.
pub(super) struct Turn<'a> {
    session: &'a Session,
    guard: Option<MutexGuard<'a, ()>>,
}

impl Session {
    /// Commits of one session take turns.
    pub(super) async fn turn(&self) -> Turn<'_> {
        self.state().committing = true;
        // Made first: a commit that is dropped while it waits may have been given its turn already.
        let mut turn = Turn {
            session: self,
            guard: None,
        };
        turn.guard = Some(self.0.turn.lock().await);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.guard = None;
        self.session.look_again();
    }
}
