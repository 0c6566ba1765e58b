//! Resolves tokens and rotates them.

use std::{mem, sync::Arc, time::Duration};

use super::{Cause, Live, SessionSet};
use crate::{
    model::{Digest, EndNotice, EndReason, Lifetime, Previous, Record, Rotation, Salt, Timestamp},
    store::{Found, Renewal, Resolve, Resolved, Reused, Rotate, Rotated},
};

/// What a token is for a session: current, previous, or not its own.
enum Standing {
    Present,
    Previous(Previous),
    Unknown,
}

#[inline]
fn standing(record: &Record, digest: &Digest) -> Standing {
    if record.digest == *digest {
        return Standing::Present;
    }
    let previous = record
        .rotation
        .as_ref()
        .and_then(|rotation| rotation.previous(digest));
    previous.map_or(Standing::Unknown, Standing::Previous)
}

impl SessionSet {
    /// Whether this is the new token of a session, and no request has sent it yet; or the other of two that
    /// re-authentications gave, which becomes the current one.
    pub(crate) fn is_new_token(&self, resolve: &Resolve) -> bool {
        let live = self.find(resolve.token.session_id());
        live.is_some_and(|Live { record, .. }| {
            let is_new = |rotation: &Rotation| {
                rotation.is_unused() && record.digest == resolve.digest
                    || rotation.is_other(&resolve.digest)
            };
            record.rotation.as_deref().is_some_and(is_new)
        })
    }

    /// Runs [`resolve`](crate::store::SessionStore::resolve). If the session ends, its notice is kept for `kept`.
    pub fn resolve(&mut self, resolve: &Resolve, now: Timestamp, kept: Duration) -> Resolved {
        let (id, digest) = (resolve.token.session_id(), &resolve.digest);
        let Some(at) = self.live.iter().position(|live| live.record.id == id) else {
            return match self.notice(id, now) {
                Some(notice) if notice.opens_to(digest) => Resolved::Ended(notice.clone()),
                _ => Resolved::Unknown,
            };
        };
        let Some(live) = self.live.get_mut(at) else {
            return Resolved::Unknown;
        };
        let record = &mut live.record;
        let previous = match standing(record, digest) {
            Standing::Present => None,
            Standing::Previous(previous) => Some(previous),
            Standing::Unknown => return Resolved::Unknown,
        };
        if let Some(moment) = record.ended_with_all(resolve.not_before) {
            let opens = previous.is_none_or(|previous| now < previous.until && !previous.rejected);
            return if opens && record.is_live(now, None) {
                Resolved::Ended(EndNotice::everyone(*digest, moment, record))
            } else {
                Resolved::Unknown
            };
        }
        if !record.is_live(now, None) {
            return match previous {
                None => self.expired(at),
                Some(_) => Resolved::Unknown,
            };
        }
        let first_use = match previous {
            Some(previous) if now >= previous.until && previous.rejected => {
                let reused = Reused::new(record.clone(), false, now);
                if let Some(rotation) = &mut record.rotation {
                    Arc::make_mut(rotation).forget(digest);
                }
                return Resolved::Reused(reused);
            }
            Some(previous) if now >= previous.until => return self.reused(at, digest, now, kept),
            Some(previous) if previous.rejected => {
                return Resolved::Ended(EndNotice::superseded(record, &previous));
            }
            Some(_) => {
                take_over(record, digest);
                false
            }
            None => seen(record, now),
        };
        let step = resolve.activity_every;
        // Without a step, the default, nothing has to be compared.
        let is_due = || first_use || step.is_zero() || record.activity_is_due(now, step);
        if resolve.activity && is_due() {
            record.last_activity = record.last_activity.max(now);
        }
        if first_use {
            live.forget_made();
        }
        // The data is cloned first, so that the record is copied directly to its destination.
        let data = live.data();
        Resolved::Live(Found::new(live.record.clone(), data, now))
    }

    /// A user's session stays until its set is swept or purged, so that all pages of the browser say that it
    /// expired, not only the one that asked first.
    fn expired(&mut self, at: usize) -> Resolved {
        match self.live.get_mut(at) {
            Some(live) if live.record.user_id().is_some() => {
                let record = live.record.clone();
                live.record.note_expired();
                live.more = None;
                Resolved::Expired(record)
            }
            _ => Resolved::Expired(self.live.swap_remove(at).record),
        }
    }

    fn reused(&mut self, at: usize, digest: &Digest, now: Timestamp, kept: Duration) -> Resolved {
        let Some(record) = self.live.get(at).map(|live| live.record.clone()) else {
            return Resolved::Unknown;
        };
        let ends = record
            .rotation
            .as_ref()
            .is_some_and(|rotation| rotation.reuse_ends);
        if ends {
            self.live.swap_remove(at);
            let cause = Cause {
                reason: EndReason::TokenReuse,
                by: None,
                client: None,
                call: None,
                kept,
            };
            self.note(&record, &cause, now);
            if let Some((_, notice)) = self.rare_mut().notices.last_mut() {
                // The user may be the one who sent it, after a crash of the browser.
                notice.previous.get_or_insert(*digest);
            }
        }
        Resolved::Reused(Reused::new(record, ends, now))
    }

