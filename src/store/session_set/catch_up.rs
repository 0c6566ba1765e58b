//! A copy of a session set on which an operation ran, and what requests did to the set meanwhile.

use std::sync::Arc;

use super::{Live, SessionSet, places::Places};
use crate::model::{Digest, EndReason, Record, Rotation, SessionId, Timestamp};

impl SessionSet {
    /// Adds to this copy what `resolve`, `touch` and `list` did to the set that it was made of. Returns whether a session
    /// of the copy ended by that, or has another state than before, apart from its activity.
    pub(crate) fn catch_up(&mut self, with: &Self, now: Timestamp) -> bool {
        let mut changed = self.end_reused(with);
        let mut seen = Places::new(&with.live, |live: &Live| live.record.id);
        self.live.retain_mut(|own| {
            if let Some(live) = seen.find(own.record.id) {
                let before = own.state();
                own.catch_up(live, now);
                changed |= own.state() != before;
                return true;
            }
            // The copy made it, or it was found expired and dropped.
            own.record.is_live(now, None)
        });
        changed
    }

    fn end_reused(&mut self, with: &Self) -> bool {
        let reused: Vec<_> = (with.rare().notices.iter())
            .filter(|(_, notice)| notice.reason == EndReason::TokenReuse)
            .collect();
        let mut places = Places::new(&reused, |(id, _)| *id);
        let mut ended = Vec::new();
        self.live.retain(|live| {
            let notice = places.find(live.record.id);
            ended.extend(notice.map(|notice| (*notice).clone()));
            notice.is_none()
        });
        if ended.is_empty() {
            return false;
        }
        self.rare_mut().notices.append(&mut ended);
        true
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

impl Live {
    /// What requests change beside the activity: its tokens, whether one was used, and whether it was found expired.
    fn state(&self) -> (Digest, Option<Rotation>, bool, bool) {
        let Record { digest, unused, .. } = self.record;
        let rotation = self.record.rotation.as_deref().copied();
        (digest, rotation, unused, self.record.was_found_expired())
    }

    fn catch_up(&mut self, with: &Self, now: Timestamp) {
        let (own, seen) = (&mut self.record, &with.record);
        own.last_activity = own.last_activity.max(seen.last_activity);
        if is_taken_over(own, seen) {
            own.digest = seen.digest;
        }
        if own.digest != seen.digest {
            // After a rotation of the copy, the token that the requests sent is a previous one.
            forget(own, seen, now);
            return;
        }
        let sent = own.rotation.take();
        own.rotation = seen.rotation.as_ref().map(Arc::clone);
        if let (Some(sent), Some(rotation)) = (sent, &mut own.rotation)
            && rotation.is_unused()
            && !sent.is_unused()
        {
            // The operation on the copy was the first request with the token.
            Arc::make_mut(rotation).previous[0] = sent.previous[0];
        }
        if seen.was_found_expired() {
            if !own.was_found_expired() {
                own.note_expired();
            }
            self.more = None;
            return;
        }
        if own.unused && !seen.unused {
            own.unused = false;
            if with.more.as_ref().is_none_or(|more| more.made.is_none()) {
                self.forget_made();
            }
        }
    }
}

/// Whether a request sent the other of two tokens that re-authentications gave, which made it the current one.
fn is_taken_over(own: &Record, seen: &Record) -> bool {
    let (Some(before), Some(rotation)) = (own.rotation.as_deref(), seen.rotation.as_deref()) else {
        return false;
    };
    rotation.has_two()
        && rotation.previous(&own.digest).is_some()
        && before.previous(&seen.digest).is_some()
}

/// Drops the previous tokens that `resolve` reported and dropped: each is reported once.
fn forget(own: &mut Record, seen: &Record, now: Timestamp) {
    let Some(rotation) = &mut own.rotation else {
        return;
    };
    let is_known = |digest: &Digest| {
        let known = seen.rotation.as_deref();
        known.is_some_and(|known| known.previous(digest).is_some())
    };
    for previous in rotation.previous.into_iter().flatten() {
        let is_over = previous.rejected && previous.until <= now;
        if is_over && previous.digest != seen.digest && !is_known(&previous.digest) {
            Arc::make_mut(rotation).forget(&previous.digest);
        }
    }
}
