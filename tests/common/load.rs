//! A load that does not wait for answers: so many calls a second, whatever becomes of them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::time::Duration;

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
    /// `None` if it was answered.
    pub(crate) failed: Option<StoreErrorKind>,
}

/// Makes `rate` calls a second for so long, each in a task of its own, and waits for all.
pub(crate) async fn offer<F>(rate: u32, time: Duration, mut call: impl FnMut(u32) -> F) -> Vec<Told>
where
    F: Future<Output = Result<(), StoreError>> + Send + 'static,
{
    let (start, mut calls) = (Instant::now(), JoinSet::new());
    let all = (time.as_secs_f64() * f64::from(rate)) as u32;
    for number in 0..all {
        let due = start + time.mul_f64(f64::from(number) / f64::from(all));
        if due > Instant::now() {
            tokio::time::sleep_until(due).await;
        }
        let call = call(number);
        calls.spawn(async move {
            let (at, began) = (start.elapsed(), Instant::now());
            let failed = call.await.err().map(|error| error.kind());
            Told {
                number,
                at,
                took: began.elapsed(),
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

/// What a store did with more calls than its server can handle.
pub(crate) struct Overload {
    capacity: u32,
    all: Vec<Told>,
    calm: Vec<Told>,
    connects: u32,
}

/// How long the overload lasts, in seconds. The first one does not count, because the limit has to be found.
const LASTS: u32 = 6;

impl Overload {
    /// Offers `factor` times what the server can handle, then half of it for 2 s, then half of it again.
    pub(crate) async fn run<F>(
        capacity: u32,
        factor: f64,
        mut call: impl FnMut(u32) -> F,
        connects: impl Fn() -> u32,
    ) -> Self
    where
        F: Future<Output = Result<(), StoreError>> + Send + 'static,
    {
        let (before, rest) = (connects(), Duration::from_secs(2));
        let offered = (f64::from(capacity) * factor) as u32;
        let all = offer(offered, Duration::from_secs(LASTS.into()), &mut call).await;
        offer(capacity / 2, rest, &mut call).await;
        let calm = offer(capacity / 2, rest, &mut call).await;
        Self {
            capacity,
            all,
            calm,
            connects: connects() - before,
        }
    }

    /// Why this is not as promised, if it is not.
    fn complaint(&self) -> Option<String> {
        let steady = self.all.iter().filter(|told| told.at.as_secs() > 0);
        let answered_then = steady.filter(|told| told.failed.is_none()).count();
        let possible = f64::from(self.capacity) * f64::from(LASTS - 1);
        let share = answered_then as f64 / possible;
        let (failed, later) = (kinds(&self.all), kinds(&self.calm));
        let others = failed.iter().any(|(kind, _)| *kind != StoreErrorKind::Busy);
        let as_promised = share >= 0.9 && self.connects <= 2 && !others && later.is_empty();
        (!as_promised).then(|| {
            let connects = self.connects;
            format!("answered {share:.2}, {connects} connects, failed {failed:?}, then {later:?}")
        })
    }
}

/// At least 0.9 of the capacity is answered, with at most 2 new connections and no error but `Busy`, and
/// 2 s after the load falls to half everything is. One of three runs has to be so, because another
/// program on the machine takes its time from the load and can only make the figures worse.
pub(crate) async fn holds_under_overload(run: impl AsyncFn() -> Overload) {
    let mut complaints = Vec::new();
    while complaints.len() < 3 {
        match run().await.complaint() {
            Some(complaint) => complaints.push(complaint),
            None => return,
        }
    }
    panic!("three times not as promised: {complaints:#?}");
}
