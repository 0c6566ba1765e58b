//! Number 14: every method is one atomic step.

use super::{
    dropped,
    join::together,
    trial::{SessionSet, Trial, ids},
};
use crate::{
    model::Limit,
    store::{Create, Created, Ended, List, ManualClock, Record, Saved, SessionStore, Which},
};

const RACERS: usize = 24;

/// Number 14: every method is one atomic step. If its future is dropped, all of the change happens or
/// none.
pub async fn is_atomic<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(14, make).await;
    no_request_sees_more_sessions_than_the_limit(&trial).await;
    a_refusing_limit_admits_exactly_that_many(&trial).await;
    one_sign_in_sent_many_times_is_one_session(&trial).await;
    no_write_is_lost(&trial).await;
    only_one_of_many_ends_ends_it(&trial).await;
    no_sign_in_survives_a_cutoff_set_after_it_began(&trial).await;
    dropped::leaves_no_partial_change(&trial).await;
}

async fn no_request_sees_more_sessions_than_the_limit(trial: &Trial) {
    let session_set = trial.user();
    let racers = sign_ins(&session_set, Limit::at_most(3));
    let list = List::new(session_set.tag);

    let seen = together::<(Vec<Record>, usize)>(
        racers
            .iter()
            .map(|create| {
                let (made, list) = (trial.made(create, "one of many sign-ins at once"), &list);
                let run = async move {
                    let before = trial.answered(trial.store.list(list).await).len();
                    let made = made.await;
                    let after = trial.answered(trial.store.list(list).await).len();
                    (made.evicted, before.max(after))
                };
                Box::pin(run) as _
            })
            .collect(),
    )
    .await;

    let live = ids(&session_set.listed().await);
    trial.same(live.len(), 3, "the number of live sessions at the end");
    trial.holds(
        seen.iter().all(|(_, most)| *most <= 3),
        "no request saw more live sessions than the limit",
    );
    let mut ends: Vec<_> = seen.iter().flat_map(|(evicted, _)| ids(evicted)).collect();
    ends.extend(live);
    ends.sort();
    let mut wanted: Vec<_> = racers.iter().map(|create| create.id).collect();
    wanted.sort();
    trial.same(ends, wanted, "the sessions that were evicted or are live");
}

fn sign_ins(session_set: &SessionSet<'_>, limit: Limit) -> Vec<Create> {
    (0..RACERS)
        .map(|_| {
            let mut create = session_set.create_for(&session_set.token());
            create.limit = limit;
            create
        })
        .collect()
}

/// Runs all of them at the same time.
async fn race(trial: &Trial, racers: &[Create]) -> Vec<Created> {
    together(
        racers
            .iter()
            .map(|create| Box::pin(trial.create(create)) as _)
            .collect(),
    )
    .await
}

async fn a_refusing_limit_admits_exactly_that_many(trial: &Trial) {
    let session_set = trial.user();
    let first = session_set.signs_in().await;
    let racers = sign_ins(&session_set, Limit::at_most(3).refuse());

    let created = race(trial, &racers).await;

    let (made, refused) = created
        .iter()
        .fold((0, 0), |(made, refused), each| match each {
            Created::Created(new) if new.evicted.is_empty() => (made + 1, refused),
            Created::LimitReached(_) => (made, refused + 1),
            other => trial.broken(&format!(
                "a sign-in at a refusing limit: expected a session or a refusal, found {other:?}"
            )),
        });
    trial.same(
        (made, refused),
        (2, RACERS - 2),
        "the number of sign-ins that were made, and that were refused",
    );
    trial
        .live(
            &first,
            "the session from before: a refusing limit evicts none",
        )
        .await;
    trial.same(
        session_set.listed().await.len(),
        3,
        "the number of live sessions",
    );
}

async fn one_sign_in_sent_many_times_is_one_session(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.token();
    let racers = vec![session_set.create_for(&token); RACERS];

    let created = race(trial, &racers).await;

    let mut record = trial.live(&token, "the only session").await.record;
    record.unused = true;
    for each in created {
        match each {
            Created::Created(new) => trial.same(
                new.record,
                record.clone(),
                "the session that a repeated `create` returned",
            ),
            other => trial.broken(&format!(
                "a repeated `create`: expected the same session, found {other:?}"
            )),
        }
    }
    session_set
        .lists_exactly(&[&token], "the only session")
        .await;
}

async fn no_write_is_lost(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let saves: Vec<_> = (0..RACERS)
        .map(|racer| session_set.sets(&token, &format!("key {racer}"), "value"))
        .collect();

    let mut saved = together(
        saves
            .iter()
            .map(|save| Box::pin(session_set.saves(save, "one of many writes")) as _)
            .collect(),
    )
    .await;
    saved.sort_unstable();
    let found = trial.live(&token, "a live session").await;
    trial.same(
        found.data.iter().count(),
        RACERS,
        "the number of stored keys",
    );
    saved.dedup();
    trial.same(saved.len(), RACERS, "the number of different revisions");

    let mut save = session_set.sets(&token, "count", "1");
    save.expect = Some(found.record.revision);
    let saved = together(
        (0..RACERS)
            .map(|_| Box::pin(trial.save(&save)) as _)
            .collect(),
    )
    .await;
    let won = |saved: &&Saved| matches!(saved, Saved::Saved { .. });
    trial.same(
        saved.iter().filter(won).count(),
        1,
        "the number of saved writes that depend on the same revision",
    );
}

async fn only_one_of_many_ends_ends_it(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let ends: Vec<_> = (0..RACERS).map(|_| session_set.end_one(&token)).collect();

    let ended = together(
        ends.iter()
            .map(|end| Box::pin(trial.end(end)) as _)
            .collect(),
    )
    .await;

    let count: usize = ended
        .into_iter()
        .map(|ended| match ended {
            Ended::Ended { ids, .. } => ids.len(),
            other => trial.broken(&format!(
                "a repeated `end`: expected `Ended::Ended`, found {other:?}"
            )),
        })
        .sum();
    trial.same(count, 1, "how many of the repeated ends ended it");
    trial.notice(&token, "the ended session").await;
}

async fn no_sign_in_survives_a_cutoff_set_after_it_began(trial: &Trial) {
    let session_set = trial.user();
    let racers = sign_ins(&session_set, Limit::at_most(3));
    let end = session_set.end(Which::All);

    together(
        racers
            .iter()
            .enumerate()
            .map(|(position, create)| {
                let end = &end;
                let run = async move {
                    trial.create(create).await;
                    if position == RACERS / 2 {
                        trial.end(end).await;
                    }
                };
                Box::pin(run) as _
            })
            .collect(),
    )
    .await;

    session_set
        .lists_exactly(&[], "the list after a cutoff, with sign-ins from before it")
        .await;
}
