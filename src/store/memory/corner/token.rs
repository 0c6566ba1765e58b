//! Whose token it is, and how it gets a successor.

use std::{sync::Arc, time::Duration};

use super::{Cause, Corner};
use crate::{
    model::{Digest, EndNotice, EndReason, Former, Lifetime, Record, Rotation, Salt, Timestamp},
    store::{Found, Renewal, Resolve, Resolved, Reused, Rotate, Rotated},
};

/// What a token is to a session.
enum Standing {
    Present,
    Former(Former),
    Stranger,
}

fn standing(record: &Record, digest: &Digest) -> Standing {
    if record.digest == *digest {
        return Standing::Present;
    }
    let former = record
        .rotation
        .as_ref()
        .and_then(|rotation| rotation.former(digest));
    former.map_or(Standing::Stranger, Standing::Former)
}

impl Corner {
    pub(in super::super) fn resolve(
        &mut self,
        resolve: &Resolve,
        digest: &Digest,
        now: Timestamp,
        kept: Duration,
    ) -> Resolved {
        let id = resolve.token.session_id();
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
        if resolve
            .not_before
            .is_some_and(|moment| record.created_at < moment)
        {
            return Resolved::Unknown;
        }
        let former = match standing(record, digest) {
            Standing::Present => None,
            Standing::Former(former) => Some(former),
            Standing::Stranger => return Resolved::Unknown,
        };
        if !record.is_live(now, None) {
            return match former {
                None => Resolved::Expired(self.live.swap_remove(at).record),
                Some(_) => Resolved::Unknown,
            };
        }
        match former {
            Some(former) if now >= former.until => return self.reused(at, now, kept),
            Some(former) if former.void => {
                return Resolved::Ended(EndNotice::superseded(record, &former));
            }
            Some(_) => {}
            None => seen(record, now),
        }
        if resolve.activity {
            record.last_activity = record.last_activity.max(now);
        }
        // First what may be a call, so that the record is copied to where it stays.
        let data = live.data.clone();
        Resolved::Live(Found::new(record.clone(), data, now))
    }

    fn reused(&mut self, at: usize, now: Timestamp, kept: Duration) -> Resolved {
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
                kept,
            };
            self.note(&record, &cause, now);
        }
        Resolved::Reused(Reused::new(record, ends, now))
    }

    pub(in super::super) fn rotate(
        &mut self,
        rotate: &Rotate,
        now: Timestamp,
        kept: Duration,
    ) -> Rotated {
        let Some(live) = self.live_mut(rotate.id, now) else {
            return Rotated::Ended;
        };
        let record = &mut live.record;
        if record.digest == rotate.digest {
            // Sent again.
            return Rotated::Rotated(Box::new(record.clone()));
        }
        let grace = rotate.grace.min(Lifetime::MAX);
        let anew = matches!(rotate.renewal, Renewal::Proven { .. });
        let shown = match (standing(record, &rotate.former), record.rotation.as_deref()) {
            (Standing::Present, _) => None,
            (Standing::Former(former), Some(before)) if now < former.until && !former.void => {
                // The salt is the newer one's: an older one would derive nothing from it.
                let took = before.is_unseen() && before.formers[0] == Some(former);
                match (anew, took) {
                    (true, _) => Some(former),
                    (false, true) => return Rotated::Took(before.salt),
                    (false, false) => return Rotated::Kept,
                }
            }
            // Of a request that took longer than the token had: the session is none the worse.
            (Standing::Former(_), _) if !anew => return Rotated::Kept,
            _ => return Rotated::Ended,
        };
        let salt = match rotate.renewal {
            Renewal::Derived(salt) => salt,
            Renewal::Proven { .. } => Salt::from_bytes([0; 16]),
        };
        if shown.is_none() {
            seen(record, now);
        }
        let before = record.rotation.as_deref().map(|before| before.formers);
        let formers = if anew {
            // Whoever proves who they are ends the present token too.
            let earlier = shown.or_else(|| before.and_then(|[newer, _]| newer));
            Some(voided(record.digest, earlier, now.plus(grace)))
        } else {
            followed(record.digest, before, now)
        };
        let Some(formers) = formers else {
            return Rotated::Kept;
        };
        record.rotation = Some(Arc::new(Rotation {
            issued_at: now,
            grace,
            notice_kept: kept,
            reuse_ends: rotate.reuse_ends,
            salt,
            formers,
        }));
        record.digest = rotate.digest;
        if let Renewal::Proven {
            authenticated,
            lifetime,
        } = rotate.renewal
        {
            record.authenticated_at = authenticated.counted_back(now).min(now);
            record.last_activity = record.last_activity.max(now);
            record.idle = lifetime.idle();
            let from = record.authenticated_at.max(record.created_at);
            record.deadline = from.plus(lifetime.absolute());
        }
        Rotated::Rotated(Box::new(record.clone()))
    }
}

/// The present token was shown.
fn seen(record: &mut Record, now: Timestamp) {
    if let Some(rotation) = &mut record.rotation
        && rotation.is_unseen()
    {
        Arc::make_mut(rotation).seen(now);
    }
}

/// The former tokens once this one has a successor; `None` while an earlier one is still in its time:
/// a late answer could give a browser a token back that has been followed by two others.
fn followed(
    digest: Digest,
    before: Option<[Option<Former>; 2]>,
    now: Timestamp,
) -> Option<[Option<Former>; 2]> {
    let mut all = before.into_iter().flatten().flatten();
    if all.any(|former| now < former.until) {
        return None;
    }
    let former = Former {
        digest,
        until: Former::UNSEEN,
        void: false,
    };
    Some([Some(former), before.and_then(|[newer, _]| newer)])
}

/// The former tokens once none of them opens anything.
fn voided(digest: Digest, earlier: Option<Former>, until: Timestamp) -> [Option<Former>; 2] {
    let former = Former {
        digest,
        until,
        void: true,
    };
    let earlier = earlier.map(|earlier| Former {
        until: earlier.until.min(until),
        void: true,
        ..earlier
    });
    [Some(former), earlier]
}
