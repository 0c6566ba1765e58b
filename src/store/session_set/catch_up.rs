//! A copy of a session set on which an operation ran, and what requests did to the set meanwhile.

use std::sync::Arc;

use super::{Live, SessionSet};
use crate::model::{EndReason, SessionId};

impl SessionSet {
    /// Adds to this copy what `resolve` and `touch` did to the set that it was made of. Returns whether a session of
    /// the copy ended by that.
    pub(crate) fn catch_up(&mut self, with: &Self) -> bool {
        for Live { record, more } in &with.live {
            let Some(own) = self.live.iter_mut().find(|own| own.record.id == record.id) else {
                continue;
            };
            own.record.last_activity = own.record.last_activity.max(record.last_activity);
            // After a rotation of the copy, the token that the requests sent is a previous one.
            if own.record.digest != record.digest {
                continue;
            }
            own.record.rotation = record.rotation.as_ref().map(Arc::clone);
            if own.record.unused && !record.unused {
                own.record.unused = false;
                if more.as_ref().is_none_or(|more| more.made.is_none()) {
                    own.forget_made();
                }
            }
        }
        let reused = with.rare().notices.iter();
        let reused = reused.filter(|(_, notice)| notice.reason == EndReason::TokenReuse);
        let mut ended = false;
        for (id, notice) in reused {
            let before = self.live.len();
            self.live.retain(|live| live.record.id != *id);
            if self.live.len() < before {
                self.rare_mut().notices.push((*id, notice.clone()));
                ended = true;
            }
        }
        ended
    }

    /// Whether it has a guest session.
    pub(crate) fn is_guest(&self) -> bool {
        let mut live = self.live.iter();
        live.any(|live| live.record.user_id().is_none())
    }

    /// The sessions with data, and the revision of each.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (SessionId, u64)> {
        let with_data = |live: &&Live| live.more.as_ref().is_some_and(|more| !more.data.is_empty());
        let live = self.live.iter().filter(with_data);
        live.map(|live| (live.record.id, live.record.revision))
    }
}
