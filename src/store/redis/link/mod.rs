//! The link to one server: its connections, a circuit breaker, limits, and a sample of its time.
//!
//! A single node is one link. Behind Sentinel it is one link that asks for the master when it connects.
//! A Cluster is one link per primary.
//!
//! ```text
//!  call ─▶ breaker ─▶ place ─▶ connection ─▶ reply of this call?
//!            │ down     │ none         │ silent, broken, a replica …
//!            ▼          ▼              ▼
//!       shared error   busy      keeper: judges, replaces, connects
//! ```

mod backoff;
mod call;
mod connection;
mod failure;
mod flight;
mod keeper;
mod limit;
mod outage;
mod patience;
mod source;
mod state;

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::{Cmd, RedisError, Value};
use tokio::{sync::Notify, task::AbortHandle};

use self::{
    connection::Shared,
    limit::Limit,
    state::{Found, State},
};
use crate::{
    model::clock::{Monotonic, millis},
    store::{StoreError, meter},
};

pub use self::source::{RedisSource, RedisUrlError};
pub(super) use self::{
    call::{Call, Came, Elsewhere, Progress, Resend},
    limit::Lane,
    outage::Outage,
    patience::Patience,
    source::Seeds,
};

/// How long an attempt to connect may take: a second, or the deadline if that is longer. A Cluster
/// with one primary stopped takes 2 s.
const CONNECT: Duration = Duration::from_secs(1);
const CONNECT_MOST: Duration = Duration::from_secs(5);

/// The link to one server. Dropping it stops its task, and fails the calls that are still in flight.
pub(super) struct Link(Arc<Inner>);

struct Inner {
    source: RedisSource,
    /// Where it leads, without a password.
    server: String,
    /// Covers all of a call.
    deadline: Duration,
    quarter: Duration,
    /// Covers one attempt to connect.
    patience: Duration,
    state: Mutex<State>,
    /// Whether the server answers that it is not ready.
    unready: AtomicBool,
    limit: Arc<Limit>,
    /// Wakes callers who wait for the link to be up.
    changed: Notify,
    /// Wakes the keeper.
    nudge: Notify,
    keeper: Mutex<Option<AbortHandle>>,
    /// What a link has that is one of several of a Cluster.
    member: Option<Member>,
    closed: AtomicBool,
}

/// One of the links of a Cluster.
struct Member {
    /// Wakes the task that reads the map.
    map: Arc<Notify>,
    /// How often slots of it went elsewhere: who waits here looks again then.
    losses: AtomicU64,
}

impl Link {
    pub(super) fn new(source: RedisSource, deadline: Duration) -> Self {
        Self::with(source, deadline, None)
    }

    /// The link to one primary of a Cluster. It wakes `map` when it goes down.
    pub(super) fn of_cluster(source: RedisSource, deadline: Duration, map: Arc<Notify>) -> Self {
        let losses = AtomicU64::new(0);
        Self::with(source, deadline, Some(Member { map, losses }))
    }

    fn with(source: RedisSource, deadline: Duration, member: Option<Member>) -> Self {
        let patience = if source.is_cluster() {
            CONNECT_MOST
        } else {
            deadline.clamp(CONNECT, CONNECT_MOST)
        };
        let quarter = deadline / 4;
        Self(Arc::new(Inner {
            server: source.server(),
            source,
            deadline,
            quarter,
            patience,
            state: Mutex::new(State::new(Monotonic::now().as_millis())),
            unready: AtomicBool::new(false),
            limit: Arc::new(Limit::new(millis(quarter))),
            changed: Notify::new(),
            nudge: Notify::new(),
            keeper: Mutex::new(None),
            member,
            closed: AtomicBool::new(false),
        }))
    }

    /// Connects without waiting for a call.
    pub(super) fn start(&self) {
        self.0.wake_keeper();
    }

    /// Connects again at once if it is down: the server serves now what others served.
    pub(super) fn retry(&self) {
        if !self.0.state().forgive() {
            return;
        }
        if let Some(keeper) = self.0.keeper().take() {
            keeper.abort();
        }
        self.start();
    }

    /// Whether the server does not serve, by what is known.
    pub(super) fn is_down(&self) -> bool {
        self.0.state().outage().is_some()
    }

