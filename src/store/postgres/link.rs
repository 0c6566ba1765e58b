//! One statement on a connection of the pool, within a deadline.

use std::{
    error::Error,
    future::Future,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::Relaxed},
    },
    time::Duration,
};

use deadpool_postgres::{Pool, PoolError, Timeouts, tokio_postgres::Row};
use tokio::time::timeout;

use super::{
    connects::Connects,
    failure::{Failure, Of},
    gate::{Gate, Pass},
    held::{Call, Held, Value},
    places::Places,
    settling::{LONGEST, Settling},
    sql::Statement,
};
use crate::{
    model::clock::Monotonic,
    store::{StoreError, StoreErrorKind, Urgency, meter::postgres as meter},
};

/// Waits for nothing by itself: a pool without a runtime has no timers.
const UNLIMITED: Timeouts = Timeouts::new();

/// How often a statement is sent in all, if connections break under it.
const SENDS: u32 = 4;

/// A server that takes no writes is left for another one at most once in this time, in ms.
const LEFT: i64 = 1_000;

/// After the server has refused a connection, the pool counts as full for this long, in ms. A wrong password is not
/// tried more often, lest the server lock the user out.
const FULL: i64 = 5_000;

/// The way to the server.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) pool: Pool,
    pub(super) deadline: Duration,
    /// Whether each connection keeps its statements prepared.
    prepares: AtomicBool,
    gate: Arc<Gate>,
    connects: Arc<Connects>,
    places: Arc<Places>,
    settling: Settling,
    /// Until when no more connections are opened, in ms. 0: they are.
    full: AtomicI64,
    /// When a server that takes no writes was left, in ms. `i64::MIN`: none was.
    left: AtomicI64,
}

/// How long a call may take.
#[derive(Clone, Copy)]
pub(super) struct Time {
    began: Monotonic,
    deadline: Duration,
}

impl Time {
    /// From now on.
    pub(super) fn of(deadline: Duration) -> Self {
        let began = Monotonic::now();
        Self { began, deadline }
    }

    pub(super) fn left(self) -> Duration {
        self.deadline.saturating_sub(self.began.elapsed())
    }
}

/// Whether a statement of unknown outcome may be sent again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Again {
    /// Running it twice is the same as once.
    Harmless,
    /// The caller finds out whether it ran.
    Never,
}

/// Why a call has no rows.
pub(super) struct Missed {
    pub(super) error: StoreError,
    /// Nothing ran, and nothing will.
    pub(super) nothing_ran: bool,
    /// Another transaction won.
    pub(super) lost: bool,
}

impl Missed {
    pub(super) fn nothing_ran(error: StoreError) -> Self {
        Self {
            error,
            nothing_ran: true,
            lost: false,
        }
    }
}

impl From<Missed> for StoreError {
    fn from(missed: Missed) -> Self {
        missed.error
    }
}

impl Link {
    pub(super) fn new(pool: Pool, deadline: Duration, prepares: bool) -> Self {
        let gate = Arc::<Gate>::default();
        Self {
            connects: Arc::new(Connects::new(pool.clone(), Arc::clone(&gate))),
            pool,
            deadline,
            prepares: AtomicBool::new(prepares),
            gate,
            places: Arc::default(),
            settling: Settling::new(deadline, LONGEST),
            full: AtomicI64::new(0),
            left: AtomicI64::new(i64::MIN),
        }
    }

