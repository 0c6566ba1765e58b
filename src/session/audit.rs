//! Tells whoever keeps watch what happened.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::mpsc;

use crate::{
    model::{Event, SessionId},
    store::meter,
};

/// Takes events. A function of an [`Event`] is one.
///
/// It is called while a request is answered, so it must not wait: [`channel`] makes one that never
/// does.
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
    let (sender, receiver) = mpsc::channel(capacity.max(1));
    let dropped = Arc::new(AtomicU64::new(0));
    let sender = EventSender {
        sender,
        dropped: Arc::clone(&dropped),
    };
    (sender, EventReceiver { receiver, dropped })
}

/// The end of a [`channel`] that layers hold.
#[derive(Clone, Debug)]
pub struct EventSender {
    sender: mpsc::Sender<Event>,
    dropped: Arc<AtomicU64>,
}

/// The end of a [`channel`] that events come out of.
#[derive(Debug)]
pub struct EventReceiver {
    receiver: mpsc::Receiver<Event>,
    dropped: Arc<AtomicU64>,
}

impl EventSink for EventSender {
    fn event(&self, event: Event) {
        if self.sender.try_send(event).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            meter::dropped();
        }
    }
}

impl EventSender {
    /// How many events were dropped: they did not fit, or nobody receives any more.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

impl EventReceiver {
    /// The next event; `None` once all senders are gone.
    ///
    /// # Cancel safety
    ///
    /// A dropped call takes no event.
    pub async fn recv(&mut self) -> Option<Event> {
        self.receiver.recv().await
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
        let mut events = Vec::new();
        self.receiver.recv_many(&mut events, usize::MAX).await;
        events
    }

    /// The next event, if one waits.
    pub fn try_recv(&mut self) -> Option<Event> {
        self.receiver.try_recv().ok()
    }

    /// How many events were dropped: they did not fit.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
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
        user = event.user.as_ref().map(tracing::field::display),
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
