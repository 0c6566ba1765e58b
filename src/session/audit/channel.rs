//! The channel that events wait in until the app reads them.

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

/// A channel for events that never slows a request: events that do not fit are dropped and counted, and those
/// that wait stay.
///
/// At most `capacity` events wait in the channel. The receiver takes all of them at once, so it may hold as many
/// more that it has not returned yet. 0 counts as 1. About the number of sign-ins and ends in a second is a
/// good choice: 1,024 is enough for most apps.
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

/// The events that wait. The receiver takes all of them at once, so that it rarely meets a sender at the
/// lock. A sign-in pays for one short lock, which costs less than the nodes of a queue without locks. Its
/// evictions cost nothing more: the receiver makes the events.
#[derive(Debug)]
struct Queue {
    capacity: usize,
    /// `None` once the receiver was dropped.
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
        // A panic while it is locked leaves no step half written.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the events of a step, as many as there is room for. They are made under the lock, in their
    /// place in the queue: making them must take no lock.
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
    /// Drops the last events; all of them belong to the last step.
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

/// Wakes the receiver when the last sender was dropped.
#[derive(Debug)]
struct Senders(Arc<Queue>);

impl Drop for Senders {
    fn drop(&mut self) {
        self.0.came.notify_one();
    }
}

/// The sending end of a [`channel`], for [`SessionLayer::events`](crate::SessionLayer::events).
#[derive(Clone, Debug)]
pub struct EventSender(Arc<Senders>);

/// The receiving end of a [`channel`].
#[derive(Debug)]
pub struct EventReceiver {
    queue: Arc<Queue>,
    senders: Weak<Senders>,
    /// The memory that the queue gets next.
    spare: Vec<Raised>,
    /// Taken out of the queue, and not yet returned.
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

    /// How many events were dropped since the channel was made: they did not fit, or the receiver was dropped.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.0.dropped.load(Ordering::Relaxed)
    }
}

/// Events that will never be received are not kept.
impl Drop for EventReceiver {
    fn drop(&mut self) {
        let left = self.queue.waiting().take();
        drop(left);
    }
}

impl EventReceiver {
    /// The next event. Returns `None` once all senders were dropped.
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

    /// All events that wait, in their order; waits until there is one. They are at most as many as the capacity, and after
    /// [`recv`](Self::recv) or [`try_recv`](Self::try_recv) less than twice as many. Returns an empty `Vec` once all senders
    /// were dropped.
    ///
    /// Pause for some milliseconds between two batches: an event that finds no receiver waiting need not
    /// wake one, so sign-ins cost less.
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

    /// The next event, if there is one.
    pub fn try_recv(&mut self) -> Option<Event> {
        if self.taken.is_empty() {
            self.take();
        }
        self.taken.pop_front()
    }

    /// How many events were dropped since the channel was made: they did not fit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.queue.dropped.load(Ordering::Relaxed)
    }

    /// Takes all events, and leaves an empty queue that has its memory already.
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

    /// Waits for an event. Returns whether there is still a sender.
    async fn wait(&self) -> bool {
        if self.senders.strong_count() == 0 {
            return false;
        }
        self.queue.came.notified().await;
        true
    }
}
