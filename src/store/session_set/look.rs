//! Reads sessions by their ids, and records activity without a token.

use super::SessionSet;
use crate::{
    model::{EndNotice, SessionId, Timestamp},
    store::{Deadlines, Look, Presence, Touch},
};

impl SessionSet {
    /// Runs [`look`](crate::store::SessionStore::look).
    #[must_use]
    pub fn look(&self, look: &Look, now: Timestamp) -> Vec<Presence> {
        let presence = |id: &SessionId| {
            let mut live = self.live.iter().map(|live| &live.record);
            match live.find(|record| record.id == *id) {
                Some(record) if record.is_live(now, look.not_before) => {
                    Presence::Live(Deadlines::of(record))
                }
                Some(record) if record.is_live(now, None) => record
                    .ended_with_all(look.not_before)
                    .map_or(Presence::Unknown, |moment| {
                        Presence::Ended(EndNotice::everyone(record.digest, moment, record))
                    }),
                Some(_) => Presence::Unknown,
                None => self
                    .notice(*id, now)
                    .map_or(Presence::Unknown, |notice| Presence::Ended(notice.clone())),
            }
        };
        look.ids.iter().map(presence).collect()
    }

    /// Runs [`touch`](crate::store::SessionStore::touch).
    pub fn touch(&mut self, touch: &Touch, now: Timestamp) {
        if let Some(live) = self.live_mut(touch.id, now, touch.not_before) {
            let activity = now.minus(touch.age);
            live.record.last_activity = live.record.last_activity.max(activity);
        }
    }
}
