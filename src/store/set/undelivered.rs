//! Sign-ins that were given up and have not ended yet.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::sync::Notify;

use crate::model::{SessionId, Tag};

/// How many wait at most: a storage that is away for long must not fill the memory of the app.
const MOST: usize = 10_000;

#[derive(Default)]
pub(super) struct Undelivered {
    queue: Mutex<Queue>,
    /// How many have not ended. Read by each operation.
    count: AtomicUsize,
    /// How many there were so far. Who compares it does not miss one while another one ends.
    #[cfg(feature = "postgres")]
    added: AtomicUsize,
    /// How many tasks end them.
    workers: AtomicUsize,
    /// Wakes these tasks.
    work: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<(Tag, SessionId)>,
    /// Those that are being ended.
    taken: Vec<(Tag, SessionId)>,
}

/// One that is being ended. It waits again if that fails, or if its operation is dropped.
pub(super) struct Taken<'a> {
    all: &'a Undelivered,
    pub(super) tag: Tag,
    pub(super) id: SessionId,
    ended: bool,
}

/// One task that ends them, until it is dropped.
pub(super) struct Worker<'a>(&'a Undelivered);

impl Undelivered {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    pub(super) fn add(&self, tag: Tag, id: SessionId) {
        let mut queue = self.queue();
        if queue.waiting.len() >= MOST {
            tracing::error!(
                most = MOST,
                "a session that was given up is not ended: too many wait for the storage. It stays until it expires"
            );
            return;
        }
        queue.waiting.push_back((tag, id));
        self.count.fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "postgres")]
        self.added.fetch_add(1, Ordering::Relaxed);
        drop(queue);
        self.work.notify_one();
    }

    /// The next one to end.
    pub(super) fn take(&self) -> Option<Taken<'_>> {
        if self.count() == 0 {
            return None;
        }
        let mut queue = self.queue();
        let (tag, id) = queue.waiting.pop_front()?;
        queue.taken.push((tag, id));
        drop(queue);
        Some(Taken {
            all: self,
            tag,
            id,
            ended: false,
        })
    }

    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    #[cfg(feature = "postgres")]
    pub(super) fn added(&self) -> usize {
        self.added.load(Ordering::Relaxed)
    }

    /// The task that had taken some does not run any more: they wait again.
    #[cfg(feature = "postgres")]
    pub(super) fn recover(&self) {
        let mut queue = self.queue();
        let Queue { waiting, taken, .. } = &mut *queue;
        waiting.extend(taken.drain(..));
    }

    /// There is always a task that ends them.
    #[cfg(feature = "postgres")]
    pub(super) fn has_worker(&self) {
        self.workers.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn worker(&self) -> Worker<'_> {
        self.workers.fetch_add(1, Ordering::Relaxed);
        Worker(self)
    }

    /// The storage answers. Returns one to end, if some wait and no task does it.
    pub(super) fn next_without_worker(&self) -> Option<Taken<'_>> {
        if self.count() == 0 {
            return None;
        }
        if self.workers.load(Ordering::Relaxed) > 0 {
            self.work.notify_one();
            return None;
        }
        self.take()
    }
}

impl Taken<'_> {
    pub(super) fn ended(mut self) {
        self.ended = true;
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        let this = (self.tag, self.id);
        let mut queue = self.all.queue();
        // If it is in other hands meanwhile, those decide.
        let Some(at) = queue.taken.iter().position(|taken| *taken == this) else {
            return;
        };
        queue.taken.swap_remove(at);
        if self.ended {
            self.all.count.fetch_sub(1, Ordering::Relaxed);
        } else {
            // Behind the others: one that always fails must not hold them up.
            queue.waiting.push_back(this);
        }
    }
}

impl Worker<'_> {
    /// Waits until there is something to end, or the storage answered an operation.
    pub(super) async fn work(&self) {
        self.0.work.notified().await;
    }
}

impl Drop for Worker<'_> {
    fn drop(&mut self) {
        self.0.workers.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_cannot_be_ended_waits_behind_the_others() {
        let all = Undelivered::default();
        let tag = Tag::from_bytes([7; 12]);
        let (first, second) = (
            SessionId::from_bytes([1; 12]),
            SessionId::from_bytes([2; 12]),
        );
        all.add(tag, first);
        all.add(tag, second);

        let failed = all.take().map(|next| next.id);
        let next = all.take().map(|next| {
            let id = next.id;
            next.ended();
            id
        });

        assert_eq!((failed, next), (Some(first), Some(second)));
        assert_eq!(
            (all.count(), all.take().map(|last| last.id)),
            (1, Some(first))
        );
    }

    #[test]
    fn in_a_long_outage_a_bounded_number_waits() {
        let all = Undelivered::default();

        for _ in 0..MOST + 5 {
            all.add(Tag::from_bytes([7; 12]), SessionId::from_bytes([1; 12]));
        }

        assert_eq!(all.count(), 10_000);
    }
}
