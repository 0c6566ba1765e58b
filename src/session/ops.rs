//! The changes of the app's data that a request has staged.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;

use super::staged::{Op, changes};
use crate::model::{Change, Changes, Data};

/// With fewer staged keys than this, walking through the stored data is faster than an index of it.
const FEW: usize = 8;

/// The staged changes, key by key. A value that was set again is gone; updates of one key are all kept,
/// because they may have to run again.
#[derive(Default)]
pub(super) struct Ops {
    /// Boxed: the state is moved on every request, and most stage nothing.
    inner: Option<Box<Inner>>,
    /// The number of the next op. Batches name the ops that they contain by it.
    next: u64,
    /// There were ops, and their values are dropped: the request is over.
    lost: bool,
}

#[derive(Default)]
struct Inner {
    /// In the order in which the keys were first staged.
    keys: Vec<Key>,
    places: HashMap<Arc<str>, usize>,
    /// The stored data that `size` and `stored` are about.
    base: Data,
    /// The entries of that data, once many keys are staged.
    stored: Option<HashMap<Bytes, Bytes>>,
    /// How large that data is with what is staged.
    size: usize,
}

struct Key {
    name: Arc<str>,
    /// Never empty.
    ops: Vec<Op>,
}

impl Ops {
    pub(super) fn is_empty(&self) -> bool {
        !self.lost && self.keys().is_empty()
    }

    /// All of them; those of one key follow each other, in the order in which they were staged.
    pub(super) fn all(&self) -> Vec<Op> {
        let ops = self.keys().iter().flat_map(|key| &key.ops);
        ops.cloned().collect()
    }

    /// Whether some of them were computed, and have to run again where the data is newer.
    pub(super) fn has_updates(&self) -> bool {
        let mut ops = self.keys().iter().flat_map(|key| &key.ops);
        ops.any(|op| op.again.is_some())
    }

    /// What they come to, one change per key.
    pub(super) fn changes(&self) -> Changes {
        changes(self.keys().iter().filter_map(|key| key.ops.last()))
    }

    fn keys(&self) -> &[Key] {
        self.inner.as_ref().map_or(&[], |inner| &inner.keys)
    }

    /// The number that the next op will have.
    pub(super) fn next(&self) -> u64 {
        self.next
    }

    /// The newest change of this key.
    pub(super) fn newest(&self, key: &str) -> Option<&Op> {
        self.inner.as_ref()?.newest(key)
    }

    /// The stored value of this key.
    pub(super) fn stored(&self, base: &Data, key: &str) -> Option<Bytes> {
        match self.inner.as_ref() {
            Some(inner) if inner.base.is_same(base) => inner.stored(key),
            _ => base.get(key),
        }
    }

    /// How large this data would be with what is staged and this change.
    pub(super) fn size_with(&mut self, base: &Data, key: &str, change: &Change) -> usize {
        let inner = self.inner_on(base);
        (inner.size + entry(key, change)).saturating_sub(inner.entry(key))
    }

    /// Stages a change of this data.
    pub(super) fn push(&mut self, base: &Data, mut op: Op) {
        op.number = self.next;
        self.next += 1;
        self.inner_on(base).push(op);
    }

    /// These ops are stored, or cannot be: those before this number.
    pub(super) fn drop_before(&mut self, number: u64) {
        let Some(mut inner) = self.inner.take() else {
            return;
        };
        let mut left = Self {
            next: self.next,
            ..Self::default()
        };
        for key in inner.keys.drain(..) {
            let ops = key.ops.into_iter().filter(|op| op.number >= number);
            ops.for_each(|op| left.inner.get_or_insert_default().push(op));
        }
        *self = left;
    }

    /// These ops are still to be stored, before those that were staged after them.
    pub(super) fn put_back(&mut self, ops: Vec<Op>) {
        let newer = self.all();
        self.inner = None;
        for op in ops.into_iter().chain(newer) {
            self.inner.get_or_insert_default().push(op);
        }
    }

    /// Drops the values. What was staged still counts as not stored.
    pub(super) fn release(&mut self) {
        self.lost |= !self.keys().is_empty();
        self.inner = None;
    }

    fn inner_on(&mut self, base: &Data) -> &mut Inner {
        let inner = self.inner.get_or_insert_default();
        inner.measure(base);
        inner
    }
}

impl Inner {
    /// Makes `size` about this data.
    fn measure(&mut self, base: &Data) {
        if !self.base.is_same(base) {
            self.base = base.clone();
            self.stored = None;
            self.count();
        }
        if self.stored.is_none() && self.keys.len() >= FEW {
            self.stored = Some(self.base.entries().collect());
        }
    }

    fn count(&mut self) {
        if self.keys.len() >= FEW {
            self.stored = Some(self.base.entries().collect());
        }
        let staged: usize = self.keys.iter().map(Key::size).sum();
        let replaced = self.keys.iter().filter_map(|key| {
            let value = self.stored(&key.name)?;
            Some(Data::entry_size(&key.name, &value))
        });
        self.size = (self.base.as_bytes().len() + staged).saturating_sub(replaced.sum());
    }

    fn push(&mut self, op: Op) {
        let after = self.size + entry(&op.key, &op.change);
        self.size = after.saturating_sub(self.entry(&op.key));
        if let Some(key) = self
            .places
            .get(&op.key)
            .and_then(|at| self.keys.get_mut(*at))
        {
            key.push(op);
            return;
        }
        self.places.insert(Arc::clone(&op.key), self.keys.len());
        self.keys.push(Key {
            name: Arc::clone(&op.key),
            ops: vec![op],
        });
    }

    fn newest(&self, key: &str) -> Option<&Op> {
        let at = *self.places.get(key)?;
        self.keys.get(at)?.ops.last()
    }

    fn stored(&self, key: &str) -> Option<Bytes> {
        match &self.stored {
            Some(stored) => stored.get(key.as_bytes()).cloned(),
            None => self.base.get(key),
        }
    }

    /// How many bytes the entry of this key takes, staged changes included.
    fn entry(&self, key: &str) -> usize {
        match self.newest(key) {
            Some(op) => entry(key, &op.change),
            None => self
                .stored(key)
                .map_or(0, |value| Data::entry_size(key, &value)),
        }
    }
}

impl Key {
    fn push(&mut self, op: Op) {
        if op.again.is_none() {
            // Whatever the key had before, it gets this.
            self.ops.clear();
        } else if let Some(before) = self.ops.last_mut()
            && before.again.is_some()
        {
            // It is computed again where it is needed.
            before.change = Change::Set(Bytes::new());
        }
        self.ops.push(op);
    }

    fn size(&self) -> usize {
        let newest = self.ops.last();
        newest.map_or(0, |op| entry(&self.name, &op.change))
    }
}

/// How many bytes the entry of a key takes after this change.
fn entry(key: &str, change: &Change) -> usize {
    match change {
        Change::Set(value) => Data::entry_size(key, value),
        Change::Remove => 0,
    }
}

/// The data limit, and what a sign-in carries over: a guest session kept that within a limit of its own, so it must not
/// refuse the sign-in.
pub(super) fn with_carried(limit: usize, ops: &[Op]) -> usize {
    let carried = ops.iter().filter(|op| !op.own);
    let carried: usize = carried.map(|op| entry(&op.key, &op.change)).sum();
    limit.saturating_add(carried)
}
