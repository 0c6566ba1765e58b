//! A store that can only look, and streams that open on it.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    runtime::{Builder, Runtime},
    time::{sleep, timeout},
};

use super::{
    super::{
        LiveSession,
        book::{First, Times},
        registry::{Mark, Registry},
    },
    DAY, MINUTE, SECOND,
};
use crate::{
    model::{Digest, EndNotice, EndReason, Era, Record, SessionId, Stopwatch, Tag, Timestamp},
    store::{
        Create, Created, Deadlines, End, Ended, Feed, FeedMessage, FeedNews, FeedSource, FeedState,
        Forget, Horizon, List, Look, Looked, NoteClient, Presence, Resolve, Resolved, Rotate,
        Rotated, Save, Saved, SessionStore, SharedStore, StoreError, StoreErrorKind, Ticketed,
        Touch,
    },
};

/// A store that can only look. Its time is tokio's.
#[derive(Clone)]
pub(super) struct Sight(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) began: Stopwatch,
    pub(super) sessions: Mutex<HashMap<SessionId, Presence>>,
    pub(super) feed: Option<Feed>,
    pub(super) state: Arc<Mutex<FeedState>>,
    pub(super) meanwhile: Meanwhile,
    /// Which session sets were held, and for how long.
    pub(super) held: Arc<Mutex<Vec<(Tag, Duration)>>>,
    /// Each look: when it was sent, in ms, and for which sessions.
    pub(super) looks: Mutex<Vec<(u64, Vec<SessionId>)>>,
    /// How long an answer takes.
    pub(super) delay: Mutex<Duration>,
    pub(super) is_down: AtomicBool,
    pub(super) panics: AtomicBool,
    pub(super) horizon: Horizon,
    pub(super) on_the_way: AtomicUsize,
}

/// What happens when the state of the feed is read next.
pub(super) type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

struct Source {
    state: Arc<Mutex<FeedState>>,
    meanwhile: Meanwhile,
    held: Arc<Mutex<Vec<(Tag, Duration)>>>,
}

impl FeedSource for Source {
    fn state(&self, _tag: Tag) -> FeedState {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        meanwhile.into_iter().for_each(|happens| happens());
        *self.state.lock().unwrap()
    }

    fn hold(&self, tag: Tag, time: Duration) {
        self.held.lock().unwrap().push((tag, time));
    }
}

fn no<T>() -> Result<T, StoreError> {
    Err(StoreError::new(StoreErrorKind::Unsupported))
}

impl SessionStore for Sight {
    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        let sent = (self.millis(), look.ids.clone());
        self.0.looks.lock().unwrap().push(sent);
        if self.0.is_down.load(Ordering::SeqCst) {
            return Err(StoreError::new(StoreErrorKind::Unavailable));
        }
        assert!(!self.0.panics.load(Ordering::SeqCst), "the store is broken");
        let of = |id: &SessionId| self.0.sessions.lock().unwrap().get(id).cloned();
        let found = |id| of(id).unwrap_or(Presence::Unknown);
        let looked = Looked::new(look.ids.iter().map(found).collect(), self.now());
        self.0.on_the_way.fetch_add(1, Ordering::SeqCst);
        let delay = *self.0.delay.lock().unwrap();
        sleep(delay).await;
        Ok(looked)
    }

    async fn resolve(&self, _: &Resolve) -> Result<Resolved, StoreError> {
        no()
    }
    async fn create(&self, _: &Create) -> Result<Created, StoreError> {
        no()
    }
    async fn ticket(&self, _: Tag, _: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        no()
    }
    async fn save(&self, _: &Save) -> Result<Saved, StoreError> {
        no()
    }
    async fn rotate(&self, _: &Rotate) -> Result<Rotated, StoreError> {
        no()
    }
    async fn list(&self, _: &List) -> Result<Vec<Record>, StoreError> {
        no()
    }
    async fn end(&self, _: &End) -> Result<Ended, StoreError> {
        no()
    }
    async fn forget(&self, _: &Forget) -> Result<(), StoreError> {
        no()
    }
    async fn note_client(&self, _: &NoteClient) -> Result<bool, StoreError> {
        no()
    }
    async fn touch(&self, _: &Touch) -> Result<(), StoreError> {
        no()
    }
    fn horizon(&self) -> Option<&Horizon> {
        Some(&self.0.horizon)
    }
    fn feed(&self) -> Option<Feed> {
        self.0.feed.clone()
    }
}

