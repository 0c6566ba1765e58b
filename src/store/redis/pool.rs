//! The pools that a store can be built from, and the connections that come out of them.

use std::{fmt, time::Duration};

use deadpool_redis::{
    Connection as NodeCheckout, Pool, PoolError,
    cluster::{self, ClusterConnection},
    redis::{Cmd, RedisResult, Value, aio::MultiplexedConnection},
    sentinel,
};

/// A pool of any of deadpool-redis's three types: one node, Cluster, Sentinel.
#[derive(Clone)]
pub struct RedisPool(Kind);

/// What [`RedisStore::new`](crate::RedisStore::new) takes: a pool of the deadpool-redis that this crate uses,
/// which is `tower_user_sessions::deadpool_redis`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a pool of the deadpool-redis that the store uses",
    label = "not a pool of deadpool-redis 0.23",
    note = "a pool of another version is another type: write `deadpool-redis = \"0.23\"` in Cargo.toml",
    note = "or use the version that comes with this crate: `tower_user_sessions::deadpool_redis`"
)]
pub trait IntoRedisPool {
    /// The pool.
    fn into_redis_pool(self) -> RedisPool;
}

// The message above is about pools; the one about `Into` is not.
#[diagnostic::do_not_recommend]
impl<P: Into<RedisPool>> IntoRedisPool for P {
    fn into_redis_pool(self) -> RedisPool {
        self.into()
    }
}

#[derive(Clone)]
enum Kind {
    Node(Pool),
    Cluster(cluster::Pool),
    Sentinel(sentinel::Pool),
}

/// A shared connection: its clones write into the same socket (per node).
#[derive(Clone)]
pub(super) enum Connection {
    Node(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl RedisPool {
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.0, Kind::Cluster(_))
    }

    /// Takes a connection out of the pool for good: what is checked out and given back costs a round
    /// trip each time, and serves one request at a time.
    pub(super) async fn take(&self, patience: Duration) -> Result<Connection, PoolError> {
        let mut connection = match &self.0 {
            Kind::Node(pool) => NodeCheckout::take(pool.get().await?),
            Kind::Sentinel(pool) => sentinel::Connection::take(pool.get().await?),
            Kind::Cluster(pool) => {
                let connection = cluster::Connection::take(pool.get().await?);
                return Ok(Connection::Cluster(connection));
            }
        };
        // One deadline decides, the store's: a `create` tells the server up to when it may run.
        connection.set_response_timeout(patience);
        Ok(Connection::Node(connection))
    }
}

impl Connection {
    pub(super) async fn send(&mut self, cmd: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Node(connection) => cmd.query_async(connection).await,
            Self::Cluster(connection) => cmd.query_async(connection).await,
        }
    }
}

impl From<Pool> for RedisPool {
    fn from(pool: Pool) -> Self {
        Self(Kind::Node(pool))
    }
}

impl From<cluster::Pool> for RedisPool {
    fn from(pool: cluster::Pool) -> Self {
        Self(Kind::Cluster(pool))
    }
}

impl From<sentinel::Pool> for RedisPool {
    fn from(pool: sentinel::Pool) -> Self {
        Self(Kind::Sentinel(pool))
    }
}

/// What a pool holds may include a password.
impl fmt::Debug for RedisPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Node(_) => "RedisPool(Node)",
            Kind::Cluster(_) => "RedisPool(Cluster)",
            Kind::Sentinel(_) => "RedisPool(Sentinel)",
        })
    }
}
