//! Number 23: activity of a while ago, without a token.

use std::time::Duration;

use super::trial::{ABSOLUTE, IDLE, MS, SessionSet, Trial};
use crate::store::{
    ManualClock, Presence, Record, Renewal, Rotate, Salt, SessionStore, Timestamp, Token, Touch,
};

const AGE: Duration = Duration::from_secs(5);

/// Number 23: `touch` sets the last activity of a live session, and changes nothing else.
pub async fn touches_and_changes_nothing_else<St: SessionStore>(
    make: impl AsyncFn(ManualClock) -> St,
) {
    let trial = Trial::new(23, make).await;
    the_last_activity_moves_forwards_only(&trial).await;
    the_idle_deadline_follows(&trial).await;
    a_touch_uses_no_token(&trial).await;
    an_unused_guest_session_stays_unused(&trial).await;
    a_touch_revives_nothing(&trial).await;
}

impl SessionSet<'_> {
    async fn touched(&self, token: &Token, age: Duration) {
        let touch = Touch::new(self.tag, token.session_id(), age);
        let answer = Box::pin(self.trial().store.touch(&touch)).await;
        self.trial().answered(answer);
    }

    /// The only session.
    async fn only(&self) -> Record {
        match &self.listed().await[..] {
            [record] => record.clone(),
            other => self
                .trial()
                .broken(&format!("the list: expected one session, found {other:?}")),
        }
    }
}

fn active(record: &Record, at: Timestamp) -> Record {
    let mut record = record.clone();
    record.last_activity = at;
    record
}

async fn the_last_activity_moves_forwards_only(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let save = session_set.sets(&token, "key", "value");
    session_set.saves(&save, "data of the session").await;
    trial.touch(&token, "a new session").await;
    let before = session_set.only().await;

    session_set.touched(&token, AGE).await;
    trial.same(
        session_set.only().await,
        before.clone(),
        "a session in later use",
    );
    trial.clock.advance(AGE);
    session_set.touched(&token, AGE).await;
    trial.same(
        session_set.only().await,
        before.clone(),
        "a session in use at that moment",
    );
    trial.clock.advance(MS);
    session_set.touched(&token, AGE).await;
    let wanted = active(&before, trial.now().minus(AGE));
    trial.same(
        session_set.only().await,
        wanted.clone(),
        "a session in earlier use",
    );
    session_set.touched(&token, AGE + MS).await;
    trial.same(
        session_set.only().await,
        wanted,
        "a session after an older activity",
    );
    session_set.touched(&token, Duration::MAX).await;
    session_set.touched(&token, Duration::ZERO).await;

    let wanted = active(&before, trial.now());
    trial.same(
        session_set.only().await,
        wanted.clone(),
        "a session in use now",
    );
    let found = trial.live(&token, "the session").await;
    trial.same(found.record, wanted, "the session of the token");
    trial.same(
        found.data.get("key").as_deref(),
        Some(&b"value"[..]),
        "its data",
    );
}

async fn the_idle_deadline_follows(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial.touch(&token, "a new session").await;

    trial.clock.advance(IDLE - MS);
    session_set.touched(&token, AGE).await;
    let deadline = trial.now().minus(AGE).plus(IDLE);
    trial.clock.set(deadline.minus(MS));
    trial
        .live(&token, "a session 1 ms before its later idle deadline")
        .await;
    trial.clock.set(deadline);
    trial
        .unknown(&token, "a session at its later idle deadline")
        .await;

    let token = session_set.signs_in().await;
    trial.touch(&token, "a new session").await;
    let began = trial.now();
    for _ in 0..5 {
        trial.clock.advance(ABSOLUTE / 5 - MS);
        session_set.touched(&token, Duration::ZERO).await;
    }
    trial.clock.set(began.plus(ABSOLUTE));
    trial
        .unknown(&token, "a session at its absolute deadline")
        .await;
}

async fn a_touch_uses_no_token(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let salt = Salt::from_bytes([6; 16]);
    let next = token.successor(&salt);
    trial.clock.advance(MS);
    session_set.touched(&token, Duration::ZERO).await;
    trial.holds(
        session_set.only().await.unused,
        "a session stays unused after a touch",
    );
    trial.touch(&token, "a new session").await;
    let mut rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
    rotate.grace = AGE;
    trial.rotate(&rotate).await;
    let before = session_set.only().await;
    trial.clock.advance(AGE * 2);

    session_set.touched(&token, Duration::ZERO).await;

    let wanted = active(&before, trial.now());
    trial.same(
        session_set.only().await,
        wanted,
        "a session with an unused token",
    );
    // The grace period begins with the first request that sends the new token.
    trial.clock.advance(AGE);
    trial.live(&token, "the previous token after a touch").await;
}

async fn an_unused_guest_session_stays_unused(trial: &Trial) {
    let session_set = trial.guest();
    let token = session_set.signs_in().await;
    trial.clock.advance(MS);

    session_set.touched(&token, Duration::ZERO).await;

    let record = session_set.only().await;
    trial.same(
        (record.unused, record.last_activity),
        (true, trial.now()),
        "whether the guest session is unused, and its last activity",
    );
}

async fn a_touch_revives_nothing(trial: &Trial) {
    let session_set = trial.user();
    let (ended, expired) = (session_set.signs_in().await, session_set.signs_in().await);
    let unknown = session_set.token();
    trial.touch(&ended, "a new session").await;
    trial.touch(&expired, "a new session").await;
    let end = session_set.end_one(&ended);
    trial.ends(&end, 1, None, "an end of one session").await;
    trial.clock.advance(IDLE);

    for token in [&ended, &expired, &unknown] {
        session_set.touched(token, Duration::ZERO).await;
        session_set.touched(token, IDLE).await;
    }
    trial.user().touched(&ended, Duration::ZERO).await;
    let over = session_set.signs_in().await;
    let before = session_set.listed().await;
    trial.clock.advance(MS);
    let mut touch = Touch::new(session_set.tag, over.session_id(), Duration::ZERO);
    touch.not_before = Some(trial.now());
    trial.answered(Box::pin(trial.store.touch(&touch)).await);
    trial.same(
        session_set.listed().await,
        before,
        "a session that began before `not_before`",
    );

    let notice = trial.notice(&ended, "the ended session").await;
    let found = session_set.looks([&ended, &expired, &unknown]).await;
    let wanted = [
        Presence::Ended(notice),
        Presence::Unknown,
        Presence::Unknown,
    ];
    trial.same(found, wanted, "an ended, an expired and an unknown session");
    session_set
        .lists_exactly(&[&over], "the list of one live session")
        .await;
    trial.unknown(&expired, "the expired session").await;
    trial.unknown(&unknown, "the unknown session").await;
}
