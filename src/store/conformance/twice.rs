//! Number 16: two requests re-authenticate with one token.

use std::time::Duration;

use super::trial::{IDLE, MS, SessionSet, Trial};
use crate::{
    model::{Lifetime, Token},
    store::{Authenticated, Renewal, Resolved, Rotate, Rotated, Salt},
};

const GRACE: Duration = Duration::from_secs(30);

/// The browser keeps one of the two responses, and nobody knows which.
pub(super) async fn proves_twice(trial: &Trial) {
    either_token_opens_the_session(trial).await;
    the_one_that_was_used_last_stays(trial).await;
    the_next_re_authentication_ends_both(trial).await;
    a_third_one_with_the_same_token_is_made_too(trial).await;
}

/// Re-authenticates, and returns the new token.
async fn proves(trial: &Trial, token: &Token) -> Token {
    let next = trial.random(token.renewed());
    let proven = Renewal::Proven {
        authenticated: Authenticated::At(trial.now()),
        lifetime: Lifetime::new(IDLE, IDLE),
    };
    let mut rotate = Rotate::new(token, &next, proven);
    rotate.grace = GRACE;
    rotate.reuse_ends = true;
    for _ in 0..2 {
        let outcome = trial.rotate(&rotate).await;
        trial.holds(
            matches!(&outcome, Rotated::Rotated(record) if record.digest == rotate.digest),
            &format!(
                "a re-authentication within the grace period of another one with the same token \
                 is made, also if it is sent again, found {outcome:?}"
            ),
        );
    }
    next
}

/// The token that both requests sent, and the tokens that they got.
async fn twice(trial: &Trial, session_set: &SessionSet<'_>) -> (Token, [Token; 2]) {
    let sent = session_set.signs_in().await;
    let first = proves(trial, &sent).await;
    trial.clock.advance(GRACE - MS);
    let second = proves(trial, &sent).await;
    (sent, [first, second])
}

async fn either_token_opens_the_session(trial: &Trial) {
    for keeps_first in [true, false] {
        let session_set = trial.user();
        let (sent, [first, second]) = twice(trial, &session_set).await;
        let (kept, other) = if keeps_first {
            (&first, &second)
        } else {
            (&second, &first)
        };
        trial
            .notice(&sent, "the token from before both re-authentications")
            .await;

        let found = trial.live(kept, "a token of the two").await;

        trial.same(
            found.record.digest,
            kept.digest(),
            "the current token is the one that was sent",
        );
        let salt = Salt::from_bytes([1; 16]);
        let third = other.successor(&salt);
        let mut rotate = Rotate::new(other, &third, Renewal::Derived(salt));
        rotate.grace = GRACE;
        let early = trial.rotate(&rotate).await;
        trial.holds(
            matches!(early, Rotated::Kept),
            &format!("a rotation of the other one is too early, found {early:?}"),
        );
        trial.clock.advance(GRACE);
        trial.live(kept, "the token that was sent, later").await;
        let reused = trial.peek(other).await;
        trial.holds(
            matches!(&reused, Resolved::Reused(reused) if !reused.ended),
            &format!("the other one is reuse later and ends nothing, found {reused:?}"),
        );
        trial
            .live(kept, "the token that was sent, after that")
            .await;
        session_set.lists_exactly(&[kept], "the list").await;
    }
}

async fn the_one_that_was_used_last_stays(trial: &Trial) {
    let session_set = trial.user();
    let (_, [first, second]) = twice(trial, &session_set).await;
    for token in [&first, &second, &second, &first] {
        trial.clock.advance(MS);
        trial.touch(token, "a token of the two").await;
    }
    trial.clock.advance(GRACE - MS * 4);
    let reused = trial.peek(&second).await;
    trial.holds(
        matches!(&reused, Resolved::Reused(reused) if !reused.ended),
        &format!("no request prolongs the time of both tokens, found {reused:?}"),
    );
    trial.live(&first, "the token that was used last").await;
}

async fn the_next_re_authentication_ends_both(trial: &Trial) {
    for with_first in [true, false] {
        let session_set = trial.user();
        let (_, [first, second]) = twice(trial, &session_set).await;

        let third = proves(trial, if with_first { &first } else { &second }).await;

        for token in [&first, &second] {
            trial
                .notice(token, "one of two tokens after another re-authentication")
                .await;
        }
        trial.live(&third, "the token after that").await;
    }
}

async fn a_third_one_with_the_same_token_is_made_too(trial: &Trial) {
    let session_set = trial.user();
    let sent = session_set.signs_in().await;
    proves(trial, &sent).await;
    let second = proves(trial, &sent).await;
    let third = proves(trial, &sent).await;

    trial.live(&second, "the token before the last one").await;
    trial.live(&third, "the last one").await;
    trial.notice(&sent, "the token from before all three").await;
}
