//! Own changes of sessions: what is kept of them goes.

use std::{mem, sync::Arc};

use super::{Inner, cache::Cache, shard::Active};
use crate::{
    model::{SessionId, Tag},
    store::{End, Ended, SessionStore, Which},
};

/// Which sessions of a session set.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    All,
    AllBut(SessionId),
    One(SessionId),
}

impl What {
    pub(super) fn of(which: Which) -> Self {
        match which {
            Which::All => Self::All,
            Which::One(id) => Self::One(id),
            Which::Others(keep) => Self::AllBut(keep),
        }
    }

    pub(super) fn is(self, id: SessionId) -> bool {
        match self {
            Self::All => true,
            Self::AllBut(keep) => keep != id,
            Self::One(one) => one == id,
        }
    }
}

/// A change that is on its way, until its outcome is known or its future is dropped.
pub(super) struct Write<'a, F: FnMut(Vec<Active>)> {
    cache: Option<&'a Cache>,
    tag: Tag,
    what: What,
    unwritten: F,
}

impl<'a, F: FnMut(Vec<Active>)> Write<'a, F> {
    /// An answer that was kept before does not count, nor one that is on its way. `unwritten` gets the activity that
    /// is not written yet, now and at the end.
    pub(super) fn begin(cache: Option<&'a Cache>, tag: Tag, what: What, unwritten: F) -> Self {
        let mut write = Self {
            cache,
            tag,
            what,
            unwritten,
        };
        write.remove();
        write
    }

    fn remove(&mut self) {
        let Some(cache) = self.cache else {
            return;
        };
        // Counted first: an answer that was read before must not be kept.
        cache.feed().count(self.tag);
        (self.unwritten)(cache.remove(self.tag, self.what));
    }
}

/// A question that was sent after the change, and answered before it, does not count either.
impl<F: FnMut(Vec<Active>)> Drop for Write<'_, F> {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Activity of sessions that an `end` is to end. What did not end is written when this is dropped: the end may have
/// spared a session, or failed.
pub(super) struct Owed<'a, St: SessionStore> {
    inner: &'a Arc<Inner<St>>,
    active: Vec<Active>,
}

impl<'a, St: SessionStore> Owed<'a, St> {
    pub(super) fn new(inner: &'a Arc<Inner<St>>) -> Self {
        Self {
            inner,
            active: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, active: Vec<Active>) {
        self.active.extend(active);
    }

    /// Nothing is written of the sessions that are over.
    pub(super) fn settle(&mut self, end: &End, ended: &Ended) {
        if let Ended::Ended { ids, .. } = ended {
            // One that had ended before is not among them.
            let is_over = |id| ids.contains(&id) || end.which == Which::One(id);
            self.active.retain(|active| !is_over(active.id));
        }
    }
}

impl<St: SessionStore> Drop for Owed<'_, St> {
    fn drop(&mut self) {
        Inner::evicted(self.inner, mem::take(&mut self.active));
    }
}
