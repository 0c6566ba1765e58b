//! The sessions of one user that have streams.

use std::sync::Arc;

use super::{
    LiveEnd,
    book::{Asked, Finished, PAUSE},
    watched::Watched,
};
use crate::{
    model::{SessionId, Timestamp},
    store::{Deadlines, Looked, Presence},
};

/// The streams end if the store could not be asked for this many leases, by default five minutes, and so often.
///
/// After the machine slept for longer than that, the first question fails: its connection is dead, not the store.
const BLIND: u64 = 5;
const FAILURES: u8 = 3;

/// The sessions of one user that have streams. They are asked for together.
#[derive(Debug, Default)]
pub(super) struct Set {
    pub(super) members: Vec<Member>,
    /// The place in the wheel that counts.
    pub(super) place: u64,
    pub(super) epoch: Option<u64>,
    pub(super) queue: Queue,
    /// A question is on its way.
    pub(super) looking: bool,
    /// How often the store did not answer, one after the other.
    failures: u8,
}

/// Where a set waits to be asked for.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Queue {
    #[default]
    None,
    Background,
    Urgent,
}

/// A session that has streams.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) watched: Arc<Watched>,
    /// The earlier one of creation and authentication.
    pub(super) began: Timestamp,
    /// When it expires, by the store's clock.
    pub(super) expires: Timestamp,
    /// The same by the stopwatch.
    pub(super) expires_at: u64,
    /// When its lease is over.
    pub(super) due: u64,
    /// It is not asked for before this moment.
    pub(super) free: u64,
    /// When the store answered last.
    pub(super) seen: u64,
    /// Something may have happened since it was asked for last.
    pub(super) dirty: bool,
}

impl Member {
    pub(super) fn id(&self) -> SessionId {
        self.watched.id
    }

    /// When it is asked for next.
    fn next(&self) -> u64 {
        if self.dirty {
            self.free
        } else {
            self.free.max(self.due.min(self.expires_at))
        }
    }

    pub(super) fn is_urgent(&self, now: u64) -> bool {
        self.free <= now && (self.dirty || self.expires_at <= now)
    }
}

impl Set {
    /// When one of its sessions is asked for next.
    pub(super) fn next(&self) -> Option<u64> {
        self.members.iter().map(Member::next).min()
    }

    /// The sessions to ask for, if one of them is due. Others that may be asked for come along.
    pub(super) fn take_due(&mut self, now: u64) -> Vec<SessionId> {
        if self.next().is_none_or(|next| next > now) {
            return Vec::new();
        }
        self.looking = true;
        let free = self.members.iter_mut().filter(|member| member.free <= now);
        free.map(|member| {
            // What arrives from here on makes another look necessary.
            member.dirty = false;
            member.free = now + PAUSE;
            member.id()
        })
        .collect()
    }

    pub(super) fn take_answer(
        &mut self,
        asked: &Asked,
        looked: Looked,
        now: u64,
        lease: u64,
    ) -> Vec<Finished> {
        self.failures = 0;
        let store_now = looked.now;
        let mut finished = Vec::new();
        for (id, presence) in asked.ids.iter().zip(looked.sessions) {
            // Its last stream may have closed meanwhile.
            let Some(at) = self.members.iter().position(|member| member.id() == *id) else {
                continue;
            };
            let Some(member) = self.members.get_mut(at) else {
                continue;
            };
            let end = match presence {
                Presence::Live(deadlines) => {
                    member.lives(&deadlines, store_now, now, lease);
                    continue;
                }
                Presence::Ended(notice) => LiveEnd::Ended(Some(notice)),
                Presence::Unknown if member.expires <= store_now => LiveEnd::Expired,
                Presence::Unknown => LiveEnd::Ended(None),
            };
            finished.push((self.members.swap_remove(at).watched, end));
        }
        finished
    }

    /// The store could not be asked.
    pub(super) fn take_silence(&mut self, asked: &Asked, now: u64, lease: u64) -> Vec<Finished> {
        self.failures = self.failures.saturating_add(1);
        let wait = (PAUSE << self.failures.min(5)).min(PAUSE.max(lease / 2));
        let mut finished = Vec::new();
        let mut at = 0;
        while let Some(member) = self.members.get_mut(at) {
            let is_blind = now.saturating_sub(member.seen) >= lease.saturating_mul(BLIND);
            if is_blind && self.failures >= FAILURES {
                let watched = self.members.swap_remove(at).watched;
                finished.push((watched, LiveEnd::OutOfSight));
                continue;
            }
            if asked.ids.contains(&member.id()) {
                member.dirty = true;
                member.free = now + wait;
            }
            at += 1;
        }
        finished
    }
}

impl Member {
    fn lives(&mut self, deadlines: &Deadlines, store_now: Timestamp, now: u64, lease: u64) {
        let expires = deadlines.expires_at();
        let left = u64::try_from(expires.since(store_now).as_millis()).unwrap_or(u64::MAX);
        self.began = deadlines.began_at();
        self.expires = expires;
        self.expires_at = now.saturating_add(left).saturating_add(1);
        self.due = now + lease;
        self.seen = now;
    }
}
