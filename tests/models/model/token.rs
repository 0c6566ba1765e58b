//! Tokens in the model, present and previous.

use std::sync::Arc;

use tower_user_sessions::{
    EndNotice, EndReason, Timestamp,
    store::{Authenticated, Previous, Record, Renewal, Resolve, Rotate, Rotation, Salt},
};

use super::{Answer, NOTICE_KEPT, SessionSet, session_set::began};

/// After a re-authentication no token was derived.
const NONE: Salt = Salt::from_bytes([0; 16]);

impl SessionSet {
    pub(super) fn resolve(&mut self, ask: &Resolve, now: Timestamp) -> Answer {
        let (id, digest) = (ask.token.session_id(), ask.digest);
        let Some((record, data)) = self.live(id, now, None) else {
            return match self.notice(id, now) {
                Some(notice) if notice.opens_to(&digest) => Answer::Notice(notice),
                _ => Answer::Unknown,
            };
        };
        if let Some(moment) = ask.not_before.filter(|moment| began(record) < *moment) {
            let works = |it: Previous| now < it.until && !it.rejected;
            let opens = record.digest == digest || previous(record, &digest).is_some_and(works);
            let notice = EndNotice::new(digest, EndReason::Everyone, moment, None, record.deadline);
            return if opens {
                Answer::Notice(notice)
            } else {
                Answer::Unknown
            };
        }
        if record.digest == digest {
            record.unused = false;
            if let Some(rotation) = &mut record.rotation {
                Arc::make_mut(rotation).seen(now);
            }
        } else {
            let Some(previous) = previous(record, &digest) else {
                return Answer::Unknown;
            };
            if now >= previous.until && previous.rejected {
                let rotation = Arc::make_mut(record.rotation.as_mut().unwrap());
                for slot in &mut rotation.previous {
                    if slot.is_some_and(|slot| slot.digest == digest) {
                        *slot = None;
                    }
                }
                return Answer::Reused(id, false);
            }
            if now >= previous.until {
                let ends = record.rotation.as_ref().unwrap().reuse_ends;
                if ends {
                    self.ends(id, EndReason::TokenReuse, &(None, None, None), now);
                    self.opens_to_reused(id, digest);
                }
                return Answer::Reused(id, ends);
            }
            if previous.rejected {
                return Answer::Notice(EndNotice::new(
                    digest,
                    EndReason::Replaced,
                    record.issued_at(),
                    Some(id),
                    previous.until,
                ));
            }
            // The user re-authenticated twice at once, and this is the token that the browser kept.
            let rotation = Arc::make_mut(record.rotation.as_mut().unwrap());
            if rotation.salt == NONE {
                rotation.previous[0].as_mut().unwrap().digest = record.digest;
                record.digest = digest;
            }
        }
        if ask.activity && now > record.last_activity {
            record.last_activity = now;
        }
        Answer::Live(record.clone(), data.clone(), now)
    }

    pub(super) fn rotate(&mut self, ask: &Rotate, now: Timestamp) -> Answer {
        let Some((record, _)) = self.live(ask.id, now, ask.not_before) else {
            return Answer::NotLive;
        };
        if record.digest == ask.digest {
            return Answer::Rotated(record.clone());
        }
        let is_present = record.digest == ask.previous;
        let derived = matches!(ask.renewal, Renewal::Derived(_));
        let open = previous(record, &ask.previous)
            .filter(|it| now < it.until && (!derived || !it.rejected));
        if !is_present && open.is_none() {
            let known = derived && previous(record, &ask.previous).is_some();
            return if known { Answer::Kept } else { Answer::NotLive };
        }
        record.unused &= !is_present;
        let before = record.rotation.as_deref().copied();
        let twice = open.is_some_and(|it| it.rejected);
        let issued = |salt, previous| {
            Some(Arc::new(Rotation {
                issued_at: now,
                grace: ask.grace,
                notice_kept: NOTICE_KEPT,
                reuse_ends: ask.reuse_ends && !twice,
                salt,
                previous,
            }))
        };
        match ask.renewal {
            Renewal::Derived(_) if !is_present => {
                let before = before.unwrap();
                if before.is_unused() && before.previous[0] == open {
                    Answer::Took(before.salt)
                } else {
                    Answer::Kept
                }
            }
            Renewal::Derived(salt) => {
                if let Some(rotation) = &mut record.rotation {
                    Arc::make_mut(rotation).seen(now);
                    if rotation.previous.iter().flatten().any(|it| now < it.until) {
                        return Answer::Kept;
                    }
                }
                let previous = Previous {
                    digest: record.digest,
                    until: Previous::UNUSED,
                    rejected: false,
                };
                let newer = before.and_then(|before| before.previous[0]);
                record.rotation = issued(
                    salt,
                    [
                        Some(previous),
                        newer.map(|newer| settled(newer, record, now)),
                    ],
                );
                record.digest = ask.digest;
                Answer::Rotated(record.clone())
            }
            Renewal::Proven {
                authenticated,
                lifetime,
            } => {
                let Authenticated::At(at) = authenticated else {
                    panic!("histories name moments");
                };
                let until = now.plus(ask.grace);
                let rejected = |it: Previous| Previous {
                    until: it.until.min(until),
                    rejected: true,
                    ..it
                };
                let sent = open.or_else(|| {
                    let newer = before.and_then(|before| before.previous[0])?;
                    Some(settled(newer, record, now))
                });
                let present = Previous {
                    digest: record.digest,
                    until,
                    rejected: !twice,
                };
                record.rotation = issued(NONE, [Some(present), sent.map(rejected)]);
                record.digest = ask.digest;
                let longest = record.lifetime().absolute();
                record.authenticated_at = record.authenticated_at.max(at.min(now));
                record.last_activity = record.last_activity.max(now);
                record.idle = record.idle.min(lifetime.idle());
                let from = record.authenticated_at.max(record.created_at);
                record.deadline = from.plus(longest.min(lifetime.absolute()));
                Answer::Rotated(record.clone())
            }
        }
    }
}

/// The previous token of a session with this digest.
fn previous(record: &Record, digest: &tower_user_sessions::store::Digest) -> Option<Previous> {
    record.rotation.as_ref()?.previous(digest)
}

/// A previous token once the one after it has been sent. Its time is set once: where that happened
/// before, a clock that steps back does not shorten it.
fn settled(previous: Previous, record: &Record, now: Timestamp) -> Previous {
    if previous.until != Previous::UNUSED {
        return previous;
    }
    let grace = record
        .rotation
        .as_ref()
        .map_or_else(Default::default, |rotation| rotation.grace);
    Previous {
        until: now.plus(grace),
        ..previous
    }
}
