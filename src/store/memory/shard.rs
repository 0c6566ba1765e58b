//! The session sets under one lock, and the removal of expired ones bit by bit.

use std::collections::HashMap;

use super::agents::Agents;
use crate::{
    model::{Tag, Timestamp},
    store::{due::Due, parts, session_set::SessionSet},
};

#[derive(Default)]
pub(super) struct Shard {
    sets: HashMap<Tag, Kept>,
    due: Due,
    agents: Agents,
    /// How many of the sets began with a guest session.
    guests: usize,
}

struct Kept {
    set: SessionSet,
    guest: bool,
    /// When the set is looked at next. It is not over before.
    due: Timestamp,
}

/// What `within` does if there is no such session set.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(super) enum Absent {
    Nothing,
    Make,
    MakeGuest,
}

impl Shard {
    pub(super) fn sets(&self) -> usize {
        self.sets.len()
    }

    /// So many of the lowest tags after this one, in order.
    pub(super) fn tags(&self, after: Option<Tag>, most: usize) -> Vec<Tag> {
        parts::lowest(self.sets.keys(), after, most)
    }

    pub(super) fn guests(&self) -> usize {
        self.guests
    }

    pub(super) fn has(&self, tag: Tag) -> bool {
        self.sets.contains_key(&tag)
    }

    /// A session set, for what does not make it be over earlier.
    pub(super) fn set(&mut self, tag: Tag) -> Option<&mut SessionSet> {
        self.sets.get_mut(&tag).map(|kept| &mut kept.set)
    }

    /// Runs `work` on one session set.
    pub(super) fn within<T>(
        &mut self,
        tag: Tag,
        absent: Absent,
        now: Timestamp,
        work: impl FnOnce(&mut SessionSet, &mut Agents) -> T,
    ) -> Option<T> {
        if let Some(kept) = self.sets.get_mut(&tag) {
            let done = work(&mut kept.set, &mut self.agents);
            let until = kept.set.kept_until().unwrap_or(now);
            if until < kept.due {
                kept.due = until;
                self.due.push(tag, until);
            }
            return Some(done);
        }
        if absent == Absent::Nothing {
            return None;
        }
        let mut set = SessionSet::default();
        let done = work(&mut set, &mut self.agents);
        if let Some(until) = set.kept_until()
            && until > now
        {
            let guest = absent == Absent::MakeGuest;
            self.guests += usize::from(guest);
            self.due.push(tag, until);
            let due = until;
            self.sets.insert(tag, Kept { set, guest, due });
        }
        Some(done)
    }

    /// Looks at so many session sets that are due, removes the expired ones, and gives memory back.
    pub(super) fn sweep(&mut self, now: Timestamp, most: usize) {
        for _ in 0..most {
            let Some((tag, at)) = self.due.take(now) else {
                break;
            };
            let Some(kept) = self.sets.get_mut(&tag).filter(|kept| kept.due == at) else {
                continue;
            };
            match kept.set.kept_until() {
                Some(until) if until > now => {
                    kept.due = until;
                    self.due.push(tag, until);
                }
                _ => {
                    if let Some(Kept { guest: true, .. }) = self.sets.remove(&tag) {
                        self.guests -= 1;
                    }
                }
            }
        }
        self.due.shrink(&mut self.sets, |kept, at| kept.due == at);
    }
}
