//! The feed: NOTIFY in one process, LISTEN in all.

use std::{
    collections::VecDeque,
    error::Error,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tokio::{runtime::Handle, time};

use super::{
    failure::Cause,
    held::Value,
    link::{Again, Missed},
    listen::{Listen, listen},
    tables::Inner,
};
use crate::{
    model::{
        Tag,
        clock::{Monotonic, has_jumped, wall_ahead, wall_ahead_at},
    },
    store::{
        Feed, FeedMessage, FeedNews, FeedSource, FeedState, Urgency, meter, nonce,
        outage::jitter,
        worker::{DOUBT, Shift, Worker},
    },
};

/// The feed is trusted while a message that was sent this long ago has arrived.
const TRUSTED_FOR: Duration = Duration::from_secs(2);

/// How many messages to this node are on their way at most.
const PINGS_MAX: usize = 16;

/// How many messages wait at most. They make things faster, and no promise depends on one.
const WAITING_MAX: usize = 10_000;

/// How often messages are tried to be sent: for about 3 s.
const TRIES: u32 = 6;
const PAUSE: Duration = Duration::from_millis(50);

/// How many messages one statement sends.
const SENT_AT_ONCE: usize = 256;

/// What a message of a node to itself begins with. Base64 has no such character.
pub(super) const PING: &str = "ping:";

/// Why a feed is not trusted that never was, or is not any more.
pub(super) const SILENT: &str = "messages that this node sends do not reach it: does `live` name the server and the database of the \
                                 pool, and no PgBouncer in transaction mode?";

/// The feed of one store.
pub(super) struct Live {
    pub(super) listen: Listen,
    pub(super) state: Arc<State>,
    pub(super) feed: Feed,
    /// Whether changes of data are reported.
    writes: bool,
    listens: Mutex<Worker>,
    sends: Mutex<Worker>,
    waiting: Mutex<VecDeque<String>>,
}

/// What is known of the messages.
pub(super) struct State {
    pub(super) epoch: AtomicU64,
    /// When the newest message of this node to itself that arrived was sent, in ms. None did while it is 0.
    pub(super) heard: AtomicI64,
    /// How far the wall clock was ahead then.
    wall: AtomicI64,
    /// When the messages on their way were sent: number and moment.
    pub(super) pings: Mutex<VecDeque<(u64, Monotonic)>>,
    /// Whether the feed was last said to be trusted; `None` before anything was said.
    said: Mutex<Option<bool>>,
    /// Which messages are this node's own.
    pub(super) node: String,
}

/// What the feed asks.
struct Source {
    state: Arc<State>,
    writes: bool,
    inner: Weak<Inner>,
}

impl Live {
    pub(super) fn new(listen: Listen, writes: bool, inner: Weak<Inner>) -> Self {
        let state = Arc::new(State::new());
        let feed = Feed::new(Source {
            state: Arc::clone(&state),
            writes,
            inner,
        });
        Self {
            listen,
            state,
            feed,
            writes,
            listens: Mutex::default(),
            sends: Mutex::default(),
            waiting: Mutex::default(),
        }
    }

    pub(super) fn feed(&self) -> Feed {
        self.feed.clone()
    }

    /// As [`starts`](Self::starts), if there is a reader. Its runtime may have stopped, or there was none.
    pub(super) fn listen(&self, inner: &Arc<Inner>) {
        if self.feed.is_wanted() {
            self.starts(inner);
        }
    }

    /// Starts the task that listens, unless it runs.
    fn starts(&self, inner: &Arc<Inner>) {
        if Handle::try_current().is_err() {
            return;
        }
        let mut listens = lock(&self.listens);
        if !listens.runs() {
            let inner = Arc::downgrade(inner);
            listens.start(|_shift| listen(Running { inner }));
        }
    }

    /// Sends messages to all nodes, soon.
    pub(super) fn send(&self, messages: &[FeedMessage], inner: &Arc<Inner>) {
        // A commit with a NOTIFY waits for a lock of the whole database, and streams need none of writes.
        let is_sent =
            |message: &&FeedMessage| self.writes || !matches!(message.news, FeedNews::Written(_));
        let mut messages = messages.iter().filter(is_sent).peekable();
        if messages.peek().is_none() {
            return;
        }
        let mut waiting = lock(&self.waiting);
        waiting.extend(messages.map(|message| URL_SAFE_NO_PAD.encode(message.encode())));
        let excess = waiting.len().saturating_sub(WAITING_MAX);
        waiting.drain(..excess);
        drop(waiting);
        self.sends(inner);
    }

    /// These were not sent.
    fn put_back(&self, payloads: Vec<String>) {
        let mut waiting = lock(&self.waiting);
        payloads
            .into_iter()
            .rev()
            .for_each(|payload| waiting.push_front(payload));
    }

    /// Starts the task that sends, unless it runs.
    fn sends(&self, inner: &Arc<Inner>) {
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let mut sends = lock(&self.sends);
        if !sends.runs() {
            // It keeps the store until nothing waits: a tool may end sessions and drop its store at once.
            let inner = Arc::clone(inner);
            sends.start(|shift| send(inner, shift));
        } else if sends.comes_into_doubt() {
            let inner = Arc::downgrade(inner);
            // Nothing may drive the runtime of the task.
            runtime.spawn(async move {
                time::sleep(DOUBT).await;
                if let Some(inner) = inner.upgrade()
                    && let Some(live) = &inner.live
                    && lock(&live.sends).is_in_doubt()
                {
                    live.sends(&inner);
                }
            });
        }
    }
}

/// A task of the feed. It keeps no store alive.
pub(super) struct Running {
    pub(super) inner: Weak<Inner>,
}

impl Running {
    pub(super) fn inner(&self) -> Option<Arc<Inner>> {
        self.inner.upgrade()
    }
}

/// Sends what waits. A transaction that notifies holds a lock of the whole database until it has committed, so it is
/// none that waits for the disk.
async fn send(inner: Arc<Inner>, shift: Shift) {
    let mut failed = 0_u32;
    while let Some(live) = &inner.live {
        let payloads: Vec<String> = {
            let mut waiting = lock(&live.waiting);
            if waiting.is_empty() {
                shift.ends();
                return;
            }
            let count = waiting.len().min(SENT_AT_ONCE);
            waiting.drain(..count).collect()
        };
        let Err(missed) = notify(&inner, &payloads).await else {
            failed = 0;
            continue;
        };
        failed += 1;
        if failed < TRIES {
            live.put_back(payloads);
            time::sleep(jitter(PAUSE * (1 << failed))).await;
        } else {
            failed = 0;
            tracing::debug!(kind = ?missed.error.kind(), lost = payloads.len(), "messages of the feed are lost");
        }
    }
}

pub(super) async fn notify(inner: &Inner, payloads: &[String]) -> Result<(), Missed> {
    let values = [&payloads as Value<'_>];
    let sent = inner.link.run(
        &inner.statements.notify,
        &values,
        Again::Harmless,
        // One at a time, and mostly of ends.
        Urgency::End,
    );
    sent.await.map(drop)
}

pub(super) fn millis(of: Duration) -> i64 {
    i64::try_from(of.as_millis()).unwrap_or(i64::MAX)
}

impl State {
    fn new() -> Self {
        let node = u64::from_be_bytes(nonce());
        Self {
            epoch: AtomicU64::new(1),
            heard: AtomicI64::new(0),
            wall: AtomicI64::new(0),
            pings: Mutex::default(),
            said: Mutex::new(None),
            node: format!("{PING}{node:016x}:"),
        }
    }

    /// A message of the node to itself is sent now.
    pub(super) fn sends(&self, number: u64) {
        let mut pings = lock(&self.pings);
        pings.push_back((number, Monotonic::now()));
        if pings.len() > PINGS_MAX {
            pings.pop_front();
        }
    }

    /// Whether a message of this node to itself arrived of late.
    pub(super) fn is_trusted(&self) -> bool {
        let now = Monotonic::now();
        self.is_trusted_at(now.as_millis(), wall_ahead_at(now))
    }

    /// A virtual machine that was stopped counts on from where it was. Only the wall clock shows it.
    fn is_trusted_at(&self, now: i64, wall: i64) -> bool {
        let heard = self.heard.load(SeqCst);
        heard > 0 && now - heard < millis(TRUSTED_FOR) && !has_jumped(self.wall.load(SeqCst), wall)
    }

    /// This message of the node to itself has arrived, and so have all before it.
    pub(super) fn hear(&self, number: u64) {
        let mut pings = lock(&self.pings);
        while let Some((of, sent)) = pings.front().copied()
            && of <= number
        {
            pings.pop_front();
            self.heard.fetch_max(sent.as_millis(), SeqCst);
        }
        drop(pings);
        self.wall.store(wall_ahead(), SeqCst);
        self.look();
    }

    /// Reports a change of what the feed is worth.
    pub(super) fn look(&self) {
        if !self.is_trusted() {
            if *lock(&self.said) == Some(true) {
                self.lost(&Cause::Text(SILENT));
            }
        } else if lock(&self.said).replace(true) != Some(true) {
            meter::feed::went(true);
            tracing::info!("the feed of PostgreSQL is trusted");
        }
    }

    /// The feed is not trusted any more, or not yet.
    pub(super) fn lost(&self, cause: &(dyn Error + 'static)) {
        if lock(&self.said).replace(false) != Some(false) {
            meter::feed::went(false);
            tracing::warn!(
                error = cause,
                "the feed of PostgreSQL is not trusted: what changes on other nodes is noticed later"
            );
        }
    }

    /// Nobody reads it.
    pub(super) fn rests(&self) {
        *lock(&self.said) = None;
    }
}

impl FeedSource for Source {
    fn state(&self, _tag: Tag) -> FeedState {
        FeedState::new(self.state.epoch.load(SeqCst), self.state.is_trusted())
    }

    fn reports_writes(&self) -> bool {
        self.writes
    }

    /// The first reader may come after the last call for long.
    fn wanted(&self, readers: usize) {
        let inner = self.inner.upgrade().filter(|_| readers > 0);
        if let Some(inner) = &inner
            && let Some(live) = &inner.live
        {
            live.starts(inner);
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Live {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live")
            .field("feed", &self.feed)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_was_stopped_trusts_nothing_until_it_hears_itself_again() {
        let state = State::new();
        state.sends(1);
        state.hear(1);
        let (now, wall) = (state.heard.load(SeqCst), state.wall.load(SeqCst));

        assert!(state.is_trusted_at(now + 500, wall + 100));
        // It stood still for an hour, and its own clock does not count that.
        assert!(!state.is_trusted_at(now + 500, wall + 3_600_000));
        assert!(!state.is_trusted_at(now + 500, wall - 3_600_000));

        state.sends(2);
        state.hear(2);
        assert!(state.is_trusted());
    }
}
