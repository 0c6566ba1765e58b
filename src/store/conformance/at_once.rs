//! Number 1 for `resolve_now`: where it answers, it does what `resolve` does.

use super::trial::{IDLE, MS, SessionSet, Trial, quiet};
use crate::{
    model::Realm,
    store::{Resolve, Resolved, SessionStore},
};

/// What `resolve_now` answers. `None` leaves the answer to `resolve`.
fn at_once(trial: &Trial, resolve: &Resolve) -> Option<Resolved> {
    let answer = trial.store.resolve_now(resolve)?;
    Some(trial.answered(answer))
}

pub(super) async fn agrees_with_resolve(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        of_a_live_session(trial, &session_set).await;
        of_one_that_is_not_live(trial, &session_set).await;
    }
}

async fn of_a_live_session(trial: &Trial, session_set: &SessionSet<'_>) {
    let token = session_set.signs_in().await;
    let save = session_set.sets(&token, "cart", "apple");
    session_set.saves(&save, "data of the session").await;
    if let Some(found) = at_once(trial, &quiet(&token)) {
        let Resolved::Live(found) = found else {
            trial.broken(&format!("`resolve_now` of a live session: found {found:?}"));
        };
        let wanted = trial.live(&token, "the session by `resolve`").await;
        trial.same(
            (found.record, found.data, found.now),
            (wanted.record, wanted.data, wanted.now),
            "what `resolve_now` returned",
        );
    }
    for activity in [false, true] {
        let before = trial.live(&token, "the session by `resolve`").await.record;
        trial.clock.advance(MS);
        let mut resolve = Resolve::new(token.clone());
        resolve.activity = activity;
        if at_once(trial, &resolve).is_some() {
            let wanted = if activity {
                trial.now()
            } else {
                before.last_activity
            };
            let after = trial.live(&token, "the session by `resolve`").await.record;
            trial.same(
                after.last_activity,
                wanted,
                "the last activity after `resolve_now`",
            );
        }
    }
}

async fn of_one_that_is_not_live(trial: &Trial, session_set: &SessionSet<'_>) {
    let (token, ended) = (session_set.signs_in().await, session_set.signs_in().await);
    for token in [&token, &ended] {
        trial.touch(token, "a new session").await;
        at_once(trial, &Resolve::new(token.clone()));
    }
    let end = session_set.end_one(&ended);
    trial.ends(&end, 1, None, "an end of one session").await;
    let unknown = |resolve: &Resolve, what: &str| {
        let found = at_once(trial, resolve);
        let is_so = matches!(found, None | Some(Resolved::Expired(_) | Resolved::Unknown));
        trial.holds(
            is_so,
            &format!("`resolve_now` does not know {what}, found {found:?}"),
        );
    };

    let elsewhere = Resolve::within(token.clone(), Realm::named("admin"));
    for resolve in [
        &quiet(&session_set.token()),
        &quiet(&session_set.forged(&token)),
        &quiet(&session_set.forged(&ended)),
        &elsewhere,
    ] {
        unknown(resolve, "a token that was never issued");
    }
    if let Some(found) = at_once(trial, &quiet(&ended)) {
        let notice = trial.notice(&ended, "the ended session").await;
        let is_so = matches!(&found, Resolved::Ended(found) if *found == notice);
        trial.holds(
            is_so,
            &format!("`resolve_now` has the notice, found {found:?}"),
        );
    }
    let mut resolve = quiet(&token);
    resolve.not_before = Some(trial.now().plus(MS));
    let found = at_once(trial, &resolve);
    trial.holds(
        matches!(found, None | Some(Resolved::Ended(_))),
        &format!("`resolve_now` knows what ended with all, found {found:?}"),
    );
    trial.clock.advance(IDLE);
    unknown(&quiet(&token), "a session at its idle deadline");
}
