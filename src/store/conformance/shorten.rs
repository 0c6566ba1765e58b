//! Number 18: a shorter life.

use std::time::Duration;

use super::trial::{ABSOLUTE, IDLE, MS, SessionSet, Trial, set};
use crate::{
    model::Lifetime,
    store::{Changes, Data, ManualClock, Save, Saved, SessionStore, Timestamp, Token},
};

/// A tenth of what sessions of trials live.
const SHORT: Lifetime = Lifetime::new(Duration::from_secs(60), Duration::from_secs(180));

/// Number 18: `save` that shortens takes the shorter of what is stored and what is given, part by part.
pub async fn shortens_and_never_prolongs<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(18, make).await;
    both_parts_become_shorter(&trial).await;
    neither_part_becomes_longer(&trial).await;
    data_is_saved_in_the_same_step(&trial).await;
    nothing_changes_where_it_is_not_saved(&trial).await;
    an_idle_session_may_be_over_at_once(&trial).await;
}

/// Shortens this session, and answers revision, idle time and deadline.
async fn shorten<St: SessionStore>(
    session_set: &SessionSet<'_, St>,
    trial: &Trial<St>,
    token: &Token,
    to: Lifetime,
) -> (u64, Duration, Timestamp) {
    let mut save = Save::new(session_set.tag, token.session_id(), Changes::default());
    save.shorten = Some(to);
    match trial.save(&save).await {
        Saved::Shortened {
            revision,
            idle,
            deadline,
        } => (revision, idle, deadline),
        other => trial.broken(&format!("not shortened but {other:?}")),
    }
}

async fn both_parts_become_shorter<St: SessionStore>(trial: &Trial<St>) {
    for session_set in [trial.user(), trial.guest()] {
        let token = session_set.signs_in().await;
        let before = trial.live(&token, "a new session").await;

        trial.clock.advance(MS * 250);
        let now = trial.now();
        let shortened = shorten(&session_set, trial, &token, SHORT).await;

        let deadline = now.plus(SHORT.absolute());
        let wanted = (before.record.revision, SHORT.idle(), deadline);
        trial.same(shortened, wanted, "the shorter life");
        let mut wanted = before.record;
        (wanted.idle, wanted.deadline) = (SHORT.idle(), deadline);
        let found = trial.live(&token, "a shortened session").await;
        trial.same(found.record, wanted, "nothing else changes");
        trial.same(found.data, before.data, "nor does the data");
        let again = shorten(&session_set, trial, &token, SHORT).await;
        trial.same(again.2, deadline, "the same again is the same");

        trial.touch(&token, "still within it").await;
        for _ in 0..2 {
            trial.clock.advance(SHORT.idle() - MS);
            trial
                .touch(&token, "active within the shorter idle time")
                .await;
        }
        trial.clock.advance(SHORT.idle() - MS);
        trial
            .live(&token, "a moment before the shorter deadline")
            .await;
        trial.clock.advance(MS * 3);
        trial.unknown(&token, "past the shorter deadline").await;
        trial.same(
            session_set.listed().await,
            Vec::new(),
            "what is listed then",
        );
    }
}

async fn neither_part_becomes_longer<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let deadline = trial.now().plus(ABSOLUTE);
    let longer = Lifetime::new(IDLE * 2, ABSOLUTE * 2);
    let idle_only = Lifetime::new(SHORT.idle(), ABSOLUTE * 2);

    let (_, idle, ends) = shorten(&session_set, trial, &token, longer).await;
    trial.same(
        (idle, ends),
        (IDLE, deadline),
        "a longer life changes nothing",
    );
    let (_, idle, ends) = shorten(&session_set, trial, &token, idle_only).await;
    trial.same(
        (idle, ends),
        (SHORT.idle(), deadline),
        "each part by itself",
    );
    let (_, idle, ends) = shorten(&session_set, trial, &token, Lifetime::default()).await;
    trial.same((idle, ends), (SHORT.idle(), deadline), "and not back again");
}

async fn data_is_saved_in_the_same_step<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let mut save = session_set.sets(&token, "cart", "apple");
    save.shorten = Some(SHORT);

    let saved = trial.save(&save).await;

    let wanted = Saved::Shortened {
        revision: 1,
        idle: SHORT.idle(),
        deadline: trial.now().plus(SHORT.absolute()),
    };
    trial.same(saved, wanted, "data and a shorter life");
    let found = trial.live(&token, "a shortened session").await;
    let data = Data::default().apply(&set("cart", "apple"));
    let wanted = (data, 1, SHORT.idle());
    trial.same(
        (found.data, found.record.revision, found.record.idle),
        wanted,
        "both are stored",
    );
}

async fn nothing_changes_where_it_is_not_saved<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let ended = session_set.signs_in().await;
    trial.end(&session_set.end_one(&ended)).await;
    let before = trial.live(&token, "a new session").await.record;

    let mut late = session_set.sets(&token, "cart", "apple");
    (late.shorten, late.expect) = (Some(SHORT), Some(before.revision + 1));
    let conflict = Saved::Conflict {
        revision: before.revision,
        data: Data::default(),
    };
    trial.same(trial.save(&late).await, conflict, "of another revision");
    let mut large = session_set.sets(&token, "cart", "apple");
    (large.shorten, large.data_limit) = (Some(SHORT), 1);
    trial.same(trial.save(&large).await, Saved::TooLarge, "over the limit");
    let mut save = Save::new(session_set.tag, ended.session_id(), Changes::default());
    save.shorten = Some(SHORT);
    trial.same(trial.save(&save).await, Saved::Ended, "an ended session");
    trial.notice(&ended, "an ended session stays ended").await;

    let after = trial.live(&token, "a session").await.record;
    trial.same(after, before, "a refused save shortens nothing");
}

async fn an_idle_session_may_be_over_at_once<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    trial.clock.advance(SHORT.idle());

    shorten(&session_set, trial, &token, SHORT).await;

    trial
        .unknown(&token, "idle for longer than it may be now")
        .await;
    let save = session_set.sets(&token, "cart", "apple");
    trial.same(trial.save(&save).await, Saved::Ended, "it is over");
}
