//! What a call knows of the moment before which the sessions of all users ended.

use std::{error::Error, sync::Arc};

use tokio::runtime::Handle;

use super::{Horizon, SessionStore, StoreError, horizon::Age, meter::timed};
use crate::model::Timestamp;

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
        Age::Old => {
            let read = |knows| timed("everyone", store.everyone(knows));
            Box::pin(horizon.catch_up(read)).await?;
        }
    }
    Ok(horizon.moment())
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

/// The later of two moments before which sessions are not live.
pub(super) fn later(own: Option<Timestamp>, of_everyone: Option<Timestamp>) -> Option<Timestamp> {
    own.max(of_everyone)
}
