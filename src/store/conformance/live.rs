//! Numbers 1, 2 and 10: which sessions are live.

use super::{
    at_once, many,
    step::follows_activity_every,
    trial::{ABSOLUTE, IDLE, MS, SessionSet, Trial, ids, ids_of},
    users,
};
use crate::{
    model::Client,
    store::{Ended, List, ManualClock, Resolve, Resolved, SessionStore, Token},
};

/// Number 1: `resolve` returns a session only for its own token, and only while the session is live.
pub async fn resolves_live_sessions_only<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(1, make).await;
    only_its_own_token_resolves_it(&trial).await;
    it_expires_at_its_idle_deadline(&trial).await;
    it_is_said_when_it_expired(&trial).await;
    it_expires_at_its_absolute_deadline(&trial).await;
    it_has_ended_if_it_began_before_not_before(&trial).await;
    at_once::agrees_with_resolve(&trial).await;
    an_unknown_token_leaves_nothing(&trial).await;
}

async fn only_its_own_token_resolves_it(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let stranger = session_set.token();
        trial
            .unknown(&stranger, "a token that was never issued")
            .await;
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.client = Client::new()
            .with_address(Some([192, 0, 2, 1].into()))
            .with_user_agent(Some(b"Agent/1.0"));
        let mut made = trial.made(&create, "a sign-in").await;
        trial.holds(made.record.unused, "a new session is unused");

        let found = trial.live(&token, "its token").await;
        made.record.unused = false;
        trial.same(
            found.record,
            made.record,
            "the record that `resolve` returned",
        );
        trial.same(found.now, trial.now(), "`now` of `resolve`");
        let forged = session_set.forged(&token);
        trial
            .unknown(&forged, "a token with the same id and another secret")
            .await;
        trial
            .unknown(&stranger, "a token that was never issued")
            .await;
        let elsewhere = in_set(trial, &trial.user(), &token);
        trial
            .unknown(&elsewhere, "a token with the same id and another tag")
            .await;
        session_set.lists_exactly(&[&token], "the list").await;
    }
}

async fn an_unknown_token_leaves_nothing(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let (first, second) = (session_set.token(), session_set.token());
        for token in [&first, &second] {
            trial.touch_unknown(token).await;
        }
        session_set.lists_exactly(&[], "the list").await;

        // An entry under one of these ids would stand in the way.
        let ended = trial.end(&session_set.end_one(&first)).await;
        trial.same(ended, Ended::Unknown, "the end of an unknown session");
        let made = session_set.create_for(&second);
        trial
            .made(&made, "a sign-in whose token was unknown before")
            .await;
        session_set.lists_exactly(&[&second], "the list").await;
    }
}

/// The same id and secret under another tag.
fn in_set(trial: &Trial, session_set: &SessionSet<'_>, token: &Token) -> Token {
    let text = token.encode();
    let moved = format!("{}{}", session_set.tag, text.split_at(16).1);
    moved
        .parse()
        .unwrap_or_else(|error| trial.broken(&format!("not a token: {error}")))
}

async fn it_expires_at_its_idle_deadline(trial: &Trial) {
    let token = trial.user().signs_in().await;

    trial.clock.advance(IDLE - MS);
    trial
        .live(&token, "a session 1 ms before its idle deadline")
        .await;
    trial.clock.advance(MS);
    trial
        .unknown(&token, "a session at its idle deadline")
        .await;
    let found = trial.resolve(&Resolve::new(token)).await;
    trial.holds(
        matches!(found, Resolved::Expired(_) | Resolved::Unknown),
        "activity does not revive an expired session",
    );
}

/// A store may forget an expired session, or tell it from one that no request has found yet.
async fn it_is_said_when_it_expired(trial: &Trial) {
    let token = trial.user().signs_in().await;
    let began = trial.touch(&token, "a new session").await.record;
    trial.clock.advance(IDLE + MS);

    let first = trial.peek(&token).await;
    let later = trial.peek(&token).await;

    if let Resolved::Expired(found) = first {
        trial.same(found, began.clone(), "a session that just expired");
    }
    if let Resolved::Expired(found) = later {
        trial.same(
            (found.was_found_expired(), found.deadline),
            (true, began.idle_expires_at()),
            "when a session expired, said again",
        );
    }
}

