//! An event sink that keeps all events.

use std::sync::{Arc, Mutex};

use tower_user_sessions::{
    EndReason, Limit, MemoryStore, SessionId, SessionLayer, Timestamp,
    events::{Event, EventKind, Initiator},
    store::ManualClock,
};

use super::http::store;

/// Keeps the events it receives.
#[derive(Clone, Default)]
pub struct Book(pub Arc<Mutex<Vec<Event>>>);

/// An event without its origin, in a form that can be compared.
pub type Reported = (
    EventKind,
    Timestamp,
    Option<String>,
    Option<SessionId>,
    Option<EndReason>,
    Initiator,
    Option<SessionId>,
);

pub fn comparable(event: &Event) -> Reported {
    (
        event.kind,
        event.at,
        event.user().map(ToString::to_string),
        event.session,
        event.reason,
        event.initiator,
        event.by,
    )
}

/// The sessions that are live according to the events. Each one begins once, and ends once after that.
pub fn live(news: &[Reported]) -> Vec<SessionId> {
    let mut live: Vec<SessionId> = Vec::new();
    for (kind, _, _, session, ..) in news {
        match kind {
            EventKind::Created => {
                let id = session.unwrap();
                assert!(!live.contains(&id), "{id:?} began twice");
                live.push(id);
            }
            EventKind::Ended => {
                let at = live.iter().position(|id| Some(*id) == *session);
                live.swap_remove(at.unwrap());
            }
            _ => {}
        }
    }
    live.sort();
    live
}

impl Book {
    pub fn sink(&self) -> impl Fn(Event) + Send + Sync + 'static {
        let book = Arc::clone(&self.0);
        move |event| book.lock().unwrap().push(event)
    }

    /// The events since the last call.
    pub fn news(&self) -> Vec<Reported> {
        self.0
            .lock()
            .unwrap()
            .drain(..)
            .map(|event| comparable(&event))
            .collect()
    }
}

/// A layer with this limit that sends its events to a book.
pub fn world(limit: Limit) -> (SessionLayer, Book, MemoryStore, ManualClock) {
    let ((store, clock), book) = (store(), Book::default());
    let layer = SessionLayer::new(store.clone())
        .limit(limit)
        .events(book.sink());
    (layer, book, store, clock)
}
