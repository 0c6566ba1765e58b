//! Tells whoever keeps watch what happened.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::Notify;

use crate::{
    model::{Event, SessionId},
    store::meter,
};

/// Takes events. A function of an [`Event`] is one.
///
/// It is called while a request is answered, also where its future is dropped, so it must neither wait
/// nor panic: [`channel`] makes one that never does.
pub trait EventSink: Send + Sync + 'static {
    /// Takes one event.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync + 'static> EventSink for F {
    fn event(&self, event: Event) {
        self(event);
    }
}

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
        waiting: Mutex::new(Some(VecDeque::new())),
        dropped: AtomicU64::new(0),
        came: Notify::new(),
    });
    let senders = Arc::new(Senders(Arc::clone(&queue)));
    let receiver = EventReceiver {
        senders: Arc::downgrade(&senders),
        taken: VecDeque::new(),
        queue,
    };
    (EventSender(senders), receiver)
}

/// What a channel holds. Taken out as a whole, so that sender and receiver hardly ever meet: a sign-in
/// pays for one short lock, where a queue without locks would make it pay for its nodes.
#[derive(Debug)]
struct Queue {
    capacity: usize,
    /// Nothing any more once the receiver is gone.
    waiting: Mutex<Option<VecDeque<Event>>>,
    dropped: AtomicU64,
    came: Notify,
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Option<VecDeque<Event>>> {
        // A panic while it is held leaves whole events behind.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Out of the queue, and not yet asked for.
    taken: VecDeque<Event>,
}

impl EventSink for EventSender {
    fn event(&self, event: Event) {
        let queue = &self.0.0;
        let mut waiting = queue.waiting();
        let room = waiting
            .as_mut()
            .filter(|waiting| waiting.len() < queue.capacity);
        let Some(room) = room else {
            drop(waiting);
            queue.dropped.fetch_add(1, Ordering::Relaxed);
            meter::dropped();
            return;
        };
        let first = room.is_empty();
        room.push_back(event);
        drop(waiting);
        if first {
            queue.came.notify_one();
        }
    }
}

impl EventSender {
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
        let Some(waiting) = waiting.as_mut() else {
            return;
        };
        if self.taken.is_empty() {
            std::mem::swap(waiting, &mut self.taken);
        } else {
            self.taken.append(waiting);
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

/// Where events go.
#[derive(Clone, Default)]
pub(crate) struct Audit(Option<Arc<dyn EventSink>>);

impl Audit {
    pub(crate) fn new(sink: impl EventSink) -> Self {
        Self(Some(Arc::new(sink)))
    }

    /// Raises an event, which is made only if somebody takes it.
    pub(crate) fn raise(&self, event: impl FnOnce() -> Event) {
        let logged = tracing::enabled!(target: "tower_user_sessions::audit", tracing::Level::DEBUG);
        if self.0.is_none() && !logged {
            return;
        }
        let event = event();
        if logged {
            log(&event);
        }
        if let Some(sink) = &self.0 {
            sink.event(event);
        }
    }
}

/// At debug level, for it names users and sessions; where they came from stays out of logs.
fn log(event: &Event) {
    tracing::debug!(
        target: "tower_user_sessions::audit",
        kind = event.kind.as_str(),
        at = %event.at,
        user = event.user().map(tracing::field::display),
        session = event.session.map(tracing::field::display::<SessionId>),
        why = event.why(),
        initiator = event.initiator.as_str(),
        by = event.by.map(tracing::field::display::<SessionId>),
    );
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit(..)")
    }
}
