//! One statement on a connection of the pool, within a deadline.

use std::{
    sync::atomic::{AtomicI64, Ordering::Relaxed},
    time::Duration,
};

use deadpool_postgres::{
    Client, Pool, PoolError, Timeouts,
    tokio_postgres::{
        self, Row,
        types::{ToSql, Type},
    },
};
use tokio::time::{self, error::Elapsed};

use super::{
    failure::{Failure, Of},
    gate::Gate,
    places::{Place, Places},
};
use crate::{
    model::clock::Monotonic,
    store::{StoreError, Urgency, meter::postgres as meter},
};

/// What a statement is run with: the value of each parameter. The statement's own list has their types.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// Waits for nothing by itself: a pool without a runtime has no timers.
const UNLIMITED: Timeouts = Timeouts::new();
const AT_ONCE: Timeouts = Timeouts {
    wait: Some(Duration::ZERO),
    create: None,
    recycle: None,
};

/// How often a statement is sent in all, if connections break under it.
const SENDS: u32 = 4;

/// A server that takes no writes is left for another one at most once in this time, in ms.
const LEFT: i64 = 1_000;

/// The way to the server.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) pool: Pool,
    pub(super) deadline: Duration,
    /// Whether each connection keeps its statements prepared.
    prepares: bool,
    gate: Gate,
    places: Places,
    /// When a server that takes no writes was left, in ms. `i64::MIN`: none was.
    left: AtomicI64,
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
        Self {
            pool,
            deadline,
            prepares,
            gate: Gate::default(),
            places: Places::default(),
            left: AtomicI64::new(i64::MIN),
        }
    }

    /// Runs a statement, in one round trip unless something goes wrong.
    ///
    /// # Cancel safety
    ///
    /// The statement runs as a whole or not at all. Its connection leaves the pool.
    pub(super) async fn run(
        &self,
        sql: &str,
        types: &[Type],
        values: &[Value<'_>],
        again: Again,
        urgency: Urgency,
    ) -> Result<Vec<Row>, Missed> {
        self.run_unless(sql, types, values, again, urgency, |_| None)
            .await
    }

    /// As [`run`](Self::run). An answer of which a failure is made counts as that failure of its connection.
    pub(super) async fn run_unless(
        &self,
        sql: &str,
        types: &[Type],
        values: &[Value<'_>],
        again: Again,
        urgency: Urgency,
        fails: impl Fn(&[Row]) -> Option<Failure>,
    ) -> Result<Vec<Row>, Missed> {
        let call = Call {
            sql,
            types: types.get(..values.len()).unwrap_or(types),
            values,
            prepares: self.prepares,
        };
        let began = Monotonic::now();
        let mut sent = 0;
        loop {
            let pass = self.gate.enter(self.deadline, began).await?;
            let failure = match self.checkout(urgency, began).await {
                Ok(mut held) => {
                    sent += 1;
                    let stays = self.has_left();
                    match held.send(&call, self.left(began), stays, &fails).await {
                        Ok(rows) => {
                            self.gate.answered();
                            pass.done();
                            return Ok(rows);
                        }
                        Err(failure) => failure.on(held.is_new),
                    }
                }
                Err(failure) => failure,
            };
            let next = self.follows(&failure, again, sent, began);
            let missed = self.note(failure, began);
            // If the gate did not learn what became of the try, the next call tries.
            drop(pass);
            if !next {
                return Err(missed);
            }
        }
    }

    /// Runs several statements in one transaction, once.
    pub(super) async fn batch(&self, sql: &str, within: Duration) -> Result<(), Missed> {
        let began = Monotonic::now();
        let pass = self.gate.enter(self.deadline, began).await?;
        let failure = match self.checkout(Urgency::Other, began).await {
            Ok(mut held) => match held.batch(sql, within).await {
                Ok(()) => {
                    self.gate.answered();
                    pass.done();
                    return Ok(());
                }
                Err(failure) => failure.on(held.is_new),
            },
            Err(failure) => failure,
        };
        let missed = self.note(failure, began);
        drop(pass);
        Err(missed)
    }

    /// Whether the statement is tried again.
    fn follows(&self, failure: &Failure, again: Again, sent: u32, began: Monotonic) -> bool {
        let may = failure.nothing_ran || again == Again::Harmless;
        let helps = match failure.of {
            Of::Statement => failure.lost && again == Again::Harmless,
            // The gate says when, and whether.
            Of::Connection | Of::Server => true,
            Of::Pool => false,
        };
        may && helps && sent < SENDS && !self.left(began).is_zero()
    }

    /// Whether a server that takes no writes was left a moment ago.
    fn has_left(&self) -> bool {
        let left = self.left.load(Relaxed);
        Monotonic::now().as_millis().saturating_sub(left) < LEFT
    }

    /// Opens or closes the gate.
    fn note(&self, failure: Failure, began: Monotonic) -> Missed {
        let (nothing_ran, lost) = (failure.nothing_ran, failure.lost);
        if failure.demoted && failure.of != Of::Statement {
            // The other connections lead to the same server.
            self.pool.retain(|_, _| false);
            self.left.store(Monotonic::now().as_millis(), Relaxed);
        }
        let error = match failure.of {
            Of::Statement => {
                self.gate.answered();
                failure.error()
            }
            Of::Pool => failure.error(),
            Of::Connection => {
                if failure.silent && !self.gate.answered_since(began) {
                    self.gate.failed(failure)
                } else {
                    failure.error()
                }
            }
            Of::Server => self.gate.failed(failure),
        };
        Missed {
            error,
            nothing_ran,
            lost,
        }
    }

    /// A connection of the pool. Waits at most a quarter of the deadline for one to be free.
    async fn checkout(&self, urgency: Urgency, began: Monotonic) -> Result<Held<'_>, Failure> {
        let turn = || (self.deadline / 4).saturating_sub(began.elapsed());
        let busy = |_elapsed| {
            meter::busy();
            Failure::busy()
        };
        let mut place = self.places.take(urgency, self.pool.status().max_size);
        time::timeout(turn(), place.turn()).await.map_err(busy)?;
        let got = time::timeout(self.left(began), self.pool.timeout_get(&AT_ONCE)).await;
        let got = match got {
            // The app uses some of the connections itself.
            Ok(Err(PoolError::Timeout(_))) => {
                let waits = time::timeout(turn(), self.pool.timeout_get(&UNLIMITED));
                waits.await.map_err(busy)?
            }
            Ok(got) => got,
            Err(_elapsed) => {
                meter::connected(false);
                return Err(Failure::not_connected());
            }
        };
        match got.map_err(Failure::of_pool) {
            Ok(client) => Ok(Held::new(client, place)),
            Err(failure) => {
                if failure.of == Of::Server {
                    meter::connected(false);
                }
                Err(failure)
            }
        }
    }

    fn left(&self, began: Monotonic) -> Duration {
        self.deadline.saturating_sub(began.elapsed())
    }
}

