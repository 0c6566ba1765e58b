//! Numbers 25 and 26: the moment before which the sessions of all users ended, and all session sets.

use std::{collections::HashSet, time::Duration};

use super::{
    era::a_clock_that_was_ahead_begins_an_era,
    trial::{MS, Trial, set},
};
use crate::{
    model::{EndReason, SessionId, Tag},
    store::{
        End, EndEveryone, Ended, List, Look, ManualClock, Presence, Resolve, Resolved, Save, Saved,
        Scan, SessionStore, StoreErrorKind, Token, Touch, Which,
    },
};

/// Number 25: the store keeps the latest moment. Stores that do not have it are left out.
pub async fn keeps_the_moment_of_everyone<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(25, make).await;
    the_latest_moment_is_kept(&trial).await;
    a_clock_that_was_ahead_begins_an_era(&trial).await;
    a_token_made_up_of_zeros_is_unknown(&trial).await;
}

async fn the_latest_moment_is_kept(trial: &Trial) {
    if trial.store.horizon().is_none() {
        return;
    }
    let store = &trial.store;
    let before = trial.answered(store.everyone(None).await);
    if let Some(before) = before {
        // A store that several trials share has it already.
        let later = before.time().plus(Duration::from_secs(60));
        trial.clock.set(trial.now().max(later));
    }

    let first = trial.answered(store.end_everyone(EndEveryone::Now).await);
    trial.holds(
        first.time() > trial.now() && Some(first) > before,
        "the moment is later than now, and than the one before",
    );
    let read = trial.answered(store.everyone(None).await);
    trial.same(read, Some(first), "the moment that is read");

    trial.clock.advance(Duration::from_secs(60));
    let earlier = EndEveryone::Before(trial.now().minus(Duration::from_secs(90)));
    let same = trial.answered(store.end_everyone(earlier).await);
    trial.same(same, first, "the moment after an earlier one");
    let past = EndEveryone::Before(trial.now().minus(Duration::from_secs(30)));
    let moved = trial.answered(store.end_everyone(past).await);
    trial.same(
        moved.time(),
        trial.now().minus(Duration::from_secs(30)),
        "a later moment",
    );
    let future = EndEveryone::Before(trial.now().plus(Duration::from_secs(3_600)));
    let now = trial.answered(store.end_everyone(future).await);
    trial.holds(
        now.time() > trial.now() && now.time() < trial.now().plus(Duration::from_secs(60)),
        "a moment in the future counts as now",
    );

    trial.clock.set(trial.now().minus(Duration::from_secs(30)));
    let again = trial.answered(store.end_everyone(EndEveryone::Now).await);
    trial.holds(again > now, "the moment moves on if the clock steps back");

    let known = again.plus(MS);
    let kept = trial.answered(store.everyone(Some(known)).await);
    trial.same(kept, Some(known), "the moment that its caller knows");
    let read = trial.answered(store.everyone(Some(first)).await);
    trial.same(read, Some(known), "that moment, read again");
}

/// A store may keep the moment beside the session sets. The owner of no token reads or changes it.
async fn a_token_made_up_of_zeros_is_unknown(trial: &Trial) {
    if trial.store.horizon().is_none() {
        return;
    }
    let store = &trial.store;
    let moment = trial.answered(store.everyone(None).await);
    let tag = Tag::from_bytes([0; 12]);
    let token = trial.random(Token::random(tag));
    let id = token.session_id();

    let found = trial.resolve(&Resolve::new(token)).await;
    trial.holds(
        matches!(found, Resolved::Unknown),
        "a token whose tag is all zeros is unknown",
    );
    let looked = trial.answered(store.look(&Look::new(tag, [id])).await);
    trial.same(looked.sessions, vec![Presence::Unknown], "its session");
    let listed = trial.answered(store.list(&List::new(tag)).await);
    trial.same(listed, Vec::new(), "its session set");
    trial.answered(store.touch(&Touch::new(tag, id, MS)).await);
    let saved = trial.save(&Save::new(tag, id, set("key", "value"))).await;
    trial.holds(matches!(saved, Saved::Ended), "its data are not stored");
    let end = End::new(tag, Which::One(id), EndReason::Revoked);
    let ended = trial.end(&end).await;
    trial.holds(
        matches!(ended, Ended::Unknown),
        "its session cannot be ended",
    );

    let read = trial.answered(store.everyone(None).await);
    trial.same(read, moment, "the moment of all users");
}

/// Number 26: `scan` returns each session set that stays. Stores that do not have it are left out.
pub async fn scans_all_session_sets<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(26, make).await;
    each_session_set_that_stays_is_returned(&trial).await;
}

async fn each_session_set_that_stays_is_returned(trial: &Trial) {
    let mut scan = Scan::new();
    scan.most = 7;
    match trial.store.scan(&scan).await {
        Err(error) if error.kind() == StoreErrorKind::Unsupported => return,
        other => drop(trial.answered(other)),
    }
    let mut stay = Vec::new();
    for _ in 0..40 {
        let session_set = trial.user();
        stay.push(session_set.signs_in().await);
        stay.push(session_set.signs_in().await);
    }
    stay.push(trial.guest().signs_in().await);
    let ended = trial.user().signs_in().await;
    trial
        .end(&End::new(ended.tag(), Which::All, EndReason::Revoked))
        .await;

    let found = all(trial, scan.clone(), async || {
        // Others come and go meanwhile.
        let other = trial.user();
        other.signs_in().await;
        trial.end(&other.end(Which::All)).await;
        trial.user().signs_in().await;
    })
    .await;
    for token in &stay {
        trial.holds(
            found.contains(&token.session_id()),
            "each session that stays is found",
        );
    }
    trial.holds(
        !found.contains(&ended.session_id()),
        "an ended session is not found",
    );

    scan.not_before = Some(trial.now().plus(MS));
    let found = all(trial, scan.clone(), async || {}).await;
    let left = stay
        .iter()
        .find(|token| found.contains(&token.session_id()));
    trial.holds(left.is_none(), "what began before `not_before` is left out");
    for token in stay.iter().take(1) {
        trial.live(token, "a session that was left out").await;
    }

    scan.cursor = Some("no cursor".to_owned());
    let wrong = trial.store.scan(&scan).await;
    trial.holds(
        wrong.is_err_and(|error| error.kind() == StoreErrorKind::Unsupported),
        "a cursor that it did not give is `Unsupported`",
    );
    let count = trial.answered(trial.store.estimate().await);
    trial.holds(
        count >= 10,
        "about how many session sets there are is more than a few",
    );
}

/// The sessions in all parts, with something that happens between them.
async fn all(trial: &Trial, mut scan: Scan, between: impl AsyncFn()) -> HashSet<SessionId> {
    let mut found = HashSet::new();
    loop {
        let part = trial.answered(trial.store.scan(&scan).await);
        let mut tags = HashSet::new();
        for records in &part.sets {
            let user = records.first().and_then(|record| record.user_id().cloned());
            trial.holds(!records.is_empty(), "a set in a part has live sessions");
            if let Some(user) = user {
                trial.holds(tags.insert(user), "no user is in one part twice");
            }
            found.extend(records.iter().map(|record| record.id));
        }
        between().await;
        scan.cursor = part.next;
        if scan.cursor.is_none() {
            return found;
        }
    }
}
