//! Connections that carry one call at a time, because `WAIT` is about what the same connection wrote.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use deadpool_redis::redis::{Value, cmd};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Inner,
    call::Call,
    connection::Shared,
    limit::{Lane, Limit},
    outage::Outage,
    state::DENIED,
};
use crate::{
    model::clock::Monotonic,
    store::{StoreErrorKind, meter},
};

/// How many calls of one link may wait for replicas at once, and how many of them may be sign-ins.
const MOST: usize = 4;
const MOST_OTHERS: usize = 3;

/// How old a connection's sample of the server's time may be, in ms, before another connection is opened.
const FRESH: i64 = 15_000;

/// The exclusive connections of a link.
pub(super) struct Exclusive {
    all: Arc<Semaphore>,
    others: Arc<Semaphore>,
    idle: Mutex<Vec<Owned>>,
    /// The server refused the password, or `WAIT`, at that time in ms: it is not tried again for a while.
    denied: Mutex<Option<(i64, Outage)>>,
    /// Whether replicas did not confirm the last call in time.
    late: AtomicBool,
    /// The digests of scripts that ran, and the shared connection beside which they did.
    ran: Mutex<(u64, Vec<String>)>,
    /// Whether `check()` found that confirmations mean nothing here.
    pub(super) refused: AtomicBool,
}

struct Owned {
    connection: Shared,
    /// The shared connection beside which it was opened. They lead to the same server.
    beside: u64,
    /// When the server's time was sampled, in ms.
    sampled: i64,
}

/// An exclusive connection in use. It is closed unless it is given back.
pub(super) struct Held {
    pub(super) connection: Shared,
    beside: u64,
    sampled: i64,
    given_back: bool,
    /// When a call was sent on it that is not answered, in ms.
    pub(super) waits: Option<i64>,
    home: Arc<Exclusive>,
    _places: (OwnedSemaphorePermit, Option<OwnedSemaphorePermit>),
    /// Shows that a call of this link is in flight.
    _limit: Arc<Limit>,
}

/// Why there is no connection for a call.
pub(super) enum NotHeld {
    Busy,
    Outage(Outage),
}

impl Exclusive {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST)),
            others: Arc::new(Semaphore::new(MOST_OTHERS)),
            idle: Mutex::default(),
            denied: Mutex::default(),
            late: AtomicBool::new(false),
            ran: Mutex::default(),
            refused: AtomicBool::new(false),
        }
    }

    /// Notes whether replicas confirmed a call in time. Says whether that is news.
    pub(super) fn note(&self, late: bool) -> bool {
        self.late.swap(late, Ordering::Relaxed) != late
    }

    /// Whether this script ran on the server of this shared connection, so that the server knows it.
    pub(super) fn has_run(&self, beside: &Shared, sha1: &str) -> bool {
        let ran = self.ran();
        ran.0 == beside.number && ran.1.iter().any(|one| one == sha1)
    }

    /// Notes that it did.
    pub(super) fn note_run(&self, beside: &Shared, sha1: &str) {
        let mut ran = self.ran();
        if ran.0 != beside.number {
            *ran = (beside.number, Vec::new());
        }
        if !ran.1.iter().any(|one| one == sha1) {
            ran.1.push(sha1.into());
        }
    }

    fn ran(&self) -> MutexGuard<'_, (u64, Vec<String>)> {
        self.ran.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Owned>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn denied(&self) -> MutexGuard<'_, Option<(i64, Outage)>> {
        self.denied.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle connection beside this one. The others lead elsewhere, or are too old.
    fn pop(&self, beside: &Shared, now: i64) -> Option<Owned> {
        let mut idle = self.idle();
        idle.retain(|owned| {
            owned.beside == beside.number && now.saturating_sub(owned.sampled) < FRESH
        });
        idle.pop()
    }
}

impl Inner {
    /// A connection for one call, beside the shared one. A caller waits for its turn, but not longer than for other calls.
    /// A patient call may begin until the deadline: replicas have their time after that.
    pub(super) async fn hold(&self, call: &Call<'_>, beside: &Shared) -> Result<Held, NotHeld> {
        let home = &self.exclusive;
        let places = async {
            let others = match call.lane {
                Lane::Ends => None,
                Lane::Others => Arc::clone(&home.others).acquire_owned().await.ok(),
            };
            let all = Arc::clone(&home.all).acquire_owned().await;
            all.ok().map(|all| (all, others))
        };
        let patience = if call.patient {
            self.deadline
        } else {
            self.quarter
        };
        let Ok(Some(places)) = tokio::time::timeout(patience, places).await else {
            return Err(NotHeld::Busy);
        };
        let idle = home.pop(beside, Monotonic::now().as_millis());
        let Owned {
            connection,
            beside,
            sampled,
        } = match idle {
            Some(owned) => owned,
            None => Owned {
                connection: self.open_exclusive().await.map_err(NotHeld::Outage)?,
                beside: beside.number,
                sampled: Monotonic::now().as_millis(),
            },
        };
        Ok(Held {
            connection,
            beside,
            sampled,
            given_back: false,
            waits: None,
            home: Arc::clone(home),
            _places: places,
            _limit: Arc::clone(&self.limit),
        })
    }

    /// Opens a connection, unless the server refused that a moment ago.
    async fn open_exclusive(&self) -> Result<Shared, Outage> {
        let began = Monotonic::now().as_millis();
        if let Some((at, outage)) = &*self.exclusive.denied()
            && began.saturating_sub(*at) < DENIED
        {
            return Err(outage.clone());
        }
        let opened = self.try_exclusive().await;
        if let Err(outage) = &opened
            && outage.is_denied()
        {
            let now = Monotonic::now().as_millis();
            *self.exclusive.denied() = Some((now, outage.clone()));
        }
        opened
    }

    /// Opens a connection, and finds out whether the server lets it wait for replicas.
    async fn try_exclusive(&self) -> Result<Shared, Outage> {
        let connection = self.attempt(self.patience).await?;
        let mut wait = cmd("WAIT");
        wait.arg(0).arg(0);
        match tokio::time::timeout(self.patience, connection.send(&wait)).await {
            Ok(Ok(Value::Int(_))) => Ok(connection),
            Ok(Ok(_)) => Err(Outage::new(
                StoreErrorKind::Denied,
                "`WAIT` has no count as its answer: a proxy is in between",
            )),
            Ok(Err(error)) if error.is_io_error() => Err(Outage::of(error)),
            Ok(Err(error)) => Err(Outage::new(StoreErrorKind::Denied, error)),
            Err(elapsed) => Err(Outage::new(StoreErrorKind::Timeout, elapsed)),
        }
    }
}

impl Held {
    /// Notes the server's time from a reply that came at `now`, to what was sent at `sent`.
    pub(super) fn note_time(&mut self, server: i64, sent: i64, now: i64) {
        self.connection.note_time(server, sent, now);
        self.sampled = now;
    }

    /// Nothing is in flight on it: another call may use it.
    pub(super) fn give_back(mut self) {
        self.given_back = true;
        self.home.idle().push(Owned {
            connection: Arc::clone(&self.connection),
            beside: self.beside,
            sampled: self.sampled,
        });
    }

    /// It broke, and perhaps with it the idle ones.
    pub(super) fn broke(mut self) {
        self.waits = None;
        self.home.idle().clear();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.waits.is_some() {
            meter::link::given_up();
        }
        if !self.given_back {
            // What was sent on it may still wait for replicas. Closing it ends that.
            self.connection.stop();
        }
    }
}
