//! Number 16: a session gets a new token, and nothing else changes.

use std::time::Duration;

use super::{
    invalid::end_no_session,
    trial::{IDLE, MS, SessionSet, Trial, quiet},
    twice::proves_twice,
};
use crate::{
    model::{EndReason, Lifetime, Record, Token},
    store::{
        Authenticated, ManualClock, Renewal, Resolve, Resolved, Rotate, Rotated, Salt, SessionStore,
    },
};

const GRACE: Duration = Duration::from_secs(30);

/// Number 16: `rotate` changes the token and nothing else that is listed, and signs no user out. A
/// previous token after its time is reuse.
pub async fn rotates_and_signs_nobody_out<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(16, make).await;
    only_the_token_changes(&trial).await;
    requests_with_one_token_get_one_successor(&trial).await;
    the_previous_token_works_until_the_grace_period_ends(&trial).await;
    reuse_ends_the_session_if_asked_to(&trial).await;
    no_rotation_while_a_previous_token_works(&trial).await;
    a_re_authentication_ends_previous_tokens_at_once(&trial).await;
    a_previous_token_that_re_authenticated_has_its_time_too(&trial).await;
    a_previous_token_learns_nothing_of_the_end(&trial).await;
    an_ended_session_is_not_rotated(&trial).await;
    end_no_session(&trial).await;
    proves_twice(&trial).await;
}

/// Asks for a token derived from this one; returns it and the outcome.
async fn derived(trial: &Trial, token: &Token, salt: u8, reuse_ends: bool) -> (Token, Rotated) {
    let salt = Salt::from_bytes([salt; 16]);
    let next = token.successor(&salt);
    let mut rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    rotate.grace = GRACE;
    rotate.reuse_ends = reuse_ends;
    (next, trial.rotate(&rotate).await)
}

/// The previous and the current token of a rotated session.
async fn rotated(trial: &Trial, session_set: &SessionSet<'_>, reuse_ends: bool) -> (Token, Token) {
    let previous = session_set.signs_in().await;
    let (next, outcome) = derived(trial, &previous, 1, reuse_ends).await;
    let done = matches!(outcome, Rotated::Rotated(_));
    trial.holds(
        done,
        &format!("the session has its new token, found {outcome:?}"),
    );
    (previous, next)
}

/// The record, with the token of another one.
fn with_the_token_of(mut record: Record, of: &Record) -> Record {
    record.digest = of.digest;
    record.rotation.clone_from(&of.rotation);
    record
}

async fn only_the_token_changes(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let token = session_set.signs_in().await;
        let before = trial
            .live(&token, "the session before the rotation")
            .await
            .record;
        trial.clock.advance(MS);

        let (next, _) = derived(trial, &token, 1, true).await;

        let after = trial.live(&next, "the successor").await.record;
        trial.same(
            with_the_token_of(after, &before),
            before,
            "the record without its token",
        );
    }
}

async fn requests_with_one_token_get_one_successor(trial: &Trial) {
    let session_set = trial.user();
    let (previous, next) = rotated(trial, &session_set, true).await;

    let (_, other) = derived(trial, &previous, 2, true).await;
    let (_, again) = derived(trial, &previous, 1, true).await;

    let Rotated::Took(salt) = other else {
        trial.broken(&format!(
            "another rotation of the same token: expected `Rotated::Took`, found {other:?}"
        ));
    };
    trial.same(
        previous.successor(&salt).digest(),
        next.digest(),
        "the successor derived with the salt of the outcome",
    );
    let same = matches!(again, Rotated::Rotated(_));
    trial.holds(same, "a repeated rotation has the same outcome");
}

