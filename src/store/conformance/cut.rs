//! Numbers 7 and 15: the cut, and whose clock counts.

use std::time::Duration;

use super::trial::{MS, Trial, set};
use crate::{
    model::{Arrival, Limit},
    store::{Authenticated, Ended, ManualClock, SessionStore, Timestamp, Which},
};

const SECOND: Duration = Duration::from_secs(1);

/// Number 7: a sign-in authenticated at or before the cut is `Void` and changes nothing.
pub async fn voids_what_was_authenticated_before_the_cut<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(7, make).await;
    only_what_was_authenticated_after_the_cut_lives(&trial).await;
    what_follows_the_cut_within_its_millisecond_lives(&trial).await;
    what_follows_its_own_cut_lives_unless_another_came(&trial).await;
    a_void_one_changes_nothing(&trial).await;
    a_cut_in_the_future_is_moved_to_now(&trial).await;
    guests_have_no_cut(&trial).await;
    ending_one_makes_no_cut(&trial).await;
}

async fn only_what_was_authenticated_after_the_cut_lives<St: SessionStore>(trial: &Trial<St>) {
    // A user without a session has a cut, too.
    let corner = trial.user();
    let cut = trial.now();
    trial
        .ends(&corner.end(Which::All), 0, None, "nobody to end")
        .await;
    let token = corner.token();
    let mut create = corner.asks(&token);

    trial
        .void(&create, "authenticated at the cut, sent at once")
        .await;
    trial.clock.advance(MS);
    for at in [cut, cut.minus(MS), cut.minus(SECOND)] {
        create.authenticated = Authenticated::At(at);
        trial
            .void(&create, "authenticated at or before the cut")
            .await;
    }
    trial.unknown(&token, "void sign-ins make no session").await;

    create.authenticated = Authenticated::At(cut.plus(MS));
    let made = trial.made(&create, "authenticated after the cut").await;
    trial.same(made.cut, Some(cut), "the answer tells the cut");
    trial.same(
        made.record.authenticated_at,
        cut.plus(MS),
        "when it was authenticated",
    );
}

async fn what_follows_the_cut_within_its_millisecond_lives<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let cut = trial.now();
    trial.end(&corner.end(Which::All)).await;
    let mut create = corner.asks(&corner.token());
    create.authenticated = Authenticated::At(cut.plus(MS));

    let made = trial
        .made(&create, "stated as authenticated after the cut")
        .await;

    trial.same(
        made.record.authenticated_at,
        trial.now(),
        "a moment that is to come is kept as now",
    );
}

async fn what_follows_its_own_cut_lives_unless_another_came<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let own = trial.now();
    trial.end(&corner.end(Which::All)).await;
    let mut create = corner.asks(&corner.token());
    create.authenticated = Authenticated::After(own);
    let made = trial.made(&create, "after its own cut").await;
    trial.same(made.cut, Some(own), "the cut is its own");
    trial.same(
        made.record.authenticated_at,
        trial.now(),
        "a moment that is to come is kept as now",
    );

    // The store's clock steps back: another cut is the smaller number, and the later one.
    trial.clock.set(own.minus(SECOND));
    let mut create = corner.asks(&corner.token());
    create.authenticated = Authenticated::After(own);
    trial.made(&create, "no other cut came").await;
    trial.end(&corner.end(Which::All)).await;
    create = corner.asks(&corner.token());
    create.authenticated = Authenticated::After(own);
    trial.void(&create, "another cut came").await;
    trial.clock.set(own.plus(SECOND));
    trial.void(&create, "whatever the time").await;
}

async fn a_void_one_changes_nothing<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let kept = corner.signs_in().await;
    corner
        .saves(&corner.sets(&kept, "cart", "apple"), "a save")
        .await;
    let others = corner.end(Which::Others(kept.session_id()));
    trial.ends(&others, 0, None, "no others").await;
    let before = trial.live(&kept, "the one that stays").await;

    let token = corner.token();
    let mut create = corner.asks(&token);
    create.replaces = Some(kept.session_id());
    create.limit = Limit::at_most(1);
    create.changes = set("cart", "pear");
    trial.void(&create, "authenticated at the cut").await;
    create.limit = Limit::at_most(1).refuse();
    create.replaces = None;
    trial.void(&create, "void at the limit, too").await;

    let after = trial.live(&kept, "a void sign-in ends nobody").await;
    trial.same(after.record, before.record, "the session is as it was");
    trial.same(after.data, before.data, "its data is as it was");
    corner.holds_exactly(&[&kept], "one session").await;
}

async fn a_cut_in_the_future_is_moved_to_now<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let cut = trial.now();
    trial.end(&corner.end(Which::All)).await;
    // The store's clock steps back.
    let now = cut.minus(SECOND);
    trial.clock.set(now);

    let mut create = corner.asks(&corner.token());
    create.authenticated = Authenticated::At(cut.plus(MS));
    trial
        .void(
            &create,
            "the first one that meets the cut, whatever it says",
        )
        .await;
    create.authenticated = Authenticated::At(now);
    trial.void(&create, "authenticated at the moved cut").await;
    trial.clock.advance(MS);
    create.authenticated = Authenticated::At(now.plus(MS));
    let made = trial
        .made(&create, "authenticated after the moved cut")
        .await;
    trial.same(made.cut, Some(now), "the cut was moved to now");
    trial.clock.set(cut.plus(MS));
}

async fn guests_have_no_cut<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.guest();
    let former = corner.signs_in().await;
    trial
        .ends(&corner.end(Which::All), 1, None, "a guest's session")
        .await;
    trial.notice(&former, "it has ended").await;

    trial
        .made(&corner.asks(&corner.token()), "guests have no cut")
        .await;
}

async fn ending_one_makes_no_cut<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let former = corner.signs_in().await;
    trial.end(&corner.end_one(&former)).await;

    let made = trial
        .made(&corner.asks(&corner.token()), "ending one makes no cut")
        .await;
    trial.same(made.cut, None, "no cut to tell");
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
        let corner = trial.user();
        let token = corner.token();

        let made = trial.made(&corner.asks(&token), "a sign-in").await;
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
        let ended = trial.end(&corner.end(Which::All)).await;
        trial.holds(
            matches!(ended, Ended::Ended { now: cut, .. } if cut == now),
            "when they ended",
        );
        let notice = trial.notice(&token, "it has ended").await;
        trial.same(notice.ended_at, now, "when it ended");
    }
}

async fn an_arrival_counts_as_an_age<St: SessionStore>(trial: &Trial<St>) {
    let corner = trial.user();
    let cut = trial.now();
    trial.end(&corner.end(Which::All)).await;
    // Much more than this takes to run.
    trial.clock.advance(600 * SECOND);
    let now = trial.now();
    let mut create = corner.asks(&corner.token());

    create.authenticated = Authenticated::On(Arrival::ago(601 * SECOND));
    trial.void(&create, "it arrived before the cut").await;
    create.authenticated = Authenticated::On(Arrival::ago(SECOND));
    let made = trial.made(&create, "it arrived after the cut").await;
    let at = made.record.authenticated_at;
    trial.holds(
        cut < at && at <= now.minus(SECOND),
        "it was authenticated when it arrived, by the store's time",
    );
    trial.same(made.record.created_at, now, "it begins now");
}