    /// Whether no call is in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.0.limit.in_flight() == 0
    }

    /// How often slots of it went elsewhere.
    pub(super) fn losses(&self) -> u64 {
        self.0.losses()
    }

    /// Slots of it are served elsewhere now. Calls that wait here go there.
    pub(super) fn lose(&self) {
        if let Some(member) = &self.0.member {
            member.losses.fetch_add(1, Ordering::AcqRel);
        }
        self.0.changed.notify_waiters();
    }

    /// Asks the server something besides calls, if it is not down.
    pub(super) async fn ask(&self, command: &Cmd, patience: Duration) -> Option<Value> {
        let link = &self.0;
        let (connection, began) = (link.now()?, Monotonic::now().as_millis());
        match tokio::time::timeout(patience, connection.send(command)).await {
            Ok(Ok(value)) => {
                connection.hear(Monotonic::now().as_millis());
                Some(value)
            }
            Ok(Err(error)) => {
                if error.is_io_error() {
                    link.broke(&connection, Outage::of(error));
                }
                None
            }
            Err(_elapsed) => {
                link.overdue(&connection, began);
                None
            }
        }
    }

    /// Stops its task, and fails the calls that are still in flight.
    pub(super) fn close(&self) {
        self.0.closed.store(true, Ordering::Release);
        if let Some(keeper) = self.0.keeper().take() {
            keeper.abort();
        }
        let connections = self.0.state().close();
        connections.iter().for_each(|connection| connection.stop());
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keeper(&self) -> MutexGuard<'_, Option<AbortHandle>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that carries calls, if the link is up.
    fn now(&self) -> Option<Shared> {
        self.state().active().cloned()
    }

    /// The connection that carries calls, as soon as there is one; the outage's error once it has lasted too long.
    /// `None` once slots went elsewhere since there were so many losses.
    async fn connection(self: &Arc<Self>, losses: u64) -> Result<Option<Shared>, StoreError> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.losses() != losses {
                return Ok(None);
            }
            let found = self.state().find(Monotonic::now().as_millis());
            if !matches!(found, Found::Up(_)) {
                self.wake_keeper();
            }
            match found {
                Found::Up(connection) => return Ok(Some(connection)),
                Found::Down(outage) => return Err(outage.error()),
                Found::Soon(left) => {
                    let _ = tokio::time::timeout(left, changed).await;
                }
            }
        }
    }

    /// Starts the keeper in the caller's runtime if there is none, as after the runtime of the last one has stopped.
    fn wake_keeper(self: &Arc<Self>) {
        let mut keeper = self.keeper();
        if self.closed.load(Ordering::Acquire) {
            return;
        }
        if keeper.as_ref().is_none_or(AbortHandle::is_finished) {
            let task = tokio::spawn(keeper::keep(Arc::clone(self)));
            *keeper = Some(task.abort_handle());
        } else {
            self.nudge.notify_one();
        }
    }

    /// A connection broke: the spare takes over, or the link is down.
    fn broke(&self, connection: &Shared, outage: Outage) {
        connection.stop();
        let went_down = {
            let now = Monotonic::now().as_millis();
            self.state().broke(connection, outage.clone(), now)
        };
        self.nudge.notify_one();
        if went_down {
            self.log_down(&outage);
        }
    }

    /// The server does not serve, whatever connection leads to it.
    fn down(&self, outage: Outage, since: i64) {
        let was_up = {
            let mut state = self.state();
            let was_up = state.outage().is_none();
            if was_up {
                state.go_down(outage.clone(), since);
            }
            was_up
        };
        self.changed.notify_waiters();
        self.nudge.notify_one();
        if was_up {
            self.log_down(&outage);
        }
    }

    fn log_down(&self, outage: &Outage) {
        if let Some(member) = &self.member {
            member.map.notify_one();
        }
        meter::link::went(false);
        tracing::warn!(
            server = %self.server,
            kind = ?outage.kind,
            error = outage.cause(),
            "the link to Redis is down"
        );
    }

    /// A caller has waited for a quarter of its time.
    fn overdue(self: &Arc<Self>, connection: &Shared, began: i64) {
        if !connection.is_cluster() && self.is_silent(connection) {
            self.suspect(connection, began);
        }
    }

    /// A caller has waited until its deadline.
    fn timed_out(self: &Arc<Self>, connection: &Shared, began: i64) {
        // Of a Cluster one primary may be silent while the others answer.
        if connection.is_cluster() || self.is_silent(connection) {
            self.suspect(connection, began);
        }
    }

    /// Whether no reply at all came on it for half the time that a caller has.
    fn is_silent(&self, connection: &Shared) -> bool {
        let silent = Monotonic::now()
            .as_millis()
            .saturating_sub(connection.heard());
        silent >= millis(self.deadline / 2)
    }

    fn suspect(self: &Arc<Self>, connection: &Shared, since: i64) {
        let now = Monotonic::now().as_millis();
        let is_news = self.state().suspect(connection, since, now);
        if is_news {
            self.wake_keeper();
        }
    }

    /// Sentinel may name another master by now.
    fn ask(&self) {
        if self.state().ask(Monotonic::now().as_millis()) {
            self.nudge.notify_one();
        }
    }

    fn not_ready(&self, error: RedisError) {
        self.unready.store(true, Ordering::Relaxed);
        let since = self.state().not_ready(Monotonic::now().as_millis());
        if let Some(since) = since {
            self.down(Outage::of(error), since);
        }
    }

    /// Notes that the server answered that it is not ready. Says whether that is so for too long.
    fn is_unready(&self) -> bool {
        self.unready.store(true, Ordering::Relaxed);
        let now = Monotonic::now().as_millis();
        self.state().not_ready(now).is_some()
    }

    fn losses(&self) -> u64 {
        let member = self.member.as_ref();
        member.map_or(0, |member| member.losses.load(Ordering::Acquire))
    }

    /// Waits until slots went elsewhere since there were so many losses.
    async fn loses(&self, losses: u64) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.losses() != losses {
                return;
            }
            changed.await;
        }
    }

    fn ready(&self) {
        self.unready.store(false, Ordering::Relaxed);
        self.state().ready();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("source", &self.0.source)
            .field("deadline", &self.0.deadline)
            .finish_non_exhaustive()
    }
}
