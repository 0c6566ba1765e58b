//! Number 11: ends of sessions, and their notices.

use super::trial::{IDLE, MS, SessionSet, Trial, another};
use crate::{
    model::{Client, EndReason, Limit},
    store::{Data, Ended, ManualClock, Resolved, SessionStore, Token, UNCOUNTED_MAX, Which},
};

/// Number 11: `end` ends the sessions that it names and leaves an end notice for each.
pub async fn ends_and_leaves_a_notice<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(11, make).await;
    an_ended_session_has_a_notice(&trial).await;
    a_notice_has_the_reason(&trial).await;
    ending_several_sets_the_cutoff(&trial).await;
    a_session_that_is_not_live_cannot_end(&trial).await;
    data_that_changed_is_returned(&trial).await;
    a_notice_is_kept_until_its_time(&trial).await;
    create_keeps_the_newest_notices(&trial).await;
    an_uncounted_create_keeps_all_notices(&trial).await;
    create_keeps_64_notices_at_most(&trial).await;
    the_same_call_returns_the_same_sessions(&trial).await;
    a_notice_has_the_client(&trial).await;
    an_end_of_several_may_spare_uncounted_sessions(&trial).await;
}

async fn an_ended_session_has_a_notice<St: SessionStore>(trial: &Trial<St>) {
    for session_set in [trial.user(), trial.guest()] {
        let (token, by) = (session_set.signs_in().await, session_set.signs_in().await);
        trial.clock.advance(MS);
        let mut end = session_set.end_one(&token);
        end.by = Some(by.session_id());

        trial.ends(&end, 1, None, "an end of one session").await;

        let notice = trial.notice(&token, "the ended session").await;
        trial.same(
            (notice.reason, notice.by, notice.ended_at),
            (EndReason::Revoked, Some(by.session_id()), trial.now()),
            "reason, cause and time in the notice",
        );
        trial.same(notice.digest, token.digest(), "the digest in the notice");
        trial.holds(
            notice.kept_until > trial.now(),
            "the notice is kept for some time",
        );
        trial
            .unknown(
                &session_set.forged(&token),
                "a token with the same id and another secret",
            )
            .await;
        session_set.lists_exactly(&[&by], "the list").await;

        trial.clock.advance(MS);
        end = another(&end);
        end.reason = EndReason::LoggedOut;
        trial.ends(&end, 0, None, "another end of it").await;
        let again = trial
            .notice(&token, "the ended session after the second end")
            .await;
        trial.same(again, notice, "the notice after the second end");
    }
}

async fn a_notice_has_the_reason<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    for reason in [
        EndReason::Administrator,
        EndReason::Evicted,
        EndReason::LoggedOut,
        EndReason::Replaced,
        EndReason::Revoked,
        EndReason::Undelivered,
        EndReason::Rejected,
    ] {
        let token = session_set.signs_in().await;
        let mut end = session_set.end_one(&token);
        end.reason = reason;
        trial.ends(&end, 1, None, "an end of one session").await;
        let notice = trial.notice(&token, "the ended session").await;
        trial.same(
            (notice.reason, notice.by),
            (reason, None),
            "reason and cause in the notice",
        );
    }
}

async fn ending_several_sets_the_cutoff<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let elsewhere = trial.user().signs_in().await;
    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let (ended, kept) = (session_set.signs_in().await, session_set.signs_in().await);
    let (second, third) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.touch(&elsewhere, "a session of another user").await;
    trial.end(&session_set.end_one(&ended)).await;
    trial.clock.advance(IDLE / 2);

    let mut end = session_set.end(Which::Others(kept.session_id()));
    end.by = Some(kept.session_id());
    trial.ends(&end, 2, None, "an end of all others").await;
    session_set.lists_exactly(&[&kept], "the list").await;
    for token in [&second, &third] {
        let notice = trial.notice(token, "an ended session").await;
        trial.same(
            (notice.reason, notice.by),
            (EndReason::Revoked, Some(kept.session_id())),
            "reason and cause in the notice",
        );
    }
    trial.unknown(&expired, "an expired session").await;
    trial
        .rejected(
            &session_set.create_for(&session_set.token()),
            "a sign-in from before an end of all others",
        )
        .await;

    trial.clock.advance(MS);
    trial
        .ends(&session_set.end(Which::All), 1, None, "an end of all")
        .await;
    trial.notice(&kept, "the last session").await;
    trial
        .rejected(
            &session_set.create_for(&session_set.token()),
            "a sign-in from before an end of all",
        )
        .await;
    trial
        .ends(
            &session_set.end(Which::All),
            0,
            None,
            "an end of all without a session",
        )
        .await;
    trial.live(&elsewhere, "another user's session").await;
}

