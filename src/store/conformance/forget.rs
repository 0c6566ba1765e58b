//! Number 19: notices that users have read.

use super::trial::{MS, Trial};
use crate::{
    model::{EndReason, Limit},
    store::{Ended, Forget, ManualClock, Renewal, Resolved, Rotate, Salt, SessionStore},
};

/// Number 19: `forget` closes the end notice of a session.
pub async fn forgets_a_notice<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(19, make).await;
    a_forgotten_notice_opens_to_no_token(&trial).await;
    only_this_notice_is_forgotten(&trial).await;
    a_notice_is_forgotten_to_its_end(&trial).await;
    a_live_session_is_not_forgotten(&trial).await;
    create_drops_forgotten_notices_as_others(&trial).await;
}

async fn a_forgotten_notice_opens_to_no_token(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let (token, by) = (session_set.signs_in().await, session_set.signs_in().await);
        let create = session_set.create_for(&token);
        // The client may never have received its last token, so the one before opens the notice too.
        let salt = Salt::from_bytes([5; 16]);
        let next = token.successor(&salt);
        let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
        trial.rotate(&rotate).await;
        let mut end = session_set.end_one(&token);
        end.by = Some(by.session_id());
        trial.ends(&end, 1, None, "an end of one session").await;
        let notice = trial.notice(&token, "the ended session").await;
        trial.clock.advance(MS);

        for _ in 0..2 {
            let forget = Forget::new(session_set.tag, token.session_id(), notice.digest);
            trial.forget(&forget).await;

            for token in [&token, &next] {
                let found = trial.peek(token).await;
                trial.holds(
                    matches!(found, Resolved::Unknown),
                    &format!("a session whose notice is forgotten is unknown, found {found:?}"),
                );
            }
        }
        trial.ends(&end, 0, None, "the same end again").await;
        trial
            .create_ended(&create, "a `create` whose notice is forgotten")
            .await;
        session_set.lists_exactly(&[&by], "the list").await;
    }
}

async fn only_this_notice_is_forgotten(trial: &Trial) {
    let session_set = trial.user();
    let (token, other) = (session_set.signs_in().await, session_set.signs_in().await);
    for token in [&token, &other] {
        let mut end = session_set.end_one(token);
        end.reason = EndReason::Evicted;
        trial.ends(&end, 1, None, "an end of one session").await;
    }
    let before = trial.notice(&token, "the ended session").await;

    let never = session_set.token();
    let forged = session_set.forged(&token).digest();
    for (id, digest) in [
        (token.session_id(), forged),
        (other.session_id(), token.digest()),
        (never.session_id(), token.digest()),
    ] {
        let forget = Forget::new(session_set.tag, id, digest);
        trial.forget(&forget).await;
    }
    let elsewhere = Forget::new(trial.user().tag, token.session_id(), token.digest());
    trial.forget(&elsewhere).await;

    let after = trial.notice(&token, "the ended session").await;
    trial.same(after, before, "a notice that is not forgotten");
    trial.notice(&other, "the other ended session").await;
    let create = session_set.create_for(&never);
    trial.made(&create, "a `create` that had no notice").await;
}

async fn a_notice_is_forgotten_to_its_end(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let end = session_set.end_one(&token);
    trial.ends(&end, 1, None, "an end of one session").await;
    let notice = trial.notice(&token, "the ended session").await;
    trial.clock.set(notice.kept_until.minus(MS));

    let forget = Forget::new(session_set.tag, token.session_id(), notice.digest);
    trial.forget(&forget).await;

    let found = trial.peek(&token).await;
    trial.holds(
        matches!(found, Resolved::Unknown),
        &format!("a notice that is forgotten 1 ms before it is dropped is closed, found {found:?}"),
    );
}

async fn a_live_session_is_not_forgotten(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;

    let forget = Forget::new(session_set.tag, token.session_id(), token.digest());
    trial.forget(&forget).await;

    trial.live(&token, "a live session").await;
}

async fn create_drops_forgotten_notices_as_others(trial: &Trial) {
    let session_set = trial.user();
    let mut ends = Vec::new();
    for _ in 0..5 {
        let token = session_set.signs_in().await;
        let end = session_set.end_one(&token);
        trial.ends(&end, 1, None, "an end").await;
        let notice = trial.notice(&token, "the ended session").await;
        let forget = Forget::new(session_set.tag, token.session_id(), notice.digest);
        trial.forget(&forget).await;
        trial.clock.advance(MS);
        ends.push(end);
    }

    let mut create = session_set.create_for(&session_set.token());
    create.limit = Limit::at_most(2);
    trial.made(&create, "the next sign-in").await;

    let (old, newest) = ends.split_at(3);
    for end in old {
        trial.same(
            trial.end(end).await,
            Ended::Unknown,
            "an end of a session with a forgotten notice that is older than the newest two",
        );
    }
    for end in newest {
        let what = "an end of one of the newest two";
        trial.ends(end, 0, None, what).await;
    }
}
