//! What the record of an expired session says.

use std::time::Duration;

use super::Record;
use crate::model::clock::Timestamp;

impl Record {
    /// When the session expires, or did, whether or not a request has found it expired.
    pub(crate) fn expires_at(&self) -> Timestamp {
        if self.was_found_expired() {
            self.deadline
        } else {
            self.idle_expires_at()
        }
    }

    /// Notes that a request found the session expired: the next one gets no second event.
    ///
    /// From then on the deadline is the moment at which it expired. Idle time and last activity are zero.
    pub fn note_expired(&mut self) {
        self.deadline = self.expires_at();
        self.idle = Duration::ZERO;
        self.last_activity = Timestamp::from_millis(0);
    }

    /// Whether an earlier request found the session expired, see [`note_expired`](Self::note_expired).
    #[must_use]
    pub fn was_found_expired(&self) -> bool {
        self.idle.is_zero()
    }
}
