//! Numbers 7 and 15: the cutoff, and whose clock counts.

use std::time::Duration;

use super::trial::{MS, Trial, set};
use crate::{
    model::{Arrival, Limit},
    store::{Authenticated, Ended, ManualClock, SessionStore, Timestamp, Which},
};

const SECOND: Duration = Duration::from_secs(1);

/// Number 7: a sign-in authenticated at or before the cutoff is `Void` and changes nothing.
pub async fn rejects_what_was_authenticated_before_the_cutoff<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(7, make).await;
    only_what_was_authenticated_after_the_cutoff_lives(&trial).await;
    what_follows_the_cutoff_within_its_millisecond_lives(&trial).await;
    what_follows_its_own_cutoff_lives_unless_another_came(&trial).await;
    a_rejected_one_changes_nothing(&trial).await;
    a_cutoff_in_the_future_is_moved_to_now(&trial).await;
    guests_have_no_cutoff(&trial).await;
    ending_one_makes_no_cutoff(&trial).await;
}

async fn only_what_was_authenticated_after_the_cutoff_lives<St: SessionStore>(trial: &Trial<St>) {
    // A user without a session has a cutoff, too.
    let session_set = trial.user();
    let cutoff = trial.now();
    trial
        .ends(&session_set.end(Which::All), 0, None, "nobody to end")
        .await;
    let token = session_set.token();
    let mut create = session_set.asks(&token);

    trial
        .rejected(&create, "authenticated at the cutoff, sent at once")
        .await;
    trial.clock.advance(MS);
    for at in [cutoff, cutoff.minus(MS), cutoff.minus(SECOND)] {
        create.authenticated = Authenticated::At(at);
        trial
            .rejected(&create, "authenticated at or before the cutoff")
            .await;
    }
    trial.unknown(&token, "void sign-ins make no session").await;

    create.authenticated = Authenticated::At(cutoff.plus(MS));
    let made = trial.made(&create, "authenticated after the cutoff").await;
    trial.same(made.cutoff, Some(cutoff), "the answer tells the cutoff");
    trial.same(
        made.record.authenticated_at,
        cutoff.plus(MS),
        "when it was authenticated",
    );
}

async fn what_follows_the_cutoff_within_its_millisecond_lives<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let cutoff = trial.now();
    trial.end(&session_set.end(Which::All)).await;
    let mut create = session_set.asks(&session_set.token());
    create.authenticated = Authenticated::At(cutoff.plus(MS));

    let made = trial
        .made(&create, "stated as authenticated after the cutoff")
        .await;

    trial.same(
        made.record.authenticated_at,
        trial.now(),
        "a moment that is to come is kept as now",
    );
}

async fn what_follows_its_own_cutoff_lives_unless_another_came<St: SessionStore>(
    trial: &Trial<St>,
) {
    let session_set = trial.user();
    let own = trial.now();
    trial.end(&session_set.end(Which::All)).await;
    let mut create = session_set.asks(&session_set.token());
    create.authenticated = Authenticated::After(own);
    let made = trial.made(&create, "after its own cutoff").await;
    trial.same(made.cutoff, Some(own), "the cutoff is its own");
    trial.same(
        made.record.authenticated_at,
        trial.now(),
        "a moment that is to come is kept as now",
    );

    // The store's clock steps back: another cutoff is the smaller number, and the later one.
    trial.clock.set(own.minus(SECOND));
    let mut create = session_set.asks(&session_set.token());
    create.authenticated = Authenticated::After(own);
    trial.made(&create, "no other cutoff came").await;
    trial.end(&session_set.end(Which::All)).await;
    create = session_set.asks(&session_set.token());
    create.authenticated = Authenticated::After(own);
    trial.rejected(&create, "another cutoff came").await;
    trial.clock.set(own.plus(SECOND));
    trial.rejected(&create, "whatever the time").await;
}

