//! What changed, as a store reports it. It makes things faster, and no promise depends on it.

mod message;
pub(crate) mod report;
#[cfg(test)]
#[cfg(feature = "live")]
mod tests;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

pub use self::message::{FeedMessage, FeedNews};
use crate::model::Tag;

/// Messages are counted by the tag modulo this number.
const BUCKETS: usize = 4_096;

/// How long streams and caches hold a session set at a time.
#[cfg(feature = "live")]
pub(crate) const HELD: Duration = Duration::from_secs(180);

/// What changed in the session sets of a store: messages of all nodes, and whether they can be trusted now.
///
/// Messages arrive at most once, so nothing may depend on one. A reader of a feed also asks the store
/// again after a while, and after each change of the [epoch](FeedState::epoch). It [holds](Self::hold) the sets that it
/// needs.
///
/// A store with a feed keeps one, passes it on in [`SessionStore::feed`](super::SessionStore::feed), and
/// [delivers](Self::deliver) every message to it. Clones are the same feed.
#[derive(Clone)]
pub struct Feed(Arc<Inner>);

struct Inner {
    source: Box<dyn FeedSource>,
    counts: Box<[AtomicU64]>,
    readers: Mutex<Vec<Weak<dyn FeedReader>>>,
    wanted: watch::Sender<usize>,
}

/// A feed, while there is one.
#[cfg(feature = "redis")]
#[derive(Debug)]
pub(crate) struct WeakFeed(Weak<Inner>);

#[cfg(feature = "redis")]
impl WeakFeed {
    pub(crate) fn upgrade(&self) -> Option<Feed> {
        self.0.upgrade().map(Feed)
    }
}

/// Where the messages of a feed come from.
pub trait FeedSource: Send + Sync + 'static {
    /// The state of the messages about this session set.
    fn state(&self, tag: Tag) -> FeedState;

    /// So many readers are there now. With none the source need not listen.
    ///
    /// Called after each change, where a reader comes or goes, so it must not wait. Defaults to doing nothing.
    fn wanted(&self, readers: usize) {
        let _ = readers;
    }

    /// A reader needs the messages about this session set, from now on for so long.
    ///
    /// For a source that listens to a share of the messages only. It may be called often, and must not wait. Defaults to
    /// doing nothing.
    fn hold(&self, tag: Tag, time: Duration) {
        let _ = (tag, time);
    }

    /// Whether new tokens and changes of data are reported, not only ends.
    ///
    /// A near cache without them has what other nodes write only after its lease. Defaults to `true`.
    fn reports_writes(&self) -> bool {
        true
    }
}

/// Whether the messages about a session set can be trusted.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeedState {
    /// Another number whenever messages may have been lost.
    pub epoch: u64,
    /// Whether every message of this epoch that was sent until two seconds ago has arrived.
    pub trusted: bool,
}

impl FeedState {
    /// This epoch, trusted or not.
    #[must_use]
    pub const fn new(epoch: u64, trusted: bool) -> Self {
        Self { epoch, trusted }
    }
}

/// Reads a feed.
pub trait FeedReader: Send + Sync {
    /// A message arrived. It is called where messages arrive, so it must not wait.
    fn message(&self, message: &FeedMessage);

    /// The epoch of some session sets changed: compare [`Feed::state`].
    fn epoch_changed(&self);
}

/// While one lives, the store listens to the messages of other nodes.
#[derive(Debug)]
#[must_use = "without it the store does not listen"]
pub struct FeedInterest(Feed);

impl Drop for FeedInterest {
    fn drop(&mut self) {
        self.0.want(|wanted| wanted.saturating_sub(1));
    }
}

/// A point in a feed before a question to the store, to see whether a message overtook the answer.
#[cfg(feature = "live")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct FeedMark {
    pub(crate) state: FeedState,
    count: u64,
}

impl Feed {
    /// A feed from this source, without readers.
    #[must_use]
    pub fn new(source: impl FeedSource) -> Self {
        Self(Arc::new(Inner {
            source: Box::new(source),
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
            readers: Mutex::default(),
            wanted: watch::Sender::new(0),
        }))
    }

