//! Connections that take longer to open than a call may wait.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_postgres::{Client, Pool, PoolError, Timeouts};
use tokio::{runtime::Handle, sync::Notify, time};

use super::{failure::Failure, gate::Gate, listen::unless, places::Place};
use crate::store::meter::postgres as meter;

/// How long a connection that no call waits for may take: a server that wakes up, or that is far away, takes seconds. A
/// server that is silent keeps one place of the pool for that time.
const LONGEST: Duration = Duration::from_secs(5);

/// Waits for nothing by itself: a pool without a runtime has no timers.
const AT_ONCE: Timeouts = Timeouts {
    wait: Some(Duration::ZERO),
    create: None,
    recycle: None,
};

type Got = Result<Client, PoolError>;
type Getting = Pin<Box<dyn Future<Output = Got> + Send>>;

/// Takes connections out of the pool, which opens them.
///
/// If a call goes away while its connection is being opened, that goes on, for one connection at a time. The next call finds it
/// in the pool. Otherwise a server to which connecting takes longer than a call may wait could never be used.
#[derive(Debug)]
pub(super) struct Connects {
    pool: Pool,
    gate: Arc<Gate>,
    /// Whether one is being opened that no call waits for.
    beside: AtomicBool,
    /// Such a one is in the pool.
    opened: Notify,
}

/// A connection on its way, and the place of its call.
struct Opening<'a> {
    connects: &'a Arc<Connects>,
    /// `None`: it is there, or was not begun.
    getting: Option<Getting>,
    place: Option<Place>,
}

/// The one that no call waits for.
struct Beside(Arc<Connects>);

impl Connects {
    pub(super) fn new(pool: Pool, gate: Arc<Gate>) -> Self {
        Self {
            pool,
            gate,
            beside: AtomicBool::new(false),
            opened: Notify::new(),
        }
    }

    /// A connection, unless all of the pool are in use. `None`: it was not there within this time.
    pub(super) async fn get(
        self: &Arc<Self>,
        place: Place,
        within: Duration,
    ) -> Option<(Got, Place)> {
        let mut opening = Opening {
            connects: self,
            getting: None,
            place: Some(place),
        };
        let got = time::timeout(within, opening.got()).await.ok()?;
        Some((got, opening.place.take()?))
    }

    fn getting(&self) -> Getting {
        let pool = self.pool.clone();
        Box::pin(async move { pool.timeout_get(&AT_ONCE).await })
    }
}

impl Opening<'_> {
    async fn got(&mut self) -> Got {
        loop {
            let getting = self.getting.get_or_insert_with(|| self.connects.getting());
            let got = unless(self.connects.opened.notified(), getting.as_mut()).await;
            self.getting = None;
            // Otherwise another one is in the pool, and this call takes that.
            if let Some(got) = got {
                return got;
            }
        }
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let (Some(getting), Some(place)) = (self.getting.take(), self.place.take()) else {
            return;
        };
        // Without a runtime nobody can wait.
        if let Ok(runtime) = Handle::try_current()
            && !self.connects.beside.swap(true, SeqCst)
        {
            runtime.spawn(Beside(Arc::clone(self.connects)).finish(getting, place));
        }
    }
}

impl Beside {
    async fn finish(self, getting: Getting, place: Place) {
        match time::timeout(LONGEST, getting).await {
            Ok(Ok(client)) => {
                if Client::metrics(&client).recycle_count == 0 {
                    meter::connected(true);
                }
                // Into the pool.
                drop(client);
                self.0.opened.notify_one();
                self.0.gate.opened_beside();
            }
            Ok(Err(error)) => self.0.gate.failed_beside(Failure::of_pool(error)),
            Err(_elapsed) => {}
        }
        drop(place);
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        self.0.beside.store(false, SeqCst);
    }
}
