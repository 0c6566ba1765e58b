//! Compiles the methods of each store once, in this crate. Otherwise each program that uses a store compiles them again.
//!
//! With optimisation each program compiles them anyway, so this is for builds without it.

#[cfg(feature = "file")]
use super::FileStore;
#[cfg(feature = "postgres")]
use super::PostgresStore;
#[cfg(feature = "redis")]
use super::RedisStore;
use super::{MemoryStore, SharedStore};

static _MEMORY: fn(MemoryStore) -> SharedStore = SharedStore::from;
#[cfg(feature = "file")]
static _FILE: fn(FileStore) -> SharedStore = SharedStore::from;
#[cfg(feature = "postgres")]
static _POSTGRES: fn(PostgresStore) -> SharedStore = SharedStore::from;
#[cfg(feature = "redis")]
static _REDIS: fn(RedisStore) -> SharedStore = SharedStore::from;
