//! The entries under one lock, and which of them goes first.

use std::collections::{BTreeMap, HashMap};

use super::{
    entry::{Entry, Hit},
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
    sets: HashMap<Tag, Vec<Entry>>,
    /// The entries by the number of their fill.
    order: BTreeMap<u64, (Tag, SessionId)>,
    last: u64,
    bytes: usize,
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

    pub(super) fn hit(
        &mut self,
        resolve: &Resolve,
        now: Timestamp,
        epoch: u64,
    ) -> Option<(Hit, u64)> {
        let entry = self.entry(resolve.token.tag(), resolve.token.session_id())?;
        let hit = entry.hit(resolve, now, epoch)?;
        Some((hit, entry.number))
    }

    pub(super) fn has(&self, tag: Tag, id: SessionId) -> bool {
        let set = self.sets.get(&tag);
        set.is_some_and(|set| set.iter().any(|entry| entry.id() == id))
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
        let counted = entry.is_counted();
        let mut active = self.remove(tag, What::One(id));
        if counted {
            // The store has recorded a later one.
            active.clear();
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
        set.retain(|entry| {
            let id = entry.id();
            if what.is(id) {
                order.remove(&entry.number);
                *bytes -= entry.size();
                active.extend(entry.active_at.map(|at| Active { tag, id, at }));
            }
            !what.is(id)
        });
        if set.is_empty() {
            self.sets.remove(&tag);
        }
        if self.sets.capacity() > 4 * self.sets.len() + 64 {
            self.sets.shrink_to(2 * self.sets.len());
        }
        active
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            last: self.last,
            ..Self::default()
        };
    }

    /// Removes an entry, if it is still the one of this fill. Returns its activity that is not written yet.
    pub(super) fn take(&mut self, tag: Tag, id: SessionId, number: u64) -> Option<Active> {
        let is_same = self.entry(tag, id)?.number == number;
        let taken = is_same.then(|| self.remove(tag, What::One(id)));
        taken?.pop()
    }

    fn entry(&mut self, tag: Tag, id: SessionId) -> Option<&mut Entry> {
        let set = self.sets.get_mut(&tag)?;
        set.iter_mut().find(|entry| entry.id() == id)
    }

    fn oldest(&self) -> Option<(u64, (Tag, SessionId))> {
        let (number, of) = self.order.first_key_value()?;
        Some((*number, *of))
    }
}
