//! A server, and what a node sees of it.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::sync::Semaphore;

use crate::{
    model::{Lifetime, Record, SessionId, Tag, Timestamp, Token, UserId},
    store::{
        Authenticated, Create, Created, End, Ended, Feed, FeedMessage, FeedSource, FeedState,
        Forget, Horizon, List, Look, Looked, ManualClock, MemoryStore, Near, NoteClient, Resolve,
        Resolved, Rotate, Rotated, Save, Saved, SessionStore, StoreError, Ticketed, Touch,
        feed::{FeedInterest, FeedReader},
    },
};

/// A feed is trusted if it was heard so long ago.
pub(super) const HEARD: Duration = Duration::from_secs(2);

pub(super) const LEASE: Duration = Duration::from_secs(5);

/// Longer than any history.
pub(super) const IDLE: Duration = Duration::from_secs(3_600);

/// All that happened on the server, in order.
#[derive(Default)]
struct Log(Mutex<Vec<FeedMessage>>);

impl FeedReader for Log {
    fn message(&self, message: &FeedMessage) {
        self.0.lock().unwrap().push(message.clone());
    }

    fn epoch_changed(&self) {}
}

pub(super) struct Server {
    pub(super) store: MemoryStore,
    pub(super) clock: ManualClock,
    log: Arc<Log>,
    _interest: FeedInterest,
}

impl Server {
    pub(super) fn new() -> Self {
        let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
        let store = MemoryStore::builder().clock(clock.clone()).build();
        let log = Arc::new(Log::default());
        let reader: Arc<dyn FeedReader> = Arc::clone(&log) as _;
        let interest = store.feed().unwrap().read_by(Arc::downgrade(&reader));
        Self {
            store,
            clock,
            log,
            _interest: interest,
        }
    }

    pub(super) fn node(&self) -> Node {
        let source = Arc::new(Source {
            clock: self.clock.clone(),
            now: Mutex::new((0, self.clock.now())),
        });
        let wire = Wire(Arc::new(Inner {
            store: self.store.clone(),
            feed: Feed::new(Arc::clone(&source)),
            calls: AtomicUsize::new(0),
            touches: AtomicUsize::new(0),
            touched: Mutex::default(),
            horizon: Horizon::of_process(),
            hold: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
        }));
        let near = Near::builder(wire.clone())
            .clock(self.clock.clone())
            .build();
        Node {
            near,
            wire,
            source,
            queue: VecDeque::new(),
            lost: false,
        }
    }

    /// The messages since the last call, with the time.
    pub(super) fn news(&self) -> Vec<(Timestamp, FeedMessage)> {
        let now = self.clock.now();
        let mut log = self.log.0.lock().unwrap();
        log.drain(..).map(|message| (now, message)).collect()
    }

    pub(super) async fn signs_in(&self, user: &str) -> Token {
        self.signs_in_as(user, true).await
    }

    /// A sign-in that does not count for the limit.
    pub(super) async fn signs_in_uncounted(&self, user: &str) -> Token {
        self.signs_in_as(user, false).await
    }

    async fn signs_in_as(&self, user: &str, counts: bool) -> Token {
        let (mut create, token) = sign_in(&self.store, self.clock.now(), user);
        create.counts = counts;
        let created = self.store.create(&create).await.unwrap();
        assert!(matches!(created, Created::Created(_)));
        self.store.resolve(&quiet(&token)).await.unwrap();
        token
    }
}

/// The arguments of a sign-in, and its token.
pub(super) fn sign_in(store: &MemoryStore, now: Timestamp, user: &str) -> (Create, Token) {
    let user = UserId::new(user).unwrap();
    let token = Token::random(store.tag(&user)).unwrap();
    let mut create = Create::new(&token, Some(user), Authenticated::At(now));
    create.lifetime = Lifetime::new(IDLE, IDLE * 10);
    (create, token)
}

fn quiet(token: &Token) -> Resolve {
    let mut resolve = Resolve::new(token.clone());
    resolve.activity = false;
    resolve
}

/// A request that a near cache may answer.
pub(super) fn near(token: &Token) -> Resolve {
    let mut resolve = Resolve::new(token.clone());
    resolve.near = Some(Duration::from_secs(120));
    resolve
}

/// The epoch of a feed, and when it was heard.
pub(super) struct Source {
    clock: ManualClock,
    now: Mutex<(u64, Timestamp)>,
}

impl FeedSource for Arc<Source> {
    fn state(&self, _: Tag) -> FeedState {
        let (epoch, heard) = *self.now.lock().unwrap();
        FeedState::new(epoch, self.clock.now().since(heard) <= HEARD)
    }
}

pub(super) struct Node {
    pub(super) near: Near<Wire>,
    pub(super) wire: Wire,
    source: Arc<Source>,
    /// What did not arrive yet.
    pub(super) queue: VecDeque<(Timestamp, FeedMessage)>,
    /// A message was lost, and nothing shows it.
    pub(super) lost: bool,
}

impl Node {
    /// So many messages arrive. With all of them, what was sent until now is heard.
    pub(super) fn hears(&mut self, most: usize) {
        for _ in 0..most {
            let Some((sent, message)) = self.queue.pop_front() else {
                break;
            };
            self.wire.0.feed.deliver(&message);
            self.heard(sent);
        }
        if self.queue.is_empty() {
            self.heard(self.source.clock.now());
        }
    }