impl Sight {
    pub(super) fn new(with_feed: bool) -> Self {
        let state = Arc::new(Mutex::new(FeedState::new(1, true)));
        let (meanwhile, held) = (Meanwhile::default(), Arc::default());
        Self(Arc::new(Inner {
            began: Stopwatch::start(),
            sessions: Mutex::default(),
            feed: with_feed.then(|| {
                Feed::new(Source {
                    state: Arc::clone(&state),
                    meanwhile: Arc::clone(&meanwhile),
                    held: Arc::clone(&held),
                })
            }),
            state,
            held,
            meanwhile,
            looks: Mutex::default(),
            delay: Mutex::new(Duration::from_millis(1)),
            is_down: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            horizon: Horizon::of_process(),
            on_the_way: AtomicUsize::new(0),
        }))
    }

    pub(super) fn registry(&self) -> Arc<Registry> {
        Registry::new(&SharedStore::from(self.clone()))
    }

    pub(super) fn millis(&self) -> u64 {
        self.0.began.millis()
    }

    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_millis(DAY).plus(Duration::from_millis(self.millis()))
    }

    /// The session lives so long from now on.
    pub(super) fn live(&self, id: SessionId, left: Duration) {
        let (now, idle) = (self.now(), self.now().plus(left));
        let deadlines = Deadlines {
            created_at: now.minus(MINUTE),
            authenticated_at: now,
            idle,
            absolute: idle.plus(MINUTE),
            era: Era::default(),
        };
        let live = Presence::Live(deadlines);
        self.0.sessions.lock().unwrap().insert(id, live);
    }

    pub(super) fn end(&self, id: SessionId, reason: EndReason) {
        let digest = Digest::from_bytes([1; 32]);
        let notice = EndNotice::new(digest, reason, self.now(), None, self.now());
        let ended = Presence::Ended(notice);
        self.0.sessions.lock().unwrap().insert(id, ended);
    }

    pub(super) fn is_live(&self, id: SessionId) -> bool {
        let sessions = self.0.sessions.lock().unwrap();
        matches!(sessions.get(&id), Some(Presence::Live(_)))
    }

    pub(super) fn forget_it(&self, id: SessionId) {
        self.0.sessions.lock().unwrap().remove(&id);
    }

    pub(super) fn deliver(&self, news: FeedNews) {
        let message = FeedMessage::new(tag(0), news);
        self.0.feed.as_ref().unwrap().deliver(&message);
    }

    /// All sessions that began earlier end, and a message says so.
    pub(super) fn end_everyone(&self, moment: Timestamp) {
        self.0.horizon.note(moment);
        self.deliver(FeedNews::Everyone(moment));
    }

    pub(super) fn looks(&self) -> usize {
        self.0.looks.lock().unwrap().len()
    }

    pub(super) fn open(
        &self,
        registry: &Arc<Registry>,
        id: SessionId,
        mark: Option<&Mark>,
    ) -> LiveSession {
        self.open_of(registry, tag(0), id, mark)
    }

    pub(super) fn open_of(
        &self,
        registry: &Arc<Registry>,
        tag: Tag,
        id: SessionId,
        mark: Option<&Mark>,
    ) -> LiveSession {
        let opened = registry.open((tag, id), self.times(), mark, First::Now);
        opened.unwrap()
    }

    /// As [`open`](Self::open), asked for first at another moment.
    pub(super) fn open_first(
        &self,
        registry: &Arc<Registry>,
        id: SessionId,
        mark: Option<&Mark>,
        first: First,
    ) -> LiveSession {
        let opened = registry.open((tag(0), id), self.times(), mark, first);
        opened.unwrap()
    }

    pub(super) fn times(&self) -> Times {
        Times {
            began: self.now().minus(MINUTE),
            expires: self.now().plus(MINUTE * 60),
            left: 60 * 60 * 1_000,
        }
    }
}

pub(super) fn tag(number: u32) -> Tag {
    let mut bytes = [7; 12];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    Tag::from_bytes(bytes)
}

pub(super) fn id(number: u32) -> SessionId {
    let mut bytes = [9; 12];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

/// How the session ended, if it does so within this time.
pub(super) async fn ended(live: &LiveSession, within: Duration) -> Option<&'static str> {
    let end = timeout(within, live.ended()).await.ok()?;
    Some(end.reason())
}

/// A stream of session 1, which has asked the store once.
pub(super) async fn opened() -> (Sight, Arc<Registry>, LiveSession) {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    sleep(SECOND * 2).await;
    (sight, registry, live)
}

/// A stream that was opened in a runtime that nothing drives any more.
pub(super) fn opened_in_an_idle_runtime() -> (Runtime, Sight, Arc<Registry>, LiveSession) {
    let idle = Builder::new_current_thread().enable_time().build().unwrap();
    let sight = idle.block_on(async { Sight::new(false) });
    sight.live(id(1), MINUTE * 60);
    let (registry, live) = idle.block_on(async {
        let registry = sight.registry();
        let live = sight.open(&registry, id(1), None);
        (registry, live)
    });
    (idle, sight, registry, live)
}
