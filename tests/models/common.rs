//! What the tests of the whole workspace share, as far as these need it.

#![allow(
    dead_code,
    unreachable_pub,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "no test file uses all of it"
)]

#[path = "../common/http.rs"]
pub mod http;
#[path = "../common/postgres.rs"]
pub mod postgres;
#[path = "../common/redis.rs"]
pub mod redis;
#[path = "../common/shelf/mod.rs"]
pub mod shelf;

use std::time::Duration;

use tower_user_sessions::{PostgresStore, RedisStore, store::ManualClock};

use crate::model::NOTICE_KEPT;

/// All on this thread: to wake another one for each reply of a server takes as long as the reply.
pub fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// A store with what the model assumes, whose calls wait for long: the deadline is not what the histories are about.
pub fn redis_store(pool: deadpool_redis::Pool, clock: &ManualClock) -> RedisStore {
    redis::patient(pool)
        .clock(clock.clone())
        .notice_kept(NOTICE_KEPT)
        .build()
}

/// The same on PostgreSQL, where each activity is written.
pub fn postgres_store(pool: deadpool_postgres::Pool, clock: &ManualClock) -> PostgresStore {
    postgres::patient(pool)
        .clock(clock.clone())
        .notice_kept(NOTICE_KEPT)
        .activity_every(Duration::ZERO)
        .build()
}

/// Waits until a store on PostgreSQL does nothing in the background any more.
///
/// A deletion of what expired has the time at which it began. If the next history begins at an earlier time, the deletion
/// would take from it what has not expired yet.
pub async fn settled(pool: &deadpool_postgres::Pool) {
    let tasks = tokio::runtime::Handle::current().metrics();
    for _ in 0..20_000 {
        // Each connection has a task of its own.
        if tasks.num_alive_tasks() <= pool.status().size {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("{} tasks do not end", tasks.num_alive_tasks());
}

/// A directory that is deleted after the test. It is in memory, where a commit takes no disk.
pub fn temporary() -> tempfile::TempDir {
    let memory = std::path::Path::new("/dev/shm");
    if memory.is_dir() {
        tempfile::tempdir_in(memory).unwrap()
    } else {
        tempfile::tempdir().unwrap()
    }
}
