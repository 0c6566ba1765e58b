//! What requests do to a session set that waits for no write.

use super::{Live, SessionSet, places::Places};
use crate::model::{Rotation, SessionId, Timestamp};

impl SessionSet {
    /// Whether no request has sent the current token of this session yet.
    pub(crate) fn is_unsent(&self, id: SessionId) -> bool {
        self.find(id).is_some_and(|Live { record, .. }| {
            let rotation = record.rotation.as_deref();
            record.unused || rotation.is_some_and(Rotation::is_unused)
        })
    }

    pub(crate) fn last_activity(&self, id: SessionId) -> Option<Timestamp> {
        self.find(id).map(|live| live.record.last_activity)
    }

    /// The last activity of each session is not before what this says.
    pub(crate) fn saw(&mut self, mut at: impl FnMut(SessionId) -> Option<Timestamp>) {
        for Live { record, .. } in &mut self.live {
            // One that was found expired does not say any more when it was used.
            if !record.was_found_expired()
                && let Some(at) = at(record.id)
            {
                record.last_activity = record.last_activity.max(at);
            }
        }
    }

    /// Adds the activity of another copy of this set.
    pub(crate) fn saw_with(&mut self, other: &Self) {
        let mut places = Places::new(&other.live, |live: &Live| live.record.id);
        self.saw(|id| places.find(id).map(|live| live.record.last_activity));
    }
}
