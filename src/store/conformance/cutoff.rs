//! Numbers 7 and 15: the cutoff, and the clock.

use std::time::Duration;

use super::{
    age::has_an_order_and_an_age,
    trial::{MS, Trial, set},
};
use crate::{
    model::{Arrival, Limit},
    store::{Authenticated, Ended, ManualClock, SessionStore, Timestamp, Which},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Number 7: a sign-in authenticated at or before the cutoff is rejected and changes nothing.
pub async fn rejects_what_was_authenticated_before_the_cutoff<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(7, make).await;
    only_sign_ins_authenticated_after_the_cutoff_are_made(&trial).await;
    a_sign_in_may_state_a_time_just_after_the_cutoff(&trial).await;
    a_moment_later_than_the_arrival_counts_as_the_arrival(&trial).await;
    a_sign_in_after_its_own_cutoff_is_made_unless_another_cutoff_came(&trial).await;
    a_rejected_sign_in_changes_nothing(&trial).await;
    a_cutoff_in_the_future_is_moved_to_now(&trial).await;
    guest_sessions_have_no_cutoff(&trial).await;
    ending_one_session_sets_no_cutoff(&trial).await;
    has_an_order_and_an_age(&trial).await;
}

async fn only_sign_ins_authenticated_after_the_cutoff_are_made(trial: &Trial) {
    // A user without a session has a cutoff too.
    let session_set = trial.user();
    let cutoff = trial.now();
    trial
        .ends(
            &session_set.end(Which::All),
            0,
            None,
            "an end of all sessions without a session",
        )
        .await;
    let token = session_set.token();
    let mut create = session_set.create_for(&token);

    trial
        .rejected(
            &create,
            "a sign-in authenticated at the cutoff, in the same millisecond",
        )
        .await;
    trial.clock.advance(MS);
    for at in [cutoff, cutoff.minus(MS), cutoff.minus(SECOND)] {
        create.authenticated = Authenticated::At(at);
        trial
            .rejected(&create, "a sign-in authenticated at or before the cutoff")
            .await;
    }
    trial
        .unknown(&token, "the token of a rejected sign-in")
        .await;

    create.authenticated = Authenticated::At(cutoff.plus(MS));
    let made = trial
        .made(&create, "a sign-in authenticated after the cutoff")
        .await;
    trial.same(made.cutoff, Some(cutoff), "the cutoff in the outcome");
    trial.same(
        made.record.authenticated_at,
        cutoff.plus(MS),
        "the time of authentication",
    );
}

async fn a_sign_in_may_state_a_time_just_after_the_cutoff(trial: &Trial) {
    let session_set = trial.user();
    let cutoff = trial.now();
    trial.end(&session_set.end(Which::All)).await;
    let mut create = session_set.create_for(&session_set.token());
    create.authenticated = Authenticated::At(cutoff.plus(MS));

    let made = trial
        .made(
            &create,
            "a sign-in that states a time just after the cutoff",
        )
        .await;

    trial.same(
        made.record.authenticated_at,
        trial.now(),
        "the time of authentication, at most now",
    );
}

async fn a_moment_later_than_the_arrival_counts_as_the_arrival(trial: &Trial) {
    for sessions in [false, true] {
        let session_set = trial.user();
        if sessions {
            session_set.signs_in().await;
        }
        let mut create = session_set.create_for(&session_set.token());
        create.arrival = Some(Arrival::now());
        create.authenticated = Authenticated::At(trial.now().plus(DAY));
        trial.end(&session_set.end(Which::All)).await;
        trial
            .rejected(
                &create,
                "a sign-in that arrived before the cutoff, by a clock that is ahead",
            )
            .await;

        trial.clock.advance(SECOND * 60);
        create = session_set.create_for(&session_set.token());
        create.arrival = Some(Arrival::now());
        create.authenticated = Authenticated::At(trial.now().plus(DAY));
        let made = trial
            .made(
                &create,
                "a sign-in that arrived after the cutoff, by a clock that is ahead",
            )
            .await;
        let at = made.record.authenticated_at;
        trial.holds(
            at <= trial.now() && at > trial.now().minus(SECOND * 60),
            "the time of authentication is that of the arrival",
        );
    }
}

async fn a_sign_in_after_its_own_cutoff_is_made_unless_another_cutoff_came(trial: &Trial) {
    let session_set = trial.user();
    let own = trial.now();
    trial.end(&session_set.end(Which::All)).await;
    let mut create = session_set.create_for(&session_set.token());
    create.authenticated = Authenticated::After(own);
    let made = trial
        .made(&create, "a sign-in after the cutoff of its own request")
        .await;
    trial.same(made.cutoff, Some(own), "the cutoff in the outcome");
    trial.same(
        made.record.authenticated_at,
        trial.now(),
        "the time of authentication, at most now",
    );

    // The store's clock steps back. So a later cutoff can be the smaller number.
    trial.clock.set(own.minus(SECOND));
    let mut create = session_set.create_for(&session_set.token());
    create.authenticated = Authenticated::After(own);
    trial
        .made(
            &create,
            "a sign-in after its own cutoff, with the clock stepped back",
        )
        .await;
    trial.end(&session_set.end(Which::All)).await;
    create = session_set.create_for(&session_set.token());
    create.authenticated = Authenticated::After(own);
    trial
        .rejected(
            &create,
            "a sign-in after its own cutoff, and another cutoff since",
        )
        .await;
    trial.clock.set(own.plus(SECOND));
    trial
        .rejected(&create, "the same sign-in at a later time")
        .await;
}

