//! Two processes on one backend, and a backend that cannot be reached.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    sync::mpsc,
    task::Poll,
    thread,
    time::Duration,
};

use super::{Trial, broken, id};
use crate::{
    model::clock::Monotonic,
    store::{SetStorage, StoreErrorKind, Written, conformance::join::together},
};

/// How long a call may take while the backend cannot be reached, and after that until one is answered.
const MOST: Duration = Duration::from_secs(5);

/// By how much the clocks of two processes may differ.
const APART: Duration = Duration::from_secs(1);

/// How often the backend goes away while a write is on its way.
const OUTAGES: u8 = 16;

/// Tests what a storage does in an outage, and beside another process.
///
/// Run it beside [`storage`](super::storage). `make` makes a storage as each process of your app does: on the same backend,
/// with a connection and a clock of its own. `away` makes the backend unreachable, and with `false` reachable again.
/// A proxy between the storage and the database can do that, or `SIGSTOP` to the database. It takes the backend away 17
/// times, and needs no runtime of a certain kind.
///
/// ```no_run
/// # use tower_user_sessions::{SessionId, store::{SetStorage, StoreError, Stored, Tag, Write, Written, conformance}};
/// # struct MyStorage;
/// # impl SetStorage for MyStorage {
/// #     async fn read(&self, _: Tag, _: Option<SessionId>) -> Result<Stored, StoreError> { Ok(Stored::absent()) }
/// #     async fn write(&self, _: Tag, _: &Write) -> Result<Written, StoreError> { Ok(Written::Lost) }
/// # }
/// # impl MyStorage { async fn connect(_: &str) -> Self { Self } }
/// # struct Proxy;
/// # impl Proxy { fn url(&self) -> &str { "" } fn be_silent(&self, _: bool) {} }
/// # async fn test(proxy: Proxy) {
/// let make = async || MyStorage::connect(proxy.url()).await;
/// conformance::storage_outage(make, async |away| proxy.be_silent(away)).await;
/// # }
/// ```
///
/// # Panics
///
/// If the storage breaks its contract. The message has the number of the contract.
pub async fn storage_outage<S: SetStorage>(make: impl AsyncFn() -> S, away: impl AsyncFn(bool)) {
    let (here, there) = (make().await, make().await);
    Box::pin(sees_what_another_process_wrote(&here, &there)).await;
    Box::pin(has_the_time_of_the_other_process(&here, &there)).await;
    Box::pin(answers_an_outage_with_an_error(&here, &away)).await;
    Box::pin(knows_when_a_write_may_have_run(&here, &away)).await;
}

async fn sees_what_another_process_wrote<S: SetStorage>(here: &S, there: &S) {
    let trial = Trial::new(here, 5);
    let other = Trial {
        storage: there,
        ..trial
    };
    let mut version = None;
    for (at, writer) in [&trial, &other, &trial, &other].into_iter().enumerate() {
        let bytes = [u8::try_from(at).unwrap_or_default()];
        let parts: [(_, Option<&[u8]>); 1] = [(id(1), Some(&bytes))];
        let write = writer.prepared(version, Some(&bytes), &parts).await;
        version = Some(writer.wins(
            &writer.write(&write).await,
            &write,
            "a write after that of another process",
        ));
        for reader in [&trial, &other] {
            let found = version.map(|version| (version, &bytes[..]));
            reader
                .has(
                    found,
                    id(1),
                    Some(&bytes),
                    "a read after a write of another process",
                )
                .await;
        }
    }
}

async fn has_the_time_of_the_other_process<S: SetStorage>(here: &S, there: &S) {
    let trial = Trial::new(here, 10);
    let other = Trial {
        storage: there,
        ..trial
    };
    let write = trial.prepared(None, Some(b"1"), &[]).await;
    trial.wins(&trial.write(&write).await, &write, "a new set");
    let times = [trial.now().await, other.now().await, trial.now().await];
    let [before, its, after] = times;
    if its < before.minus(APART) || its > after.plus(APART) {
        broken(10, "two processes have different times");
    }
}

