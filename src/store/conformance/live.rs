//! Numbers 1, 2 and 10: which sessions are live.

use super::trial::{ABSOLUTE, IDLE, MS, SessionSet, Trial, ids, ids_of, quiet};
use crate::{
    model::Client,
    store::{List, ManualClock, Resolve, Resolved, SessionStore, Token},
};

/// Number 1: `resolve` gives a session only to the holder of its token, and only while it is live.
pub async fn opens_to_its_holder_while_it_lives<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(1, make).await;
    only_its_token_opens_it(&trial).await;
    it_dies_of_idleness_to_the_millisecond(&trial).await;
    it_dies_at_its_deadline_to_the_millisecond(&trial).await;
    it_is_rejected_if_it_began_too_early(&trial).await;
    an_answer_at_once_is_the_same(&trial).await;
}

async fn only_its_token_opens_it<St: SessionStore>(trial: &Trial<St>) {
    for session_set in [trial.user(), trial.guest()] {
        let stranger = session_set.token();
        trial.unknown(&stranger, "a token that nobody made").await;
        let token = session_set.token();
        let mut create = session_set.asks(&token);
        create.client = Client::new()
            .with_address(Some([192, 0, 2, 1].into()))
            .with_user_agent(Some(b"Agent/1.0"));
        let made = trial.made(&create, "a sign-in").await;

        let found = trial.live(&token, "its token").await;
        trial.same(found.record, made.record, "the session is what was made");
        trial.same(found.now, trial.now(), "it is read at the store's time");
        let forged = session_set.forged(&token);
        trial
            .unknown(&forged, "another secret for the same id")
            .await;
        trial.unknown(&stranger, "a token that nobody made").await;
        let elsewhere = in_set(trial, &trial.user(), &token);
        trial
            .unknown(&elsewhere, "the same id in another session set")
            .await;
        session_set.holds_exactly(&[&token], "one session").await;
    }
}

/// The same id and secret under another tag.
fn in_set<St: SessionStore>(
    trial: &Trial<St>,
    session_set: &SessionSet<'_, St>,
    token: &Token,
) -> Token {
    let text = token.encode();
    let moved = format!("{}{}", session_set.tag, text.split_at(16).1);
    moved
        .parse()
        .unwrap_or_else(|error| trial.broken(&format!("not a token: {error}")))
}

async fn it_dies_of_idleness_to_the_millisecond<St: SessionStore>(trial: &Trial<St>) {
    let token = trial.user().signs_in().await;

    trial.clock.advance(IDLE - MS);
    trial.live(&token, "1 ms before its idle end").await;
    trial.clock.advance(MS);
    trial.unknown(&token, "at its idle end").await;
    let found = trial.resolve(&Resolve::new(token)).await;
    trial.holds(
        matches!(found, Resolved::Unknown),
        "activity revives what has expired",
    );
}

async fn it_dies_at_its_deadline_to_the_millisecond<St: SessionStore>(trial: &Trial<St>) {
    let token = trial.user().signs_in().await;
    let mut passed = IDLE / 2;
    while passed < ABSOLUTE {
        trial.clock.advance(IDLE / 2);
        trial.touch(&token, "an active session").await;
        passed += IDLE / 2;
    }

    trial.clock.advance(IDLE / 2 - MS);
    trial.touch(&token, "1 ms before its deadline").await;
    trial.clock.advance(MS);
    trial
        .unknown(&token, "at its deadline, however active")
        .await;
}

async fn it_is_rejected_if_it_began_too_early<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let began = trial.now();
    trial.clock.advance(MS);

    let mut resolve = Resolve::new(token.clone());
    resolve.not_before = Some(began.plus(MS));
    let found = trial.resolve(&resolve).await;
    trial.holds(
        matches!(found, Resolved::Unknown),
        "it began before `not_before`",
    );
    resolve.not_before = Some(began);
    let found = trial.resolve(&resolve).await;
    trial.holds(
        matches!(found, Resolved::Live(_)),
        "it began exactly at `not_before`",
    );
}

async fn an_answer_at_once_is_the_same<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let answers = [
        trial.store.resolve_now(&quiet(&token)),
        trial.store.resolve_now(&quiet(&session_set.token())),
    ];
    let [Some(live), Some(unknown)] = answers else {
        return;
    };

    let Resolved::Live(live) = trial.answered(live) else {
        trial.broken("`resolve_now` does not know a live session");
    };
    let found = trial.live(&token, "the same session").await;
    trial.same(live.record, found.record, "`resolve_now` as `resolve`");
    trial.holds(
        matches!(trial.answered(unknown), Resolved::Unknown),
        "`resolve_now` knows what nobody made",
    );
}

/// Number 2: `resolve` records the activity when asked to, and never moves it backwards.
pub async fn records_activity_forwards_only<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(2, make).await;
    what_is_no_activity_prolongs_nothing(&trial).await;
    activity_prolongs_the_idle_part(&trial).await;
}

async fn what_is_no_activity_prolongs_nothing<St: SessionStore>(trial: &Trial<St>) {
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
        "neither a forged token, `list`, `save` nor polling is activity",
    );

    trial.clock.advance(IDLE / 2);
    trial.unknown(&token, "nothing of that prolongs it").await;
}

async fn activity_prolongs_the_idle_part<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let began = trial.now();

    trial.clock.advance(IDLE / 2);
    let touched = trial.touch(&token, "an active session").await;
    trial.same(
        touched.record.last_activity,
        trial.now(),
        "the answer has the activity in it",
    );
    trial.clock.advance(IDLE - MS);
    let found = trial.live(&token, "activity prolongs the idle part").await;
    let deadline = began.plus(ABSOLUTE);
    trial.same(found.record.deadline, deadline, "the deadline stays");

    let latest = trial.touch(&token, "an active session").await;
    trial.clock.set(began.plus(MS));
    let back = trial.touch(&token, "the clock stepped back").await;
    trial.same(
        back.record.last_activity,
        latest.record.last_activity,
        "activity never moves backwards",
    );
    session_set.holds_exactly(&[&token], "what is listed").await;
}

/// Number 10: `list` is exactly the live sessions of the session set.
pub async fn lists_exactly_the_live<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(10, make).await;
    let (session_set, other) = (trial.user(), trial.user());
    session_set
        .holds_exactly(&[], "a session set that nobody used")
        .await;
    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let (early, ended) = (session_set.signs_in().await, session_set.signs_in().await);
    other.signs_in().await;
    trial.clock.advance(MS);
    let late = session_set.signs_in().await;
    session_set
        .holds_exactly(&[&expired, &early, &ended, &late], "all are live")
        .await;

    trial.end(&session_set.end_one(&ended)).await;
    trial.clock.advance(IDLE / 2 - MS);
    session_set
        .holds_exactly(&[&early, &late], "one ended, one expired")
        .await;
    let mut list = List::new(session_set.tag);
    list.not_before = Some(trial.live(&late, "the latest").await.record.created_at);
    let listed = trial.answered(trial.store.list(&list).await);
    trial.same(
        ids(&listed),
        ids_of(&[&late]),
        "only what began at `not_before` or later",
    );

    trial.clock.advance(IDLE);
    session_set.holds_exactly(&[], "all have expired").await;
}
