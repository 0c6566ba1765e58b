//! What a call knows of the moment before which the sessions of all users ended.

use std::{error::Error, future::poll_fn, panic::resume_unwind, sync::Arc, task::Poll};

use tokio::{runtime::Handle, task::JoinSet};

use super::{
    Horizon, SessionStore, StoreError, StoreErrorKind, horizon::Age, meter::timed, together::apart,
};
use crate::model::{Era, Timestamp};

/// The moment before which the sessions of all users ended, as far as is known now.
pub(super) fn moment<St: SessionStore>(store: &St) -> Option<Timestamp> {
    store.horizon()?.moment()
}

/// The same, and what is known is at most five seconds old.
pub(super) async fn known<St: SessionStore>(
    store: &Arc<St>,
) -> Result<Option<Timestamp>, StoreError> {
    let Some(horizon) = store.horizon() else {
        return Ok(None);
    };
    match horizon.age() {
        Age::Young => {}
        Age::Due => ask_in_background(store, horizon),
        // Boxed: few requests come here.
        Age::Old => Box::pin(horizon.catch_up(|number| ask_in_task(store, number))).await?,
    }
    Ok(horizon.moment())
}

/// Asks in a task: a handler that stops polling its call for a while must not hold up all others, who wait for one question.
async fn ask_in_task<St: SessionStore>(store: &Arc<St>, number: u64) -> Result<(), StoreError> {
    let own = Arc::clone(store);
    let asks = async move {
        let Some(horizon) = own.horizon() else {
            return Ok(());
        };
        let read = |knows| timed("everyone", own.everyone(knows));
        horizon.ask_for_all(number, read).await
    };
    // Others wait for it too, so it is none of the calls of a commit.
    let mut asks = Box::pin(apart(asks));
    // In an outage the answer is there at once.
    if let Poll::Ready(answer) = poll_fn(|cx| Poll::Ready(asks.as_mut().poll(cx))).await {
        return answer;
    }
    let Ok(runtime) = Handle::try_current() else {
        return asks.await;
    };
    // A call that is dropped ends its task.
    let mut task = JoinSet::new();
    task.spawn_on(asks, &runtime);
    match task.join_next().await {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            Err(stopped) => Err(StoreError::new(StoreErrorKind::Unavailable).with_source(stopped)),
        },
        None => Ok(()),
    }
}

/// Without a runtime a later request asks, and waits.
pub(super) fn ask_in_background<St: SessionStore>(store: &Arc<St>, horizon: &Horizon) {
    let Ok(runtime) = Handle::try_current() else {
        return;
    };
    if !horizon.begins() {
        return;
    }
    let store = Arc::clone(store);
    runtime.spawn(async move {
        if let Some(horizon) = store.horizon() {
            let read = |knows| timed("everyone", store.everyone(knows));
            if let Err(error) = horizon.ask(read).await {
                tracing::debug!(
                    error = &error as &dyn Error,
                    kind = ?error.kind(),
                    "whether the sessions of all users have ended could not be read"
                );
            }
        }
    });
}

/// The later of two moments before which sessions are not live. The caller's own one is a time of the present era.
pub(crate) fn later(own: Option<Timestamp>, of_everyone: Option<Timestamp>) -> Option<Timestamp> {
    let era = of_everyone.map_or_else(Era::default, Timestamp::era);
    let own = own.map(|own| own.time().in_era(era.max(own.era())));
    own.max(of_everyone)
}

#[cfg(test)]
mod tests;
