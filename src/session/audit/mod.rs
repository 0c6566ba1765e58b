//! Reports events to the sink of the app.

mod channel;

use std::{any::Any, fmt, sync::Arc};

pub use self::channel::{EventReceiver, EventSender, channel};
use crate::model::{Event, Raised, SessionId, SignIn};

/// Receives events. A closure that takes an [`Event`] is one.
///
/// It is called while a request is being answered, also when its future is dropped. So it must neither
/// block nor panic. [`channel`] makes a sink that never does.
pub trait EventSink: Send + Sync + 'static {
    /// Receives one event.
    fn event(&self, event: Event);
}

impl<F: Fn(Event) + Send + Sync + 'static> EventSink for F {
    fn event(&self, event: Event) {
        self(event);
    }
}

/// Where events go.
#[derive(Clone, Default)]
pub(crate) struct Audit(Option<Sink>);

/// The channel takes all events of a sign-in at once, for the cost of one.
#[derive(Clone)]
enum Sink {
    Channel(EventSender),
    Other(Arc<dyn EventSink>),
}

impl Audit {
    pub(crate) fn new(sink: impl EventSink) -> Self {
        let channel = (&sink as &dyn Any).downcast_ref::<EventSender>().cloned();
        Self(Some(match channel {
            Some(channel) => Sink::Channel(channel),
            None => Sink::Other(Arc::new(sink)),
        }))
    }

    /// Raises an event. It is made only if a sink takes it, and before the channel is locked: making it
    /// locks the session.
    pub(crate) fn raise(&self, event: impl FnOnce() -> Event) {
        if self.0.is_some() || is_logged() {
            let event = event();
            self.hand_over(|| Raised::Event(event));
        }
    }

    /// Raises the events of a sign-in. They are made only if a sink takes them, while the channel is
    /// locked: making them must take no lock.
    pub(crate) fn raise_step(&self, step: impl FnOnce() -> SignIn) {
        self.hand_over(|| Raised::SignIn(step()));
    }

    fn hand_over(&self, raised: impl FnOnce() -> Raised) {
        if is_logged() {
            let raised = raised();
            log_all(&raised);
            self.take(|| raised);
        } else {
            self.take(raised);
        }
    }

    fn take(&self, raised: impl FnOnce() -> Raised) {
        match &self.0 {
            None => {}
            Some(Sink::Channel(channel)) => channel.take(raised),
            Some(Sink::Other(sink)) => raised().report(|event| sink.event(event)),
        }
    }
}

fn is_logged() -> bool {
    tracing::enabled!(target: "tower_user_sessions::audit", tracing::Level::DEBUG)
}

#[cold]
fn log_all(raised: &Raised) {
    raised.clone().report(|event| log(&event));
}

/// At debug level, because it names users and sessions. Addresses and user agents are not logged. A user
/// id may have any characters, so it is escaped: with a line break in it one could forge a line.
fn log(event: &Event) {
    tracing::debug!(
        target: "tower_user_sessions::audit",
        kind = event.kind.as_str(),
        at = %event.at,
        user = event.user().map(|user| tracing::field::display(user.as_str().escape_debug())),
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