async fn the_previous_token_works_until_the_grace_period_ends(trial: &Trial) {
    let session_set = trial.user();
    let (previous, next) = rotated(trial, &session_set, false).await;
    trial.clock.advance(IDLE - MS);
    trial
        .touch(
            &previous,
            "the previous token, before a request sent its successor",
        )
        .await;
    trial.touch(&next, "the successor").await;
    let (_, kept) = derived(trial, &previous, 3, false).await;
    trial.holds(
        matches!(kept, Rotated::Kept),
        "a rotation of the previous token is too early once its successor was sent",
    );
    trial.clock.advance(GRACE - MS);
    trial
        .live(&previous, "the previous token within the grace period")
        .await;
    trial.clock.advance(MS);

    let reused = trial.peek(&previous).await;

    let is_reuse = matches!(&reused, Resolved::Reused(reused) if !reused.ended);
    trial.holds(
        is_reuse,
        &format!("the previous token after the grace period is reuse, found {reused:?}"),
    );
    trial
        .live(&next, "the session after reuse that does not end it")
        .await;
    trial
        .unknown(
            &session_set.forged(&previous),
            "a token with the same id and another secret",
        )
        .await;
}

async fn reuse_ends_the_session_if_asked_to(trial: &Trial) {
    let session_set = trial.user();
    let other = session_set.signs_in().await;
    let (previous, next) = rotated(trial, &session_set, true).await;
    trial.live(&next, "the successor").await;
    trial.clock.advance(GRACE);
    trial
        .unknown(
            &session_set.forged(&previous),
            "a token with the same id and another secret",
        )
        .await;
    trial
        .live(&next, "the session after a request with another secret")
        .await;

    let reused = trial.peek(&previous).await;

    let is_reuse = matches!(&reused, Resolved::Reused(reused) if reused.ended);
    trial.holds(
        is_reuse,
        &format!("reuse ended the session, found {reused:?}"),
    );
    session_set
        .lists_exactly(&[&other], "the list after reuse")
        .await;
    let notice = trial.notice(&next, "the current token after reuse").await;
    trial.same(
        notice.reason,
        EndReason::TokenReuse,
        "the reason in the notice",
    );
    let ended = session_set.signs_in().await;
    trial.end(&session_set.end_one(&ended)).await;
    let usual = trial.notice(&ended, "a session that was ended").await;
    trial.same(
        (notice.ended_at, notice.kept_until),
        (trial.now(), usual.kept_until),
        "when the session ended and how long the notice is kept, as that of any other end",
    );
    let again = trial.notice(&previous, "the reused token, a second time");
    trial.same(again.await, notice, "the notice for the reused token");
    trial
        .unknown(
            &session_set.forged(&previous),
            "a token with another secret after reuse ended its session",
        )
        .await;
    trial.clock.set(usual.kept_until);
    trial
        .unknown(&next, "the current token when the notice is dropped")
        .await;
}

async fn no_rotation_while_a_previous_token_works(trial: &Trial) {
    let session_set = trial.user();
    let (first, next) = rotated(trial, &session_set, true).await;
    trial.live(&next, "the successor").await;
    trial.clock.advance(GRACE - MS);
    let (_, early) = derived(trial, &next, 2, true).await;
    trial.clock.advance(MS);
    let (third, later) = derived(trial, &next, 2, true).await;

    trial.holds(
        matches!(early, Rotated::Kept),
        &format!("a rotation within the grace period is too early, found {early:?}"),
    );
    trial.holds(
        matches!(later, Rotated::Rotated(_)),
        &format!("a rotation after the grace period is made, found {later:?}"),
    );
    trial.live(&third, "the third token").await;
    trial.clock.advance(GRACE);
    let reused = trial.peek(&first).await;
    trial.holds(
        matches!(&reused, Resolved::Reused(reused) if reused.ended),
        &format!("the token before the previous one is reuse too, found {reused:?}"),
    );
}