    /// Runs [`rotate`](crate::store::SessionStore::rotate). If a previous token ends the session later, the notice is
    /// kept for `kept`.
    pub fn rotate(&mut self, rotate: &Rotate, now: Timestamp, kept: Duration) -> Rotated {
        let Some(live) = self.live_mut(rotate.id, now, rotate.not_before) else {
            return Rotated::Ended;
        };
        let record = &mut live.record;
        if record.digest == rotate.digest {
            // The same rotation, sent again.
            return Rotated::Rotated(Box::new(record.clone()));
        }
        let grace = rotate.grace.min(Lifetime::MAX);
        let proven = matches!(rotate.renewal, Renewal::Proven { .. });
        let sent = match (
            standing(record, &rotate.previous),
            record.rotation.as_deref(),
        ) {
            (Standing::Present, _) => None,
            (Standing::Previous(previous), Some(before))
                if now < previous.until && (proven || !previous.rejected) =>
            {
                // The salt belongs to the newer token; from an older one it would derive another token.
                let took = before.is_unused() && before.previous[0] == Some(previous);
                match (proven, took) {
                    (true, _) => Some(previous),
                    (false, true) => return Rotated::Took(before.salt),
                    (false, false) => return Rotated::Kept,
                }
            }
            // The request was slower than its grace period. That is no reuse.
            (Standing::Previous(_), _) if !proven => return Rotated::Kept,
            _ => return Rotated::Ended,
        };
        let salt = match rotate.renewal {
            Renewal::Derived(salt) => salt,
            Renewal::Proven { .. } => Salt::NONE,
        };
        if sent.is_none() {
            seen(record, now);
        }
        let before = record.rotation.as_deref().map(|before| before.previous);
        // Another request with the same token proved who the user is, a moment before. The browser may keep either response.
        let twice = sent.filter(|sent| sent.rejected);
        let previous = if proven {
            // The user authenticated again, so the current token stops working too.
            let earlier = sent.or_else(|| before.and_then(|[newer, _]| newer));
            let mut previous = rejected(record.digest, earlier, now.plus(grace));
            if let [Some(present), _] = &mut previous {
                present.rejected = twice.is_none();
            }
            Some(previous)
        } else {
            followed(record.digest, before, now)
        };
        let Some(previous) = previous else {
            return Rotated::Kept;
        };
        record.rotation = Some(Arc::new(Rotation {
            issued_at: now,
            grace,
            notice_kept: kept,
            // Of two such tokens the browser forgot one. If that is the wrong one, the user signs in again, and no more.
            reuse_ends: rotate.reuse_ends && twice.is_none(),
            salt,
            previous,
        }));
        record.digest = rotate.digest;
        if let Renewal::Proven {
            authenticated,
            lifetime,
        } = rotate.renewal
        {
            // Another request may have shortened it since this one read it.
            let longest = record.lifetime().absolute();
            // The clock may be behind: what is live must not have begun before everybody's end.
            let proven = authenticated.counted_back(now).min(now);
            record.authenticated_at = record.authenticated_at.max(proven);
            record.last_activity = record.last_activity.max(now);
            record.idle = record.idle.min(lifetime.idle());
            let from = record.authenticated_at.max(record.created_at);
            record.deadline = from.plus(longest.min(lifetime.absolute()));
        }
        Rotated::Rotated(Box::new(record.clone()))
    }
}

/// A request sent the current token. Returns whether it is the first.
#[inline]
fn seen(record: &mut Record, now: Timestamp) -> bool {
    if record.unused {
        record.unused = false;
        return true;
    }
    match &mut record.rotation {
        Some(rotation) if rotation.is_unused() => {
            Arc::make_mut(rotation).seen(now);
            true
        }
        _ => false,
    }
}

/// A request sent the other of two tokens that one re-authentication gave: this is the one that the browser kept. So it is
/// the current one from now on.
fn take_over(record: &mut Record, digest: &Digest) {
    let Some(rotation) = &mut record.rotation else {
        return;
    };
    if rotation.is_other(digest)
        && let [Some(other), _] = &mut Arc::make_mut(rotation).previous
    {
        other.digest = mem::replace(&mut record.digest, *digest);
    }
}

/// The previous tokens after this one gets a successor; `None` while an earlier one still works.
///
/// Otherwise a late response could give a browser a token that has two successors.
fn followed(
    digest: Digest,
    before: Option<[Option<Previous>; 2]>,
    now: Timestamp,
) -> Option<[Option<Previous>; 2]> {
    let mut all = before.into_iter().flatten().flatten();
    if all.any(|previous| now < previous.until) {
        return None;
    }
    let previous = Previous {
        digest,
        until: Previous::UNUSED,
        rejected: false,
    };
    Some([Some(previous), before.and_then(|[newer, _]| newer)])
}

/// The previous tokens after all of them are rejected.
fn rejected(digest: Digest, earlier: Option<Previous>, until: Timestamp) -> [Option<Previous>; 2] {
    let previous = Previous {
        digest,
        until,
        rejected: true,
    };
    let earlier = earlier.map(|earlier| Previous {
        until: earlier.until.min(until),
        rejected: true,
        ..earlier
    });
    [Some(previous), earlier]
}
