//! Number 11: ending sessions, and what stays of them.

use super::trial::{IDLE, MS, Trial};
use crate::{
    model::{EndReason, Limit},
    store::{Data, Ended, ManualClock, Resolved, SessionStore, Which},
};

/// Number 11: `end` ends what it names and leaves an end notice for the holder of the previous token.
pub async fn ends_and_leaves_a_notice<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(11, make).await;
    one_ends_and_its_holder_is_told(&trial).await;
    every_reason_is_told(&trial).await;
    several_end_and_that_sets_the_cutoff(&trial).await;
    what_is_not_there_does_not_end(&trial).await;
    data_that_moved_comes_back(&trial).await;
    notices_are_kept_for_a_set_time(&trial).await;
    the_newest_notices_are_kept(&trial).await;
}

async fn one_ends_and_its_holder_is_told<St: SessionStore>(trial: &Trial<St>) {
    for session_set in [trial.user(), trial.guest()] {
        let (token, by) = (session_set.signs_in().await, session_set.signs_in().await);
        trial.clock.advance(MS);
        let mut end = session_set.end_one(&token);
        end.by = Some(by.session_id());

        trial.ends(&end, 1, None, "one session").await;

        let notice = trial.notice(&token, "its holder is told").await;
        trial.same(
            (notice.reason, notice.by, notice.ended_at),
            (EndReason::Revoked, Some(by.session_id()), trial.now()),
            "why, by whom and when",
        );
        trial.same(notice.digest, token.digest(), "whose notice it is");
        trial.holds(notice.kept_until > trial.now(), "it is kept for a while");
        trial
            .unknown(&session_set.forged(&token), "nobody else is told")
            .await;
        session_set.holds_exactly(&[&by], "the other stays").await;

        trial.clock.advance(MS);
        end.reason = EndReason::LoggedOut;
        trial.ends(&end, 0, None, "ending twice is known").await;
        let again = trial.notice(&token, "its notice stays").await;
        trial.same(again, notice, "the first end is what counts");
    }
}

async fn every_reason_is_told<St: SessionStore>(trial: &Trial<St>) {
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
        trial.ends(&end, 1, None, "one session").await;
        let notice = trial.notice(&token, "its holder is told").await;
        trial.same((notice.reason, notice.by), (reason, None), "why");
    }
}

async fn several_end_and_that_sets_the_cutoff<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let elsewhere = trial.user().signs_in().await;
    let expired = session_set.signs_in().await;
    trial.clock.advance(IDLE / 2);
    let (ended, kept) = (session_set.signs_in().await, session_set.signs_in().await);
    let (second, third) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.touch(&elsewhere, "another user's").await;
    trial.end(&session_set.end_one(&ended)).await;
    trial.clock.advance(IDLE / 2);

    let mut end = session_set.end(Which::Others(kept.session_id()));
    end.by = Some(kept.session_id());
    trial.ends(&end, 2, None, "two others").await;
    session_set
        .holds_exactly(&[&kept], "all but one ended")
        .await;
    for token in [&second, &third] {
        let notice = trial.notice(token, "each holder is told").await;
        trial.same(
            (notice.reason, notice.by),
            (EndReason::Revoked, Some(kept.session_id())),
            "why and by whom",
        );
    }
    trial
        .unknown(&expired, "what expired leaves no notice")
        .await;
    trial
        .rejected(
            &session_set.asks(&session_set.token()),
            "ending others sets the cutoff",
        )
        .await;

    trial.clock.advance(MS);
    trial
        .ends(&session_set.end(Which::All), 1, None, "all the rest")
        .await;
    trial.notice(&kept, "the last one, too").await;
    trial
        .rejected(
            &session_set.asks(&session_set.token()),
            "ending all sets the cutoff",
        )
        .await;
    trial
        .ends(&session_set.end(Which::All), 0, None, "nobody is left")
        .await;
    trial.live(&elsewhere, "another user's session").await;
}

async fn what_is_not_there_does_not_end<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (expired, elsewhere) = (session_set.signs_in().await, trial.user().signs_in().await);
    for (token, what) in [
        (&session_set.token(), "a session that nobody made"),
        (&elsewhere, "a session of another session set"),
    ] {
        let end = session_set.end_one(token);
        trial.same(trial.end(&end).await, Ended::Unknown, what);
    }
    trial.live(&elsewhere, "the other's session").await;
    trial.live(&expired, "the user's own session").await;

    trial.clock.advance(IDLE);
    let end = session_set.end_one(&expired);
    trial.same(
        trial.end(&end).await,
        Ended::Unknown,
        "an expired session did not end now",
    );
    trial.unknown(&expired, "and has no notice").await;
}

async fn data_that_moved_comes_back<St: SessionStore>(trial: &Trial<St>) {
    for written in [None, Some(("cart", "apple"))] {
        let session_set = trial.guest();
        let (still, moved) = (session_set.signs_in().await, session_set.signs_in().await);
        let read = trial.live(&still, "read before").await.record.revision;
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
                .ends(&end, count, wanted, "data since it was read")
                .await;
        }

        let again = session_set.signs_in().await;
        let mut end = session_set.end_one(&again);
        let save = session_set.sets(&again, "cart", "apple");
        trial.same(
            session_set.saves(&save, "the same writes").await,
            revision,
            "the same revision",
        );
        end.read_at = Some(revision);
        trial.ends(&end, 1, None, "read after it was written").await;
    }
}

async fn notices_are_kept_for_a_set_time<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let end = session_set.end_one(&token);
    trial.end(&end).await;
    let kept_until = trial.notice(&token, "its holder is told").await.kept_until;

    trial.clock.set(kept_until.minus(MS));
    trial.notice(&token, "1 ms before it is dropped").await;
    trial.ends(&end, 0, None, "ending twice is known").await;
    trial.clock.advance(MS);
    trial.unknown(&token, "its notice has gone").await;
    trial.same(
        trial.end(&end).await,
        Ended::Unknown,
        "ending twice is known no longer",
    );
}

async fn the_newest_notices_are_kept<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let mut tokens = Vec::new();
    for first in ['a', '_', 'A', '0', '-'] {
        let token = session_set.token_named(first);
        trial.made(&session_set.asks(&token), "a sign-in").await;
        trial.end(&session_set.end_one(&token)).await;
        trial.clock.advance(MS);
        tokens.push(token);
    }
    for token in &tokens {
        trial.notice(token, "without a sign-in none goes").await;
    }

    let mut create = session_set.asks(&session_set.token());
    create.limit = Limit::at_most(2);
    trial.made(&create, "the next sign-in").await;

    let (old, newest) = tokens.split_at(3);
    for token in old {
        trial.unknown(token, "older than the newest two").await;
    }
    for token in newest {
        trial.notice(token, "among the newest two").await;
    }
}
