//! Number 16: tokens that a re-authentication made invalid, and tokens of no session.

use std::time::Duration;

use super::trial::{MS, SessionSet, Trial, quiet};
use crate::{
    model::{Lifetime, Token},
    store::{Authenticated, Renewal, Resolved, Rotate, Rotated, Salt},
};

const GRACE: Duration = Duration::from_secs(30);

pub(super) async fn end_no_session(trial: &Trial) {
    an_invalid_token_is_reported_once_and_ends_nothing(trial).await;
    another_token_rotates_nothing(trial).await;
}

fn proven(trial: &Trial) -> Renewal {
    Renewal::Proven {
        authenticated: Authenticated::At(trial.now()),
        lifetime: Lifetime::default(),
    }
}

/// A session whose user authenticated again: the token from before, and the present one.
async fn proven_again(trial: &Trial, session_set: &SessionSet<'_>) -> (Token, Token) {
    let before = session_set.signs_in().await;
    let next = trial.random(before.renewed());
    let mut rotate = Rotate::new(&before, &next, proven(trial));
    rotate.grace = GRACE;
    rotate.reuse_ends = true;
    let outcome = trial.rotate(&rotate).await;
    trial.holds(
        matches!(outcome, Rotated::Rotated(_)),
        &format!("a re-authentication is made, found {outcome:?}"),
    );
    (before, next)
}

async fn an_invalid_token_is_reported_once_and_ends_nothing(trial: &Trial) {
    let session_set = trial.user();
    let (before, next) = proven_again(trial, &session_set).await;
    trial.clock.advance(GRACE - MS);
    trial
        .notice(&before, "an invalid token before its time")
        .await;
    trial.clock.advance(MS);

    let reused = trial.resolve(&quiet(&before)).await;

    let Resolved::Reused(reused) = reused else {
        trial.broken(&format!(
            "an invalid token after its time: expected `Resolved::Reused`, found {reused:?}"
        ));
    };
    trial.same(
        (reused.record.id, reused.ended),
        (next.session_id(), false),
        "the session of an invalid token, and whether it ended",
    );
    trial
        .live(&next, "the session after a request with an invalid token")
        .await;
    trial
        .unknown(&before, "an invalid token, a second time")
        .await;
    session_set.lists_exactly(&[&next], "the list").await;

    // The next rotation has no trace of it, and its own previous token is reuse.
    let salt = Salt::from_bytes([1; 16]);
    let third = next.successor(&salt);
    let mut rotate = Rotate::new(&next, &third, Renewal::Derived(salt));
    rotate.grace = GRACE;
    trial.rotate(&rotate).await;
    trial.touch(&third, "the third token").await;
    trial
        .unknown(&before, "an invalid token after a rotation")
        .await;
    trial.clock.advance(GRACE);
    let reused = trial.peek(&next).await;
    trial.holds(
        matches!(&reused, Resolved::Reused(reused) if reused.ended),
        &format!("a rotated token after its time still ends the session, found {reused:?}"),
    );
}

async fn another_token_rotates_nothing(trial: &Trial) {
    let session_set = trial.user();
    let other = session_set.signs_in().await;
    let (before, token) = proven_again(trial, &session_set).await;
    trial.clock.advance(GRACE);
    let record = trial.touch(&token, "the session").await.record;
    let salt = Salt::from_bytes([2; 16]);
    let forged = session_set.forged(&token);

    for wrong in [&forged, &before] {
        let mut rotate = Rotate::new(wrong, &wrong.successor(&salt), proven(trial));
        let outcome = trial.rotate(&rotate).await;
        trial.holds(
            matches!(outcome, Rotated::Ended),
            &format!("a re-authentication with a wrong token is none, found {outcome:?}"),
        );
        rotate.renewal = Renewal::Derived(salt);
        let outcome = trial.rotate(&rotate).await;
        trial.holds(
            matches!(outcome, Rotated::Ended | Rotated::Kept),
            &format!("a rotation with a wrong token is none, found {outcome:?}"),
        );
        let next = wrong.successor(&salt);
        trial.unknown(&next, "the successor of a wrong token").await;
    }

    let mut rotate = Rotate::new(&other, &other.successor(&salt), Renewal::Derived(salt));
    rotate.id = token.session_id();
    let outcome = trial.rotate(&rotate).await;
    trial.holds(
        matches!(outcome, Rotated::Ended),
        &format!("a rotation with the token of another session is none, found {outcome:?}"),
    );
    let after = trial.live(&token, "the session after that").await.record;
    trial.same(after, record, "the record after that");
}
