//! Number 11: how many notices are kept, what they say, and calls that are sent again.

use super::trial::{MS, SessionSet, Trial, another};
use crate::{
    model::{Client, Limit},
    store::{Token, UNCOUNTED_MAX, Which},
};

pub(super) async fn are_kept_and_have_the_client(trial: &Trial) {
    an_uncounted_create_keeps_all_notices(trial).await;
    create_keeps_64_notices_at_most(trial).await;
    the_same_call_returns_the_same_sessions(trial).await;
    a_notice_has_the_client(trial).await;
    an_end_of_several_may_spare_uncounted_sessions(trial).await;
    a_create_that_ends_many_keeps_their_notices(trial).await;
    all_notices_are_kept_for_the_same_time(trial).await;
}

/// Ends this many new sessions, 1 ms after each other.
async fn ended(trial: &Trial, session_set: &SessionSet<'_>, count: usize) -> Vec<Token> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        let token = session_set.signs_in().await;
        trial.end(&session_set.end_one(&token)).await;
        trial.clock.advance(MS);
        tokens.push(token);
    }
    tokens
}

async fn an_uncounted_create_keeps_all_notices(trial: &Trial) {
    let session_set = trial.user();
    let tokens = ended(trial, &session_set, usize::from(UNCOUNTED_MAX) + 4).await;

    let mut create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(2);
    create.counts = false;
    trial.made(&create, "a sign-in that does not count").await;

    for token in &tokens {
        let what = "an ended session after a sign-in that does not count";
        trial.notice(token, what).await;
    }
}

async fn create_keeps_64_notices_at_most(trial: &Trial) {
    for counts in [true, false] {
        let session_set = trial.user();
        let mut tokens = ended(trial, &session_set, 40).await;
        tokens.extend(ended(trial, &session_set, 26).await);

        let mut create = session_set.create_for(&session_set.token());
        create.limit = Limit::at_most(100);
        create.counts = counts;
        trial.made(&create, "the next sign-in").await;

        let (old, newest) = tokens.split_at(2);
        for token in old {
            trial.unknown(token, "one of 66 ended sessions").await;
        }
        for token in newest {
            trial.notice(token, "one of the newest 64").await;
        }
    }
}

async fn the_same_call_returns_the_same_sessions(trial: &Trial) {
    let session_set = trial.user();
    let (first, second) = (session_set.signs_in().await, session_set.signs_in().await);
    let third = session_set.signs_in().await;
    let mut one = session_set.end_one(&first);
    one.by = Some(third.session_id());
    let all = session_set.end(Which::All);

    for (end, count, what) in [
        (&one, 1, "an end of one session"),
        (&one, 1, "the same call again"),
        (&another(&one), 0, "another call for the same session"),
        (&all, 2, "an end of all"),
        (&all, 2, "the same call again"),
        (&another(&all), 0, "another end of all"),
    ] {
        trial.ends(end, count, None, what).await;
        trial.clock.advance(MS);
    }
    for token in [&first, &second, &third] {
        trial.notice(token, "an ended session").await;
    }
}

async fn a_notice_has_the_client(trial: &Trial) {
    let session_set = trial.user();
    let client = |name: &[u8]| Client::new().with_user_agent(Some(name));
    let by = session_set.token();
    let mut create = session_set.create_for(&by);
    let (evicted, ended) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.clock.advance(MS);
    trial.touch(&ended, "the session that stays").await;
    create.client = client(b"the client that signs in");
    create.limit = Limit::at_most(2);
    trial.made(&create, "a sign-in that evicts").await;
    let mut end = session_set.end_one(&ended);
    end.by = Some(by.session_id());
    trial.end(&end).await;

    for (token, what) in [
        (&evicted, "the client in the notice of an evicted session"),
        (
            &ended,
            "the client in the notice of a session that was ended",
        ),
    ] {
        let notice = trial.notice(token, "an ended session").await;
        let wanted = Some(&create.client);
        trial.same(notice.by_client(), wanted, what);
    }
}

async fn an_end_of_several_may_spare_uncounted_sessions(trial: &Trial) {
    let session_set = trial.user();
    let support = session_set.token();
    let mut create = session_set.create_for(&support);
    create.counts = false;
    trial.made(&create, "a sign-in that does not count").await;
    let (own, _other) = (session_set.signs_in().await, session_set.signs_in().await);
    for (which, count, what) in [
        (
            Which::Others(own.session_id()),
            1,
            "an end of others that spares",
        ),
        (Which::All, 1, "an end of all that spares"),
    ] {
        let mut end = session_set.end(which);
        end.spare_uncounted = true;
        trial.ends(&end, count, None, what).await;
        trial
            .live(&support, "the session that does not count")
            .await;
        trial.clock.advance(MS);
    }
    trial
        .ends(&session_set.end(Which::All), 1, None, "an end of all")
        .await;
}

async fn a_create_that_ends_many_keeps_their_notices(trial: &Trial) {
    let session_set = trial.user();
    let old = ended(trial, &session_set, 1).await;
    let mut tokens = Vec::new();
    for _ in 0..5 {
        tokens.push(session_set.signs_in().await);
        trial.clock.advance(MS);
    }

    let mut create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(2);
    let made = trial.made(&create, "a sign-in under a lower limit").await;

    trial.same(made.evicted.len(), 4, "the number of evicted sessions");
    for token in tokens.iter().take(4) {
        trial
            .notice(token, "one of four sessions that ended for a sign-in")
            .await;
    }
    for token in &old {
        let what = "an earlier one, which is more than as many";
        trial.unknown(token, what).await;
    }
}

async fn all_notices_are_kept_for_the_same_time(trial: &Trial) {
    let session_set = trial.user();
    let over = session_set.signs_in().await;
    trial.clock.advance(MS);
    let moment = trial.now();
    let mut tokens = Vec::new();
    for _ in 0..7 {
        tokens.push(session_set.signs_in().await);
        trial.clock.advance(MS);
    }
    let [revoked, evicted, replaced, ..] = &tokens[..] else {
        trial.broken("expected three sign-ins");
    };
    trial.end(&session_set.end_one(revoked)).await;
    let usual = trial.notice(revoked, "an ended session").await.kept_until;
    let mut create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(5);
    create.replaces = Some(replaced.session_id());
    create.not_before = Some(moment);
    trial.made(&create, "a sign-in that ends three").await;

    for token in [&over, evicted, replaced] {
        let kept = trial.notice(token, "an ended session").await.kept_until;
        let what = "how long the notice of a session that a `create` ended is kept";
        trial.same(kept, usual, what);
    }
}
