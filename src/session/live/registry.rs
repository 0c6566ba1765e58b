//! What a layer knows of its open streams.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::{runtime::Handle, sync::Notify, time::sleep};

use super::{
    LiveSession,
    book::{Asked, Book, Finished, First, PAUSE, Times},
    driver,
    watched::Watched,
};
use crate::{
    model::{SessionId, Stopwatch, Tag, Timestamp},
    store::{
        Feed, FeedInterest, FeedMark, FeedMessage, FeedNews, FeedReader, Looked, SharedStore,
        feed::HELD,
        worker::{DOUBT, Shift, Worker},
    },
};

/// How often a stream asks the store without a message.
const LEASE: Duration = Duration::from_secs(60);

/// A shorter lease would only burden the store.
const SHORTEST: Duration = Duration::from_millis(100);

/// How often the sets of all streams are held again, in ms: twice more in the time that one call holds them.
const HOLD: u64 = HELD.as_secs() * 1_000 / 3;

/// After a message of an end of all users it looks after so many ms whether the store confirms it.
const REPORTED: u64 = 50;

/// What a layer knows of its open streams. One task looks for all of them, and only while there are any.
pub(crate) struct Registry {
    pub(super) store: SharedStore,
    feed: Option<Feed>,
    lease: Duration,
    stopwatch: Stopwatch,
    state: Mutex<State>,
    /// Something is to be done earlier than the task expects.
    pub(super) changed: Notify,
    worker: Mutex<Worker>,
    /// Messages may have been lost.
    doubt: AtomicBool,
    /// Which time of listening this is; 0 if the feed is not read.
    listening: AtomicU32,
}

struct State {
    book: Book,
    /// Which run of the task looks. One that was replaced may still be at work for a moment.
    run: u64,
    listener: Option<Listening>,
    /// How often the feed was read from.
    times: u32,
    /// The moment for which the streams were ended.
    swept: Option<Timestamp>,
    /// When the sets of all streams are held again, in ms.
    hold_at: u64,
}

/// While it lives, messages arrive.
struct Listening {
    _interest: FeedInterest,
    _reader: Arc<dyn FeedReader>,
}

/// A point in the feed from before a question to the store, see [`Registry::mark`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    feed: FeedMark,
    /// Between two times of listening, messages were lost.
    listening: u32,
}

/// What the task does next.
pub(super) struct Turn {
    pub(super) asked: Vec<Asked>,
    pub(super) finished: Vec<Finished>,
    /// How long it may sleep, in ms.
    pub(super) sleep: u64,
    /// There are no streams.
    pub(super) is_empty: bool,
}

impl Registry {
    pub(crate) fn new(store: &SharedStore) -> Arc<Self> {
        Self::with_lease(store, LEASE)
    }

    pub(crate) fn with_lease(store: &SharedStore, lease: Duration) -> Arc<Self> {
        let lease = lease.clamp(SHORTEST, LEASE * 60);
        Arc::new(Self {
            store: store.clone(),
            feed: store.feed(),
            lease,
            stopwatch: Stopwatch::start(),
            state: Mutex::new(State {
                book: Book::new(millis(lease)),
                run: 0,
                listener: None,
                times: 0,
                swept: None,
                hold_at: HOLD,
            }),
            changed: Notify::new(),
            worker: Mutex::default(),
            doubt: AtomicBool::new(false),
            listening: AtomicU32::new(0),
        })
    }

    /// The present point of the feed, if streams are open that read it. Taken before `resolve` is sent.
    #[inline]
    pub(crate) fn mark(&self, tag: Tag) -> Option<Mark> {
        let listening = self.listening.load(Ordering::SeqCst);
        if listening == 0 {
            return None;
        }
        let feed = self.feed.as_ref()?.mark(tag);
        Some(Mark { feed, listening })
    }

    /// Registers a stream. `None` outside of a tokio runtime.
    pub(super) fn open(
        self: &Arc<Self>,
        (tag, id): (Tag, SessionId),
        times: Times,
        mark: Option<&Mark>,
        wanted: First,
    ) -> Option<LiveSession> {
        if Handle::try_current().is_err() && !self.worker().runs() {
            return None;
        }
        let (live, soon) = {
            let mut state = self.state();
            self.listen(&mut state);
            let now = self.now();
            let known = state.book.find(tag, id).cloned();
            // Read first: if it changes from here on, the session is asked for.
            let epoch = self.epoch(tag);
            let is_swept = state.swept.is_some_and(|moment| times.began < moment);
            // From here on a message finds the session: it waits for the lock.
            let first = if is_swept {
                First::Now
            } else if mark.is_some_and(|mark| self.is_unchanged(tag, mark)) {
                First::Known
            } else {
                wanted
            };
            // Most of the others end before the store is asked for them, so that each request would hold its user.
            if first != First::Later {
                self.hold([tag]);
            }
            // The task sleeps for a second at most.
            let lease = u64::try_from(self.lease.as_millis()).unwrap_or(u64::MAX);
            let soon = first == First::Now || times.left.min(lease / 5 * 4) < PAUSE;
            let live = if let Some(watched) = known {
                watched.handles.fetch_add(1, Ordering::SeqCst);
                state.book.open_again(tag, id, first, now);
                LiveSession(watched)
            } else {
                let watched = Arc::new(Watched::new(Arc::clone(self), tag, id));
                state.book.add(Arc::clone(&watched), times, first, now);
                state.book.note_epoch(tag, epoch);
                LiveSession(watched)
            };
            (live, soon)
        };
        if soon {
            self.changed.notify_one();
        }
        self.keep_looking();
        Some(live)
    }