async fn a_rejected_sign_in_changes_nothing(trial: &Trial) {
    let session_set = trial.user();
    let kept = session_set.signs_in().await;
    session_set
        .saves(&session_set.sets(&kept, "cart", "apple"), "a save")
        .await;
    let others = session_set.end(Which::Others(kept.session_id()));
    trial
        .ends(&others, 0, None, "an end of all others without others")
        .await;
    let before = trial.live(&kept, "the session that stays").await;

    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.replaces = Some(kept.session_id());
    create.limit = Limit::at_most(1);
    create.changes = set("cart", "pear");
    trial
        .rejected(&create, "a sign-in authenticated at the cutoff")
        .await;
    create.limit = Limit::at_most(1).refuse();
    create.replaces = None;
    trial
        .rejected(&create, "a rejected sign-in at a refusing limit")
        .await;

    let after = trial
        .live(&kept, "the other session after a rejected sign-in")
        .await;
    trial.same(
        after.record,
        before.record,
        "the record after a rejected sign-in",
    );
    trial.same(after.data, before.data, "the data after a rejected sign-in");
    session_set.lists_exactly(&[&kept], "the list").await;
}

async fn a_cutoff_in_the_future_is_moved_to_now(trial: &Trial) {
    let session_set = trial.user();
    let cutoff = trial.now();
    trial.end(&session_set.end(Which::All)).await;
    // The store's clock steps back.
    let now = cutoff.minus(SECOND);
    trial.clock.set(now);

    let mut create = session_set.create_for(&session_set.token());
    create.authenticated = Authenticated::At(cutoff.plus(MS));
    trial
        .rejected(&create, "the first sign-in before a cutoff in the future")
        .await;
    create.authenticated = Authenticated::At(now);
    trial
        .rejected(&create, "a sign-in authenticated at the moved cutoff")
        .await;
    trial.clock.advance(MS);
    create.authenticated = Authenticated::At(now.plus(MS));
    let made = trial
        .made(&create, "a sign-in authenticated after the moved cutoff")
        .await;
    trial.same(made.cutoff, Some(now), "the moved cutoff");
    trial.clock.set(cutoff.plus(MS));
}

async fn guest_sessions_have_no_cutoff(trial: &Trial) {
    let session_set = trial.guest();
    let previous = session_set.signs_in().await;
    trial
        .ends(
            &session_set.end(Which::All),
            1,
            None,
            "an end of all sessions of a guest",
        )
        .await;
    trial.notice(&previous, "the ended session").await;

    trial
        .made(
            &session_set.create_for(&session_set.token()),
            "a guest session after that",
        )
        .await;
}

async fn ending_one_session_sets_no_cutoff(trial: &Trial) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    trial.end(&session_set.end_one(&previous)).await;

    let made = trial
        .made(
            &session_set.create_for(&session_set.token()),
            "a sign-in after an end of one session",
        )
        .await;
    trial.same(made.cutoff, None, "the cutoff in the outcome");
}

/// Number 15: only the store's clock decides.
pub async fn uses_only_its_own_clock<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(15, make).await;
    every_outcome_has_the_time_of_the_store(&trial).await;
    an_arrival_counts_as_an_age(&trial).await;
}

async fn every_outcome_has_the_time_of_the_store(trial: &Trial) {
    // Times far from the machine's time, forwards and back again.
    let start = trial.now();
    for moment in [86_400_000, 7_258_118_400_000, start.as_millis()] {
        let now = Timestamp::from_millis(moment);
        trial.clock.set(now);
        let session_set = trial.user();
        let token = session_set.token();

        let made = trial
            .made(&session_set.create_for(&token), "a sign-in")
            .await;
        trial.same(made.now, now, "`now` of a new session");
        let record = made.record;
        let times = (
            record.created_at,
            record.authenticated_at,
            record.last_activity,
        );
        trial.same(times, (now, now, now), "the times of a new session");
        let found = trial.touch(&token, "an active session").await;
        trial.same(found.now, now, "`now` of a resolved session");
        let ended = trial.end(&session_set.end(Which::All)).await;
        trial.holds(
            matches!(ended, Ended::Ended { now: cutoff, .. } if cutoff == now),
            "`now` of an end is the time of the store",
        );
        let notice = trial.notice(&token, "the ended session").await;
        trial.same(notice.ended_at, now, "the time in the notice");
    }
}

async fn an_arrival_counts_as_an_age(trial: &Trial) {
    let session_set = trial.user();
    let cutoff = trial.now();
    trial.end(&session_set.end(Which::All)).await;
    // Longer than this test takes to run.
    trial.clock.advance(600 * SECOND);
    let now = trial.now();
    let mut create = session_set.create_for(&session_set.token());

    create.authenticated = Authenticated::On(Arrival::ago(601 * SECOND));
    trial
        .rejected(&create, "a sign-in that arrived before the cutoff")
        .await;
    create.authenticated = Authenticated::On(Arrival::ago(SECOND));
    let made = trial
        .made(&create, "a sign-in that arrived after the cutoff")
        .await;
    let at = made.record.authenticated_at;
    trial.holds(
        cutoff < at && at <= now.minus(SECOND),
        "the time of authentication is the arrival by the store's clock",
    );
    trial.same(made.record.created_at, now, "the time of creation");
}
