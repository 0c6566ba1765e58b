//! Numbers 3 and 4: how many sessions a user may have.

use super::{
    class, ticket,
    trial::{IDLE, MS, Trial, ids, ids_of},
    unused,
};
use crate::{
    model::{EndReason, Limit},
    store::{Created, ManualClock, SessionStore},
};

/// Number 3: after an evicting `create` at most `limit` sessions are live; the least recently
/// active end.
pub async fn evicts_the_least_recently_active<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(3, make).await;
    the_least_recently_active_ends(&trial).await;
    on_a_tie_the_oldest_session_ends(&trial).await;
    on_a_further_tie_the_lowest_id_ends(&trial).await;
    a_lower_limit_ends_all_excess_sessions(&trial).await;
    only_live_sessions_count(&trial).await;
    unused::goes_first(&trial).await;
    guest_sessions_have_no_limit(&trial).await;
    class::has_its_own_limit(&trial).await;
}

async fn the_least_recently_active_ends(trial: &Trial) {
    let session_set = trial.user();
    let oldest = session_set.signs_in().await;
    trial.clock.advance(MS);
    let idle = session_set.signs_in().await;
    trial.clock.advance(MS);
    trial.touch(&oldest, "the oldest session").await;
    trial.clock.advance(MS);
    let victim = trial.live(&idle, "a session that is polled").await.record;

    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(2);
    let made = trial.made(&create, "a sign-in at the limit").await;

    trial.same(made.evicted, vec![victim], "the evicted sessions");
    session_set
        .lists_exactly(&[&oldest, &token], "the list")
        .await;
    let notice = trial.notice(&idle, "the evicted session").await;
    let why = (notice.reason, notice.by, notice.ended_at);
    let wanted = (EndReason::Evicted, Some(token.session_id()), trial.now());
    trial.same(why, wanted, "reason, cause and time in the notice");
}

async fn on_a_tie_the_oldest_session_ends(trial: &Trial) {
    let session_set = trial.user();
    let (older, younger) = (session_set.token_named('z'), session_set.token_named('-'));
    trial
        .made(&session_set.create_for(&older), "the older session")
        .await;
    trial.clock.advance(MS);
    trial
        .made(&session_set.create_for(&younger), "the younger session")
        .await;
    trial.clock.advance(MS);
    trial
        .touch(&older, "a session with the same last activity")
        .await;
    trial
        .touch(&younger, "a session with the same last activity")
        .await;

    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(2);
    let made = trial.made(&create, "a sign-in at the limit").await;

    trial.same(
        ids(&made.evicted),
        ids_of(&[&older]),
        "the evicted session of two with the same last activity",
    );
}

async fn on_a_further_tie_the_lowest_id_ends(trial: &Trial) {
    let session_set = trial.user();
    // In the order of the text. The order of the bytes is another one: A a 0 - _.
    let order = ['-', '0', 'A', '_', 'a'].map(|first| session_set.token_named(first));
    for token in order.iter().rev() {
        trial
            .made(
                &session_set.create_for(token),
                "one of five sign-ins at the same moment",
            )
            .await;
    }

    let token = session_set.token_named('-');
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(2);
    let made = trial.made(&create, "a sign-in over the limit").await;

    let [first, second, third, fourth, last] = &order;
    trial.same(
        ids(&made.evicted),
        ids_of(&[first, second, third, fourth]),
        "the evicted sessions of five from the same moment",
    );
    session_set.lists_exactly(&[last, &token], "the list").await;
}

async fn a_lower_limit_ends_all_excess_sessions(trial: &Trial) {
    let session_set = trial.user();
    let first = session_set.signs_in().await;
    trial.clock.advance(MS);
    let second = session_set.signs_in().await;
    trial.clock.advance(MS);
    let third = session_set.signs_in().await;

    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(1);
    let made = trial.made(&create, "a sign-in under a lower limit").await;

    trial.same(
        ids(&made.evicted),
        ids_of(&[&first, &second, &third]),
        "the evicted sessions, the least recently active first",
    );
    session_set.lists_exactly(&[&token], "the list").await;
}

async fn only_live_sessions_count(trial: &Trial) {
    let session_set = trial.user();
    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let ended = session_set.signs_in().await;
    trial.end(&session_set.end_one(&ended)).await;
    let rejected = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let live = session_set.signs_in().await;
    trial.unknown(&expired, "the expired session").await;
    trial
        .live(&rejected, "the session from before `not_before`")
        .await;

    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(2);
    create.not_before = Some(trial.now());
    let made = trial.made(&create, "a sign-in at the limit").await;

    trial.same(ids(&made.evicted), ids_of(&[]), "the evicted sessions");
    trial.live(&live, "the other live session").await;
}

async fn guest_sessions_have_no_limit(trial: &Trial) {
    let session_set = trial.guest();
    let first = session_set.signs_in().await;
    let second = session_set.token();
    for excess in [Limit::at_most(1), Limit::at_most(1).refuse()] {
        let mut create = session_set.create_for(&second);
        create.limit = excess;
        let made = trial.made(&create, "a second guest session in a set").await;
        trial.same(
            ids(&made.evicted),
            ids_of(&[]),
            "the sessions that a guest session evicted",
        );
    }
    session_set
        .lists_exactly(&[&first, &second], "the list of guest sessions")
        .await;
}

/// Number 4: a refusing `create` at the limit changes no session; expired sessions do not count.
pub async fn refuses_and_changes_nothing<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(4, make).await;
    a_refusal_changes_nothing(&trial).await;
    unused::does_not_count_for_a_refusal(&trial).await;
    ticket::tickets_work_once(&trial).await;
}

async fn a_refusal_changes_nothing(trial: &Trial) {
    let session_set = trial.user();
    let first = session_set.signs_in().await;
    trial.live(&first, "a session that is used").await;
    trial.clock.advance(IDLE / 2);
    let second = session_set.signs_in().await;
    trial.live(&second, "a session that is used").await;
    let before = session_set.listed().await;

    for limit in [2, 1] {
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.limit = Limit::at_most(limit).refuse();
        let Created::LimitReached(mut by) = trial.create(&create).await else {
            trial.broken("a sign-in at a refusing limit was not refused");
        };
        by.sort_by_key(|record| record.id);
        trial.same(by, before.clone(), "the sessions in the refusal");
        trial
            .unknown(&token, "the token of the refused sign-in")
            .await;
        session_set
            .lists_exactly(&[&first, &second], "the list after a refusal")
            .await;
    }

    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(3).refuse();
    trial.made(&create, "a sign-in below the limit").await;
    session_set
        .lists_exactly(&[&first, &second, &token], "the list")
        .await;

    trial.clock.advance(IDLE / 2);
    let last = session_set.token();
    let mut create = session_set.create_for(&last);
    create.limit = Limit::at_most(3).refuse();
    trial
        .made(&create, "a sign-in with an expired session")
        .await;
    trial.end(&session_set.end_one(&second)).await;
    let again = session_set.token();
    create = session_set.create_for(&again);
    create.limit = Limit::at_most(3).refuse();
    trial.made(&create, "a sign-in with an ended session").await;
    session_set
        .lists_exactly(&[&token, &last, &again], "the list")
        .await;
}
