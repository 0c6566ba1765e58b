//! Number 11: ends of sessions, and their notices.

use super::{
    notices,
    trial::{IDLE, MS, Trial, another},
};
use crate::{
    model::{EndReason, Limit},
    store::{Data, Ended, ManualClock, Record, SessionStore, Token, Which},
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
    notices::are_kept_and_have_the_client(&trial).await;
}

async fn an_ended_session_has_a_notice(trial: &Trial) {
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

async fn a_notice_has_the_reason(trial: &Trial) {
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

/// The record of this session.
fn of(listed: &[Record], token: &Token) -> Vec<Record> {
    let id = token.session_id();
    let found = listed.iter().filter(|record| record.id == id);
    found.cloned().collect()
}

async fn ending_several_sets_the_cutoff(trial: &Trial) {
    let session_set = trial.user();
    let elsewhere = trial.user().signs_in().await;
    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let (ended, kept) = (session_set.signs_in().await, session_set.signs_in().await);
    let (second, third) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.touch(&elsewhere, "a session of another user").await;
    trial.end(&session_set.end_one(&ended)).await;
    trial.clock.advance(IDLE / 2);

    let before = of(&session_set.listed().await, &kept);
    let mut end = session_set.end(Which::Others(kept.session_id()));
    end.by = Some(kept.session_id());
    trial.ends(&end, 2, None, "an end of all others").await;
    let after = session_set.listed().await;
    trial.same(after, before, "the list after an end of all others");
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
    trial.clock.advance(MS);
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

async fn a_session_that_is_not_live_cannot_end(trial: &Trial) {
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

async fn data_that_changed_is_returned(trial: &Trial) {
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

        // As long as the data is not read, the session stays: an answer may be lost.
        for (token, read_at, count, wanted) in [
            (&still, read, 1, None),
            (&moved, read, 0, Some(data.clone())),
            (&moved, read, 0, Some(data.clone())),
            (&moved, revision + 1, 0, Some(data.clone())),
            (&moved, revision, 1, None),
            (&moved, read, 0, None),
        ] {
            let mut end = session_set.end_one(token);
            end.read_at = Some(read_at);
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

async fn a_notice_is_kept_until_its_time(trial: &Trial) {
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

async fn create_keeps_the_newest_notices(trial: &Trial) {
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