async fn a_re_authentication_ends_previous_tokens_at_once(trial: &Trial) {
    let session_set = trial.user();
    let (first, previous) = rotated(trial, &session_set, true).await;
    let before = trial.touch(&previous, "the successor").await.record;
    trial.clock.advance(MS);
    let next = trial.random(previous.renewed());
    let proven = Renewal::Proven {
        authenticated: Authenticated::At(trial.now()),
        lifetime: Lifetime::new(IDLE / 2, IDLE),
    };

    let outcome = trial.rotate(&Rotate::new(&previous, &next, proven)).await;

    let done = matches!(outcome, Rotated::Rotated(_));
    trial.holds(
        done,
        &format!("a re-authentication is made, found {outcome:?}"),
    );
    for dead in [&first, &previous] {
        let notice = trial
            .notice(dead, "a token from before the re-authentication")
            .await;
        let why = (notice.reason, notice.by);
        let wanted = (EndReason::Replaced, Some(next.session_id()));
        trial.same(
            why,
            wanted,
            "reason and cause in the notice for a previous token",
        );
    }
    let again = trial.rotate(&Rotate::new(&previous, &next, proven)).await;
    trial.holds(
        matches!(again, Rotated::Rotated(_)),
        "the repeated re-authentication has the same outcome",
    );
    let record = trial.live(&next, "the new token").await.record;
    let mut wanted = with_the_token_of(before, &record);
    (wanted.authenticated_at, wanted.last_activity) = (trial.now(), trial.now());
    (wanted.idle, wanted.deadline) = (IDLE / 2, trial.now().plus(IDLE));
    trial.same(record, wanted, "the record after the re-authentication");
}

async fn a_previous_token_that_re_authenticated_has_its_time_too(trial: &Trial) {
    let session_set = trial.user();
    let (first, lost) = rotated(trial, &session_set, true).await;
    let next = trial.random(first.renewed());
    let proven = Renewal::Proven {
        authenticated: Authenticated::At(trial.now()),
        lifetime: Lifetime::new(IDLE, IDLE),
    };
    trial.rotate(&Rotate::new(&first, &next, proven)).await;
    trial.clock.advance(GRACE);

    for token in [&first, &lost] {
        let found = trial.peek(token).await;
        trial.holds(
            matches!(&found, Resolved::Reused(reused) if !reused.ended),
            &format!(
                "a token that a re-authentication replaced is reuse after its time, found {found:?}"
            ),
        );
    }
    trial.live(&next, "the session after that").await;
}

/// It may be a stolen one.
async fn a_previous_token_learns_nothing_of_the_end(trial: &Trial) {
    let session_set = trial.user();
    let (previous, next) = rotated(trial, &session_set, true).await;
    trial.live(&next, "the successor").await;
    trial.clock.advance(GRACE);
    let mut resolve = quiet(&previous);
    resolve.not_before = Some(trial.now());
    let found = trial.resolve(&resolve).await;
    trial.holds(
        matches!(found, Resolved::Unknown),
        &format!("a token after its time is unknown once all sessions ended, found {found:?}"),
    );
    trial.clock.advance(IDLE);
    let found = trial.peek(&previous).await;
    trial.holds(
        matches!(found, Resolved::Unknown),
        &format!("a previous token of an expired session is unknown, found {found:?}"),
    );
}

async fn an_ended_session_is_not_rotated(trial: &Trial) {
    let session_set = trial.user();
    let ended = session_set.signs_in().await;
    trial
        .ends(
            &session_set.end_one(&ended),
            1,
            None,
            "an end of the session",
        )
        .await;
    let (next, outcome) = derived(trial, &ended, 1, true).await;
    trial.holds(
        matches!(outcome, Rotated::Ended),
        &format!("a session that is not live is not rotated, found {outcome:?}"),
    );
    trial
        .unknown(&next, "the successor of an ended session's token")
        .await;

    let (previous, _) = rotated(trial, &session_set, true).await;
    trial
        .ends(
            &session_set.end_one(&previous),
            1,
            None,
            "an end of the session",
        )
        .await;
    trial
        .notice(
            &previous,
            "the previous token of an ended session, whose successor was never sent",
        )
        .await;

    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE);
    let (next, outcome) = derived(trial, &expired, 1, true).await;
    trial.holds(
        matches!(outcome, Rotated::Ended),
        &format!("a session that is not live is not rotated, found {outcome:?}"),
    );
    let found = trial.resolve(&Resolve::new(next)).await;
    trial.holds(
        matches!(found, Resolved::Unknown),
        "the successor of an expired session's token is unknown",
    );
    trial.resolve(&quiet(&expired)).await;
}