async fn a_session_that_is_not_live_cannot_end<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (expired, elsewhere) = (session_set.signs_in().await, trial.user().signs_in().await);
    for (token, what) in [
        (
            &session_set.token(),
            "an end of a session that was never made",
        ),
        (&elsewhere, "an end of a session of another session set"),
    ] {
        let end = session_set.end_one(token);
        trial.same(trial.end(&end).await, Ended::Unknown, what);
    }
    trial.live(&elsewhere, "the session of the other set").await;
    trial.live(&expired, "the session of this set").await;

    trial.clock.advance(IDLE);
    let end = session_set.end_one(&expired);
    trial.same(
        trial.end(&end).await,
        Ended::Unknown,
        "an end of an expired session",
    );
    trial
        .unknown(&expired, "the expired session after that")
        .await;
}

async fn data_that_changed_is_returned<St: SessionStore>(trial: &Trial<St>) {
    for written in [None, Some(("cart", "apple"))] {
        let session_set = trial.guest();
        let (still, moved) = (session_set.signs_in().await, session_set.signs_in().await);
        let read = trial
            .live(&still, "a session whose data is read before its end")
            .await
            .record
            .revision;
        let (key, value) = written.unwrap_or(("", ""));
        let mut save = session_set.sets(&moved, key, value);
        if written.is_none() {
            save.changes.remove("");
        }
        let revision = session_set.saves(&save, "a parallel request").await;
        let data = Data::default().apply(&save.changes);

        for (token, read_at, wanted) in [
            (&still, Some(read), None),
            (&moved, Some(read), Some(data)),
            (&moved, Some(read), None),
        ] {
            let mut end = session_set.end_one(token);
            end.read_at = read_at;
            let count = usize::from(matches!(trial.peek(token).await, Resolved::Live(_)));
            trial
                .ends(
                    &end,
                    count,
                    wanted,
                    "an end of a session whose data may have changed",
                )
                .await;
        }

        let again = session_set.signs_in().await;
        let mut end = session_set.end_one(&again);
        let save = session_set.sets(&again, "cart", "apple");
        trial.same(
            session_set.saves(&save, "the same save").await,
            revision,
            "the revision after that",
        );
        end.read_at = Some(revision);
        trial
            .ends(
                &end,
                1,
                None,
                "an end of a session whose data was read after the last change",
            )
            .await;
    }
}

async fn a_notice_is_kept_until_its_time<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let end = session_set.end_one(&token);
    trial.end(&end).await;
    let kept_until = trial.notice(&token, "the ended session").await.kept_until;

    trial.clock.set(kept_until.minus(MS));
    trial
        .notice(&token, "an ended session 1 ms before its notice is dropped")
        .await;
    trial
        .ends(&another(&end), 0, None, "another end of it")
        .await;
    trial.clock.advance(MS);
    trial
        .unknown(
            &token,
            "an ended session at the moment at which its notice is dropped",
        )
        .await;
    trial.same(
        trial.end(&end).await,
        Ended::Unknown,
        "the same end after the notice is dropped",
    );
}

async fn create_keeps_the_newest_notices<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let mut tokens = Vec::new();
    for first in ['a', '_', 'A', '0', '-'] {
        let token = session_set.token_named(first);
        trial
            .made(&session_set.create_for(&token), "a sign-in")
            .await;
        trial.end(&session_set.end_one(&token)).await;
        trial.clock.advance(MS);
        tokens.push(token);
    }
    for token in &tokens {
        trial
            .notice(token, "an ended session before the next sign-in")
            .await;
    }

    let mut create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(2);
    trial.made(&create, "the next sign-in").await;

    let (old, newest) = tokens.split_at(3);
    for token in old {
        trial
            .unknown(token, "an ended session that is older than the newest two")
            .await;
    }
    for token in newest {
        trial
            .notice(token, "one of the newest two ended sessions")
            .await;
    }
}

/// Ends this many new sessions, 1 ms after each other.
async fn ended<St: SessionStore>(
    trial: &Trial<St>,
    session_set: &SessionSet<'_, St>,
    count: usize,
) -> Vec<Token> {
    let mut tokens = Vec::new();
    for _ in 0..count {
        let token = session_set.signs_in().await;
        trial.end(&session_set.end_one(&token)).await;
        trial.clock.advance(MS);
        tokens.push(token);
    }
    tokens
}

async fn an_uncounted_create_keeps_all_notices<St: SessionStore>(trial: &Trial<St>) {
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

async fn create_keeps_64_notices_at_most<St: SessionStore>(trial: &Trial<St>) {
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

async fn the_same_call_returns_the_same_sessions<St: SessionStore>(trial: &Trial<St>) {
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

async fn a_notice_has_the_client<St: SessionStore>(trial: &Trial<St>) {
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

async fn an_end_of_several_may_spare_uncounted_sessions<St: SessionStore>(trial: &Trial<St>) {
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
    }
    trial
        .ends(&session_set.end(Which::All), 1, None, "an end of all")
        .await;
}