    fn heard(&self, moment: Timestamp) {
        let mut now = self.source.now.lock().unwrap();
        now.1 = now.1.max(moment);
    }

    /// The connection broke, and is there again.
    pub(super) fn reconnects(&mut self) {
        self.queue.clear();
        {
            let mut now = self.source.now.lock().unwrap();
            *now = (now.0 + 1, self.source.clock.now());
        }
        self.wire.0.feed.epoch_changed();
    }

    /// Messages may have been lost, and readers do not know it yet.
    pub(super) fn begins_epoch(&self) {
        self.source.now.lock().unwrap().0 += 1;
    }

    pub(super) fn loses(&mut self) {
        self.lost |= self.queue.pop_front().is_some();
    }
}

/// The way of a node to the server.
#[derive(Clone)]
pub(super) struct Wire(Arc<Inner>);

struct Inner {
    store: MemoryStore,
    feed: Feed,
    calls: AtomicUsize,
    touches: AtomicUsize,
    /// What was asked for last.
    touched: Mutex<Option<Touch>>,
    horizon: Horizon,
    hold: Mutex<Hold>,
    /// What each touch waits for.
    gate: Semaphore,
}

/// Where the next call waits once.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Hold {
    #[default]
    Nowhere,
    Before,
    After,
}

impl Wire {
    pub(super) fn hold(&self, hold: Hold) {
        *self.0.hold.lock().unwrap() = hold;
    }

    /// From now on touches wait, until so many may pass.
    pub(super) fn holds_touches(&self) {
        self.0.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(super) fn passes_touches(&self, count: usize) {
        self.0.gate.add_permits(count);
    }

    pub(super) fn calls(&self) -> usize {
        self.0.calls.swap(0, SeqCst)
    }

    /// The arguments of the last touch.
    pub(super) fn touched(&self) -> Option<Touch> {
        self.0.touched.lock().unwrap().clone()
    }

    pub(super) fn touches(&self) -> usize {
        self.0.touches.swap(0, SeqCst)
    }

    async fn call<T>(
        &self,
        work: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        self.0.calls.fetch_add(1, SeqCst);
        let hold = std::mem::take(&mut *self.0.hold.lock().unwrap());
        if hold == Hold::Before {
            once().await;
        }
        let done = work.await;
        if hold == Hold::After {
            once().await;
        }
        done
    }
}

/// Waits until it is polled again.
async fn once() {
    let mut polled = false;
    poll_fn(|_| {
        if std::mem::replace(&mut polled, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
    .await;
}

/// Polls once.
pub(super) fn poll<F: Future + ?Sized>(future: &mut Pin<Box<F>>) -> Option<F::Output> {
    let mut cx = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut cx) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

/// What comes of work that waits for nothing, outside of a runtime.
pub(super) fn now<T>(work: impl Future<Output = T>) -> T {
    poll(&mut Box::pin(work)).expect("it waits for nothing")
}

impl SessionStore for Wire {
    async fn resolve(&self, resolve: &Resolve) -> Result<Resolved, StoreError> {
        self.call(self.0.store.resolve(resolve)).await
    }

    async fn create(&self, create: &Create) -> Result<Created, StoreError> {
        self.call(self.0.store.create(create)).await
    }

    async fn ticket(&self, tag: Tag, ticket: &Ticketed) -> Result<Option<Vec<u8>>, StoreError> {
        self.call(self.0.store.ticket(tag, ticket)).await
    }

    async fn save(&self, save: &Save) -> Result<Saved, StoreError> {
        self.call(self.0.store.save(save)).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, StoreError> {
        self.call(self.0.store.rotate(rotate)).await
    }

    async fn list(&self, list: &List) -> Result<Vec<Record>, StoreError> {
        self.call(self.0.store.list(list)).await
    }

    async fn end(&self, end: &End) -> Result<Ended, StoreError> {
        self.call(self.0.store.end(end)).await
    }

    async fn forget(&self, forget: &Forget) -> Result<(), StoreError> {
        self.call(self.0.store.forget(forget)).await
    }

    async fn note_client(&self, note: &NoteClient) -> Result<bool, StoreError> {
        self.call(self.0.store.note_client(note)).await
    }

    async fn look(&self, look: &Look) -> Result<Looked, StoreError> {
        self.call(self.0.store.look(look)).await
    }

    async fn touch(&self, touch: &Touch) -> Result<(), StoreError> {
        self.0.touches.fetch_add(1, SeqCst);
        *self.0.touched.lock().unwrap() = Some(touch.clone());
        self.0.gate.acquire().await.unwrap().forget();
        self.call(self.0.store.touch(touch)).await
    }

    fn feed(&self) -> Option<Feed> {
        Some(self.0.feed.clone())
    }

    fn horizon(&self) -> Option<&Horizon> {
        Some(&self.0.horizon)
    }

    fn tag(&self, user: &UserId) -> Tag {
        self.0.store.tag(user)
    }

    fn end_undelivered(&self, tag: Tag, id: SessionId) {
        self.0.store.end_undelivered(tag, id);
    }
}
