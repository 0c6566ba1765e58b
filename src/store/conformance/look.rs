//! Number 22: what sessions are, by their ids.

use std::time::Duration;

use super::trial::{ABSOLUTE, IDLE, MS, SessionSet, Trial};
use crate::{
    model::{EndReason, SessionId},
    store::{
        Deadlines, Look, Looked, ManualClock, Presence, Renewal, Resolved, Rotate, Salt,
        SessionStore, Token,
    },
};

const GRACE: Duration = Duration::from_secs(10);

/// Number 22: `look` answers for each id what the session is, and changes nothing.
pub async fn looks_and_changes_nothing<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(22, make).await;
    each_id_has_its_answer(&trial).await;
    a_look_records_no_activity_and_uses_no_token(&trial).await;
    a_look_is_no_reuse(&trial).await;
    a_look_removes_nothing(&trial).await;
    a_look_closes_no_notice(&trial).await;
}

impl Trial {
    pub(super) async fn look(&self, look: &Look) -> Looked {
        self.answered(Box::pin(self.store.look(look)).await)
    }
}

impl SessionSet<'_> {
    /// What these sessions are.
    pub(super) async fn looks<const N: usize>(&self, tokens: [&Token; N]) -> [Presence; N] {
        let ids: Vec<SessionId> = tokens.map(Token::session_id).to_vec();
        let looked = self.trial().look(&Look::new(self.tag, ids)).await;
        self.trial()
            .same(looked.now, self.trial().now(), "`now` of a look");
        match looked.sessions.try_into() {
            Ok(sessions) => sessions,
            Err(other) => self
                .trial()
                .broken(&format!("a look at {N} sessions: found {other:?}")),
        }
    }
}

async fn each_id_has_its_answer(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let tokens = [session_set.signs_in().await, session_set.signs_in().await];
        let [live, ended] = &tokens;
        let unknown = session_set.token();
        trial.touch(live, "a new session").await;
        trial.clock.advance(MS);
        let end = session_set.end_one(ended);
        trial.ends(&end, 1, None, "an end of one session").await;
        let notice = trial.notice(ended, "the ended session").await;
        let record = trial.live(live, "the session").await.record;

        let found = session_set.looks([ended, live, &unknown, live]).await;

        let deadlines = Presence::Live(Deadlines::of(&record));
        let wanted = [
            Presence::Ended(notice),
            deadlines.clone(),
            Presence::Unknown,
            deadlines,
        ];
        trial.same(
            found,
            wanted,
            "an ended, a live, an unknown and the live one again",
        );
        let none = trial.look(&Look::new(session_set.tag, [])).await;
        trial.same(none.sessions, Vec::new(), "a look at no session");

        let mut look = Look::new(session_set.tag, [live.session_id()]);
        look.not_before = Some(record.created_at);
        let found = trial.look(&look).await.sessions;
        trial.holds(
            matches!(found[..], [Presence::Live(_)]),
            &format!("a session that began at `not_before` is live, found {found:?}"),
        );
        let moment = record.created_at.plus(MS);
        look.not_before = Some(moment);
        let found = trial.look(&look).await.sessions;
        let [Presence::Ended(notice)] = &found[..] else {
            trial.broken(&format!(
                "one that began before `not_before` ended, found {found:?}"
            ))
        };
        trial.same(
            (notice.reason, notice.ended_at),
            (EndReason::Everyone, moment),
            "why and when a session that began before `not_before` ended",
        );
        trial.holds(
            notice.opens_to(&record.digest),
            "the notice of a look is that of its token",
        );
        let elsewhere = trial.user().looks([live]).await;
        trial.same(
            elsewhere,
            [Presence::Unknown],
            "a session of another session set",
        );
    }
}

async fn a_look_records_no_activity_and_uses_no_token(trial: &Trial) {
    let session_set = trial.user();
    let (new, token) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.touch(&token, "a new session").await;
    let next = rotates(trial, &token).await;
    let before = session_set.listed().await;
    trial.clock.advance(GRACE);

    session_set.looks([&new, &token]).await;

    trial.same(session_set.listed().await, before, "the list after a look");
    // The grace period begins with the first request that sends the new token.
    trial.live(&token, "the previous token after a look").await;
    trial.live(&next, "the new token after a look").await;
}

/// A stream that stays open had the first token.
async fn a_look_is_no_reuse(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial.touch(&token, "a new session").await;
    let next = rotates(trial, &token).await;
    trial.touch(&next, "the new token").await;
    trial.clock.advance(GRACE);

    let found = session_set.looks([&token]).await;

    trial.holds(
        matches!(found, [Presence::Live(_)]),
        &format!("a session with a new token is live, found {found:?}"),
    );
    trial.live(&next, "the session after a look").await;
    let reused = trial.peek(&token).await;
    trial.holds(
        matches!(&reused, Resolved::Reused(reused) if reused.ended),
        &format!("a request with the previous token is the reuse that ends it, found {reused:?}"),
    );
}

async fn rotates(trial: &Trial, token: &Token) -> Token {
    let salt = Salt::from_bytes([5; 16]);
    let next = token.successor(&salt);
    let mut rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    (rotate.grace, rotate.reuse_ends) = (GRACE, true);
    trial.rotate(&rotate).await;
    next
}

async fn a_look_removes_nothing(trial: &Trial) {
    for expires in [IDLE, ABSOLUTE] {
        let session_set = trial.user();
        let token = session_set.signs_in().await;
        trial.touch(&token, "a new session").await;
        let began = trial.now();

        for _ in 0..4 {
            if expires == ABSOLUTE {
                // The idle deadline must not come first.
                trial.clock.advance(expires / 5);
                trial.touch(&token, "a session in use").await;
            }
        }
        trial.clock.set(began.plus(expires - MS));
        let before = session_set.listed().await;
        let found = session_set.looks([&token]).await;
        trial.holds(
            matches!(found, [Presence::Live(_)]),
            &format!("a session 1 ms before its deadline is live, found {found:?}"),
        );
        trial.clock.advance(MS);
        let found = session_set.looks([&token]).await;
        trial.same(found, [Presence::Unknown], "a session at its deadline");

        // A clock that steps back shows that it is still there.
        trial.clock.set(began.plus(expires - MS));
        trial.same(session_set.listed().await, before, "the list after a look");
    }
}

async fn a_look_closes_no_notice(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let end = session_set.end_one(&token);
    trial.ends(&end, 1, None, "an end of one session").await;
    let notice = trial.notice(&token, "the ended session").await;

    for _ in 0..2 {
        let found = session_set.looks([&token]).await;
        trial.same(found, [Presence::Ended(notice.clone())], "an ended session");
    }

    let after = trial.notice(&token, "the ended session after a look").await;
    trial.same(after, notice.clone(), "the notice after a look");
    trial.clock.set(notice.kept_until);
    let found = session_set.looks([&token]).await;
    trial.same(found, [Presence::Unknown], "a notice whose time is over");
}
