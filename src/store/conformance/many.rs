//! Number 10, with as many sessions as the default limit allows.

use super::trial::{MS, Trial, ids, ids_of};
use crate::{
    model::{Limit, Token},
    store::{Ended, Look, Presence, Which},
};

pub(super) async fn all_of_many_sessions_are_found(trial: &Trial) {
    let session_set = trial.user();
    let most = usize::from(Limit::default().sessions());
    let first = session_set.signs_in().await;
    let mut tokens = Vec::new();
    for _ in 1..most {
        trial.clock.advance(MS);
        tokens.push(session_set.signs_in().await);
    }
    let last = session_set.token();
    trial.clock.advance(MS);
    let create = session_set.create_for(&last);
    let made = trial.made(&create, "a sign-in at the default limit").await;
    trial.same(
        ids(&made.evicted),
        ids_of(&[&first]),
        "the session that a sign-in at the default limit evicted",
    );
    tokens.push(last);

    let all: Vec<_> = tokens.iter().map(Token::session_id).collect();
    let mut wanted = all.clone();
    wanted.sort();
    let listed = ids(&session_set.listed().await);
    trial.same(
        listed,
        wanted.clone(),
        "the list of as many sessions as the default limit",
    );
    let looked = trial.look(&Look::new(session_set.tag, all)).await.sessions;
    let live = |presence: &&Presence| matches!(presence, Presence::Live(_));
    trial.same(
        looked.iter().filter(live).count(),
        most,
        "how many of them are live when a call looks at all",
    );

    let ended = match trial.end(&session_set.end(Which::All)).await {
        Ended::Ended { mut ids, .. } => {
            ids.sort();
            ids
        }
        other => trial.broken(&format!("an end of all: found {other:?}")),
    };
    trial.same(ended, wanted, "the sessions that an end of all ended");
    for token in &tokens {
        let what = "one of as many sessions as the default limit, which all ended";
        trial.notice(token, what).await;
    }
}
