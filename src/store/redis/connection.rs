//! One shared connection, fetched again when it breaks, and the rules for trying again.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use deadpool_redis::{
    PoolError,
    redis::{self, Cmd},
};
use tokio::{sync::Mutex as AsyncMutex, task::JoinHandle};

use super::{
    failure::{Failure, no_connection},
    pool::{Connection, RedisPool},
    source::Script,
};
use crate::{
    model::clock::{Monotonic, millis},
    store::{StoreError, StoreErrorKind},
};

/// After so many timeouts in a row a connection counts as a black hole.
const BLACK_HOLE: u32 = 2;

/// How long fetching a connection may take at least, however short the deadline: a Cluster with one
/// primary stopped takes 2 s.
const FETCHING: Duration = Duration::from_secs(5);

/// How often a call of unknown outcome is sent in all.
const SENDS: u32 = 3;

/// What a call usually takes: how many arguments, and how many bytes beside the script.
const ARGUMENTS: usize = 10;
const ARGUMENTS_SIZE: usize = 448;

/// No sample of the server's time.
const UNKNOWN: i64 = i64::MIN;

/// The generation of no connection.
const NONE: u64 = 0;

/// Whether a call of unknown outcome may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Resend {
    /// Running it twice is the same as once.
    Harmless,
    /// It may have happened, and must not happen twice.
    Never,
}

/// One shared connection, fetched again when it breaks.
pub(super) struct Connections {
    pool: RedisPool,
    /// Covers checkout and call.
    deadline: Duration,
    slot: Mutex<Slot>,
    /// Who holds it waits for the next connection; the others wait for that one.
    fetching: AsyncMutex<Option<Fetch>>,
    /// In a row, on the connection in the slot.
    timeouts: AtomicU32,
    /// The server's time less ours by the clock that does not jump, in ms, by the last reply.
    offset: AtomicI64,
}

/// A task of its own, with the connection and the server's time: callers that give up one after the
/// other, each soon after its turn came, must not start it again each.
type Fetch = JoinHandle<Result<(Connection, i64), StoreError>>;

#[derive(Default)]
struct Slot {
    generation: u64,
    connection: Option<Connection>,
}

impl Connections {
    pub(super) fn new(pool: RedisPool, deadline: Duration) -> Self {
        Self {
            pool,
            deadline,
            slot: Mutex::default(),
            fetching: AsyncMutex::default(),
            timeouts: AtomicU32::new(0),
            offset: AtomicI64::new(UNKNOWN),
        }
    }

    /// Runs a script on the key, in one round trip unless something goes wrong.
    ///
    /// `arguments` writes what comes after the key, again each time it is sent; it is told the moment
    /// by the server's clock after which nobody waits for the answer.
    pub(super) async fn run(
        &self,
        script: &Script,
        key: &str,
        resend: Resend,
        arguments: impl Fn(&mut Cmd, Option<i64>),
    ) -> Result<redis::Value, StoreError> {
        // The connection whose answer is being waited for.
        let sent = AtomicU64::new(NONE);
        let attempts = self.attempts(script, key, resend, &sent, arguments);
        match tokio::time::timeout(self.deadline, attempts).await {
            Ok(answer) => answer,
            Err(elapsed) => {
                let generation = sent.load(Ordering::Relaxed);
                self.timed_out(generation);
                let uncertain = resend == Resend::Never && generation != NONE;
                let kind = Failure::Silent.kind(uncertain);
                Err(StoreError::new(kind).with_source(elapsed))
            }
        }
    }

