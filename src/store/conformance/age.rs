//! Number 7: cutoffs in one millisecond, and sign-ins that began a day ago.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial, another};
use crate::{
    model::{Arrival, Limit},
    store::{Authenticated, End, Ended, Timestamp, Token, Which},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) async fn has_an_order_and_an_age(trial: &Trial) {
    cutoffs_of_one_millisecond_follow_each_other(trial).await;
    a_cutoff_just_ahead_stays(trial).await;
    a_cutoff_counts_for_a_day(trial).await;
    a_cutoff_never_moves_back(trial).await;
    an_end_names_the_cutoff_before_it(trial).await;
    an_end_that_is_sent_again_names_no_cutoff_of_its_own(trial).await;
    a_sign_in_after_an_end_that_was_sent_twice_is_made(trial).await;
    a_sign_in_after_a_cutoff_keeps_the_time_of_its_first_step(trial).await;
    a_sign_in_proven_a_day_ago_is_too_old(trial).await;
}

/// Ends all sessions, and returns the cutoff.
async fn cutoff(trial: &Trial, end: &End) -> Timestamp {
    cutoffs(trial, end).await.0
}

/// Ends all sessions, and returns the cutoff and the one before it.
async fn cutoffs(trial: &Trial, end: &End) -> (Timestamp, Option<Timestamp>) {
    match trial.end(end).await {
        Ended::Ended { now, before, .. } => (now, before),
        other => trial.broken(&format!(
            "an end of all: expected a cutoff, found {other:?}"
        )),
    }
}

async fn cutoffs_of_one_millisecond_follow_each_other(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let now = trial.now();
    let others = session_set.end(Which::Others(token.session_id()));
    let all = session_set.end(Which::All);

    let first = cutoff(trial, &others).await;
    let second = cutoff(trial, &all).await;
    let third = cutoff(trial, &others).await;

    let wanted = (now, now.plus(MS), now.plus(2 * MS));
    trial.same(
        (first, second, third),
        wanted,
        "three cutoffs in one millisecond",
    );
    let mut create = session_set.create_for(&session_set.token());
    for earlier in [first, second] {
        create.authenticated = Authenticated::After(earlier);
        trial
            .rejected(
                &create,
                "a sign-in after a cutoff that another one followed",
            )
            .await;
    }
    create.authenticated = Authenticated::After(third);
    trial
        .made(&create, "a sign-in after the last of three cutoffs")
        .await;
}

async fn a_cutoff_just_ahead_stays(trial: &Trial) {
    let session_set = trial.user();
    let first = cutoff(trial, &session_set.end(Which::All)).await;
    cutoff(trial, &session_set.end(Which::All)).await;
    let mut create = session_set.create_for(&session_set.token());
    trial
        .rejected(&create, "a sign-in before a cutoff just ahead of the clock")
        .await;

    create.authenticated = Authenticated::After(first);
    trial
        .rejected(
            &create,
            "a sign-in after the first of two cutoffs, another rejected one since",
        )
        .await;
    trial.clock.advance(2 * MS);
    trial
        .made(
            &session_set.create_for(&session_set.token()),
            "a sign-in two milliseconds later",
        )
        .await;
}

async fn a_cutoff_counts_for_a_day(trial: &Trial) {
    for has_sessions in [false, true] {
        let (session_set, kept) = user_with(trial, has_sessions).await;
        let others = session_set.end(Which::Others(kept.session_id()));
        let cutoff = cutoff(trial, &others).await;

        trial.clock.advance(DAY - MS);
        let mut create = session_set.create_for(&session_set.token());
        create.authenticated = Authenticated::At(cutoff);
        for what in [
            "a sign-in that began almost a day ago, and all ended then",
            "the same sign-in again",
        ] {
            trial.rejected(&create, what).await;
        }
        session_set.signs_in().await;
        trial
            .rejected(&create, "that sign-in after another one")
            .await;
    }
}

async fn a_cutoff_never_moves_back(trial: &Trial) {
    for has_sessions in [false, true] {
        let (session_set, _) = user_with(trial, has_sessions).await;
        let first = cutoff(trial, &session_set.end(Which::All)).await;
        trial.clock.set(first.minus(SECOND));
        let second = cutoff(trial, &session_set.end(Which::All)).await;
        trial.clock.set(first.plus(SECOND));
        trial.same(second, first.plus(MS), "a cutoff after one in the future");
    }
}

/// A user, and the token of a session, which is made or not.
async fn user_with(trial: &Trial, has_sessions: bool) -> (SessionSet<'_>, Token) {
    let session_set = trial.user();
    let token = session_set.token();
    if has_sessions {
        trial
            .made(&session_set.create_for(&token), "a sign-in")
            .await;
    }
    (session_set, token)
}

