//! An end that got no answer: sent again, it is the same call.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Session;
use crate::store::{End, Ended, StoreError};

impl Session {
    /// Ends sessions. If there is no answer it is sent again: the first call may have ended them, and then the second one
    /// says so.
    pub(super) async fn end_surely(&self, end: End) -> Result<Ended, StoreError> {
        let store = &self.0.rules.store;
        match store.end(end.clone()).await {
            Err(_) => store.end(end).await,
            ended => ended,
        }
    }
}

/// Remembers a call that got no answer, also if its future is dropped.
pub(super) struct Unanswered<'a> {
    pub(super) end: Option<End>,
    pub(super) slot: &'a Mutex<Option<End>>,
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(end) = self.end.take() {
            *lock(self.slot) = Some(end);
        }
    }
}

/// While it lives, the request waits for an end that may be that of its own session.
pub(super) struct Ends<'a>(&'a Session);

impl<'a> Ends<'a> {
    pub(super) fn begin(session: &'a Session) -> Self {
        session.state().ends += 1;
        Self(session)
    }
}

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.state().ends -= 1;
        self.0.look_again();
    }
}

pub(super) fn lock(slot: &Mutex<Option<End>>) -> MutexGuard<'_, Option<End>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}
