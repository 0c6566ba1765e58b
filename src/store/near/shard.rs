//! The entries under one lock, and which of them goes first.

use std::collections::{BTreeMap, HashMap};

use super::{
    entry::{Entry, Hit},
    hash::TagHashes,
    own::What,
};
use crate::{
    model::{SessionId, Tag, Timestamp},
    store::Resolve,
};

/// How many old entries each fill looks at.
const SWEPT: usize = 4;

#[derive(Default)]
pub(super) struct Shard {
    sets: HashMap<Tag, Set, TagHashes>,
    /// The entries by the number of their fill.
    order: BTreeMap<u64, (Tag, SessionId)>,
    last: u64,
    bytes: usize,
}

/// The entries of a session set.
#[derive(Default)]
struct Set {
    /// Beside its tag: most users have one, and a hit then reads one place in memory less.
    first: Option<Entry>,
    more: Vec<Entry>,
}

impl Set {
    fn of(&self, id: SessionId) -> Option<&Entry> {
        let mut all = self.first.iter().chain(&self.more);
        all.find(|entry| entry.id() == id)
    }

    fn of_mut(&mut self, id: SessionId) -> Option<&mut Entry> {
        let mut all = self.first.iter_mut().chain(&mut self.more);
        all.find(|entry| entry.id() == id)
    }

    fn push(&mut self, entry: Entry) {
        match self.first {
            None => self.first = Some(entry),
            Some(_) => self.more.push(entry),
        }
    }

    fn retain(&mut self, stays: impl Fn(&Entry) -> bool, mut goes: impl FnMut(&Entry)) {
        self.more
            .extract_if(.., |entry| !stays(entry))
            .for_each(|entry| goes(&entry));
        if let Some(entry) = self.first.take_if(|entry| !stays(entry)) {
            goes(&entry);
            self.first = self.more.pop();
        }
    }
}

/// Activity of an entry that is gone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Active {
    pub(super) tag: Tag,
    pub(super) id: SessionId,
    pub(super) at: Timestamp,
}

impl Shard {
    pub(super) fn entries(&self) -> usize {
        self.order.len()
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    #[cfg(test)]
    pub(super) fn places(&self) -> (usize, usize) {
        (self.sets.len(), self.sets.capacity())
    }

    pub(super) fn hit(
        &mut self,
        resolve: &Resolve,
        now: Timestamp,
        epoch: u64,
    ) -> Option<(&Entry, Hit)> {
        let entry = self.entry(resolve.token.tag(), resolve.token.session_id())?;
        let hit = entry.hit(resolve, now, epoch)?;
        Some((entry, hit))
    }

    pub(super) fn has(&self, tag: Tag, id: SessionId) -> bool {
        let set = self.sets.get(&tag);
        set.is_some_and(|set| set.of(id).is_some())
    }

    /// Adds an entry in place of an older one of the session, and drops the oldest ones beyond these limits. Returns
    /// the activity of those that is not written yet.
    pub(super) fn fill(
        &mut self,
        tag: Tag,
        mut entry: Entry,
        now: Timestamp,
        (entries, bytes): (usize, usize),
    ) -> Vec<Active> {
        let id = entry.id();
        if self
            .entry(tag, id)
            .is_some_and(|there| entry.is_older(there))
        {
            return Vec::new();
        }
        let mut active = self.remove(tag, What::One(id));
        active.retain(|active| !entry.covers(active));
        if entry.size() > bytes {
            // It would make all others go, and itself in the end.
            return active;
        }
        self.last += 1;
        entry.number = self.last;
        self.bytes += entry.size();
        self.order.insert(entry.number, (tag, id));
        self.sets.entry(tag).or_default().push(entry);
        for _ in 0..SWEPT {
            let full = self.order.len() > entries || self.bytes > bytes;
            let Some((number, (tag, id))) = self.oldest() else {
                break;
            };
            let over = |entry: &mut Entry| entry.number == number && now >= entry.over_at();
            if !full && !self.entry(tag, id).is_some_and(over) {
                break;
            }
            active.extend(self.remove(tag, What::One(id)));
        }
        // Data may be large: then more than a few go.
        while self.order.len() > entries || self.bytes > bytes {
            let Some((_, (tag, id))) = self.oldest() else {
                break;
            };
            active.extend(self.remove(tag, What::One(id)));
        }
        active
    }

    /// Removes what is kept of these sessions. Returns their activity that is not written yet.
    pub(super) fn remove(&mut self, tag: Tag, what: What) -> Vec<Active> {
        let mut active = Vec::new();
        let Some(set) = self.sets.get_mut(&tag) else {
            return active;
        };
        let (order, bytes) = (&mut self.order, &mut self.bytes);
        let stays = |entry: &Entry| !what.is(entry.id());
        set.retain(stays, |entry| {
            order.remove(&entry.number);
            *bytes -= entry.size();
            let id = entry.id();
            active.extend(entry.active_at.map(|at| Active { tag, id, at }));
        });
        if set.first.is_none() {
            self.sets.remove(&tag);
        }
        if self.sets.capacity() > 4 * self.sets.len() + 64 {
            self.sets.shrink_to(2 * self.sets.len());
        }
        active
    }

    /// Removes an entry, if it is still the one of this fill. Returns its activity that is not written yet.
    pub(super) fn take(&mut self, tag: Tag, id: SessionId, number: u64) -> Option<Active> {
        let is_same = self.entry(tag, id)?.number == number;
        let taken = is_same.then(|| self.remove(tag, What::One(id)));
        taken?.pop()
    }

    fn entry(&mut self, tag: Tag, id: SessionId) -> Option<&mut Entry> {
        self.sets.get_mut(&tag)?.of_mut(id)
    }

    fn oldest(&self) -> Option<(u64, (Tag, SessionId))> {
        let (number, of) = self.order.first_key_value()?;
        Some((*number, *of))
    }
}