    async fn attempts(
        &self,
        script: &Script,
        key: &str,
        resend: Resend,
        sent: &AtomicU64,
        arguments: impl Fn(&mut Cmd, Option<i64>),
    ) -> Result<redis::Value, StoreError> {
        let started = Monotonic::now();
        let command = |name: &str, script: &str| {
            let mut cmd = Cmd::with_capacity(ARGUMENTS, script.len() + ARGUMENTS_SIZE);
            cmd.arg(name).arg(script).arg(1).arg(key);
            arguments(&mut cmd, self.latest(started));
            cmd
        };
        let (mut sends, mut pause) = (0, Duration::from_millis(10));
        loop {
            let (generation, mut connection) = self.connection().await?;
            sent.store(generation, Ordering::Relaxed);
            sends += 1;
            let mut answer = connection.send(&command("EVALSHA", &script.sha1)).await;
            if let Err(error) = &answer
                && Failure::of(error) == Failure::NoScript
            {
                // By its key, to the one node that holds it: loading it everywhere would hang while
                // one primary is stopped.
                answer = connection.send(&command("EVAL", &script.source)).await;
            }
            let error = match answer {
                Ok(value) => {
                    self.timeouts.store(0, Ordering::Relaxed);
                    return Ok(value);
                }
                Err(error) => error,
            };
            let failure = Failure::of(&error);
            let again = match failure {
                Failure::NotNow | Failure::Demoted => {
                    // It answered, and nothing ran.
                    sent.store(NONE, Ordering::Relaxed);
                    if failure == Failure::Demoted {
                        self.forget(generation);
                    }
                    true
                }
                Failure::Broken => {
                    self.forget(generation);
                    resend == Resend::Harmless && sends < SENDS
                }
                Failure::Silent => {
                    self.timed_out(generation);
                    false
                }
                Failure::NoScript | Failure::Final(_) => false,
            };
            if !again {
                let kind = failure.kind(resend == Resend::Never);
                return Err(StoreError::new(kind).with_source(error));
            }
            tracing::debug!(failure = ?failure, "call sent again");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(160));
        }
    }

    /// The shared connection, fetched by one caller for all if there is none.
    async fn connection(&self) -> Result<(u64, Connection), StoreError> {
        if let Some(found) = self.current() {
            return Ok(found);
        }
        // Boxed: connecting is rare, and its future large.
        Box::pin(self.fetch()).await
    }

    async fn fetch(&self) -> Result<(u64, Connection), StoreError> {
        let mut fetching = self.fetching.lock().await;
        if let Some(found) = self.current() {
            return Ok(found);
        }
        let fetch = fetching
            .get_or_insert_with(|| tokio::spawn(fetch(self.pool.clone(), self.deadline)))
            .await;
        *fetching = None;
        let (connection, offset) = fetch.map_err(|stopped| {
            StoreError::new(StoreErrorKind::Unavailable).with_source(stopped)
        })??;
        self.timeouts.store(0, Ordering::Relaxed);
        let mut slot = self.slot();
        self.offset.store(offset, Ordering::Relaxed);
        slot.generation += 1;
        slot.connection = Some(connection.clone());
        Ok((slot.generation, connection))
    }

    fn current(&self) -> Option<(u64, Connection)> {
        let slot = self.slot();
        Some((slot.generation, slot.connection.clone()?))
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives up a broken connection, unless another caller did already.
    fn forget(&self, generation: u64) {
        let mut slot = self.slot();
        // A Cluster connection mends itself.
        if slot.generation == generation && slot.connection.is_some() && !self.pool.is_cluster() {
            slot.connection = None;
            self.offset.store(UNKNOWN, Ordering::Relaxed);
        }
    }

    /// A call on this connection was not answered. One on a connection that was replaced meanwhile
    /// says nothing of the new one.
    fn timed_out(&self, generation: u64) {
        if self.slot().generation == generation
            && self.timeouts.fetch_add(1, Ordering::Relaxed) + 1 >= BLACK_HOLE
        {
            self.forget(generation);
        }
    }

    /// Notes the server's time from a reply that has just come.
    pub(super) fn note_time(&self, server: i64) {
        self.offset.store(offset(server), Ordering::Relaxed);
    }

    /// The moment by the server's clock after which this call has been given up.
    ///
    /// Never later than that: the sample was taken on the server before it was noted here. On a
    /// Cluster there is none, for each primary has a clock of its own.
    fn latest(&self, started: Monotonic) -> Option<i64> {
        let offset = self.offset.load(Ordering::Relaxed);
        if offset == UNKNOWN || self.pool.is_cluster() {
            return None;
        }
        let given_up = started.as_millis().saturating_add(millis(self.deadline));
        Some(offset.saturating_add(given_up))
    }
}

/// A connection out of the pool, and its server's time: the very first sign-in carries a deadline.
async fn fetch(pool: RedisPool, deadline: Duration) -> Result<(Connection, i64), StoreError> {
    let fetched = tokio::time::timeout(deadline.max(FETCHING), async {
        let mut connection = pool.take(deadline).await?;
        // Of a Cluster it would be any node's, perhaps that of one which does not answer.
        let offset = if pool.is_cluster() {
            UNKNOWN
        } else {
            sample(&mut connection).await
        };
        Ok::<_, PoolError>((connection, offset))
    });
    match fetched.await {
        Ok(fetched) => fetched.map_err(no_connection),
        Err(elapsed) => Err(StoreError::new(StoreErrorKind::Timeout).with_source(elapsed)),
    }
}

/// Asks a server for its time.
async fn sample(connection: &mut Connection) -> i64 {
    if let Ok(redis::Value::Array(parts)) = connection.send(&redis::cmd("TIME")).await
        && let [
            redis::Value::BulkString(seconds),
            redis::Value::BulkString(micros),
        ] = &parts[..]
        && let (Some(seconds), Some(micros)) = (number(seconds), number(micros))
    {
        return offset(seconds * 1_000 + micros / 1_000);
    }
    UNKNOWN
}

/// The server's time, which has just come, less ours.
fn offset(server: i64) -> i64 {
    server.saturating_sub(Monotonic::now().as_millis())
}

fn number(text: &[u8]) -> Option<i64> {
    str::from_utf8(text).ok()?.parse().ok()
}

impl fmt::Debug for Connections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connections")
            .field("pool", &self.pool)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}
