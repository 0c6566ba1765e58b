//! Numbers 12 and 13: who may end a session, and ends before the `create`.

use super::trial::{IDLE, MS, Trial, another};
use crate::{
    model::{EndReason, Limit},
    store::{Ended, ManualClock, Resolved, SessionStore, TOMBSTONE_KEPT, Which},
};

/// Number 12: `end` with a `caller` that is not live changes nothing.
pub async fn ends_only_for_a_live_caller<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(12, make).await;
    a_caller_that_is_not_live_ends_nothing(&trial).await;
}

async fn a_caller_that_is_not_live_ends_nothing(trial: &Trial) {
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
                "an end whose caller is not live",
            );
        }
    }
    session_set
        .lists_exactly(
            &[&target, &other],
            "the list after ends whose caller is not live",
        )
        .await;
    let token = session_set.token();
    let made = trial
        .made(
            &session_set.create_for(&token),
            "the cutoff after ends whose caller is not live",
        )
        .await;
    trial.same(
        made.cutoff,
        None,
        "the cutoff after ends whose caller is not live",
    );

    trial.clock.advance(MS);
    let mut end = session_set.end_one(&target);
    end.caller = Some(token.session_id());
    trial
        .ends(&end, 1, None, "an end whose caller is live")
        .await;
    trial
        .ends(&another(&end), 0, None, "another end of it")
        .await;
    end = session_set.end(Which::Others(token.session_id()));
    end.caller = Some(token.session_id());
    trial
        .ends(&end, 1, None, "an end of the caller's other sessions")
        .await;
    end = session_set.end_one(&token);
    end.caller = Some(token.session_id());
    trial
        .ends(&end, 1, None, "an end of the caller's own session")
        .await;
    trial.ends(&end, 1, None, "the same end, sent again").await;
    trial.same(
        trial.end(&another(&end)).await,
        Ended::CallerEnded,
        "another end after the caller has ended",
    );
    trial.clock.advance(MS);
    let own = session_set.signs_in().await;
    let mut end = session_set.end(Which::All);
    end.caller = Some(own.session_id());
    for _ in 0..2 {
        let what = "an end of all of the caller's sessions, also sent again";
        trial.ends(&end, 1, None, what).await;
        trial.clock.advance(MS);
    }

    // This must not make a session set that did not exist.
    let unused = trial.user();
    let mut end = unused.end(Which::All);
    end.caller = Some(token.session_id());
    trial.same(
        trial.end(&end).await,
        Ended::CallerEnded,
        "an end whose caller is in another session set",
    );
    trial
        .made(
            &unused.create_for(&unused.token()),
            "the cutoff after ends whose caller is not live",
        )
        .await;
}

/// Number 13: `end` as undelivered of an id that is not there prevents a later `create` of it.
pub async fn remembers_undelivered_sessions<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(13, make).await;
    an_undelivered_id_is_not_made(&trial).await;
    many_notices_do_not_displace_an_undelivered_id(&trial).await;
    an_undelivered_id_is_remembered_for_a_minute(&trial).await;
}

async fn many_notices_do_not_displace_an_undelivered_id(trial: &Trial) {
    let session_set = trial.user();
    let late = session_set.token();
    let mut end = session_set.end_one(&late);
    end.reason = EndReason::Undelivered;
    trial.end(&end).await;
    for _ in 0..3 {
        trial.clock.advance(MS);
        let mut create = session_set.create_for(&session_set.token());
        create.limit = Limit::at_most(1);
        trial.made(&create, "a sign-in that evicts").await;
    }

    trial
        .create_ended(
            &session_set.create_for(&late),
            "a `create` of the undelivered id after newer notices",
        )
        .await;
}

async fn an_undelivered_id_is_remembered_for_a_minute(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let late = session_set.token();
        let mut end = session_set.end_one(&late);
        end.reason = EndReason::Undelivered;
        trial.end(&end).await;
        trial.clock.advance(TOMBSTONE_KEPT - MS * 2);
        session_set.signs_in().await;
        trial.clock.advance(MS);

        trial
            .create_ended(
                &session_set.create_for(&late),
                "a `create` of the undelivered id 1 ms before a minute",
            )
            .await;
    }
}

async fn an_undelivered_id_is_not_made(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let (late, revoked, other) = (
            session_set.token(),
            session_set.token(),
            session_set.token(),
        );
        let mut end = session_set.end_one(&late);
        end.reason = EndReason::Undelivered;
        trial.same(
            trial.end(&end).await,
            Ended::Unknown,
            "an end of an id that was not made yet",
        );
        let end = session_set.end_one(&revoked);
        trial.same(
            trial.end(&end).await,
            Ended::Unknown,
            "an end of an id that was not made yet",
        );

        trial
            .create_ended(
                &session_set.create_for(&late),
                "a `create` of the undelivered id",
            )
            .await;
        let found = trial.peek(&late).await;
        trial.holds(
            !matches!(found, Resolved::Live(_)),
            "an undelivered session is not live",
        );
        trial
            .made(
                &session_set.create_for(&revoked),
                "a `create` of an id that ended for another reason before",
            )
            .await;
        trial
            .made(&session_set.create_for(&other), "a `create` of another id")
            .await;
        session_set
            .lists_exactly(&[&revoked, &other], "the list")
            .await;
        trial
            .create_ended(
                &session_set.create_for(&late),
                "a second `create` of the undelivered id",
            )
            .await;

        let delivered = session_set.signs_in().await;
        let mut end = session_set.end_one(&delivered);
        end.reason = EndReason::Undelivered;
        trial
            .ends(&end, 1, None, "an end as undelivered after the `create`")
            .await;
        trial
            .create_ended(
                &session_set.create_for(&delivered),
                "the same `create` after that",
            )
            .await;
    }
}
