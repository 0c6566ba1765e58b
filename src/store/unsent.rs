//! Sign-ins that no backend has: there is nothing to end.

use std::collections::VecDeque;

use crate::model::SessionId;

/// How many are remembered, until they are given up a moment later.
const MOST: usize = 4_096;

/// Sign-ins of which nothing was sent, or no attempt ran.
#[derive(Debug, Default)]
pub(super) struct Unsent(VecDeque<SessionId>);

impl Unsent {
    pub(super) fn add(&mut self, id: SessionId) {
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back(id);
    }

    /// Returns whether it was one of them.
    pub(super) fn remove(&mut self, id: SessionId) -> bool {
        let at = self.0.iter().rposition(|unsent| *unsent == id);
        at.and_then(|at| self.0.remove(at)).is_some()
    }
}
