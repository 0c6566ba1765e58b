//! A connection of the pool while a call has it.

use std::time::Duration;

use deadpool_postgres::{
    Client,
    tokio_postgres::{
        self, Row,
        types::{ToSql, Type},
    },
};
use tokio::time::{self, error::Elapsed};

use super::{
    failure::{Failure, Of},
    places::Place,
};
use crate::store::meter::postgres as meter;

/// What a statement is run with: the value of each parameter. The statement's own list has their types.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// A statement and its values.
pub(super) struct Call<'a> {
    pub(super) sql: &'a str,
    pub(super) types: &'a [Type],
    pub(super) values: &'a [Value<'a>],
    pub(super) prepares: bool,
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
pub(super) struct Held<'a> {
    client: Option<Client>,
    pub(super) is_new: bool,
    /// Goes to the next call once the connection is back in the pool.
    _place: Place<'a>,
}

impl<'a> Held<'a> {
    pub(super) fn new(client: Client, place: Place<'a>) -> Self {
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
    pub(super) async fn send(
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

    pub(super) async fn batch(&mut self, sql: &str, within: Duration) -> Result<(), Failure> {
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
