//! The channel that events wait in for whoever keeps watch.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use super::EventSink;
use crate::{
    model::{Event, Raised},
    store::meter,
};

/// A channel that never slows a request: what does not fit is dropped and counted.
///
/// `capacity` is how many events wait for the receiver; 0 counts as 1.
///
/// ```
/// use tower_user_sessions::{MemoryStore, SessionLayer, events};
///
/// # tokio_test::block_on(async {
/// let (sender, mut receiver) = events::channel(1_024);
/// let layer = SessionLayer::new(MemoryStore::new()).events(sender);
/// # drop(layer);
/// while let Some(event) = receiver.recv().await {
///     println!("{} {:?}", event.kind.as_str(), event.session);
/// }
/// # });
/// ```
#[must_use]
pub fn channel(capacity: usize) -> (EventSender, EventReceiver) {
    let queue = Arc::new(Queue {
        capacity: capacity.max(1),
        waiting: Mutex::new(Some(Waiting::default())),
        dropped: AtomicU64::new(0),
        came: Notify::new(),
    });
    let senders = Arc::new(Senders(Arc::clone(&queue)));
    let receiver = EventReceiver {
        senders: Arc::downgrade(&senders),
        spare: Vec::new(),
        taken: VecDeque::new(),
        queue,
    };
    (EventSender(senders), receiver)
}

/// What a channel holds. Taken out as a whole, so that sender and receiver hardly ever meet: a sign-in
/// pays for one short lock, where a queue without locks would make it pay for its nodes. Whom it
/// evicted costs it no more: what a step raised becomes events at the receiver's.
#[derive(Debug)]
struct Queue {
    capacity: usize,
    /// Nothing any more once the receiver is gone.
    waiting: Mutex<Option<Waiting>>,
    dropped: AtomicU64,
    came: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    steps: Vec<Raised>,
    events: usize,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Option<Waiting>> {
        // A panic while it is held leaves whole steps behind.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a step raised, or what there is room for. It is made where it will wait, under the
    /// lock, so that making it must take none.
    fn take(&self, raised: impl FnOnce() -> Raised) {
        let mut waiting = self.waiting();
        match &mut *waiting {
            Some(room) if room.events < self.capacity => {
                let first = room.steps.is_empty();
                room.steps.push(raised());
                room.events += room.steps.last().map_or(0, Raised::len);
                let over = room.events.saturating_sub(self.capacity);
                if over > 0 {
                    room.shorten(over);
                }
                drop(waiting);
                if first {
                    self.came.notify_one();
                }
                if over > 0 {
                    self.count_dropped(over);
                }
            }
            _ => {
                drop(waiting);
                self.count_dropped(raised().len());
            }
        }
    }

    #[cold]
    fn count_dropped(&self, events: usize) {
        let events = u64::try_from(events).unwrap_or(u64::MAX);
        self.dropped.fetch_add(events, Ordering::Relaxed);
        meter::dropped(events);
    }
}

impl Waiting {
    /// Drops the last events, all of them of the last step.
    #[cold]
    fn shorten(&mut self, by: usize) {
        let Some(last) = self.steps.pop() else {
            return;
        };
        self.events -= by;
        let mut left = last.len() - by;
        last.report(|event| {
            if left > 0 {
                left -= 1;
                self.steps.push(Raised::Event(event));
            }
        });
    }
}

/// Tells the receiver when the last sender is gone.
#[derive(Debug)]
struct Senders(Arc<Queue>);

impl Drop for Senders {
    fn drop(&mut self) {
        self.0.came.notify_one();
    }
}

/// The end of a [`channel`] that layers hold.
#[derive(Clone, Debug)]
pub struct EventSender(Arc<Senders>);

/// The end of a [`channel`] that events come out of.
#[derive(Debug)]
pub struct EventReceiver {
    queue: Arc<Queue>,
    senders: Weak<Senders>,
    /// The room that the queue has next.
    spare: Vec<Raised>,
    /// Out of the queue, and not yet asked for.
    taken: VecDeque<Event>,
}

impl EventSink for EventSender {
    fn event(&self, event: Event) {
        self.take(|| Raised::Event(event));
    }
}

impl EventSender {
    pub(super) fn take(&self, raised: impl FnOnce() -> Raised) {
        self.0.0.take(raised);
    }

    /// How many events were dropped: they did not fit, or nobody receives any more.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.0.dropped.load(Ordering::Relaxed)
    }
}

/// Nobody keeps what nobody will take.
impl Drop for EventReceiver {
    fn drop(&mut self) {
        let left = self.queue.waiting().take();
        drop(left);
    }
}

impl EventReceiver {
    /// The next event; `None` once all senders are gone.
    ///
    /// # Cancel safety
    ///
    /// A dropped call takes no event.
    pub async fn recv(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.try_recv() {
                return Some(event);
            }
            if !self.wait().await {
                return self.try_recv();
            }
        }
    }

    /// All events that wait, in their order, once there is one; none once all senders are gone.
    ///
    /// A receiver that pauses between batches, some milliseconds, costs sign-ins least: while nobody
    /// waits here, an event wakes nobody.
    ///
    /// # Cancel safety
    ///
    /// A dropped call takes no event.
    pub async fn batch(&mut self) -> Vec<Event> {
        loop {
            self.take();
            if !self.taken.is_empty() {
                return self.taken.drain(..).collect();
            }
            if !self.wait().await {
                self.take();
                return self.taken.drain(..).collect();
            }
        }
    }

    /// The next event, if one waits.
    pub fn try_recv(&mut self) -> Option<Event> {
        if self.taken.is_empty() {
            self.take();
        }
        self.taken.pop_front()
    }

    /// How many events were dropped: they did not fit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// Takes all that waits, and leaves an empty queue behind that has its room already.
    fn take(&mut self) {
        let mut waiting = self.queue.waiting();
        let Some(Waiting { steps, events }) = waiting.as_mut() else {
            return;
        };
        *events = 0;
        std::mem::swap(steps, &mut self.spare);
        drop(waiting);
        for raised in self.spare.drain(..) {
            raised.report(|event| self.taken.push_back(event));
        }
    }

    /// Waits for an event. Whether there is still somebody to send one.
    async fn wait(&self) -> bool {
        if self.senders.strong_count() == 0 {
            return false;
        }
        self.queue.came.notified().await;
        true
    }
}
