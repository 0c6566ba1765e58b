//! A reader of a feed that keeps what it reads.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tower_user_sessions::store::{
    Feed, FeedInterest, FeedMessage, FeedNews, FeedReader, SessionStore, Tag,
};

use super::people::until;

/// Reads the feed of a store until it is dropped.
pub(crate) struct Reader {
    pub(crate) feed: Feed,
    kept: Arc<Kept>,
    _interest: FeedInterest,
}

#[derive(Default)]
struct Kept {
    messages: Mutex<Vec<FeedMessage>>,
    epochs: AtomicU32,
}

impl FeedReader for Kept {
    fn message(&self, message: &FeedMessage) {
        self.messages.lock().unwrap().push(message.clone());
    }

    fn epoch_changed(&self) {
        self.epochs.fetch_add(1, SeqCst);
    }
}

impl Reader {
    pub(crate) fn of(store: &impl SessionStore) -> Self {
        let feed = store.feed().unwrap();
        let kept = Arc::<Kept>::default();
        let as_reader: Arc<dyn FeedReader> = kept.clone();
        let interest = feed.read_by(Weak::clone(&Arc::downgrade(&as_reader)));
        Self {
            feed,
            kept,
            _interest: interest,
        }
    }

    /// Reads, and waits until what it reads about this session set is trusted.
    pub(crate) async fn trusting(store: &impl SessionStore, tag: Tag) -> Self {
        let reader = Self::of(store);
        reader.trusts(tag).await;
        reader
    }

    pub(crate) fn is_trusted(&self, tag: Tag) -> bool {
        self.feed.state(tag).trusted
    }

    pub(crate) async fn trusts(&self, tag: Tag) {
        self.feed.hold(tag, Duration::from_secs(600));
        until("the feed is trusted", async || self.is_trusted(tag)).await;
    }

    pub(crate) async fn doubts(&self, tag: Tag) {
        until("the feed is not trusted", async || !self.is_trusted(tag)).await;
    }

    pub(crate) fn epoch(&self, tag: Tag) -> u64 {
        self.feed.state(tag).epoch
    }

    /// How often it was reported that an epoch changed.
    pub(crate) fn epochs(&self) -> u32 {
        self.kept.epochs.load(SeqCst)
    }

    pub(crate) fn messages(&self) -> Vec<FeedMessage> {
        self.kept.messages.lock().unwrap().clone()
    }

    /// What was read about this session set since the last call, once there is something.
    pub(crate) async fn news(&self, tag: Tag) -> Vec<FeedNews> {
        until("a message", async || {
            self.messages().iter().any(|message| message.tag == tag)
        })
        .await;
        let mut messages = self.kept.messages.lock().unwrap();
        let about = messages.extract_if(.., |message| message.tag == tag);
        about.map(|message| message.news).collect()
    }
}
