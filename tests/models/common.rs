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

/// All on this thread: to wake another one for each reply of a server takes as long as the reply.
pub fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
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
