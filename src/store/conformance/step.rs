//! Number 2, with an `activity_every`: which activity is written.

use std::time::Duration;

use super::trial::{IDLE, MS, SessionSet, Trial};
use crate::store::{Found, Renewal, Resolve, Resolved, Rotate, Rotated, Salt, Timestamp, Token};

const STEP: Duration = Duration::from_secs(2);

/// Number 2, with an `activity_every`.
pub(super) async fn follows_activity_every(trial: &Trial) {
    only_older_activity_is_written(trial).await;
    the_idle_deadline_is_that_of_the_stored_activity(trial).await;
    a_long_step_counts_as_a_seventeenth_of_the_idle_time(trial).await;
    the_first_use_of_a_token_is_written(trial).await;
    a_previous_token_follows_the_step_too(trial).await;
}

/// Resolves the token of a live session, as a request that counts and has this step.
async fn steps(trial: &Trial, token: &Token, step: Duration) -> Found {
    let mut resolve = Resolve::new(token.clone());
    resolve.activity_every = step;
    match trial.resolve(&resolve).await {
        Resolved::Live(found) => found,
        other => trial.broken(&format!(
            "a request with a step: expected a live session, found {other:?}"
        )),
    }
}

/// The stored activity of the only session, as `list` has it.
async fn stored(trial: &Trial, session_set: &SessionSet<'_>) -> Timestamp {
    match &session_set.listed().await[..] {
        [record] => record.last_activity,
        other => trial.broken(&format!("the list: expected one session, found {other:?}")),
    }
}

async fn only_older_activity_is_written(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let token = session_set.signs_in().await;
        let began = trial.now();
        trial
            .live(&token, "the first request, which is written")
            .await;

        trial.clock.advance(STEP);
        let within = steps(trial, &token, STEP).await;
        let kept = stored(trial, &session_set).await;
        trial.clock.advance(MS);
        let after = steps(trial, &token, STEP).await;

        trial.same(
            (within.record.last_activity, kept),
            (began, began),
            "the last activity, returned and stored, after a request within the step",
        );
        trial.same(
            within.now,
            began.plus(STEP),
            "`now` of a request within the step",
        );
        trial.same(
            (
                after.record.last_activity,
                stored(trial, &session_set).await,
            ),
            (trial.now(), trial.now()),
            "the last activity, returned and stored, after a request later than the step",
        );
    }
}

async fn the_idle_deadline_is_that_of_the_stored_activity(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial
        .live(&token, "the first request, which is written")
        .await;
    trial.clock.advance(STEP);
    steps(trial, &token, STEP).await;

    trial.clock.advance(IDLE - STEP - MS);
    trial
        .live(&token, "a session 1 ms before the idle deadline")
        .await;
    session_set
        .lists_exactly(&[&token], "the list 1 ms before the idle deadline")
        .await;
    trial.clock.advance(MS);
    session_set
        .lists_exactly(&[], "the list at the idle deadline")
        .await;
    trial
        .unknown(&token, "a session at the idle deadline")
        .await;
}

async fn a_long_step_counts_as_a_seventeenth_of_the_idle_time(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let began = trial.now();
    trial
        .live(&token, "the first request, which is written")
        .await;
    let most = Duration::from_secs(IDLE.as_secs() / 17);

    trial.clock.advance(most);
    steps(trial, &token, IDLE * 2).await;
    trial.same(
        stored(trial, &session_set).await,
        began,
        "the last activity after a seventeenth of the idle time",
    );
    trial.clock.advance(Duration::from_secs(1));
    steps(trial, &token, IDLE * 2).await;
    trial.same(
        stored(trial, &session_set).await,
        trial.now(),
        "the last activity after more than a seventeenth of the idle time",
    );
}

/// The token before a rotation and its successor.
async fn rotated(trial: &Trial, session_set: &SessionSet<'_>) -> (Token, Token) {
    let previous = session_set.signs_in().await;
    let salt = Salt::from_bytes([1; 16]);
    let next = previous.successor(&salt);
    let mut rotate = Rotate::new(&previous, &next, Renewal::Derived(salt));
    rotate.grace = STEP * 2;
    let outcome = trial.rotate(&rotate).await;
    let done = matches!(outcome, Rotated::Rotated(_));
    trial.holds(
        done,
        &format!("the session has its new token, found {outcome:?}"),
    );
    (previous, next)
}

async fn the_first_use_of_a_token_is_written(trial: &Trial) {
    let session_set = trial.user();
    let (previous, next) = rotated(trial, &session_set).await;
    trial.clock.advance(MS);

    let first = steps(trial, &next, STEP).await;
    let used = trial.now();
    trial.clock.advance(MS);
    let second = steps(trial, &next, STEP).await;

    for (found, what) in [
        (first, "the first request with a new token"),
        (second, "the second request with a new token"),
    ] {
        let rotation = found.record.rotation.as_deref();
        trial.holds(
            rotation.is_some_and(|rotation| !rotation.is_unused()),
            &format!("the token is used after {what}"),
        );
        trial.same(
            found.record.last_activity,
            used,
            &format!("the last activity after {what}"),
        );
    }
    trial.clock.advance(STEP * 2);
    let reused = trial.peek(&previous).await;
    trial.holds(
        matches!(reused, Resolved::Reused(_)),
        &format!("the previous token is reuse after the grace period, found {reused:?}"),
    );
}

async fn a_previous_token_follows_the_step_too(trial: &Trial) {
    let session_set = trial.user();
    let (previous, _next) = rotated(trial, &session_set).await;
    let began = trial.now();

    trial.clock.advance(STEP);
    let within = steps(trial, &previous, STEP).await;
    trial.clock.advance(MS);
    let after = steps(trial, &previous, STEP).await;

    trial.same(
        (within.record.last_activity, after.record.last_activity),
        (began, trial.now()),
        "the last activity after a previous token within the step, and after it",
    );
}
