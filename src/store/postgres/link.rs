//! One statement on a connection of the pool, within a deadline.

use std::time::Duration;

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
};
use crate::{model::clock::Monotonic, store::StoreError};

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

/// The way to the server.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) pool: Pool,
    pub(super) deadline: Duration,
    /// Whether each connection keeps its statements prepared.
    prepares: bool,
    gate: Gate,
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
            let failure = match self.checkout(began).await {
                Ok(mut held) => {
                    sent += 1;
                    match held.send(&call, self.left(began)).await {
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
        let failure = match self.checkout(began).await {
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

    /// Leaves a server that answers and is of no use.
    pub(super) fn leave(&self, failure: Failure) -> StoreError {
        self.pool.retain(|_, _| false);
        self.gate.failed(failure)
    }

    /// Opens or closes the gate.
    fn note(&self, failure: Failure, began: Monotonic) -> Missed {
        let (nothing_ran, lost) = (failure.nothing_ran, failure.lost);
        let error = match failure.of {
            Of::Statement => {
                self.gate.answered();
                failure.error()
            }
            Of::Pool => failure.error(),
            Of::Connection => {
                if failure.demoted {
                    // The others lead to the same server.
                    self.pool.retain(|_, _| false);
                }
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
    async fn checkout(&self, began: Monotonic) -> Result<Held, Failure> {
        let got = time::timeout(self.left(began), self.pool.timeout_get(&AT_ONCE)).await;
        let got = match got {
            Ok(Err(PoolError::Timeout(_))) => {
                let turn = (self.deadline / 4).saturating_sub(began.elapsed());
                let waits = time::timeout(turn, self.pool.timeout_get(&UNLIMITED));
                waits.await.map_err(|_elapsed| Failure::busy())?
            }
            Ok(got) => got,
            Err(_elapsed) => return Err(Failure::not_connected()),
        };
        got.map(Held::new).map_err(Failure::of_pool)
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
struct Held {
    client: Option<Client>,
    is_new: bool,
}

impl Held {
    fn new(client: Client) -> Self {
        Self {
            is_new: Client::metrics(&client).recycle_count == 0,
            client: Some(client),
        }
    }

    async fn send(&mut self, call: &Call<'_>, within: Duration) -> Result<Vec<Row>, Failure> {
        let Some(client) = &self.client else {
            return Err(Failure::busy());
        };
        let answer = time::timeout(within, call.send(client)).await;
        self.comes(answer)
    }

    async fn batch(&mut self, sql: &str, within: Duration) -> Result<(), Failure> {
        let Some(client) = &self.client else {
            return Err(Failure::busy());
        };
        let answer = time::timeout(within, client.batch_execute(sql)).await;
        self.comes(answer)
    }

    /// After a whole answer the connection goes back into the pool.
    fn comes<T>(
        &mut self,
        answer: Result<Result<T, tokio_postgres::Error>, Elapsed>,
    ) -> Result<T, Failure> {
        let answer = match answer {
            Ok(answer) => answer.map_err(Failure::of),
            Err(_elapsed) => Err(Failure::silent()),
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

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }
}
