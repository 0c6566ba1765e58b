//! Own changes of sessions: what is kept of them goes.

use super::{cache::Cache, shard::Active};
use crate::model::{SessionId, Tag};

/// Which sessions of a session set.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    All,
    AllBut(SessionId),
    One(SessionId),
}

impl What {
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
