//! Numbers 5 and 6: sessions that take another's place, and sessions that are asked for twice.

use super::{
    follow,
    trial::{MS, Trial, ids, ids_of, set},
};
use crate::{
    model::{EndReason, Limit},
    store::{Authenticated, Created, Data, ManualClock, SessionStore, Which},
};

/// Number 5: `create` with `replaces` ends that session first and keeps its data.
pub async fn replaces_and_keeps_the_data<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(5, make).await;
    the_data_is_kept_and_changed(&trial).await;
    its_place_is_free_first(&trial).await;
    a_refused_one_replaces_nothing(&trial).await;
    only_a_live_session_leaves_its_data(&trial).await;
    follow::follows_to_the_successor(&trial).await;
}

async fn the_data_is_kept_and_changed<St: SessionStore>(trial: &Trial<St>) {
    for session_set in [trial.user(), trial.guest()] {
        let (previous, other) = (session_set.signs_in().await, session_set.signs_in().await);
        session_set
            .saves(&session_set.sets(&previous, "cart", "apple"), "a save")
            .await;
        session_set
            .saves(&session_set.sets(&previous, "gone", "soon"), "a save")
            .await;

        let token = session_set.token();
        let mut create = session_set.asks(&token);
        create.replaces = Some(previous.session_id());
        create.changes = set("page", "3");
        create.changes.remove("gone");
        let made = trial.made(&create, "a sign-in that replaces").await;

        let wanted = Data::default()
            .apply(&set("cart", "apple"))
            .apply(&set("page", "3"));
        trial.same(made.data, wanted.clone(), "its data is kept, then changed");
        let found = trial.live(&token, "the new one").await;
        trial.same(found.data, wanted, "so it is stored");
        trial.same(ids(&made.evicted), ids_of(&[]), "nobody was evicted");
        let notice = trial.notice(&previous, "the replaced one's").await;
        trial.same(
            (notice.reason, notice.by),
            (EndReason::Replaced, Some(token.session_id())),
            "why it ended",
        );
        session_set
            .holds_exactly(&[&other, &token], "the others stay")
            .await;
    }
}

async fn its_place_is_free_first<St: SessionStore>(trial: &Trial<St>) {
    for limit in [Limit::at_most(2), Limit::at_most(2).refuse()] {
        let session_set = trial.user();
        let other = session_set.signs_in().await;
        trial.clock.advance(MS);
        let previous = session_set.signs_in().await;

        let token = session_set.token();
        let mut create = session_set.asks(&token);
        create.replaces = Some(previous.session_id());
        create.limit = limit;
        let made = trial
            .made(&create, "it takes the replaced one's place")
            .await;

        trial.same(ids(&made.evicted), ids_of(&[]), "nobody was evicted");
        session_set
            .holds_exactly(&[&other, &token], "two of two")
            .await;
    }
}

async fn a_refused_one_replaces_nothing<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (previous, other) = (session_set.signs_in().await, session_set.signs_in().await);

    let mut create = session_set.asks(&session_set.token());
    create.replaces = Some(previous.session_id());
    create.limit = Limit::at_most(1).refuse();
    let created = trial.create(&create).await;

    trial.holds(
        matches!(created, Created::LimitReached(_)),
        "one of two is replaced, but only one may be",
    );
    session_set
        .holds_exactly(&[&previous, &other], "a refusal changes nothing")
        .await;
}

async fn only_a_live_session_leaves_its_data<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let ended = session_set.signs_in().await;
    session_set
        .saves(&session_set.sets(&ended, "cart", "apple"), "a save")
        .await;
    trial.end(&session_set.end_one(&ended)).await;
    let stranger = trial.user().signs_in().await;

    for replaced in [&ended, &stranger, &session_set.token()] {
        let token = session_set.token();
        let mut create = session_set.asks(&token);
        create.replaces = Some(replaced.session_id());
        let made = trial.made(&create, "nothing to replace").await;
        trial.same(made.data, Data::default(), "nothing to keep");
    }
    trial.live(&stranger, "another user's session").await;
    let notice = trial.notice(&ended, "the ended one's").await;
    trial.same(notice.reason, EndReason::Revoked, "it ended before");
}

/// Number 6: `create` again with the same id and digest is the same session; after it ended, it is
/// `Ended`.
pub async fn creates_once<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(6, make).await;
    again_is_the_same_session(&trial).await;
    another_secret_is_refused(&trial).await;
    whatever_ended_it_it_stays_ended(&trial).await;
}

async fn again_is_the_same_session<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (previous, victim) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.clock.advance(MS);
    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(1);
    create.replaces = Some(previous.session_id());
    create.changes = set("cart", "apple");
    let made = trial.made(&create, "a sign-in").await;
    trial.same(ids(&made.evicted), ids_of(&[&victim]), "who was evicted");

    // What may have happened before the answer was given up for lost.
    trial.clock.advance(MS);
    let revision = session_set
        .saves(&session_set.sets(&token, "cart", "pear"), "a save")
        .await;
    let touched = trial.touch(&token, "an active session").await;
    create.limit = Limit::at_most(1).refuse();
    create.authenticated = Authenticated::At(trial.now());
    let again = trial.made(&create, "the same sign-in again").await;

    trial.same(again.record.revision, revision, "what was saved stays");
    trial.same(again.record, touched.record, "the same session");
    trial.same(again.data, touched.data, "with the same data");
    trial.same(ids(&again.evicted), ids_of(&[]), "it evicts nobody again");
    session_set.holds_exactly(&[&token], "one session").await;
}

async fn another_secret_is_refused<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let forged = session_set.forged(&token);

    trial
        .create_ended(&session_set.asks(&forged), "another secret for a live id")
        .await;

    trial.unknown(&forged, "the other secret").await;
    session_set
        .holds_exactly(&[&token], "the session stays")
        .await;
    trial.end(&session_set.end_one(&token)).await;
    trial
        .create_ended(&session_set.asks(&forged), "another secret for an ended id")
        .await;
    session_set.holds_exactly(&[], "nobody signed in").await;
}

async fn whatever_ended_it_it_stays_ended<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let revoked = session_set.signs_in().await;
    trial.end(&session_set.end_one(&revoked)).await;
    let signed_out = session_set.signs_in().await;
    trial.end(&session_set.end(Which::All)).await;
    trial.clock.advance(MS);
    let replaced = session_set.signs_in().await;
    let mut create = session_set.asks(&session_set.token());
    create.replaces = Some(replaced.session_id());
    trial.made(&create, "a sign-in that replaces").await;

    let crowded = trial.user();
    let evicted = crowded.signs_in().await;
    create = crowded.asks(&crowded.token());
    create.limit = Limit::at_most(1);
    trial.made(&create, "a sign-in at the limit").await;

    for (session_set, token) in [
        (&session_set, &revoked),
        (&session_set, &signed_out),
        (&session_set, &replaced),
        (&crowded, &evicted),
    ] {
        let again = session_set.asks(token);
        trial.create_ended(&again, "an ended id, again").await;
        trial.notice(token, "its notice stays").await;
    }
}
