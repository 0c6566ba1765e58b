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
    settling::Settling,
    sql::Statement,
};
use crate::{model::clock::Monotonic, store::meter::postgres as meter};

/// What a statement is run with: the value of each parameter. The statement's own list has their types.
pub(super) type Value<'a> = &'a (dyn ToSql + Sync);

/// A statement and its values.
pub(super) struct Call<'a> {
    pub(super) statement: &'a Statement,
    pub(super) values: &'a [Value<'a>],
    pub(super) prepares: bool,
}

impl Call<'_> {
    async fn send(&self, client: &Client) -> Result<Vec<Row>, tokio_postgres::Error> {
        let Statement { sql, types } = self.statement;
        if self.prepares {
            // Once for each connection: planning costs the server more than running.
            let statement = client.prepare_typed_cached(sql, types).await?;
            return client.query(&statement, self.values).await;
        }
        let types = types.iter().cloned();
        let values: Vec<(Value<'_>, Type)> = self.values.iter().copied().zip(types).collect();
        client.query_typed(sql, &values).await
    }
}

/// A connection in use. If its call does not come to its end, it goes back into the pool after the answer: until then the
/// server works for it.
pub(super) struct Held {
    client: Option<Client>,
    pub(super) is_new: bool,
    /// It is of no use any more.
    is_broken: bool,
    /// Goes to the next call once the connection is back in the pool.
    place: Option<Place>,
    since: i64,
    settling: Settling,
    /// How many places there are.
    places: usize,
    /// Its statement changes no session.
    harmless: bool,
}

impl Held {
    pub(super) fn new(
        client: Client,
        place: Place,
        settling: Settling,
        places: usize,
        harmless: bool,
    ) -> Self {
        let is_new = Client::metrics(&client).recycle_count == 0;
        if is_new {
            meter::connected(true);
        }
        meter::took_place();
        Self {
            is_new,
            client: Some(client),
            is_broken: false,
            place: Some(place),
            since: Monotonic::now().as_millis(),
            settling,
            places,
            harmless,
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
        let prepared = call.prepares;
        self.comes(
            answer,
            |failure| failure.if_it(stays).prepared(prepared),
            |rows| fails(rows),
        )
    }

    pub(super) async fn batch(&mut self, sql: &str, within: Duration) -> Result<(), Failure> {
        let Some(client) = &self.client else {
            return Err(Failure::busy());
        };
        let answer = time::timeout(within, client.batch_execute(sql)).await;
        self.comes(answer, |failure| failure, |()| None)
    }

    /// After a whole answer the connection goes back into the pool.
    fn comes<T>(
        &mut self,
        answer: Result<Result<T, tokio_postgres::Error>, Elapsed>,
        failed: impl Fn(Failure) -> Failure,
        fails: impl Fn(&T) -> Option<Failure>,
    ) -> Result<T, Failure> {
        let answer = match answer {
            Ok(Ok(answer)) => fails(&answer).map_or(Ok(answer), Err),
            Ok(Err(error)) => Err(failed(Failure::of(error))),
            Err(_elapsed) => {
                meter::given_up();
                return Err(Failure::silent());
            }
        };
        match &answer {
            Err(failure) if failure.of != Of::Statement => self.is_broken = true,
            _ => self.client = None,
        }
        answer
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match (self.client.take(), self.place.take()) {
            (Some(client), Some(place)) if !self.is_broken => {
                let settling = &self.settling;
                settling.settle(client, place, self.since, self.places, self.harmless);
                return;
            }
            (Some(client), _place) => drop(Client::take(client)),
            (None, _place) => {}
        }
        meter::gave_place();
    }
}