    /// Delivers a message to all readers in this process. The store calls it in the order of arrival.
    pub fn deliver(&self, message: &FeedMessage) {
        // Counted first: an answer that was read before it must not be kept.
        match message.news {
            FeedNews::Everyone(_) => self.0.counts.iter().for_each(count),
            _ => self.count(message.tag),
        }
        for reader in self.readers() {
            reader.message(message);
        }
    }

    /// Reports that messages may have been lost. The store calls it after [`FeedState::epoch`] changed.
    pub fn epoch_changed(&self) {
        for reader in self.readers() {
            reader.epoch_changed();
        }
    }

    /// How many readers there are, now and after each change. Stores of others learn it in [`FeedSource::wanted`].
    #[cfg(any(feature = "postgres", all(test, feature = "live")))]
    pub(crate) fn wanted(&self) -> watch::Receiver<usize> {
        self.0.wanted.subscribe()
    }

    /// Whether anybody in this process reads it.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        *self.0.wanted.borrow() > 0
    }

    /// Whether the messages about this session set can be trusted now.
    #[must_use]
    pub fn state(&self, tag: Tag) -> FeedState {
        self.0.source.state(tag)
    }

    /// Asks for the messages about this session set, from now on for so long. A reader calls it again before that time is
    /// over, while it needs them.
    ///
    /// A store may listen only to the messages of sets that are held: a `RedisStore` with `RedisLive::shards`. What it begins
    /// to listen to is trusted a moment later, with a new epoch.
    pub fn hold(&self, tag: Tag, time: Duration) {
        self.0.source.hold(tag, time);
    }

    #[cfg(any(feature = "conformance", feature = "live"))]
    pub(crate) fn reports_writes(&self) -> bool {
        self.0.source.reports_writes()
    }

    #[cfg(feature = "redis")]
    pub(crate) fn downgrade(&self) -> WeakFeed {
        WeakFeed(Arc::downgrade(&self.0))
    }

    /// Adds a reader that hears what arrives for others, until it is dropped.
    pub(crate) fn overheard_by(&self, reader: Weak<dyn FeedReader>) {
        let mut readers = self
            .0
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        // Nothing else removes them while nothing arrives.
        if readers.len() == readers.capacity() {
            readers.retain(|reader| reader.strong_count() > 0);
        }
        readers.push(reader);
    }

    /// Adds a reader, until it is dropped. The store listens while the returned value lives.
    pub fn read_by(&self, reader: Weak<dyn FeedReader>) -> FeedInterest {
        self.overheard_by(reader);
        self.want(|wanted| wanted + 1);
        FeedInterest(self.clone())
    }

    fn want(&self, change: impl FnOnce(usize) -> usize) {
        self.0.wanted.send_modify(|wanted| {
            *wanted = change(*wanted);
            // In here, so that the source hears of changes in their order.
            self.0.source.wanted(*wanted);
        });
    }

    /// The present point of the feed. Take it before the question is sent.
    #[cfg(feature = "live")]
    pub(crate) fn mark(&self, tag: Tag) -> FeedMark {
        FeedMark {
            state: self.state(tag),
            count: self.bucket(tag).load(Ordering::SeqCst),
        }
    }

    /// Whether the feed is trusted, and no message about this session set arrived since the mark.
    #[cfg(feature = "live")]
    pub(crate) fn is_unchanged(&self, tag: Tag, mark: &FeedMark) -> bool {
        mark.state.trusted && self.mark(tag) == *mark
    }

    /// Counts a change that this process makes itself, so that no earlier answer is kept.
    pub(crate) fn count(&self, tag: Tag) {
        count(self.bucket(tag));
    }

    fn bucket(&self, tag: Tag) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        let [high, low, ..] = *tag.as_bytes();
        let at = usize::from(u16::from_be_bytes([high, low])) % BUCKETS;
        self.0.counts.get(at).unwrap_or(&NONE)
    }

    fn readers(&self) -> Vec<Arc<dyn FeedReader>> {
        let readers = self
            .0
            .readers
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        readers.iter().filter_map(Weak::upgrade).collect()
    }
}

fn count(bucket: &AtomicU64) {
    bucket.fetch_add(1, Ordering::SeqCst);
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

impl fmt::Debug for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Feed")
            .field("readers", &*self.0.wanted.borrow())
            .finish_non_exhaustive()
    }
}
