//! Stores in memory and in a file, and the layer on them, need no runtime.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake},
    thread::{self, Thread},
};

use tempfile::TempDir;
use tokio::runtime::Handle;
use tower_user_sessions::{
    Everyone, MemoryStore, SessionLayer, UserSessions,
    store::{FileStore, ManualClock, SharedStore, conformance},
};

use crate::common::http::{Client, user};

/// Wakes the thread that waits for a future.
struct Wakes(Thread);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Runs a future on this thread, as an executor without timers and tasks does.
fn run<T>(work: impl Future<Output = T>) -> T {
    assert!(Handle::try_current().is_err());
    let waker = Arc::new(Wakes(thread::current())).into();
    let (mut context, mut work) = (Context::from_waker(&waker), pin!(work));
    loop {
        if let Poll::Ready(output) = work.as_mut().poll(&mut context) {
            return output;
        }
        thread::park();
    }
}

#[test]
fn memory_keeps_the_whole_contract_outside_of_a_runtime() {
    run(conformance::all(async |clock: ManualClock| {
        MemoryStore::builder().clock(clock).build()
    }));
}

#[test]
fn requests_and_jobs_are_served_outside_of_a_runtime() {
    let directory = TempDir::new().unwrap();
    let file = FileStore::open(directory.path().join("sessions.db")).unwrap();
    for store in [SharedStore::from(MemoryStore::new()), file.into()] {
        let layer = SessionLayer::new(store.clone());
        run(async {
            let mut phone = Client::signed_in(&layer, "alice").await;
            let mut tablet = Client::signed_in(&layer, "alice").await;
            assert_eq!(phone.user().await.as_deref(), Some("alice"));

            let sessions = UserSessions::new(store.clone(), user("alice"));
            assert_eq!(sessions.count().await.unwrap(), 2);
            assert_eq!(sessions.end_all().await.unwrap(), 2);
            assert_eq!(tablet.user().await, None);

            let mut laptop = Client::signed_in(&layer, "bob").await;
            Everyone::new(store.clone()).end_all().await.unwrap();
            assert_eq!(laptop.user().await, None);
        });
    }
}
