//! Number 17: users who may not sign in for now.

use std::time::Duration;

use super::trial::{Corner, MS, Trial};
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

fn bar<St: SessionStore>(corner: &Corner<'_, St>, duration: Duration) -> End {
    let mut end = End::new(corner.tag, Which::All, EndReason::Disabled);
    end.bar = Some(duration);
    end
}

async fn is_disabled<St: SessionStore>(trial: &Trial<St>, corner: &Corner<'_, St>) -> bool {
    let token = corner.token();
    let created = trial.create(&corner.asks(&token)).await;
    matches!(created, Created::Disabled)
}

async fn nobody_signs_in_meanwhile<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let token = corner.signs_in().await;
    trial.ends(&bar(&corner, BARRED), 1, None, "all end").await;
    let notice = trial.notice(&token, "of a disabled user").await;
    trial.same(notice.reason, EndReason::Disabled, "why it ended");
    trial.clock.advance(BARRED - MS);

    trial.holds(is_disabled(trial, &corner).await, "still barred");
    trial.holds(corner.listed().await.is_empty(), "and nothing changed");
    trial.clock.advance(MS);
    corner.signs_in().await;
}

async fn it_is_lifted_at_once<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    trial.end(&bar(&corner, BARRED)).await;
    trial.end(&bar(&corner, Duration::ZERO)).await;
    trial.clock.advance(MS);

    corner.signs_in().await;
}

async fn nobody_else_is_barred<St: SessionStore>(trial: &Trial<St>) {
    let (barred, other) = (trial.user(), trial.user());

    trial.end(&bar(&barred, BARRED)).await;

    trial.holds(is_disabled(trial, &barred).await, "the one");
    trial.holds(!is_disabled(trial, &other).await, "not the other");
}