    /// A [`LiveSession`] was dropped.
    pub(super) fn close(&self, watched: &Arc<Watched>) {
        if watched.handles.fetch_sub(1, Ordering::SeqCst) > 1 {
            return;
        }
        let mut state = self.state();
        // It may have been opened again meanwhile.
        if watched.handles.load(Ordering::SeqCst) == 0 {
            state.book.remove(watched);
        }
    }

    /// Starts the task if none runs: the runtime of the last one may have ended, or be idle.
    pub(super) fn keep_looking(self: &Arc<Self>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut worker = self.worker();
        if !worker.runs() {
            let run = self.next_run();
            worker.start(|shift| driver::drive(driver::Running::new(Arc::clone(self), shift), run));
        } else if worker.comes_into_doubt() {
            let registry = Arc::downgrade(self);
            // Streams that send nothing are not polled.
            runtime.spawn(async move {
                sleep(DOUBT).await;
                if let Some(registry) = registry.upgrade()
                    && registry.worker().is_in_doubt()
                {
                    registry.keep_looking();
                }
            });
        }
    }

    /// What the run before asks for, or has asked for, is asked for again.
    pub(super) fn next_run(&self) -> u64 {
        let mut state = self.state();
        state.book.restart(self.now());
        state.run += 1;
        state.run
    }

    /// The task is over, perhaps with its runtime. A stream of another one starts it again.
    pub(super) fn stopped(&self) {
        let watched = self.state().book.all();
        watched.iter().for_each(|watched| watched.wake());
    }

    /// Ends the task if there are still no streams. The feed is not read any more.
    pub(super) fn rest(&self, run: u64, shift: &Shift) -> bool {
        let mut state = self.state();
        if state.run != run {
            return true;
        }
        if !state.book.is_empty() {
            return false;
        }
        self.listening.store(0, Ordering::SeqCst);
        shift.ends();
        let listener = state.listener.take();
        drop(state);
        drop(listener);
        true
    }

    /// What this run does next; `None` if another one has taken its place. Questions that it took then would get no answer.
    pub(super) fn turn(&self, run: u64, most: usize) -> Option<Turn> {
        let mut state = self.state();
        if state.run != run {
            return None;
        }
        let now = self.now();
        if now >= state.hold_at {
            self.hold(state.book.tags());
            state.hold_at = now + HOLD;
        }
        if self.doubt.swap(false, Ordering::SeqCst) {
            state.book.doubt(|tag| self.epoch(tag), now);
        }
        // After a message the store is asked at once. Without one, this process learns it within seconds.
        let finished = match self.store.moment() {
            Some(moment) if state.swept != Some(moment) => {
                state.swept = Some(moment);
                state.book.everyone(moment)
            }
            _ => Vec::new(),
        };
        let asked = state.book.turn(now, most);
        // Before the question: no end falls between.
        self.hold(asked.iter().map(|asked| asked.tag));
        let sleep = if state.book.is_idle() {
            state.book.next().map_or(1_000, |at| at.saturating_sub(now))
        } else {
            driver::STEP
        };
        let longest = if self.store.is_reported() {
            REPORTED
        } else {
            1_000
        };
        Some(Turn {
            asked,
            finished,
            // Not longer: a machine that was suspended notices it then.
            sleep: sleep.clamp(1, longest),
            is_empty: state.book.is_empty(),
        })
    }

    pub(super) fn answered(
        &self,
        run: u64,
        asked: &Asked,
        answer: Option<Looked>,
    ) -> Vec<Finished> {
        let (now, mut state) = (self.now(), self.state());
        if state.run != run {
            return Vec::new();
        }
        state.book.answered(asked, answer, now)
    }

    pub(super) fn lease(&self) -> Duration {
        self.lease
    }

    fn listen(self: &Arc<Self>, state: &mut State) {
        let Some(feed) = self.feed.as_ref().filter(|_| state.listener.is_none()) else {
            return;
        };
        let reader: Arc<dyn FeedReader> = Arc::new(Reader(Arc::downgrade(self)));
        state.listener = Some(Listening {
            _interest: feed.read_by(Arc::downgrade(&reader)),
            _reader: reader,
        });
        state.times = state.times.wrapping_add(1).max(1);
        self.listening.store(state.times, Ordering::SeqCst);
    }

    /// The messages about these sets are needed.
    fn hold(&self, tags: impl IntoIterator<Item = Tag>) {
        if let Some(feed) = &self.feed {
            tags.into_iter().for_each(|tag| feed.hold(tag, HELD));
        }
    }

    fn is_unchanged(&self, tag: Tag, mark: &Mark) -> bool {
        let feed = self.feed.as_ref();
        mark.listening == self.listening.load(Ordering::SeqCst)
            && feed.is_some_and(|feed| feed.is_unchanged(tag, &mark.feed))
    }

    fn epoch(&self, tag: Tag) -> Option<u64> {
        Some(self.feed.as_ref()?.state(tag).epoch)
    }

    pub(super) fn now(&self) -> u64 {
        self.stopwatch.millis()
    }

    fn worker(&self) -> MutexGuard<'_, Worker> {
        self.worker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The feed reads by it: dropping it is the end of listening.
struct Reader(Weak<Registry>);

impl FeedReader for Reader {
    fn message(&self, message: &FeedMessage) {
        let Some(registry) = self.0.upgrade() else {
            return;
        };
        // That all users' sessions ended it reads from the store, which hears the message first.
        if !matches!(message.news, FeedNews::Everyone(_)) {
            registry.state().book.message(message, registry.now());
        }
        registry.changed.notify_one();
    }

    fn epoch_changed(&self) {
        if let Some(registry) = self.0.upgrade() {
            registry.doubt.store(true, Ordering::SeqCst);
            registry.changed.notify_one();
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registry")
            .field("lease", &self.lease)
            .finish_non_exhaustive()
    }
}
