//! Notes the client of a request.

use super::SessionSet;
use crate::{model::Timestamp, store::NoteClient};

impl SessionSet {
    /// Runs [`note_client`](crate::store::SessionStore::note_client).
    pub fn note_client(&mut self, note: &NoteClient, now: Timestamp) -> bool {
        let Some(live) = self.live_mut(note.record.id, now, note.not_before) else {
            return false;
        };
        let after = note.record.clone().with_last_seen(note.last_seen.clone());
        if live.record.shared() == after.shared() {
            // The same call, sent again.
            return true;
        }
        let unchanged = live.record.shared() == note.record.shared();
        if unchanged {
            live.record = live.record.clone().with_last_seen(note.last_seen.clone());
        }
        unchanged
    }
}
