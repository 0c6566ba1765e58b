//! Number 16: a session's token changes, and nothing else.

use std::time::Duration;

use super::trial::{IDLE, MS, SessionSet, Trial, quiet};
use crate::{
    model::{EndReason, Lifetime, Record, Token},
    store::{
        Authenticated, ManualClock, Renewal, Resolve, Resolved, Rotate, Rotated, Salt, SessionStore,
    },
};

const GRACE: Duration = Duration::from_secs(30);

/// Number 16: `rotate` changes the token and nothing else that is listed; nobody is signed out by it,
/// and a previous token after its time is reuse.
pub async fn rotates_and_signs_nobody_out<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(16, make).await;
    only_the_token_changes(&trial).await;
    requests_come_to_one_successor(&trial).await;
    the_previous_one_goes_on_until_the_grace_is_over(&trial).await;
    reuse_ends_the_session_where_it_was_asked_to(&trial).await;
    it_waits_while_a_previous_one_is_in_its_time(&trial).await;
    a_proven_one_ends_the_previous_at_once(&trial).await;
    what_has_ended_stays_ended(&trial).await;
}

/// The next token of this one, asked for; and what came of it.
async fn derived<St: SessionStore>(
    trial: &Trial<St>,
    token: &Token,
    salt: u8,
    reuse_ends: bool,
) -> (Token, Rotated) {
    let salt = Salt::from_bytes([salt; 16]);
    let next = token.successor(&salt);
    let mut rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    rotate.grace = GRACE;
    rotate.reuse_ends = reuse_ends;
    (next, trial.rotate(&rotate).await)
}

/// A session whose token has rotated: the previous one, the present one.
async fn rotated<St: SessionStore>(
    trial: &Trial<St>,
    session_set: &SessionSet<'_, St>,
    reuse_ends: bool,
) -> (Token, Token) {
    let previous = session_set.signs_in().await;
    let (next, outcome) = derived(trial, &previous, 1, reuse_ends).await;
    let done = matches!(outcome, Rotated::Rotated(_));
    trial.holds(done, &format!("a rotation: {outcome:?}"));
    (previous, next)
}

/// A record without what a rotation may change.
fn but_for_its_token(mut record: Record, of: &Record) -> Record {
    record.digest = of.digest;
    record.rotation.clone_from(&of.rotation);
    record
}

async fn only_the_token_changes<St: SessionStore>(trial: &Trial<St>) {
    for session_set in [trial.user(), trial.guest()] {
        let token = session_set.signs_in().await;
        let before = trial.live(&token, "before").await.record;
        trial.clock.advance(MS);

        let (next, _) = derived(trial, &token, 1, true).await;

        let after = trial.live(&next, "the successor").await.record;
        trial.same(
            but_for_its_token(after, &before),
            before,
            "all but the token",
        );
    }
}

async fn requests_come_to_one_successor<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (previous, next) = rotated(trial, &session_set, true).await;

    let (_, other) = derived(trial, &previous, 2, true).await;
    let (_, again) = derived(trial, &previous, 1, true).await;

    let Rotated::Took(salt) = other else {
        trial.broken(&format!(
            "another request with the previous token: {other:?}"
        ));
    };
    trial.same(
        previous.successor(&salt).digest(),
        next.digest(),
        "one successor",
    );
    let same = matches!(again, Rotated::Rotated(_));
    trial.holds(same, "asked again with the same digests");
}

async fn the_previous_one_goes_on_until_the_grace_is_over<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (previous, next) = rotated(trial, &session_set, false).await;
    trial.clock.advance(IDLE - MS);
    trial.touch(&previous, "the successor was not seen").await;
    trial.touch(&next, "the successor").await;
    let (_, kept) = derived(trial, &previous, 3, false).await;
    trial.holds(matches!(kept, Rotated::Kept), "no upgrade once it was seen");
    trial.clock.advance(GRACE - MS);
    trial.live(&previous, "within the grace").await;
    trial.clock.advance(MS);

    let reused = trial.peek(&previous).await;

    let told = matches!(&reused, Resolved::Reused(reused) if !reused.ended);
    trial.holds(told, &format!("after the grace: {reused:?}"));
    trial
        .live(&next, "reuse ends nothing where it was not asked to")
        .await;
    trial
        .unknown(&session_set.forged(&previous), "any other secret")
        .await;
}

