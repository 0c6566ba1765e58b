//! Connections that still run a statement for which no call waits any more.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_postgres::{
    Client,
    tokio_postgres::{CancelToken, NoTls},
};
use tokio::{runtime::Handle, sync::watch, time};

use super::{listen::unless, places::Place};
use crate::{model::clock::Monotonic, store::meter::postgres as meter};

/// How long the answer to such a statement is waited for: a lock of the table may last. A connection on a way that forgot
/// it never gets one.
const LONGEST: Duration = Duration::from_secs(60);

/// Connections whose call ended before its statement did: the caller went away, or the time was over.
///
/// A connection that were closed instead would leave a process of the server behind that waits, for a lock for example. So
/// it keeps its place, and goes back into the pool once the statement is answered. A read that takes too long is cancelled. The
/// cancel request is not encrypted, so none is sent if the pool insists on TLS.
#[derive(Clone, Debug)]
pub(super) struct Settling(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// After this time a statement is late.
    soon: Duration,
    late: AtomicUsize,
    /// When the connections of the pool were found to lead nowhere, in ms.
    emptied: watch::Sender<i64>,
}

/// One of them. Unless its statement is answered, it leaves the pool.
struct One {
    client: Option<Client>,
    place: Option<Place>,
    /// Its statement changes no session, so it may be cancelled.
    ///
    /// A change that waits for a synchronous standby would take effect by that without it: the next call finds it made, and
    /// acknowledges what a failover can undo.
    harmless: bool,
}

/// One of the late ones.
struct Late(Settling);

impl Settling {
    pub(super) fn new(soon: Duration) -> Self {
        Self(Arc::new(Inner {
            soon,
            late: AtomicUsize::new(0),
            emptied: watch::Sender::new(i64::MIN),
        }))
    }

    /// Whether as many statements are late as may be. One place of several is left for reads, which wait for fewer locks.
    pub(super) fn are_many(&self, places: usize) -> bool {
        self.0.late.load(SeqCst) >= most(places)
    }

    /// The way of the connections in use until now leads nowhere.
    pub(super) fn give_up(&self) {
        self.0.emptied.send_replace(Monotonic::now().as_millis());
    }

    /// Waits until the statement of this connection is answered, and gives it back to the pool.
    ///
    /// `since`: when it was taken out, in ms. `places`: how many there are. `harmless`: it changes no session.
    pub(super) fn settle(
        &self,
        client: Client,
        place: Place,
        since: i64,
        places: usize,
        harmless: bool,
    ) {
        let one = One {
            client: Some(client),
            place: Some(place),
            harmless,
        };
        // Without a runtime nobody can wait, and if it ends, its tasks are dropped.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(self.clone().settles(one, since, places));
        }
    }

    async fn settles(self, mut one: One, since: i64, places: usize) {
        let Some(client) = &one.client else {
            return;
        };
        let (mut emptied, cancels) = (self.0.emptied.subscribe(), client.cancel_token());
        let is_answered = {
            let given_up = async {
                let _ = emptied.wait_for(|at| *at > since).await;
            };
            // The server answers in order.
            let answer = unless(given_up, client.check_connection());
            let mut answer = std::pin::pin!(answer);
            match self.wait(answer.as_mut(), places).await {
                Some(Some(answer)) => answer.is_ok(),
                // All of it before the connection goes back: a cancel request that comes late would end another statement.
                None if one.harmless && self.cancel(&cancels).await => {
                    let answer = time::timeout(self.0.soon, answer).await;
                    matches!(answer, Ok(Some(Ok(()))))
                }
                Some(None) | None => false,
            }
        };
        if is_answered {
            one.client = None;
        } else if *emptied.borrow() > since {
            // The next call has its place. If only this statement had no answer, the server still works for it.
            one.leave();
            if one.harmless {
                self.cancel(&cancels).await;
            }
        }
    }

    /// Waits as long as it may for this answer. `None`: it did not come.
    async fn wait<T>(
        &self,
        mut answer: Pin<&mut impl Future<Output = T>>,
        places: usize,
    ) -> Option<T> {
        if let Ok(answer) = time::timeout(self.0.soon, answer.as_mut()).await {
            return Some(answer);
        }
        let _late = self.late(places)?;
        time::timeout(LONGEST, answer).await.ok()
    }

    /// Asks the server to stop the statement. A connection that is closed would leave a process of the server behind, which
    /// waits until the lock is free.
    async fn cancel(&self, token: &CancelToken) -> bool {
        let cancels = time::timeout(self.0.soon, token.cancel_query(NoTls));
        matches!(cancels.await, Ok(Ok(())))
    }

    fn late(&self, places: usize) -> Option<Late> {
        let more = |late| (late < most(places)).then_some(late + 1);
        let late = self.0.late.fetch_update(SeqCst, SeqCst, more);
        late.is_ok().then(|| Late(self.clone()))
    }
}

fn most(places: usize) -> usize {
    places.saturating_sub(1).max(1)
}

impl Drop for Late {
    fn drop(&mut self) {
        self.0.0.late.fetch_sub(1, SeqCst);
    }
}

impl One {
    fn leave(&mut self) {
        if self.place.take().is_some() {
            meter::gave_place();
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.leave();
        if let Some(client) = self.client.take() {
            drop(Client::take(client));
        }
    }
}
