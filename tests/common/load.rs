//! A load that does not wait for answers: so many calls a second, whatever becomes of them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{future::poll_fn, pin::pin, time::Duration};

use tokio::{task::JoinSet, time::Instant};
use tower_user_sessions::store::{StoreError, StoreErrorKind};

pub(crate) const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// What became of a call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    /// Which call it was.
    pub(crate) number: u32,
    /// When it was made, after the start of the load.
    pub(crate) at: Duration,
    pub(crate) took: Duration,
    /// Whether it had to wait for something: it was not done at its first poll. This does not depend on how busy
    /// the machine is.
    pub(crate) waited: bool,
    /// `None` if it was answered.
    pub(crate) failed: Option<StoreErrorKind>,
}

/// How late a call of [`offer_steadily`] may be.
const LATE: Duration = millis(100);

/// Makes `rate` calls a second for so long, each in a task of its own, and waits for all. What is late is made at once.
pub(crate) async fn offer<F>(rate: u32, time: Duration, call: impl FnMut(u32) -> F) -> Vec<Told>
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    make(rate, time, Duration::MAX, call).await
}

/// As [`offer`]. But a busy machine may hold this process up: then the rest of the load moves, so that a hundred calls that were
/// due are not made in one moment. Some would find no place, which has nothing to do with what a test is about.
pub(crate) async fn offer_steadily<F>(
    rate: u32,
    time: Duration,
    call: impl FnMut(u32) -> F,
) -> Vec<Told>
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    make(rate, time, LATE, call).await
}

async fn make<F>(
    rate: u32,
    time: Duration,
    late: Duration,
    mut call: impl FnMut(u32) -> F,
) -> Vec<Told>
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let (start, mut calls) = (Instant::now(), JoinSet::new());
    let mut held_up = Duration::ZERO;
    let all = (time.as_secs_f64() * f64::from(rate)) as u32;
    for number in 0..all {
        let due = start + held_up + time.mul_f64(f64::from(number) / f64::from(all));
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        if due.elapsed() > late {
            held_up += due.elapsed();
        }
        let call = call(number);
        calls.spawn(async move {
            let (at, began) = (start.elapsed(), Instant::now());
            let (mut call, mut waited) = (pin!(call), false);
            let done = poll_fn(|cx| {
                let done = call.as_mut().poll(cx);
                waited |= done.is_pending();
                done
            });
            let failed = done.await.err().map(|error| error.kind());
            Told {
                number,
                at,
                took: began.elapsed(),
                waited,
                failed,
            }
        });
    }
    calls.join_all().await
}

pub(crate) fn answered(all: &[Told]) -> usize {
    all.iter().filter(|told| told.failed.is_none()).count()
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// How many of these calls in a hundred had to wait.
pub(crate) fn percent_that_waited(all: &[Told]) -> usize {
    all.iter().filter(|told| told.waited).count() * 100 / all.len()
}

/// How often each kind of failure came.
pub(crate) fn kinds(all: &[Told]) -> Vec<(StoreErrorKind, usize)> {
    let mut kinds: Vec<(StoreErrorKind, usize)> = Vec::new();
    for kind in all.iter().filter_map(|told| told.failed) {
        match kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => *count += 1,
            None => kinds.push((kind, 1)),
        }
    }
    kinds
}
