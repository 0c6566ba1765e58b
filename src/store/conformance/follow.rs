//! Number 5 for several sign-ins whose requests sent the same token.

use std::time::Duration;

use super::trial::{MS, Trial, ids, ids_of};
use crate::model::Limit;

/// How long a replaced session of another session set is remembered.
const MARKED: Duration = Duration::from_secs(60);

pub(super) async fn replaces_the_session_that_replaced_it(trial: &Trial) {
    within_one_session_set(trial).await;
    from_another_session_set(trial).await;
    several_are_remembered(trial).await;
    only_for_a_minute(trial).await;
}

async fn within_one_session_set(trial: &Trial) {
    let session_set = trial.user();
    let other = session_set.signs_in().await;
    trial.clock.advance(MS);
    let sent = session_set.signs_in().await;
    let mut last = sent.session_id();
    for _ in 0..4 {
        trial.clock.advance(MS);
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.limit = Limit::at_most(8);
        create.replaces = Some(sent.session_id());

        let made = trial
            .made(&create, "a sign-in whose request sent the same token")
            .await;

        trial.same(made.replaced, Some(last), "the session that it replaced");
        trial.same(ids(&made.evicted), ids_of(&[]), "the evicted sessions");
        last = token.session_id();
    }
    trial.live(&other, "the other session").await;
}

async fn from_another_session_set(trial: &Trial) {
    let (session_set, elsewhere) = (trial.user(), trial.guest());
    let sent = elsewhere.signs_in().await;
    let mut made = Vec::new();
    for _ in 0..2 {
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.replaces = Some(sent.session_id());
        made.push((
            token,
            trial.made(&create, "a sign-in from a guest session").await,
        ));
    }

    let [(first, one), (second, two)] = &made[..] else {
        trial.broken("expected two sign-ins");
    };
    trial.same(
        one.replaced,
        None,
        "the session of this set that the first sign-in replaced",
    );
    trial.same(
        two.replaced,
        Some(first.session_id()),
        "the session that the second sign-in replaced",
    );
    session_set.lists_exactly(&[second], "the list").await;
    trial
        .live(&sent, "the guest session, which is in another session set")
        .await;
}

/// Two browsers sign in at once, each in two tabs.
async fn several_are_remembered(trial: &Trial) {
    let session_set = trial.user();
    let mut first = Vec::new();
    for sent in [trial.id(), trial.id(), trial.id()] {
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.replaces = Some(sent);
        trial.made(&create, "a sign-in from a guest session").await;
        first.push((sent, token));
    }
    for (sent, token) in first {
        let mut create = session_set.create_for(&session_set.token());
        create.replaces = Some(sent);
        let made = trial.made(&create, "a second sign-in from there").await;
        trial.same(
            made.replaced,
            Some(token.session_id()),
            "the session that the second sign-in from one of three guest sessions replaced",
        );
    }
}

async fn only_for_a_minute(trial: &Trial) {
    for (wait, followed) in [(MARKED - MS, true), (MARKED, false)] {
        let session_set = trial.user();
        let sent = trial.id();
        let first = session_set.token();
        let mut create = session_set.create_for(&first);
        create.replaces = Some(sent);
        trial
            .made(&create, "a sign-in from another session set")
            .await;
        trial.clock.advance(wait);

        create = session_set.create_for(&session_set.token());
        create.replaces = Some(sent);
        let made = trial.made(&create, "a second sign-in from there").await;

        trial.same(
            made.replaced,
            followed.then(|| first.session_id()),
            "the session that a sign-in replaced about a minute after the first one",
        );
    }
}
