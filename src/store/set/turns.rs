//! Operations on one session set that take turns, after one of them lost.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::{Mutex as Queue, OwnedMutexGuard};

use crate::model::Tag;

/// Which operations wait for which session set. A set is here only while one has its turn or waits for it.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Tag, Arc<Queue<()>>>>);

/// The turn of one operation, or its place in the queue until then.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    tag: Tag,
    // Before `queue`, so that it is released first.
    turn: Option<OwnedMutexGuard<()>>,
    queue: Option<Arc<Queue<()>>>,
}

impl Turns {
    fn queues(&self) -> MutexGuard<'_, HashMap<Tag, Arc<Queue<()>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an operation has the turn of this set or waits for it.
    pub(super) fn are_taken(&self, tag: Tag) -> bool {
        self.queues().contains_key(&tag)
    }

    /// Waits for the turn of this set, in the order of arrival.
    pub(super) async fn take(&self, tag: Tag) -> Turn<'_> {
        let queue = Arc::clone(self.queues().entry(tag).or_default());
        // Made before it waits: it leaves the queue if the operation is dropped meanwhile.
        let mut turn = Turn {
            turns: self,
            tag,
            turn: None,
            queue: Some(Arc::clone(&queue)),
        };
        turn.turn = Some(queue.lock_owned().await);
        turn
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.turn = None;
        let mut queues = self.turns.queues();
        self.queue = None;
        // Only the map has it: no operation waits.
        if queues
            .get(&self.tag)
            .is_some_and(|queue| Arc::strong_count(queue) == 1)
        {
            queues.remove(&self.tag);
        }
    }
}