async fn an_end_names_the_cutoff_before_it(trial: &Trial) {
    for has_sessions in [false, true] {
        let (session_set, kept) = user_with(trial, has_sessions).await;
        let others = session_set.end(Which::Others(kept.session_id()));
        let all = session_set.end(Which::All);

        let (first, none) = cutoffs(trial, &others).await;
        trial.same(none, None, "the cutoff before the first one");
        trial.clock.advance(SECOND);
        let (second, before) = cutoffs(trial, &another(&others)).await;
        trial.same(before, Some(first), "the cutoff before the second one");
        trial.clock.advance(DAY - MS);
        let (third, before) = cutoffs(trial, &all).await;
        trial.same(before, Some(second), "a cutoff of almost a day ago");
        trial.same(third, trial.now(), "the third cutoff");
        trial.clock.advance(DAY);
        let (_, before) = cutoffs(trial, &another(&all)).await;
        trial.same(before, None, "a cutoff of a day ago");
    }
    let session_set = trial.user();
    cutoff(trial, &session_set.end(Which::All)).await;
    let token = session_set.token();
    trial.clock.advance(MS);
    trial
        .made(&session_set.create_for(&token), "a sign-in")
        .await;
    match trial.end(&session_set.end_one(&token)).await {
        Ended::Ended { before, .. } => {
            trial.same(before, None, "the previous cutoff of an end of one session");
        }
        other => trial.broken(&format!("an end of one session: found {other:?}")),
    }
}

async fn an_end_that_is_sent_again_names_no_cutoff_of_its_own(trial: &Trial) {
    for has_sessions in [false, true] {
        let (session_set, kept) = user_with(trial, has_sessions).await;
        let first = session_set.end(Which::Others(kept.session_id()));
        let (_, before) = cutoffs(trial, &first).await;
        trial.same(before, None, "the cutoff before the first one");
        for wait in [Duration::ZERO, SECOND, SECOND] {
            trial.clock.advance(wait);
            let wanted = (trial.now(), None);
            let again = cutoffs(trial, &first).await;
            trial.same(again, wanted, "the cutoffs of a call that is sent again");
        }

        let other = cutoff(trial, &session_set.end(Which::All)).await;
        let (second, before) = cutoffs(trial, &first).await;
        trial.same(before, Some(other), "a cutoff of another call in between");
        trial.same(second, other.plus(MS), "the cutoff after that");
        trial.clock.advance(SECOND);
        let again = cutoffs(trial, &first).await;
        let wanted = (trial.now(), Some(other));
        trial.same(
            again,
            wanted,
            "the cutoffs of that call, sent again after that",
        );
        trial.clock.advance(DAY - SECOND + MS);
        let (_, before) = cutoffs(trial, &first).await;
        trial.same(before, None, "a cutoff of a day ago, to a call sent again");
    }
}

async fn a_sign_in_after_an_end_that_was_sent_twice_is_made(trial: &Trial) {
    let session_set = trial.user();
    let end = session_set.end(Which::All);
    let first = cutoff(trial, &end).await;
    for wait in [Duration::ZERO, SECOND] {
        trial.clock.advance(wait);
        let own = cutoff(trial, &end).await;
        let create = session_set.create_for(&session_set.token());
        trial
            .rejected(&create, "a sign-in that arrived with that end")
            .await;
        let mut create = session_set.create_for(&session_set.token());
        create.authenticated = Authenticated::After(own);
        trial
            .made(&create, "a sign-in after an end that was sent twice")
            .await;
    }
    let mut create = session_set.create_for(&session_set.token());
    create.authenticated = Authenticated::After(first);
    trial
        .rejected(
            &create,
            "a sign-in after the first of two cutoffs of one call",
        )
        .await;
}

async fn a_sign_in_after_a_cutoff_keeps_the_time_of_its_first_step(trial: &Trial) {
    for has_session in [false, true] {
        let session_set = trial.user();
        if has_session {
            session_set.signs_in().await;
        }
        let first_step = trial.now();
        trial.clock.advance(SECOND);
        let own = cutoff(trial, &session_set.end(Which::All)).await;
        for (since, wanted) in [(first_step, first_step), (own.plus(DAY), own)] {
            let mut create = session_set.create_for(&session_set.token());
            create.authenticated = Authenticated::After(own);
            create.since = Some(since);
            create.arrival = Some(Arrival::now());
            create.arrived_after = Some(own.minus(MS));
            let made = trial.made(&create, "a sign-in of two steps").await;
            trial.same(
                made.record.authenticated_at,
                wanted,
                "when the user of a sign-in of two steps authenticated",
            );
        }
    }
}

async fn a_sign_in_proven_a_day_ago_is_too_old(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    let first = trial.now();
    create.authenticated = Authenticated::At(first);
    create.limit = Limit::at_most(1);
    trial.clock.advance(DAY - MS);
    trial
        .made(
            &create,
            "a sign-in proven a millisecond less than a day ago",
        )
        .await;
    trial.clock.advance(MS);
    trial
        .made(&create, "the same sign-in again, whatever its age")
        .await;
    let before = session_set.listed().await;

    let late = session_set.token();
    let mut create = session_set.create_for(&late);
    create.limit = Limit::at_most(1);
    for at in [first, first.minus(SECOND)] {
        create.authenticated = Authenticated::At(at);
        trial.too_old(&create, "a sign-in proven a day ago").await;
    }
    trial.same(session_set.listed().await, before, "the list after that");
    let other = trial.user();
    let mut create = other.create_for(&other.token());
    create.authenticated = Authenticated::On(Arrival::ago(DAY));
    trial
        .too_old(&create, "a first sign-in that arrived a day ago")
        .await;
    other
        .lists_exactly(&[], "the list of a user without sessions")
        .await;
    let guest = trial.guest();
    let mut create = guest.create_for(&guest.token());
    create.authenticated = Authenticated::At(first.minus(DAY));
    trial
        .made(&create, "a guest session, which has no cutoff")
        .await;
}
