//! An open connection, as the client library has it.

use deadpool_redis::{
    cluster::ClusterConnection,
    redis::{
        Cmd, Pipeline, RedisResult, Value,
        aio::{ConnectionLike, MultiplexedConnection},
    },
};

use super::super::sentinel::Named;

/// A connection that was opened just now.
pub(in super::super::super) struct Opened {
    pub(in super::super::super) wire: Wire,
    /// What the sentinels said.
    pub(in super::super) named: Option<Named>,
}

/// An open connection: its clones write into the same socket (per node of a Cluster).
#[derive(Clone)]
pub(in super::super::super) enum Wire {
    One(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    pub(in super::super::super) async fn send(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        let value = match self {
            // Not as a `ConnectionLike`, which would box the future.
            Self::One(connection) => connection.send_packed_command(cmd).await,
            Self::Cluster(connection) => connection.req_packed_command(cmd).await,
        };
        value?.extract_error()
    }

    /// The number of its database.
    pub(in super::super) fn database(&self) -> i64 {
        match self {
            Self::One(connection) => connection.get_db(),
            Self::Cluster(_) => 0,
        }
    }

    /// Sends `ASKING` and the command in one.
    pub(in super::super) async fn send_asking(&mut self, command: Cmd) -> RedisResult<Value> {
        let Self::One(connection) = self else {
            return self.send(&command).await;
        };
        let mut both = Pipeline::with_capacity(2);
        both.cmd("ASKING").add_command(command);
        let mut last = Value::Nil;
        for answer in connection.send_packed_commands(&both, 0, 2).await? {
            last = answer.extract_error()?;
        }
        Ok(last)
    }
}
