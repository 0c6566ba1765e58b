//! Sign-ins that were given up, until the server has answered that they ended.

use std::{
    collections::VecDeque,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{
    model::{SessionId, Tag},
    store::{
        meter,
        worker::{Shift, Worker},
    },
};

/// How many wait at most: a server that is away for long must not fill the memory of the app.
const MOST: usize = 10_000;

/// The pauses after an end that failed.
pub(super) const SHORTEST: Duration = Duration::from_millis(20);
pub(super) const LONGEST: Duration = Duration::from_secs(30);

/// Sign-ins that were given up, and have not ended yet.
#[derive(Debug, Default)]
pub(super) struct Undelivered {
    queue: Mutex<Queue>,
    /// Wakes who waits for all to have ended.
    pub(super) ended: Notify,
    /// Wakes the worker from its pause: a `drain` waits for all to have ended.
    pub(super) awaited: Arc<Notify>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Tag, SessionId)>,
    worker: Worker,
    /// The one that is being ended.
    at_work: Option<(Tag, SessionId)>,
}

impl Undelivered {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one.
    pub(super) fn add(&self, tag: Tag, id: SessionId) {
        let mut queue = self.queue();
        if queue.waiting.len() >= MOST {
            meter::link::undelivered_lost();
            tracing::error!(
                most = MOST,
                "a session that was given up is not ended: too many wait for Redis. It stays until it expires"
            );
            return;
        }
        queue.waiting.push_back((tag, id));
    }

    /// The next one to end. If there is none, this run of the worker ends.
    pub(super) fn next(&self, shift: &Shift) -> Option<(Tag, SessionId)> {
        let mut queue = self.queue();
        // Of a worker that stopped together with its runtime.
        let left = queue.at_work.take();
        queue.waiting.extend(left);
        queue.at_work = queue.waiting.pop_front();
        if queue.at_work.is_none() {
            shift.ends();
        }
        queue.at_work
    }

    /// It ended, or waits for its next turn.
    pub(super) fn done(&self, again: Option<(Tag, SessionId)>) {
        let mut queue = self.queue();
        queue.at_work = None;
        queue.waiting.extend(again);
        drop(queue);
        self.ended.notify_waiters();
    }

    /// How many have not ended.
    pub(super) fn left(&self) -> usize {
        let queue = self.queue();
        queue.waiting.len() + usize::from(queue.at_work.is_some())
    }

    /// Starts the worker in the caller's runtime if there is work and none is at it: the runtime of the last one may
    /// have stopped, or be idle. Says whether that is still to be found out.
    pub(super) fn work<F>(&self, work: impl FnOnce(Shift) -> F) -> bool
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut queue = self.queue();
        if queue.at_work.is_none() && queue.waiting.is_empty() {
            return false;
        }
        if !queue.worker.runs() {
            queue.worker.start(work);
            return false;
        }
        queue.worker.comes_into_doubt()
    }

    /// Whether the worker has not shown that it runs.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.queue().worker.is_in_doubt()
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn starts(undelivered: &Undelivered) -> Option<(Runtime, Shift)> {
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut started = None;
        {
            let _inside = runtime.enter();
            undelivered.work(|shift| {
                started = Some(shift);
                pending()
            });
        }
        Some((runtime, started?))
    }

    #[test]
    fn in_a_long_outage_a_bounded_number_of_sign_ins_waits_to_be_ended() {
        let undelivered = Undelivered::default();
        let id = SessionId::from_bytes([2; 12]);

        for _ in 0..MOST + 5 {
            undelivered.add(Tag::from_bytes([1; 12]), id);
        }

        assert_eq!(undelivered.left(), 10_000);
    }

    #[test]
    fn a_sign_in_whose_runtime_stopped_while_it_was_ended_is_ended_in_the_next_one() {
        let sign_in = (Tag::from_bytes([1; 12]), SessionId::from_bytes([2; 12]));
        let undelivered = Undelivered::default();
        undelivered.add(sign_in.0, sign_in.1);
        let (first, shift) = starts(&undelivered).unwrap();
        assert_eq!(undelivered.next(&shift), Some(sign_in));
        assert!(starts(&undelivered).is_none(), "it is being ended");

        drop(first);

        let (_second, shift) = starts(&undelivered).unwrap();
        let next = undelivered.next(&shift);
        assert_eq!((next, undelivered.left()), (Some(sign_in), 1));
        undelivered.done(None);
        assert_eq!(undelivered.left(), 0);
    }
}
