//! Operations on one session set that take turns, after one of them lost.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use super::urgency::{Rows, Urgency, Waiting};
use crate::model::Tag;

/// How many operations wait for one session set at most.
const MOST: usize = 1_000;

/// Which operations wait for which session set. A set is here only while one has its turn.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Tag, Queue>>);

#[derive(Default)]
struct Queue {
    rows: Rows,
    /// Whether the storage failed, for the operation that has its turn or had it last.
    fails: bool,
}

/// The turn of one operation, or its place in the queue until then.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    tag: Tag,
    waiting: Waiting,
}

impl Turns {
    fn queues(&self) -> MutexGuard<'_, HashMap<Tag, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an operation has the turn of this set.
    pub(super) fn are_taken(&self, tag: Tag) -> bool {
        self.queues().contains_key(&tag)
    }

    /// Waits for the turn of this set. Ends go before sign-ins, and both before everything else. `None`: too many wait.
    pub(super) async fn take(&self, tag: Tag, urgency: Urgency) -> Option<Turn<'_>> {
        // Made before it waits: it leaves the queue if the operation is dropped meanwhile.
        let mut turn = Turn {
            turns: self,
            tag,
            waiting: self.queue(tag, urgency)?,
        };
        turn.waiting.turn().await.then_some(turn)
    }

    /// Takes a place in the queue, or the turn if no operation has it. `None`: there is no room.
    fn queue(&self, tag: Tag, urgency: Urgency) -> Option<Waiting> {
        let mut queues = self.queues();
        let Some(queue) = queues.get_mut(&tag) else {
            queues.insert(tag, Queue::default());
            return Some(Waiting::at(None));
        };
        let has_room = queue.rows.make_room(urgency, MOST);
        has_room.then(|| Waiting::at(Some(queue.rows.join(urgency))))
    }

    /// Gives the turn to the next that still waits.
    fn pass_on(&self, tag: Tag) {
        let mut queues = self.queues();
        if let Some(queue) = queues.get_mut(&tag)
            && !queue.rows.pass_on(Urgency::End)
        {
            queues.remove(&tag);
        }
    }
}

impl Turn<'_> {
    /// The storage answered in this turn, or failed.
    pub(super) fn found(&self, fails: bool) {
        if let Some(queue) = self.turns.queues().get_mut(&self.tag) {
            queue.fails = fails;
        }
    }

    /// Whether the storage failed when it was asked last, in this turn or the one before.
    pub(super) fn fails(&self) -> bool {
        let queues = self.turns.queues();
        queues.get(&self.tag).is_some_and(|queue| queue.fails)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.waiting.leave() {
            self.turns.pass_on(self.tag);
        }
    }
}
