//! Sessions in Redis or Valkey, shared by all nodes.

use std::{sync::Arc, time::Duration};

use super::{
    Create, Created, End, Ended, List, Resolve, Resolved, Save, Saved, SessionStore, StoreError,
};
use crate::model::{Clock, Record};

/// A pool of any of deadpool-redis's three types.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "draft")]
pub struct RedisPool(Pools);

#[derive(Clone)]
enum Pools {
    Single(deadpool_redis::Pool),
    Cluster(deadpool_redis::cluster::Pool),
    Sentinel(deadpool_redis::sentinel::Pool),
}

impl From<deadpool_redis::Pool> for RedisPool {
    fn from(pool: deadpool_redis::Pool) -> Self {
        Self(Pools::Single(pool))
    }
}

impl From<deadpool_redis::cluster::Pool> for RedisPool {
    fn from(pool: deadpool_redis::cluster::Pool) -> Self {
        Self(Pools::Cluster(pool))
    }
}

impl From<deadpool_redis::sentinel::Pool> for RedisPool {
    fn from(pool: deadpool_redis::sentinel::Pool) -> Self {
        Self(Pools::Sentinel(pool))
    }
}

/// Keeps sessions in Redis.
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "draft")]
pub struct RedisStore(Arc<RedisPool>);

impl RedisStore {
    /// A store with the defaults.
    pub fn new(pool: impl Into<RedisPool>) -> Self {
        Self::builder(pool).build()
    }

    /// Settings.
    pub fn builder(pool: impl Into<RedisPool>) -> RedisStoreBuilder {
        RedisStoreBuilder(pool.into())
    }
}

/// Settings of a [`RedisStore`].
#[derive(Clone)]
#[allow(missing_debug_implementations, reason = "draft")]
pub struct RedisStoreBuilder(RedisPool);

impl RedisStoreBuilder {
    /// The key prefix. Default `sessions`.
    pub fn prefix(self, _prefix: &str) -> Self {
        self
    }
    /// One deadline for checkout and call. Default 1 s.
    pub fn deadline(self, _deadline: Duration) -> Self {
        self
    }
    /// How long notices are kept. Default 1 h.
    pub fn notice_kept(self, _kept: Duration) -> Self {
        self
    }
    /// Derives tags under this key.
    pub fn tag_key(self, _key: impl Into<Vec<u8>>) -> Self {
        self
    }
    /// Clock for tests; passed to the scripts.
    pub fn clock(self, _clock: impl Into<Clock>) -> Self {
        self
    }
    /// The store.
    pub fn build(self) -> RedisStore {
        RedisStore(Arc::new(self.0))
    }
}

impl SessionStore for RedisStore {
    async fn resolve(&self, _: &Resolve) -> Result<Resolved, StoreError> {
        todo!()
    }
    async fn create(&self, _: &Create) -> Result<Created, StoreError> {
        todo!()
    }
    async fn save(&self, _: &Save) -> Result<Saved, StoreError> {
        todo!()
    }
    async fn list(&self, _: &List) -> Result<Vec<Record>, StoreError> {
        todo!()
    }
    async fn end(&self, _: &End) -> Result<Ended, StoreError> {
        todo!()
    }
}