async fn answers_an_outage_with_an_error<S: SetStorage>(storage: &S, away: &impl AsyncFn(bool)) {
    let trial = Trial::new(storage, 9);
    let first = trial.prepared(None, Some(b"1"), &[]).await;
    let version = trial.wins(&trial.write(&first).await, &first, "a new set");
    let write = trial.prepared(Some(version), Some(b"2"), &[]).await;

    away(true).await;
    match within(MOST, storage.read(trial.tag, None)).await {
        Some(Err(_)) => {}
        Some(Ok(stored)) if stored.found.is_none() => {
            broken(9, "a read in an outage finds that there is no set")
        }
        Some(Ok(_)) => broken(9, "a read in an outage is answered: does `away` work?"),
        None => broken(9, "a read in an outage has no deadline"),
    }
    match within(MOST, storage.write(trial.tag, &write)).await {
        Some(Err(_) | Ok(Written::NothingRan(_))) => {}
        Some(Ok(written)) => broken(9, &format!("a write in an outage: {written:?}")),
        None => broken(9, "a write in an outage has no deadline"),
    }
    away(false).await;
    answers_again(&trial).await;
}

/// The backend goes away with the write that was sent to it a moment before.
async fn knows_when_a_write_may_have_run<S: SetStorage>(storage: &S, away: &impl AsyncFn(bool)) {
    let trial = Trial::new(storage, 9);
    let first = trial.prepared(None, Some(b"0"), &[]).await;
    let mut version = trial.wins(&trial.write(&first).await, &first, "a new set");
    for number in 1..=OUTAGES {
        let write = trial.prepared(Some(version), Some(&[number]), &[]).await;
        let writes = async { Some(within(MOST, storage.write(trial.tag, &write)).await) };
        let leaves = async {
            // Each time a little later.
            for _ in 0..number / 2 {
                storage.pause(0).await;
            }
            away(true).await;
            None
        };
        let mut outcome = together(vec![Box::pin(writes), Box::pin(leaves)])
            .await
            .into_iter();
        let outcome = outcome.next().flatten().flatten();
        away(false).await;
        answers_again(&trial).await;
        let found = trial.read(None).await.found.map(|(version, _)| version);
        let ran = found == Some(write.version);
        match outcome {
            None => broken(9, "a write in an outage has no deadline"),
            Some(Ok(Written::Written { .. })) if !ran => {
                broken(5, "a write that was answered is gone after an outage")
            }
            Some(Ok(Written::NothingRan(_) | Written::Lost)) if ran => {
                broken(9, "a write ran, and its answer says that nothing ran")
            }
            Some(_) => {}
        }
        version = found.unwrap_or_else(|| broken(6, "the set is gone after an outage"));
    }
}

/// Waits until reads are answered.
async fn answers_again<S: SetStorage>(trial: &Trial<'_, S>) {
    let began = Monotonic::now();
    loop {
        match within(MOST, trial.storage.read(trial.tag, None)).await {
            Some(Ok(_)) => return,
            Some(Err(error)) if error.kind() == StoreErrorKind::Corrupt => {
                broken(9, &format!("a read after an outage: {error:?}"))
            }
            _ if began.elapsed() > MOST * 4 => broken(9, "no read is answered after an outage"),
            _ => trial.storage.pause(5).await,
        }
    }
}

/// The output of the future, or `None` after this time. Works on any runtime.
async fn within<T>(time: Duration, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut timer: Option<mpsc::Sender<()>> = None;
    let began = Monotonic::now();
    poll_fn(|context| {
        if let Poll::Ready(output) = future.as_mut().poll(context) {
            return Poll::Ready(Some(output));
        }
        if began.elapsed() >= time {
            return Poll::Ready(None);
        }
        let waker = context.waker().clone();
        timer.get_or_insert_with(|| {
            let (sends, done) = mpsc::channel();
            thread::spawn(move || {
                // It ends at once if the future is done.
                if done.recv_timeout(time) == Err(mpsc::RecvTimeoutError::Timeout) {
                    waker.wake();
                }
            });
            sends
        });
        Poll::Pending
    })
    .await
}