async fn reuse_ends_the_session_where_it_was_asked_to<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (previous, next) = rotated(trial, &session_set, true).await;
    trial.live(&next, "the successor").await;
    trial.clock.advance(GRACE);
    trial
        .unknown(&session_set.forged(&previous), "any other secret")
        .await;
    trial.live(&next, "which ends nothing").await;

    let reused = trial.peek(&previous).await;

    let told = matches!(&reused, Resolved::Reused(reused) if reused.ended);
    trial.holds(told, &format!("reuse: {reused:?}"));
    let notice = trial.notice(&next, "its owner's").await;
    trial.same(notice.reason, EndReason::TokenReuse, "why it ended");
    trial.unknown(&previous, "again").await;
}

async fn it_waits_while_a_previous_one_is_in_its_time<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (_, next) = rotated(trial, &session_set, true).await;
    trial.live(&next, "the successor").await;
    trial.clock.advance(GRACE - MS);
    let (_, early) = derived(trial, &next, 2, true).await;
    trial.clock.advance(MS);
    let (third, later) = derived(trial, &next, 2, true).await;

    trial.holds(
        matches!(early, Rotated::Kept),
        &format!("within the grace: {early:?}"),
    );
    trial.holds(
        matches!(later, Rotated::Rotated(_)),
        &format!("after it: {later:?}"),
    );
    trial.live(&third, "the third token").await;
}

async fn a_proven_one_ends_the_previous_at_once<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (first, previous) = rotated(trial, &session_set, true).await;
    trial.touch(&previous, "the successor").await;
    trial.clock.advance(MS);
    let next = trial.random(previous.renewed());
    let proven = Renewal::Proven {
        authenticated: Authenticated::At(trial.now()),
        lifetime: Lifetime::new(2 * IDLE, 4 * IDLE),
    };

    let outcome = trial.rotate(&Rotate::new(&previous, &next, proven)).await;

    let done = matches!(outcome, Rotated::Rotated(_));
    trial.holds(done, &format!("a re-authentication: {outcome:?}"));
    for dead in [&first, &previous] {
        let notice = trial.notice(dead, "of a previous token").await;
        let why = (notice.reason, notice.by);
        let wanted = (EndReason::Replaced, Some(next.session_id()));
        trial.same(why, wanted, "a previous token opens nothing");
    }
    let again = trial.rotate(&Rotate::new(&previous, &next, proven)).await;
    trial.holds(matches!(again, Rotated::Rotated(_)), "sent again");
    let record = trial.live(&next, "the new token").await.record;
    let times = (record.authenticated_at, record.idle, record.deadline);
    let wanted = (trial.now(), 2 * IDLE, trial.now().plus(4 * IDLE));
    trial.same(times, wanted, "both parts of the lifetime begin again");
}

async fn what_has_ended_stays_ended<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let ended = session_set.signs_in().await;
    trial
        .ends(&session_set.end_one(&ended), 1, None, "an end")
        .await;
    let (next, outcome) = derived(trial, &ended, 1, true).await;
    trial.holds(matches!(outcome, Rotated::Ended), &format!("{outcome:?}"));
    trial.unknown(&next, "no successor of what has ended").await;

    let (previous, _) = rotated(trial, &session_set, true).await;
    trial
        .ends(&session_set.end_one(&previous), 1, None, "an end")
        .await;
    trial
        .notice(&previous, "whose successor was never seen")
        .await;

    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE);
    let (next, outcome) = derived(trial, &expired, 1, true).await;
    trial.holds(matches!(outcome, Rotated::Ended), &format!("{outcome:?}"));
    let found = trial.resolve(&Resolve::new(next)).await;
    trial.holds(
        matches!(found, Resolved::Unknown),
        "nor of what has expired",
    );
    trial.resolve(&quiet(&expired)).await;
}
