//! Number 5, of sign-ins that show the same previous token.

use super::trial::{MS, Trial, ids, ids_of};
use crate::{model::Limit, store::SessionStore};

pub(super) async fn follows_to_the_successor<St: SessionStore>(trial: &Trial<St>) {
    of_the_same_session_set(trial).await;
    of_another_set(trial).await;
}

async fn of_the_same_session_set<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let other = session_set.signs_in().await;
    trial.clock.advance(MS);
    let sent = session_set.signs_in().await;
    let mut last = sent.session_id();
    for _ in 0..4 {
        trial.clock.advance(MS);
        let token = session_set.token();
        let mut create = session_set.asks(&token);
        create.limit = Limit::at_most(8);
        create.replaces = Some(sent.session_id());

        let made = trial.made(&create, "a sign-in with the same token").await;

        trial.same(made.replaced, Some(last), "whose place it takes");
        trial.same(ids(&made.evicted), ids_of(&[]), "and nobody else's");
        last = token.session_id();
    }
    trial.live(&other, "the other session").await;
}

async fn of_another_set<St: SessionStore>(trial: &Trial<St>) {
    let (session_set, elsewhere) = (trial.user(), trial.guest());
    let sent = elsewhere.signs_in().await;
    let mut made = Vec::new();
    for _ in 0..2 {
        let token = session_set.token();
        let mut create = session_set.asks(&token);
        create.replaces = Some(sent.session_id());
        made.push((token, trial.made(&create, "a guest's sign-in").await));
    }

    let [(first, one), (second, two)] = &made[..] else {
        trial.broken("two were made");
    };
    trial.same(one.replaced, None, "the first takes nobody's place");
    trial.same(
        two.replaced,
        Some(first.session_id()),
        "the second the first's",
    );
    session_set.holds_exactly(&[second], "one place").await;
    trial
        .live(&sent, "the guest's session is another session set's")
        .await;
}
