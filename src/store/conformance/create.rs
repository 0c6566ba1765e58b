//! Numbers 5 and 6: sessions that replace another one, and a `create` that is repeated.

use std::time::Duration;

use super::{
    follow,
    trial::{MS, Trial, ids, ids_of, set},
};
use crate::{
    model::{Client, EndReason, Limit, Proof},
    store::{
        Authenticated, Created, Data, ManualClock, NewSession, Record, SeenDevice, SessionStore,
        Which,
    },
};

/// How long a repeated `create` returns what it ended.
const MADE_KEPT: Duration = Duration::from_secs(60);

/// Number 5: `create` with `replaces` first ends that session and keeps its data.
pub async fn replaces_and_keeps_the_data<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(5, make).await;
    the_data_is_kept_and_changed(&trial).await;
    the_replaced_session_ends_before_the_limit_is_checked(&trial).await;
    a_refused_sign_in_replaces_nothing(&trial).await;
    only_the_data_of_a_live_session_is_kept(&trial).await;
    follow::replaces_the_session_that_replaced_it(&trial).await;
}

async fn the_data_is_kept_and_changed(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let (previous, other) = (session_set.signs_in().await, session_set.signs_in().await);
        session_set
            .saves(&session_set.sets(&previous, "cart", "apple"), "a save")
            .await;
        session_set
            .saves(&session_set.sets(&previous, "gone", "soon"), "a save")
            .await;

        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.replaces = Some(previous.session_id());
        create.changes = set("page", "3");
        create.changes.remove("gone");
        let made = trial.made(&create, "a sign-in that replaces").await;

        let wanted = Data::default()
            .apply(&set("cart", "apple"))
            .apply(&set("page", "3"));
        trial.same(
            made.data,
            wanted.clone(),
            "the data of the replaced session with the changes",
        );
        let found = trial.live(&token, "the new session").await;
        trial.same(found.data, wanted, "the stored data");
        trial.same(ids(&made.evicted), ids_of(&[]), "the evicted sessions");
        let notice = trial.notice(&previous, "the replaced session").await;
        trial.same(
            (notice.reason, notice.by),
            (EndReason::Replaced, Some(token.session_id())),
            "reason and cause in the notice",
        );
        session_set
            .lists_exactly(&[&other, &token], "the list")
            .await;
    }
}

async fn the_replaced_session_ends_before_the_limit_is_checked(trial: &Trial) {
    for limit in [Limit::at_most(2), Limit::at_most(2).refuse()] {
        let session_set = trial.user();
        let other = session_set.signs_in().await;
        trial.clock.advance(MS);
        let previous = session_set.signs_in().await;

        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.replaces = Some(previous.session_id());
        create.limit = limit;
        let made = trial
            .made(&create, "a sign-in at the limit that replaces a session")
            .await;

        trial.same(ids(&made.evicted), ids_of(&[]), "the evicted sessions");
        session_set
            .lists_exactly(&[&other, &token], "the list")
            .await;
    }
}

async fn a_refused_sign_in_replaces_nothing(trial: &Trial) {
    let session_set = trial.user();
    let (previous, other) = (session_set.signs_in().await, session_set.signs_in().await);

    let mut create = session_set.create_for(&session_set.token());
    create.replaces = Some(previous.session_id());
    create.limit = Limit::at_most(1).refuse();
    let created = trial.create(&create).await;

    trial.holds(
        matches!(created, Created::LimitReached(_)),
        "a limit of 1 refuses a sign-in that replaces one of two sessions",
    );
    session_set
        .lists_exactly(&[&previous, &other], "the list after a refusal")
        .await;
}

async fn only_the_data_of_a_live_session_is_kept(trial: &Trial) {
    let session_set = trial.user();
    let ended = session_set.signs_in().await;
    session_set
        .saves(&session_set.sets(&ended, "cart", "apple"), "a save")
        .await;
    trial.end(&session_set.end_one(&ended)).await;
    let stranger = trial.user().signs_in().await;

    for replaced in [&ended, &stranger, &session_set.token()] {
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.replaces = Some(replaced.session_id());
        let made = trial
            .made(&create, "a sign-in that names no live session of its set")
            .await;
        trial.same(made.data, Data::default(), "the data of the new session");
    }
    trial.live(&stranger, "another user's session").await;
    let notice = trial.notice(&ended, "the session that had ended").await;
    trial.same(
        notice.reason,
        EndReason::Revoked,
        "the reason in the notice",
    );
}

/// Number 6: a repeated `create` returns the same session; after that ended, it is `Created::Ended`.
pub async fn creates_once<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(6, make).await;
    a_new_session_is_what_was_asked_for(&trial).await;
    a_repeated_create_is_the_same_session(&trial).await;
    a_repeated_create_returns_what_it_ended(&trial).await;
    a_known_id_with_another_secret_makes_no_session(&trial).await;
    an_ended_session_is_not_made_again(&trial).await;
    it_is_not_made_again_while_its_notice_is_kept(&trial).await;
    one_that_ended_with_all_is_not_made_again(&trial).await;
}