    /// Runs a statement, in one round trip unless something goes wrong.
    ///
    /// # Cancel safety
    ///
    /// The statement runs as a whole or not at all. Its connection goes back into the pool after the answer.
    pub(super) async fn run(
        &self,
        statement: &Statement,
        values: &[Value<'_>],
        again: Again,
        urgency: Urgency,
    ) -> Result<Vec<Row>, Missed> {
        let time = Time::of(self.deadline);
        self.run_unless(time, statement, values, again, urgency, |_| None)
            .await
    }

    /// As [`run`](Self::run), in this time. An answer of which a failure is made counts as that failure of its connection.
    pub(super) async fn run_unless(
        &self,
        time: Time,
        statement: &Statement,
        values: &[Value<'_>],
        again: Again,
        urgency: Urgency,
        fails: impl Fn(&[Row]) -> Option<Failure>,
    ) -> Result<Vec<Row>, Missed> {
        // Those that only others take come last.
        let values = values.get(..statement.types.len()).unwrap_or(values);
        let mut sent = 0;
        loop {
            let mut pass = self.gate.enter(time).await?;
            let failure = match self.checkout(again, urgency, time).await {
                Ok(mut held) => {
                    sent += 1;
                    let stays = self.has_left();
                    let call = Call {
                        statement,
                        values,
                        prepares: statement.is_prepared() && self.prepares.load(Relaxed),
                    };
                    match held.send(&call, time.left(), stays, &fails).await {
                        Ok(rows) => {
                            self.gate.answered();
                            if again == Again::Never {
                                self.settling.works();
                            }
                            pass.done();
                            return Ok(rows);
                        }
                        Err(failure) => failure.on(held.is_new),
                    }
                }
                Err(failure) => {
                    // If the app has all the others, this would go on for ever.
                    sent += u32::from(failure.refused);
                    failure
                }
            };
            if sent > 1 && failure.of == Of::Connection && !failure.silent {
                // The second one that broke under this call: the others in the pool are likely to be broken as well, and would
                // use up what is left of its tries.
                self.drop_idle();
            }
            let next = may_follow(&failure, again) && sent < SENDS && !time.left().is_zero();
            let missed = self.note(failure, time, &mut pass);
            // If the gate did not learn what became of the try, the next call tries.
            drop(pass);
            if !next {
                return Err(missed);
            }
        }
    }

    /// Runs several statements in one transaction, once.
    pub(super) async fn batch(&self, time: Time, sql: &str) -> Result<(), Missed> {
        let mut pass = self.gate.enter(time).await?;
        let failure = match self.checkout(Again::Never, Urgency::Other, time).await {
            Ok(mut held) => match held.batch(sql, time.left()).await {
                Ok(()) => {
                    self.gate.answered();
                    pass.done();
                    return Ok(());
                }
                Err(failure) => failure.on(held.is_new),
            },
            Err(failure) => failure,
        };
        Err(self.note(failure, time, &mut pass))
    }

    /// Whether a server that takes no writes was left a moment ago.
    fn has_left(&self) -> bool {
        let left = self.left.load(Relaxed);
        Monotonic::now().as_millis().saturating_sub(left) < LEFT
    }

    /// Drops all connections that wait in the pool. Those in use are not among them.
    fn drop_idle(&self) {
        self.pool.retain(|_, _| false);
    }

    /// Opens or closes the gate.
    fn note(&self, failure: Failure, time: Time, pass: &mut Pass<'_>) -> Missed {
        let (nothing_ran, lost) = (failure.nothing_ran, failure.lost);
        if failure.demoted && failure.of != Of::Statement {
            // The other connections lead to the same server.
            self.drop_idle();
            self.left.store(Monotonic::now().as_millis(), Relaxed);
        }
        if failure.forgot && self.prepares.swap(false, Relaxed) {
            tracing::warn!(
                error = &failure.cause as &dyn Error,
                "statements are not prepared any more, because a connection lost one: is there a PgBouncer in transaction \
                 mode? Then set `prepared(false)`"
            );
        }
        let error = match failure.of {
            Of::Server if failure.refused && self.pool.status().size > 0 => {
                self.counts_as_full(failure)
            }
            // Others are answered, so only connecting takes long.
            Of::Server
                if failure.kind == StoreErrorKind::Timeout
                    && self.gate.answered_since(time.began, Duration::ZERO) =>
            {
                failure.error()
            }
            Of::Statement => {
                self.gate.answered();
                self.settling.works();
                failure.error()
            }
            Of::Pool => failure.error(),
            Of::Connection => {
                // A write comes after its read. If that was answered, the write waits for a lock.
                if failure.silent && !self.gate.answered_since(time.began, time.deadline / 2) {
                    if !failure.is_new {
                        // Whatever forgot this connection forgot the others too.
                        self.drop_idle();
                        self.settling.give_up();
                    }
                    self.gate.failed(failure, pass)
                } else {
                    failure.error()
                }
            }
            Of::Server => self.gate.failed(failure, pass),
        };
        Missed {
            error,
            nothing_ran,
            lost,
        }
    }

    /// The server refused a connection, while the pool has others.
    fn counts_as_full(&self, failure: Failure) -> StoreError {
        let until = Monotonic::now().as_millis().saturating_add(FULL);
        if self.full.swap(until, Relaxed) == 0 {
            tracing::warn!(
                error = &failure.cause as &dyn Error,
                "PostgreSQL or its pooler refuses more connections: the store goes on with those it has"
            );
        }
        failure.error()
    }

    /// How many connections may be in use.
    fn most(&self) -> usize {
        let (pool, until) = (self.pool.status(), self.full.load(Relaxed));
        if until == 0 {
            return pool.max_size;
        }
        let now = Monotonic::now().as_millis();
        // One call finds out whether the server has room again.
        let tries = now >= until
            && self
                .full
                .compare_exchange(until, now.saturating_add(FULL), Relaxed, Relaxed)
                .is_ok();
        pool.max_size.min(pool.size + usize::from(tries))
    }

    /// Waits for a connection that others have. While there is none at all, one is being opened for the next call, and that is
    /// waited for beyond the turn.
    async fn waits<T>(
        &self,
        turn: Time,
        time: Time,
        mut free: Pin<&mut impl Future<Output = T>>,
    ) -> Result<T, Failure> {
        let is_empty = || self.pool.status().size == 0;
        let mut came = timeout(turn.left().min(time.left()), free.as_mut()).await;
        if came.is_err() && is_empty() {
            came = timeout(time.left(), free).await;
        }
        came.map_err(|_elapsed| {
            if is_empty() {
                Failure::not_connected()
            } else {
                busy()
            }
        })
    }

    /// A connection of the pool. Waits for one to be free for at most half of the deadline of a statement, which is a quarter of a call's.
    async fn checkout(&self, again: Again, urgency: Urgency, time: Time) -> Result<Held, Failure> {
        // From now on: calls that an outage held up come here all at once.
        let turn = Time::of(time.deadline / 2);
        let most = self.most();
        // Most of what is late waits for a lock, and a write would wait for it too.
        if again == Again::Never && self.settling.refuses(most) {
            return Err(busy());
        }
        // What may not be run twice follows a read.
        let has_begun = again == Again::Never;
        let mut place = self.places.take(urgency, has_begun, most);
        self.waits(turn, time, pin!(place.turn())).await?;
        // Others may have become late meanwhile.
        if again == Again::Never && self.settling.is_full(most) {
            return Err(busy());
        }
        let Some((got, place)) = self.connects.get(place, time.left()).await else {
            meter::connected(false);
            return Err(Failure::not_connected());
        };
        let got = match got {
            // The app uses some of the connections itself, or the last one is being opened for the next call.
            Err(PoolError::Timeout(_)) => {
                // It is large, and seldom needed.
                let mut waits = Box::pin(self.pool.timeout_get(&UNLIMITED));
                self.waits(turn, time, waits.as_mut()).await?
            }
            got => got,
        };
        match got.map_err(Failure::of_pool) {
            Ok(client) => {
                let settling = self.settling.clone();
                let held = Held::new(client, place, settling, most, again == Again::Harmless);
                if held.is_new {
                    self.full.store(0, Relaxed);
                }
                Ok(held)
            }
            Err(failure) => {
                if failure.of == Of::Server {
                    meter::connected(false);
                }
                Err(failure)
            }
        }
    }
}

fn busy() -> Failure {
    meter::busy();
    Failure::busy()
}

/// Whether trying again is right, and may help.
fn may_follow(failure: &Failure, again: Again) -> bool {
    let may = failure.nothing_ran || again == Again::Harmless;
    may && match failure.of {
        Of::Statement => failure.lost && again == Again::Harmless,
        // The gate says when, and whether.
        Of::Connection | Of::Server => true,
        Of::Pool => false,
    }
}