async fn a_rejected_one_changes_nothing<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let kept = session_set.signs_in().await;
    session_set
        .saves(&session_set.sets(&kept, "cart", "apple"), "a save")
        .await;
    let others = session_set.end(Which::Others(kept.session_id()));
    trial.ends(&others, 0, None, "no others").await;
    let before = trial.live(&kept, "the one that stays").await;

    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.replaces = Some(kept.session_id());
    create.limit = Limit::at_most(1);
    create.changes = set("cart", "pear");
    trial.rejected(&create, "authenticated at the cutoff").await;
    create.limit = Limit::at_most(1).refuse();
    create.replaces = None;
    trial.rejected(&create, "void at the limit, too").await;

    let after = trial.live(&kept, "a void sign-in ends nobody").await;
    trial.same(after.record, before.record, "the session is as it was");
    trial.same(after.data, before.data, "its data is as it was");
    session_set.holds_exactly(&[&kept], "one session").await;
}

async fn a_cutoff_in_the_future_is_moved_to_now<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let cutoff = trial.now();
    trial.end(&session_set.end(Which::All)).await;
    // The store's clock steps back.
    let now = cutoff.minus(SECOND);
    trial.clock.set(now);

    let mut create = session_set.asks(&session_set.token());
    create.authenticated = Authenticated::At(cutoff.plus(MS));
    trial
        .rejected(
            &create,
            "the first one that meets the cutoff, whatever it says",
        )
        .await;
    create.authenticated = Authenticated::At(now);
    trial
        .rejected(&create, "authenticated at the moved cutoff")
        .await;
    trial.clock.advance(MS);
    create.authenticated = Authenticated::At(now.plus(MS));
    let made = trial
        .made(&create, "authenticated after the moved cutoff")
        .await;
    trial.same(made.cutoff, Some(now), "the cutoff was moved to now");
    trial.clock.set(cutoff.plus(MS));
}

async fn guests_have_no_cutoff<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.guest();
    let previous = session_set.signs_in().await;
    trial
        .ends(&session_set.end(Which::All), 1, None, "a guest's session")
        .await;
    trial.notice(&previous, "it has ended").await;

    trial
        .made(
            &session_set.asks(&session_set.token()),
            "guests have no cutoff",
        )
        .await;
}

async fn ending_one_makes_no_cutoff<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    trial.end(&session_set.end_one(&previous)).await;

    let made = trial
        .made(
            &session_set.asks(&session_set.token()),
            "ending one makes no cutoff",
        )
        .await;
    trial.same(made.cutoff, None, "no cutoff to tell");
}

/// Number 15: the store owns the time.
pub async fn owns_the_time<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(15, make).await;
    every_answer_is_of_the_store_s_time(&trial).await;
    an_arrival_counts_as_an_age(&trial).await;
}

async fn every_answer_is_of_the_store_s_time<St: SessionStore>(trial: &Trial<St>) {
    // Far from the machine's own time, and forwards and back again.
    let start = trial.now();
    for moment in [86_400_000, 7_258_118_400_000, start.as_millis()] {
        let now = Timestamp::from_millis(moment);
        trial.clock.set(now);
        let session_set = trial.user();
        let token = session_set.token();

        let made = trial.made(&session_set.asks(&token), "a sign-in").await;
        trial.same(made.now, now, "when it was made");
        let record = made.record;
        let times = (
            record.created_at,
            record.authenticated_at,
            record.last_activity,
        );
        trial.same(times, (now, now, now), "a session begins now");
        let found = trial.touch(&token, "an active session").await;
        trial.same(found.now, now, "when it was read");
        let ended = trial.end(&session_set.end(Which::All)).await;
        trial.holds(
            matches!(ended, Ended::Ended { now: cutoff, .. } if cutoff == now),
            "when they ended",
        );
        let notice = trial.notice(&token, "it has ended").await;
        trial.same(notice.ended_at, now, "when it ended");
    }
}

async fn an_arrival_counts_as_an_age<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let cutoff = trial.now();
    trial.end(&session_set.end(Which::All)).await;
    // Much more than this takes to run.
    trial.clock.advance(600 * SECOND);
    let now = trial.now();
    let mut create = session_set.asks(&session_set.token());

    create.authenticated = Authenticated::On(Arrival::ago(601 * SECOND));
    trial
        .rejected(&create, "it arrived before the cutoff")
        .await;
    create.authenticated = Authenticated::On(Arrival::ago(SECOND));
    let made = trial.made(&create, "it arrived after the cutoff").await;
    let at = made.record.authenticated_at;
    trial.holds(
        cutoff < at && at <= now.minus(SECOND),
        "it was authenticated when it arrived, by the store's time",
    );
    trial.same(made.record.created_at, now, "it begins now");
}
