//! Operations on one session set that take turns, after one of them lost.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use super::attempt::TaskKind;
use crate::model::Tag;

/// Which operations wait for which session set. A set is here only while one has its turn.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Tag, Queue>>);

/// Who waits for the turn of one session set. The first row goes first, and each row in the order of arrival.
#[derive(Default)]
struct Queue([VecDeque<oneshot::Sender<()>>; 3]);

/// The turn of one operation, or its place in the queue until then.
pub(super) struct Turn<'a> {
    turns: &'a Turns,
    tag: Tag,
    /// `None`: it has its turn.
    place: Option<oneshot::Receiver<()>>,
}

impl Turns {
    fn queues(&self) -> MutexGuard<'_, HashMap<Tag, Queue>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether an operation has the turn of this set.
    pub(super) fn are_taken(&self, tag: Tag) -> bool {
        self.queues().contains_key(&tag)
    }

    /// Waits for the turn of this set. Ends go before sign-ins, and both before everything else.
    pub(super) async fn take(&self, tag: Tag, kind: TaskKind) -> Turn<'_> {
        // Made before it waits: it leaves the queue if the operation is dropped meanwhile.
        let mut turn = Turn {
            turns: self,
            tag,
            place: self.queue(tag, kind),
        };
        if let Some(place) = &mut turn.place {
            // The sender is dropped only with its turn passed on.
            let _ = place.await;
            turn.place = None;
        }
        turn
    }

    /// Takes a place in the queue; `None` if no operation has the turn.
    fn queue(&self, tag: Tag, kind: TaskKind) -> Option<oneshot::Receiver<()>> {
        let mut queues = self.queues();
        let Some(Queue([ends, sign_ins, others])) = queues.get_mut(&tag) else {
            queues.insert(tag, Queue::default());
            return None;
        };
        let row = match kind {
            TaskKind::End => ends,
            TaskKind::SignIn => sign_ins,
            TaskKind::Repeatable | TaskKind::Request | TaskKind::Once => others,
        };
        let (turn, place) = oneshot::channel();
        row.push_back(turn);
        Some(place)
    }

    /// Gives the turn to the next that still waits.
    fn pass_on(&self, tag: Tag) {
        let mut queues = self.queues();
        let Some(Queue(rows)) = queues.get_mut(&tag) else {
            return;
        };
        while let Some(next) = rows.iter_mut().find_map(VecDeque::pop_front) {
            if next.send(()).is_ok() {
                return;
            }
        }
        queues.remove(&tag);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let has_it = match &mut self.place {
            None => true,
            // It got its turn and was dropped before it noticed.
            Some(place) => {
                place.close();
                place.try_recv().is_ok()
            }
        };
        if has_it {
            self.turns.pass_on(self.tag);
        }
    }
}