async fn it_expires_at_its_absolute_deadline(trial: &Trial) {
    let token = trial.user().signs_in().await;
    let mut passed = IDLE / 2;
    while passed < ABSOLUTE {
        trial.clock.advance(IDLE / 2);
        trial.touch(&token, "an active session").await;
        passed += IDLE / 2;
    }

    trial.clock.advance(IDLE / 2 - MS);
    trial
        .touch(&token, "a session 1 ms before its absolute deadline")
        .await;
    trial.clock.advance(MS);
    trial
        .unknown(&token, "an active session at its absolute deadline")
        .await;
}

async fn it_has_ended_if_it_began_before_not_before(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let began = trial.now();
    trial.clock.advance(MS);

    let mut resolve = Resolve::new(token.clone());
    resolve.not_before = Some(began.plus(MS));
    let found = trial.resolve(&resolve).await;
    trial.holds(
        matches!(found, Resolved::Ended(_)),
        "a session from before `not_before` has ended",
    );
    resolve.not_before = Some(began);
    let found = trial.resolve(&resolve).await;
    trial.holds(
        matches!(found, Resolved::Live(_)),
        "a session from exactly `not_before` is live",
    );
}

/// Number 2: `resolve` records the activity if the request counts, and never moves it backwards.
pub async fn records_activity_forwards_only<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(2, make).await;
    only_activity_renews_the_idle_deadline(&trial).await;
    activity_renews_only_the_idle_deadline(&trial).await;
    follows_activity_every(&trial).await;
}

async fn only_activity_renews_the_idle_deadline(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let began = trial.now();
    trial.clock.advance(IDLE / 2);

    let forged = session_set.forged(&token);
    trial.resolve(&Resolve::new(forged)).await;
    session_set.listed().await;
    session_set
        .saves(&session_set.sets(&token, "key", "value"), "a save")
        .await;
    let found = trial.live(&token, "a request that does not count").await;
    trial.same(
        found.record.last_activity,
        began,
        "the last activity after a forged token, `list`, `save` and polling",
    );

    trial.clock.advance(IDLE / 2);
    trial
        .unknown(
            &token,
            "the session at its idle deadline after all of these",
        )
        .await;
}

async fn activity_renews_only_the_idle_deadline(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let began = trial.now();

    trial.clock.advance(IDLE / 2);
    let touched = trial.touch(&token, "an active session").await;
    trial.same(
        touched.record.last_activity,
        trial.now(),
        "the last activity that `resolve` returned",
    );
    trial.clock.advance(IDLE - MS);
    let found = trial
        .live(
            &token,
            "an active session 1 ms before its new idle deadline",
        )
        .await;
    let deadline = began.plus(ABSOLUTE);
    trial.same(found.record.deadline, deadline, "the absolute deadline");

    let latest = trial.touch(&token, "an active session").await;
    trial.clock.set(began.plus(MS));
    let back = trial
        .touch(&token, "the session after the clock stepped back")
        .await;
    trial.same(
        back.record.last_activity,
        latest.record.last_activity,
        "the last activity after the clock stepped back",
    );
    session_set.lists_exactly(&[&token], "the list").await;
}

/// Number 10: `list` returns exactly the live sessions of the session set.
pub async fn lists_exactly_the_live_sessions<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(10, make).await;
    exactly_the_live_sessions_are_listed(&trial).await;
    many::all_of_many_sessions_are_found(&trial).await;
    users::with_similar_ids_are_apart(&trial).await;
}

async fn exactly_the_live_sessions_are_listed(trial: &Trial) {
    let (session_set, other) = (trial.user(), trial.user());
    session_set
        .lists_exactly(&[], "the list of an empty session set")
        .await;
    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let (early, ended) = (session_set.signs_in().await, session_set.signs_in().await);
    other.signs_in().await;
    trial.clock.advance(MS);
    let late = session_set.signs_in().await;
    session_set
        .lists_exactly(
            &[&expired, &early, &ended, &late],
            "the list of four live sessions",
        )
        .await;

    trial.end(&session_set.end_one(&ended)).await;
    trial.clock.advance(IDLE / 2 - MS);
    session_set
        .lists_exactly(&[&early, &late], "the list after one ended and one expired")
        .await;
    let mut list = List::new(session_set.tag);
    list.not_before = Some(
        trial
            .live(&late, "the newest session")
            .await
            .record
            .created_at,
    );
    let listed = trial.answered(trial.store.list(&list).await);
    trial.same(ids(&listed), ids_of(&[&late]), "the list with `not_before`");

    trial.clock.advance(IDLE);
    session_set
        .lists_exactly(&[], "the list after all have expired")
        .await;
}
