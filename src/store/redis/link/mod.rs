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
mod confirm;
mod connection;
mod exclusive;
mod failure;
mod flight;
mod keeper;
mod limit;
mod member;
mod names;
mod outage;
mod patience;
mod progress;
mod sentinel;
mod source;
mod state;
mod unless;

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use deadpool_redis::redis::RedisError;
use tokio::sync::{Notify, Semaphore};

use self::{
    connection::Shared,
    exclusive::Exclusive,
    limit::Limit,
    member::Member,
    state::{Found, State},
};
use crate::{
    model::clock::{Monotonic, millis},
    store::{StoreError, StoreErrorKind, meter, worker::Worker},
};

pub use self::source::{IntoRedisSource, RedisSource, RedisUrlError};
pub(super) use self::{
    backoff::pause,
    call::{Call, Resend},
    confirm::{Confirm, NOT_WITH_POOL},
    connection::Connection,
    failure::is_demoted,
    limit::Lane,
    outage::Outage,
    patience::Patience,
    progress::{Came, Elsewhere, NotHere, Progress, over},
    sentinel::Sentinels,
    source::{Seeds, elsewhere},
    unless::unless,
};

/// How often a caller who waits for the link looks whether the keeper runs.
const MINDED: Duration = Duration::from_millis(400);

/// How many callers wait longer than usual for a server that answers nobody: each costs memory.
const STALLED: usize = 192;

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
    /// What carries calls that replicas confirm.
    exclusive: Arc<Exclusive>,
    /// How many more may wait longer for a place while the server answers nobody.
    stalled: Semaphore,
    /// Wakes callers who wait for the link to be up.
    changed: Notify,
    /// Wakes the keeper.
    nudge: Notify,
    keeper: Mutex<Worker>,
    /// What a link has that is one of several of a Cluster.
    member: Option<Member>,
}

impl Link {
    pub(super) fn new(source: RedisSource, deadline: Duration) -> Self {
        Self::with(source, deadline, None)
    }

    fn with(source: RedisSource, deadline: Duration, member: Option<Member>) -> Self {
        let patience = source.patience(deadline);
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
            exclusive: Arc::new(Exclusive::new()),
            stalled: Semaphore::new(STALLED),
            changed: Notify::new(),
            nudge: Notify::new(),
            keeper: Mutex::default(),
            member,
        }))
    }

    /// Where it leads, without a password.
    pub(super) fn server(&self) -> &str {
        &self.0.server
    }

    pub(super) fn source(&self) -> &RedisSource {
        &self.0.source
    }

    pub(super) fn is_cluster(&self) -> bool {
        self.0.source.is_cluster()
    }

    /// Whether confirmations mean nothing here.
    pub(super) fn refuse_confirm(&self, refuse: bool) {
        self.0.exclusive.refused.store(refuse, Ordering::Relaxed);
    }

    /// How long an attempt to connect may take.
    pub(super) fn patience(&self) -> Duration {
        self.0.patience
    }

    /// Waits until the link is up again; for ever if it is up.
    pub(super) fn up_again(&self) -> impl Future<Output = ()> + Send + use<> {
        let link = Arc::clone(&self.0);
        async move {
            let was_down = link.state().active().is_none();
            loop {
                let changed = link.changed.notified();
                if was_down && link.state().active().is_some() {
                    return;
                }
                changed.await;
            }
        }
    }

    /// A connection of one's own: on those that calls share, only scripts run, because each reply of a script says what it
    /// is the reply to. Three commands of the link run there, too: `TIME`, `CLIENT SETNAME` and `CLUSTER NODES`. If one of
    /// their replies is lost, the next script finds that.
    pub(super) async fn open(&self) -> Result<Connection, StoreError> {
        let patience = self.0.patience;
        match tokio::time::timeout(patience, self.0.source.open(patience)).await {
            Ok(Ok(opened)) => Ok(Connection::new(opened)),
            Ok(Err(outage)) => Err(outage.error()),
            Err(elapsed) => Err(StoreError::new(StoreErrorKind::Timeout).with_source(elapsed)),
        }
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

    fn keeper(&self) -> MutexGuard<'_, Worker> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The connection that carries calls, if the link is up.
    fn now(&self) -> Option<Shared> {
        let connection = self.state().active().cloned()?;
        if !connection.is_stopped() {
            return Some(connection);
        }
        // A reply that came after its caller had left showed that it mixes them up.
        let cause = "the connection was replaced";
        self.broke(
            &connection,
            &Outage::new(StoreErrorKind::Unavailable, cause),
        );
        self.state().active().cloned()
    }

    /// The connection that carries calls, as soon as there is one; the outage's error once it has lasted too long.
    /// `None` once slots went elsewhere since there were so many losses, or the link is closed because all did.
    async fn connection(self: &Arc<Self>, losses: u64) -> Result<Option<Shared>, StoreError> {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.losses() != losses {
                return Ok(None);
            }
            let found = self.state().find(Monotonic::now().as_millis());
            if !matches!(found, Found::Up(_) | Found::Closed) {
                self.wake_keeper();
            }
            match found {
                Found::Up(connection) => return Ok(Some(connection)),
                Found::Closed => return Ok(None),
                Found::Down(outage) => return Err(outage.error()),
                Found::Soon(left) => {
                    let _ = tokio::time::timeout(left.min(MINDED), changed).await;
                }
            }
        }
    }

    fn wake_keeper(self: &Arc<Self>) {
        self.mind_keeper();
        self.nudge.notify_one();
    }

    /// Starts the keeper in the caller's runtime if none runs: the runtime of the last one may have stopped, or be idle.
    fn mind_keeper(self: &Arc<Self>) {
        let mut keeper = self.keeper();
        if !keeper.runs() {
            keeper.start(|_| keeper::keep(Arc::clone(self)));
        }
    }

    /// A connection broke: the spare takes over, or the link is down.
    fn broke(&self, connection: &Shared, outage: &Outage) {
        connection.stop();
        let went_down = {
            let now = Monotonic::now().as_millis();
            self.state().broke(connection, outage.clone(), now)
        };
        self.nudge.notify_one();
        if went_down {
            self.log_down(outage);
        }
    }

    /// The server does not serve, whatever connection leads to it.
    fn down(&self, outage: &Outage, since: i64) {
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
            self.log_down(outage);
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
    ///
    /// Not only at its deadline: where the spare takes over now, the call is sent again in the time that is left.
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

    /// Whether no reply at all came on it for half the time that a caller has. A whole one would be over for the callers that
    /// find out. A wrong suspicion costs a probe.
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
        } else {
            self.mind_keeper();
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
            self.down(&Outage::of(error), since);
        }
    }

    /// The server ran a script.
    fn served(&self) {
        if self.unready.load(Ordering::Relaxed) {
            self.unready.store(false, Ordering::Relaxed);
            self.state().ready();
        }
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
