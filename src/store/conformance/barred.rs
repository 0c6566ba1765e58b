//! Number 17: users who may not sign in for now.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial};
use crate::{
    model::EndReason,
    store::{Created, End, ManualClock, SessionStore, Which},
};

const BARRED: Duration = Duration::from_secs(300);

/// Number 17: a barred user's `create` is [`Created::Disabled`], until the time is over or it is
/// lifted.
pub async fn bars_and_lets_in_again<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(17, make).await;
    nobody_signs_in_meanwhile(&trial).await;
    it_is_lifted_at_once(&trial).await;
    nobody_else_is_barred(&trial).await;
}

fn bar<St: SessionStore>(session_set: &SessionSet<'_, St>, duration: Duration) -> End {
    let mut end = End::new(session_set.tag, Which::All, EndReason::Disabled);
    end.bar = Some(duration);
    end
}

async fn is_disabled<St: SessionStore>(
    trial: &Trial<St>,
    session_set: &SessionSet<'_, St>,
) -> bool {
    let token = session_set.token();
    let created = trial.create(&session_set.asks(&token)).await;
    matches!(created, Created::Disabled)
}

async fn nobody_signs_in_meanwhile<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial
        .ends(&bar(&session_set, BARRED), 1, None, "all end")
        .await;
    let notice = trial.notice(&token, "of a disabled user").await;
    trial.same(notice.reason, EndReason::Disabled, "why it ended");
    trial.clock.advance(BARRED - MS);

    trial.holds(is_disabled(trial, &session_set).await, "still barred");
    trial.holds(session_set.listed().await.is_empty(), "and nothing changed");
    trial.clock.advance(MS);
    session_set.signs_in().await;
}

async fn it_is_lifted_at_once<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    trial.end(&bar(&session_set, BARRED)).await;
    trial.end(&bar(&session_set, Duration::ZERO)).await;
    trial.clock.advance(MS);

    session_set.signs_in().await;
}

async fn nobody_else_is_barred<St: SessionStore>(trial: &Trial<St>) {
    let (barred, other) = (trial.user(), trial.user());

    trial.end(&bar(&barred, BARRED)).await;

    trial.holds(is_disabled(trial, &barred).await, "the one");
    trial.holds(!is_disabled(trial, &other).await, "not the other");
}
