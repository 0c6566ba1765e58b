//! Numbers 3 and 4: how many sessions a user may have.

use super::{
    class, ticket,
    trial::{IDLE, MS, Trial, ids, ids_of},
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
    ties_go_by_creation(&trial).await;
    further_ties_go_by_the_text_of_the_id(&trial).await;
    a_lowered_limit_ends_all_the_excess(&trial).await;
    what_is_not_live_does_not_count(&trial).await;
    guests_have_no_limit(&trial).await;
    class::has_its_own_limit(&trial).await;
}

async fn the_least_recently_active_ends<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let oldest = session_set.signs_in().await;
    trial.clock.advance(MS);
    let idle = session_set.signs_in().await;
    trial.clock.advance(MS);
    trial.touch(&oldest, "the oldest is the active one").await;
    trial.clock.advance(MS);
    let victim = trial.live(&idle, "polling moves nobody up").await.record;

    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(2);
    let made = trial.made(&create, "a sign-in at the limit").await;

    trial.same(made.evicted, vec![victim], "who was evicted");
    session_set
        .holds_exactly(
            &[&oldest, &token],
            "at most the limit, the new one among them",
        )
        .await;
    let notice = trial.notice(&idle, "the evicted one's").await;
    let why = (notice.reason, notice.by, notice.ended_at);
    let wanted = (EndReason::Evicted, Some(token.session_id()), trial.now());
    trial.same(why, wanted, "why it ended");
}

async fn ties_go_by_creation<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (older, younger) = (session_set.token_named('z'), session_set.token_named('-'));
    trial.made(&session_set.asks(&older), "the older").await;
    trial.clock.advance(MS);
    trial.made(&session_set.asks(&younger), "the younger").await;
    trial.clock.advance(MS);
    trial.touch(&older, "active at the same time").await;
    trial.touch(&younger, "active at the same time").await;

    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(2);
    let made = trial.made(&create, "a sign-in at the limit").await;

    trial.same(
        ids(&made.evicted),
        ids_of(&[&older]),
        "a tie goes by creation",
    );
}

async fn further_ties_go_by_the_text_of_the_id<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    // ASCII order; the order of the bytes that they stand for is another one: A a 0 - _.
    let order = ['-', '0', 'A', '_', 'a'].map(|first| session_set.token_named(first));
    for token in order.iter().rev() {
        trial
            .made(&session_set.asks(token), "one of five at once")
            .await;
    }

    let token = session_set.token_named('-');
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(2);
    let made = trial.made(&create, "a sign-in over the limit").await;

    let [first, second, third, fourth, last] = &order;
    trial.same(
        ids(&made.evicted),
        ids_of(&[first, second, third, fourth]),
        "ties go by the text of the id, and never to the new one",
    );
    session_set
        .holds_exactly(&[last, &token], "two are left")
        .await;
}

async fn a_lowered_limit_ends_all_the_excess<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let first = session_set.signs_in().await;
    trial.clock.advance(MS);
    let second = session_set.signs_in().await;
    trial.clock.advance(MS);
    let third = session_set.signs_in().await;

    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(1);
    let made = trial.made(&create, "a sign-in under a lower limit").await;

    trial.same(
        ids(&made.evicted),
        ids_of(&[&first, &second, &third]),
        "all the excess ends, the least recently active first",
    );
    session_set.holds_exactly(&[&token], "one is left").await;
}

async fn what_is_not_live_does_not_count<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let ended = session_set.signs_in().await;
    trial.end(&session_set.end_one(&ended)).await;
    let rejected = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let live = session_set.signs_in().await;
    trial.unknown(&expired, "one has expired").await;
    trial.live(&rejected, "one began early").await;

    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(2);
    create.not_before = Some(trial.now());
    let made = trial.made(&create, "a sign-in at the limit").await;

    trial.same(ids(&made.evicted), ids_of(&[]), "nobody need go");
    trial.live(&live, "the other live one").await;
}

async fn guests_have_no_limit<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.guest();
    let first = session_set.signs_in().await;
    let second = session_set.token();
    for excess in [Limit::at_most(1), Limit::at_most(1).refuse()] {
        let mut create = session_set.asks(&second);
        create.limit = excess;
        let made = trial.made(&create, "a guest's session").await;
        trial.same(ids(&made.evicted), ids_of(&[]), "guests evict nobody");
    }
    session_set
        .holds_exactly(&[&first, &second], "guests never count")
        .await;
}

/// Number 4: a refusing `create` at the limit changes nothing; expired sessions never count.
pub async fn refuses_and_changes_nothing<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(4, make).await;
    let session_set = trial.user();
    let first = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let second = session_set.signs_in().await;
    let before = session_set.listed().await;

    for limit in [2, 1] {
        let token = session_set.token();
        let mut create = session_set.asks(&token);
        create.limit = Limit::at_most(limit).refuse();
        let Created::LimitReached(mut by) = trial.create(&create).await else {
            trial.broken("a sign-in at the limit was not refused");
        };
        by.sort_by_key(|record| record.id);
        trial.same(by, before.clone(), "the refusal names the live sessions");
        trial.unknown(&token, "the refused one").await;
        session_set
            .holds_exactly(&[&first, &second], "a refusal changes nothing")
            .await;
    }

    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(3).refuse();
    trial.made(&create, "a sign-in below the limit").await;
    session_set
        .holds_exactly(&[&first, &second, &token], "three of three")
        .await;

    trial.clock.advance(IDLE / 2);
    let last = session_set.token();
    let mut create = session_set.asks(&last);
    create.limit = Limit::at_most(3).refuse();
    trial.made(&create, "the expired one does not count").await;
    trial.end(&session_set.end_one(&second)).await;
    let again = session_set.token();
    create = session_set.asks(&again);
    create.limit = Limit::at_most(3).refuse();
    trial.made(&create, "the ended one does not count").await;
    session_set
        .holds_exactly(&[&token, &last, &again], "three of three")
        .await;
    ticket::is_left_by_a_refusal_and_works_once(&trial).await;
}
