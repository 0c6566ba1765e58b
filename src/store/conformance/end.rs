//! Numbers 12 and 13: who may end a session, and ends that come first.

use super::trial::{IDLE, MS, Trial};
use crate::{
    model::{EndReason, Limit},
    store::{Ended, ManualClock, Resolved, SessionStore, Which},
};

/// Number 12: `end` with a `caller` that is not live changes nothing.
pub async fn obeys_only_a_live_caller<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(12, make).await;
    let session_set = trial.user();
    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let (ended, target) = (session_set.signs_in().await, session_set.signs_in().await);
    let other = session_set.signs_in().await;
    trial.end(&session_set.end_one(&ended)).await;
    trial.clock.advance(IDLE / 2);
    let elsewhere = trial.user().signs_in().await;

    for caller in [&expired, &ended, &elsewhere, &session_set.token()] {
        for which in [
            Which::One(target.session_id()),
            Which::One(ended.session_id()),
            Which::One(session_set.token().session_id()),
            Which::Others(other.session_id()),
            Which::All,
        ] {
            let mut end = session_set.end(which);
            end.caller = Some(caller.session_id());
            trial.same(
                trial.end(&end).await,
                Ended::CallerEnded,
                "the caller is not live",
            );
        }
    }
    session_set
        .holds_exactly(&[&target, &other], "nothing has ended")
        .await;
    let token = session_set.token();
    let made = trial
        .made(&session_set.asks(&token), "no cutoff was set")
        .await;
    trial.same(made.cutoff, None, "no cutoff was set");

    trial.clock.advance(MS);
    let mut end = session_set.end_one(&target);
    end.caller = Some(token.session_id());
    trial.ends(&end, 1, None, "the caller is live").await;
    trial.ends(&end, 0, None, "and again").await;
    end = session_set.end(Which::Others(token.session_id()));
    end.caller = Some(token.session_id());
    trial
        .ends(&end, 1, None, "the caller ends the others")
        .await;
    end = session_set.end_one(&token);
    end.caller = Some(token.session_id());
    trial.ends(&end, 1, None, "the caller ends itself").await;
    trial.same(
        trial.end(&end).await,
        Ended::CallerEnded,
        "it is the caller no longer",
    );

    // A session set that nobody ever used must not come into being by this.
    let unused = trial.user();
    let mut end = unused.end(Which::All);
    end.caller = Some(token.session_id());
    trial.same(
        trial.end(&end).await,
        Ended::CallerEnded,
        "no such caller in this session set",
    );
    trial
        .made(&unused.asks(&unused.token()), "no cutoff was set")
        .await;
}

/// Number 13: ending an id that is not there as undelivered keeps a later `create` of it from
/// running.
pub async fn remembers_what_was_given_up<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(13, make).await;
    an_id_that_was_given_up_is_not_made(&trial).await;
    not_even_after_many_notices(&trial).await;
}

async fn not_even_after_many_notices<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let late = session_set.token();
    let mut end = session_set.end_one(&late);
    end.reason = EndReason::Undelivered;
    trial.end(&end).await;
    for _ in 0..3 {
        trial.clock.advance(MS);
        let mut create = session_set.asks(&session_set.token());
        create.limit = Limit::at_most(1);
        trial.made(&create, "a sign-in that evicts").await;
    }

    trial
        .create_ended(&session_set.asks(&late), "newer notices do not displace it")
        .await;
}

async fn an_id_that_was_given_up_is_not_made<St: SessionStore>(trial: &Trial<St>) {
    for session_set in [trial.user(), trial.guest()] {
        let (late, revoked, other) = (
            session_set.token(),
            session_set.token(),
            session_set.token(),
        );
        let mut end = session_set.end_one(&late);
        end.reason = EndReason::Undelivered;
        trial.same(trial.end(&end).await, Ended::Unknown, "nothing to end yet");
        let end = session_set.end_one(&revoked);
        trial.same(trial.end(&end).await, Ended::Unknown, "nothing to end yet");

        trial
            .create_ended(&session_set.asks(&late), "it was given up")
            .await;
        let found = trial.peek(&late).await;
        trial.holds(
            !matches!(found, Resolved::Live(_)),
            "a session that was given up is live",
        );
        trial
            .made(
                &session_set.asks(&revoked),
                "only *undelivered* is remembered",
            )
            .await;
        trial.made(&session_set.asks(&other), "another id").await;
        session_set
            .holds_exactly(&[&revoked, &other], "all but the one given up")
            .await;
        trial
            .create_ended(&session_set.asks(&late), "it was given up for good")
            .await;

        let delivered = session_set.signs_in().await;
        let mut end = session_set.end_one(&delivered);
        end.reason = EndReason::Undelivered;
        trial.ends(&end, 1, None, "a session that came first").await;
        trial
            .create_ended(&session_set.asks(&delivered), "sent again after that")
            .await;
    }
}