async fn a_repeated_create_is_the_same_session(trial: &Trial) {
    let session_set = trial.user();
    let (previous, victim) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.clock.advance(MS);
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(1);
    create.replaces = Some(previous.session_id());
    create.changes = set("cart", "apple");
    let made = trial.made(&create, "a sign-in").await;
    trial.same(
        ids(&made.evicted),
        ids_of(&[&victim]),
        "the evicted sessions",
    );

    // This can happen while a client waits for a lost reply.
    trial.clock.advance(MS);
    let revision = session_set
        .saves(&session_set.sets(&token, "cart", "pear"), "a save")
        .await;
    let touched = trial.touch(&token, "an active session").await;
    create.limit = Limit::at_most(1).refuse();
    create.authenticated = Authenticated::At(trial.now());
    let again = trial.made(&create, "the repeated `create`").await;

    trial.same(
        again.record.revision,
        revision,
        "the revision after the repeated `create`",
    );
    trial.same(
        again.record,
        touched.record,
        "the session that the repeated `create` returned",
    );
    trial.same(
        again.data,
        touched.data,
        "the data that the repeated `create` returned",
    );
    trial.same(
        ids(&again.evicted),
        ids_of(&[]),
        "the sessions that the repeated `create` evicted",
    );
    session_set.lists_exactly(&[&token], "the list").await;
}

async fn a_repeated_create_returns_what_it_ended(trial: &Trial) {
    let session_set = trial.user();
    let (previous, victim) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.clock.advance(MS);
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(1);
    create.replaces = Some(previous.session_id());
    create.device = Some(SeenDevice {
        digest: [1; 12],
        kept: Duration::from_secs(600),
    });
    let made = trial.made(&create, "a sign-in").await;
    trial.same(
        (ids(&made.evicted), made.replaced, made.new_device),
        (ids_of(&[&victim]), Some(previous.session_id()), true),
        "what a sign-in ended, replaced and saw first",
    );

    let wanted = |made: NewSession| (made.evicted, made.replaced, made.new_device);
    let first = wanted(made);
    for (wait, what) in [
        (MS, "a repeated `create`"),
        (
            MADE_KEPT - 2 * MS,
            "a repeated `create`, 1 ms before a minute",
        ),
    ] {
        trial.clock.advance(wait);
        let again = trial.made(&create, what).await;
        trial.same(wanted(again), first.clone(), what);
    }
    trial.clock.advance(MS);
    let late = trial.made(&create, "a `create` after a minute").await;
    let nothing = (Vec::new(), None, false);
    trial.same(wanted(late), nothing, "a `create` repeated after a minute");
}

async fn a_known_id_with_another_secret_makes_no_session(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let forged = session_set.forged(&token);

    trial
        .create_ended(
            &session_set.create_for(&forged),
            "a `create` with the id of a live session and another secret",
        )
        .await;

    trial
        .unknown(&forged, "the token with the other secret")
        .await;
    session_set.lists_exactly(&[&token], "the list").await;
    trial.end(&session_set.end_one(&token)).await;
    trial
        .create_ended(
            &session_set.create_for(&forged),
            "a `create` with the id of an ended session and another secret",
        )
        .await;
    session_set.lists_exactly(&[], "the list").await;
}

async fn an_ended_session_is_not_made_again(trial: &Trial) {
    let session_set = trial.user();
    let revoked = session_set.signs_in().await;
    trial.end(&session_set.end_one(&revoked)).await;
    let signed_out = session_set.signs_in().await;
    trial.end(&session_set.end(Which::All)).await;
    trial.clock.advance(MS);
    let replaced = session_set.signs_in().await;
    let mut create = session_set.create_for(&session_set.token());
    create.replaces = Some(replaced.session_id());
    trial.made(&create, "a sign-in that replaces").await;

    let crowded = trial.user();
    let evicted = crowded.signs_in().await;
    create = crowded.create_for(&crowded.token());
    create.limit = Limit::at_most(1);
    trial.made(&create, "a sign-in at the limit").await;

    for (session_set, token) in [
        (&session_set, &revoked),
        (&session_set, &signed_out),
        (&session_set, &replaced),
        (&crowded, &evicted),
    ] {
        let again = session_set.create_for(token);
        trial
            .create_ended(&again, "a `create` with the id of an ended session")
            .await;
        trial
            .notice(token, "the ended session after that `create`")
            .await;
    }
}

async fn it_is_not_made_again_while_its_notice_is_kept(trial: &Trial) {
    let session_set = trial.user();
    let ended = session_set.signs_in().await;
    trial.end(&session_set.end_one(&ended)).await;
    let notice = trial.notice(&ended, "the ended session").await;

    trial.clock.set(notice.kept_until.minus(MS));
    trial
        .create_ended(
            &session_set.create_for(&ended),
            "a `create` 1 ms before the notice is dropped",
        )
        .await;
}

async fn one_that_ended_with_all_is_not_made_again(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial.clock.advance(MS);
    let mut create = session_set.create_for(&token);
    create.not_before = Some(trial.now());

    let what = "a repeated `create` of a session from before `not_before`";
    trial.create_ended(&create, what).await;
}

async fn a_new_session_is_what_was_asked_for(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        // A later session of the same user is made another way than the first.
        for _ in 0..2 {
            let token = session_set.token();
            let mut create = session_set.create_for(&token);
            create.client = Client::new()
                .with_address(Some([192, 0, 2, 1].into()))
                .with_user_agent(Some(b"Agent/1.0"));
            create.proof = Proof::new()
                .with_methods(["pwd", "otp"])
                .with_level("aal2")
                .with_external_sid("sid");
            create.persistent = false;
            let (user, client) = (session_set.user.clone(), create.client.clone());
            let mut wanted = Record::new(
                token.session_id(),
                token.digest(),
                user,
                client,
                create.lifetime,
                trial.now(),
            )
            .with_proof(create.proof.clone())
            .with_persistent(false);

            let made = trial.made(&create, "a sign-in").await;

            trial.same(made.record, wanted.clone(), "the record of a new session");
            let found = trial.live(&token, "a new session").await;
            wanted.unused = false;
            trial.same(found.record, wanted, "the stored record");
            trial.clock.advance(MS);
        }
    }
}
