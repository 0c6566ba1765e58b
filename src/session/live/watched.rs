//! A session that streams depend on, and who waits for its end.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, atomic::AtomicUsize},
    task::{Context, Poll, Waker},
};

use super::{LiveEnd, LiveSession, registry::Registry};
use crate::model::{SessionId, Tag};

/// A session of which at least one [`LiveSession`] exists.
pub(super) struct Watched {
    pub(super) registry: Arc<Registry>,
    pub(super) tag: Tag,
    pub(super) id: SessionId,
    /// How many `LiveSession`s are left.
    pub(super) handles: AtomicUsize,
    end: OnceLock<Box<LiveEnd>>,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    all: Vec<(u32, Waker)>,
    next: u32,
}

impl Watched {
    pub(super) fn new(registry: Arc<Registry>, tag: Tag, id: SessionId) -> Self {
        Self {
            registry,
            tag,
            id,
            handles: AtomicUsize::new(1),
            end: OnceLock::new(),
            waiters: Mutex::default(),
        }
    }

    pub(super) const fn of(&self) -> (Tag, SessionId) {
        (self.tag, self.id)
    }

    pub(super) fn end(&self) -> Option<&LiveEnd> {
        self.end.get().map(|end| &**end)
    }

    /// Ends the streams.
    pub(super) fn finish(&self, end: LiveEnd) {
        let _ = self.end.set(Box::new(end));
        let waiters = std::mem::take(&mut self.waiters().all);
        for (_, waker) in waiters {
            wake(|| waker.wake());
        }
    }

    /// Wakes all waiters, so that one of them starts the task that looks.
    pub(super) fn wake(&self) {
        let wakers: Vec<Waker> = {
            let waiters = self.waiters();
            waiters.all.iter().map(|(_, waker)| waker.clone()).collect()
        };
        for waker in wakers {
            wake(|| waker.wake());
        }
    }

    /// Adds a waiter, or gives it another waker. Returns `None` if the session has ended.
    pub(super) fn wait(&self, key: Option<u32>, waker: &Waker) -> Option<u32> {
        let mut waiters = self.waiters();
        if self.end.get().is_some() {
            return None;
        }
        if let Some(key) = key
            && let Some((_, known)) = waiters.all.iter_mut().find(|(it, _)| *it == key)
        {
            known.clone_from(waker);
            return Some(key);
        }
        let key = waiters.next;
        waiters.next = key.wrapping_add(1);
        // Most sessions have one stream, and a vector would make room for four.
        waiters.all.reserve_exact(1);
        waiters.all.push((key, waker.clone()));
        Some(key)
    }

    pub(super) fn stop_waiting(&self, key: u32) {
        self.waiters().all.retain(|(it, _)| *it != key);
    }

    /// How many wait for its end, and for how many there is room in memory.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> (usize, usize) {
        let waiters = self.waiters();
        (waiters.all.len(), waiters.all.capacity())
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A waker of a stream drops the body of that stream, which is the app's code.
pub(super) fn wake(waker: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(waker)).is_err() {
        tracing::error!("a stream panicked while it was ended");
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").finish_non_exhaustive()
    }
}

/// Waits until the session has ended.
#[derive(Debug)]
pub(crate) struct Waiting {
    live: LiveSession,
    key: Option<u32>,
}

impl Waiting {
    pub(crate) const fn new(live: LiveSession) -> Self {
        Self { live, key: None }
    }

    pub(crate) const fn live(&self) -> &LiveSession {
        &self.live
    }
}

impl Future for Waiting {
    type Output = LiveEnd;

    fn poll(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<LiveEnd> {
        let this = &mut *self;
        let watched = &this.live.0;
        watched.registry.keep_looking();
        this.key = watched.wait(this.key, task.waker());
        match watched.end() {
            Some(end) => Poll::Ready(end.clone()),
            None => Poll::Pending,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.live.0.stop_waiting(key);
        }
    }
}
