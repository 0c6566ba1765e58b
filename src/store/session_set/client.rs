//! The clients of sessions.

use super::SessionSet;
use crate::{
    model::{Client, Timestamp},
    store::NoteClient,
};

impl SessionSet {
    /// Runs [`note_client`](crate::store::SessionStore::note_client).
    pub fn note_client(&mut self, note: &NoteClient, now: Timestamp) -> bool {
        self.note_client_sharing(note, now, |_| {})
    }

    /// As [`note_client`](Self::note_client). `share` may replace the client by an equal one.
    pub(in super::super) fn note_client_sharing(
        &mut self,
        note: &NoteClient,
        now: Timestamp,
        share: impl FnOnce(&mut Client),
    ) -> bool {
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
            let mut last_seen = note.last_seen.clone();
            share(&mut last_seen.client);
            live.record = live.record.clone().with_last_seen(last_seen);
        }
        unchanged
    }

    /// Each client of a session goes through `share`, which may replace it by an equal one.
    #[cfg(feature = "file")]
    pub(in super::super) fn share_clients(&mut self, mut share: impl FnMut(&mut Client)) {
        for live in &mut self.live {
            live.record.share_clients(&mut share);
        }
    }
}
