//! Connections that still run a statement for which no call waits any more.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_postgres::{
    Client, ClientWrapper,
    tokio_postgres::{CancelToken, NoTls},
};
use tokio::{runtime::Handle, sync::watch, time};

use super::{listen::unless, places::Place};
use crate::{
    model::clock::{Monotonic, millis},
    store::meter::postgres as meter,
};

#[cfg(test)]
mod tests;

/// How long such a statement keeps its place: a lock of the table may last. A connection on a way that forgot it never
/// gets an answer.
pub(super) const LONGEST: Duration = Duration::from_secs(60);

/// How many changes may be waited for without a place after that.
const BESIDE: usize = 4;

const NEVER: i64 = i64::MIN;

/// Connections whose call ended before its statement did: the caller went away, or the time was over.
///
/// A connection that were closed instead would leave a process of the server behind that waits, for a lock for example. So
/// it keeps its place, and goes back into the pool once the statement is answered. A read that takes too long is cancelled, and
/// its connection closed. The cancel request is not encrypted, so none is sent if the pool insists on TLS.
///
/// A change is never cancelled. Its connection stays open until it is answered or breaks, so the server has no more
/// processes than the pool has places, and [`BESIDE`]. So many give their place to another call after [`LONGEST`]: if the
/// server was replaced by another one, the operating system takes a quarter of an hour to notice that the way is dead.
#[derive(Clone, Debug)]
pub(super) struct Settling(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// After this time a statement is late.
    soon: Duration,
    /// After this time more it gives its place away.
    longest: Duration,
    late: AtomicUsize,
    /// How many of the late ones keep their place for longer, because enough others gave theirs away.
    kept: AtomicUsize,
    /// How many changes are waited for without a place.
    beside: AtomicUsize,
    /// How long a write may take until it is late and counts, in ms.
    counts: i64,
    /// A write was late for long, and none was answered since: when a write last tried whether one is, in ms.
    tried: AtomicI64,
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

/// One that a number counts, until it is dropped.
struct Counted {
    settling: Settling,
    number: Number,
}

type Number = fn(&Inner) -> &AtomicUsize;

const LATE: Number = |inner| &inner.late;
const KEPT: Number = |inner| &inner.kept;
const WITHOUT_PLACE: Number = |inner| &inner.beside;

/// What became of a statement that was waited for.
enum Came<T> {
    Answer(T),
    /// It takes too long.
    Nothing,
    /// It takes too long, and is waited for without a place.
    Beside(Counted),
}

impl Settling {
    /// For statements that have so long. A late one gives its place away after `longest`.
    pub(super) fn new(deadline: Duration, longest: Duration) -> Self {
        Self(Arc::new(Inner {
            soon: deadline / 4,
            longest,
            late: AtomicUsize::new(0),
            kept: AtomicUsize::new(0),
            beside: AtomicUsize::new(0),
            counts: millis(deadline.saturating_mul(2)),
            tried: AtomicI64::new(NEVER),
            emptied: watch::Sender::new(i64::MIN),
        }))
    }

    /// Whether as many statements are late as may be, so that a write must not wait too. One place of several is left for
    /// reads, which wait for fewer locks.
    ///
    /// Once a write was late for long, only one write at a time finds out whether writes are answered again. After
    /// `longest` it is the turn of another one, as long as there are places: the way of the first may be dead.
    pub(super) fn refuses(&self, places: usize) -> bool {
        let tried = self.0.tried.load(SeqCst);
        if self.is_full(places) || tried == NEVER {
            return self.is_full(places);
        }
        let now = Monotonic::now().as_millis();
        let tries = || {
            self.0
                .tried
                .compare_exchange(tried, now, SeqCst, SeqCst)
                .is_ok()
        };
        let is_tried = self.0.late.load(SeqCst) > self.0.kept.load(SeqCst);
        is_tried || now.saturating_sub(tried) < self.0.counts || !tries()
    }

    /// Whether as many statements are late as may be.
    pub(super) fn is_full(&self, places: usize) -> bool {
        self.0.late.load(SeqCst) >= most(places)
    }

    /// A write was answered.
    pub(super) fn works(&self) {
        if self.0.tried.load(SeqCst) != NEVER {
            self.0.tried.store(NEVER, SeqCst);
        }
    }

    /// A write was late for long.
    fn waits_long(&self) {
        let began = Monotonic::now().as_millis().saturating_sub(self.0.counts);
        let tried = &self.0.tried;
        let _ = tried.compare_exchange(NEVER, began, SeqCst, SeqCst);
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
        let (mut is_answered, mut beside) = (false, None);
        {
            let given_up = async {
                let _ = emptied.wait_for(|at| *at > since).await;
            };
            // The server answers in order.
            let answer = unless(given_up, client.check_connection());
            let mut answer = std::pin::pin!(answer);
            match self.wait(answer.as_mut(), places, one.harmless).await {
                Came::Answer(Some(answer)) => {
                    if answer.is_ok() && !one.harmless {
                        self.works();
                    }
                    is_answered = answer.is_ok();
                }
                // The connection does not go back: the cancel request may arrive after the answer, and end another statement.
                Came::Nothing if one.harmless && self.cancel(&cancels).await => {
                    let _ = time::timeout(self.0.soon, answer).await;
                }
                Came::Beside(counted) => beside = Some(counted),
                Came::Answer(None) | Came::Nothing => {}
            }
        }
        if is_answered {
            one.client = None;
        } else if let Some(_counted) = beside {
            if let Some(client) = one.detach()
                && client.check_connection().await.is_ok()
            {
                self.works();
            }
        } else if *emptied.borrow() > since {
            // The next call has its place. If only this statement had no answer, the server still works for it.
            one.leave();
            if one.harmless {
                self.cancel(&cancels).await;
            }
        }
    }

    /// Waits as long as it may for this answer.
    async fn wait<T>(
        &self,
        mut answer: Pin<&mut impl Future<Output = T>>,
        places: usize,
        harmless: bool,
    ) -> Came<T> {
        if let Ok(answer) = time::timeout(self.0.soon, answer.as_mut()).await {
            return Came::Answer(answer);
        }
        let mut late = self.count(LATE, most(places));
        if late.is_some() {
            if let Ok(answer) = time::timeout(self.0.longest, answer.as_mut()).await {
                return Came::Answer(answer);
            }
            if !harmless {
                self.waits_long();
            }
        }
        if harmless {
            return Came::Nothing;
        }
        if let Some(counted) = self.count(WITHOUT_PLACE, BESIDE) {
            return Came::Beside(counted);
        }
        if late.is_none() {
            late = self.count(LATE, usize::MAX);
        }
        let _counted = (late, self.count(KEPT, usize::MAX));
        Came::Answer(answer.await)
    }

    /// Asks the server to stop the statement. A connection that is closed would leave a process of the server behind, which
    /// waits until the lock is free.
    async fn cancel(&self, token: &CancelToken) -> bool {
        let cancels = time::timeout(self.0.soon, token.cancel_query(NoTls));
        matches!(cancels.await, Ok(Ok(())))
    }

    /// Counts one more, if there are fewer than so many.
    fn count(&self, number: Number, most: usize) -> Option<Counted> {
        let more = |count| (count < most).then_some(count + 1);
        let counted = number(&self.0).fetch_update(SeqCst, SeqCst, more);
        counted.is_ok().then(|| Counted {
            settling: self.clone(),
            number,
        })
    }
}

fn most(places: usize) -> usize {
    places.saturating_sub(1).max(1)
}

impl Drop for Counted {
    fn drop(&mut self) {
        (self.number)(&self.settling.0).fetch_sub(1, SeqCst);
    }
}

impl One {
    fn leave(&mut self) {
        if self.place.take().is_some() {
            meter::gave_place();
        }
    }

    /// Gives the place to the next call, and takes the connection out of the pool.
    fn detach(&mut self) -> Option<ClientWrapper> {
        let client = self.client.take().map(Client::take);
        self.leave();
        client
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
