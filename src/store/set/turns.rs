//! Operations on one session set that take turns, after one of them lost.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::urgency::{Rows, Urgency, Waiting};
use crate::model::Tag;

/// Which operations wait for which session set. A set is here only while one has its turn.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Tag, Rows>>);

/// The turn of one operation, or its place in the queue until then.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    tag: Tag,
    waiting: Waiting,
}

impl Turns {
    fn queues(&self) -> MutexGuard<'_, HashMap<Tag, Rows>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an operation has the turn of this set.
    pub(super) fn are_taken(&self, tag: Tag) -> bool {
        self.queues().contains_key(&tag)
    }

    /// Waits for the turn of this set. Ends go before sign-ins, and both before everything else.
    pub(super) async fn take(&self, tag: Tag, urgency: Urgency) -> Turn<'_> {
        // Made before it waits: it leaves the queue if the operation is dropped meanwhile.
        let mut turn = Turn {
            turns: self,
            tag,
            waiting: Waiting::at(self.queue(tag, urgency)),
        };
        turn.waiting.turn().await;
        turn
    }

    /// Takes a place in the queue; `None` if no operation has the turn.
    fn queue(&self, tag: Tag, urgency: Urgency) -> Option<oneshot::Receiver<()>> {
        let mut queues = self.queues();
        let Some(rows) = queues.get_mut(&tag) else {
            queues.insert(tag, Rows::default());
            return None;
        };
        Some(rows.join(urgency))
    }

    /// Gives the turn to the next that still waits.
    fn pass_on(&self, tag: Tag) {
        let mut queues = self.queues();
        if let Some(rows) = queues.get_mut(&tag)
            && !rows.pass_on(Urgency::End)
        {
            queues.remove(&tag);
        }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.waiting.leave() {
            self.turns.pass_on(self.tag);
        }
    }
}