/// A statement and its values.
struct Call<'a> {
    sql: &'a str,
    types: &'a [Type],
    values: &'a [Value<'a>],
    prepares: bool,
}

impl Call<'_> {
    async fn send(&self, client: &Client) -> Result<Vec<Row>, tokio_postgres::Error> {
        if self.prepares {
            // Once for each connection: planning costs the server more than running.
            let statement = client.prepare_typed_cached(self.sql, self.types).await?;
            return client.query(&statement, self.values).await;
        }
        let types = self.types.iter().cloned();
        let values: Vec<(Value<'_>, Type)> = self.values.iter().copied().zip(types).collect();
        client.query_typed(self.sql, &values).await
    }
}

/// A connection in use. If its call does not come to its end, it leaves the pool: a reply may be on its way.
struct Held<'a> {
    client: Option<Client>,
    is_new: bool,
    /// Goes to the next call once the connection is back in the pool.
    _place: Place<'a>,
}

impl<'a> Held<'a> {
    fn new(client: Client, place: Place<'a>) -> Self {
        let is_new = Client::metrics(&client).recycle_count == 0;
        if is_new {
            meter::connected(true);
        }
        meter::took_place();
        Self {
            is_new,
            client: Some(client),
            _place: place,
        }
    }

    /// `stays`: if the server takes no writes, another connection leads to the same one.
    async fn send(
        &mut self,
        call: &Call<'_>,
        within: Duration,
        stays: bool,
        fails: impl Fn(&[Row]) -> Option<Failure>,
    ) -> Result<Vec<Row>, Failure> {
        let Some(client) = &self.client else {
            return Err(Failure::busy());
        };
        let answer = time::timeout(within, call.send(client)).await;
        self.comes(answer, stays, |rows| fails(rows))
    }

    async fn batch(&mut self, sql: &str, within: Duration) -> Result<(), Failure> {
        let Some(client) = &self.client else {
            return Err(Failure::busy());
        };
        let answer = time::timeout(within, client.batch_execute(sql)).await;
        self.comes(answer, false, |()| None)
    }

    /// After a whole answer the connection goes back into the pool.
    fn comes<T>(
        &mut self,
        answer: Result<Result<T, tokio_postgres::Error>, Elapsed>,
        stays: bool,
        fails: impl Fn(&T) -> Option<Failure>,
    ) -> Result<T, Failure> {
        let answer = match answer {
            Ok(Ok(answer)) => fails(&answer).map_or(Ok(answer), Err),
            Ok(Err(error)) => Err(Failure::of(error).if_it(stays)),
            Err(_elapsed) => {
                meter::given_up();
                Err(Failure::silent())
            }
        };
        if answer
            .as_ref()
            .map_or_else(|failure| failure.of == Of::Statement, |_| true)
        {
            self.client = None;
        }
        answer
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        meter::gave_place();
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }
}
