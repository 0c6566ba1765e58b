//! Number 14: every method is one atomic step.

use super::{
    join::{begin_and_drop, together},
    trial::{MS, SessionSet, Trial, ids, set},
};
use crate::{
    model::Limit,
    store::{Create, Created, Data, Ended, List, ManualClock, Record, Saved, SessionStore, Which},
};

const RACERS: usize = 24;

/// Number 14: every method is one atomic step; a dropped future leaves the old state or the new
/// one.
pub async fn is_atomic<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(14, make).await;
    no_watcher_sees_more_than_the_limit(&trial).await;
    refusing_admits_exactly_the_limit(&trial).await;
    one_sign_in_sent_many_times_is_one_session(&trial).await;
    no_write_is_lost(&trial).await;
    only_one_of_many_ends_it(&trial).await;
    nobody_slips_past_the_cutoff(&trial).await;
    a_dropped_future_leaves_no_half(&trial).await;
}

async fn no_watcher_sees_more_than_the_limit<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let racers = sign_ins(&session_set, Limit::at_most(3));
    let list = List::new(session_set.tag);

    let seen = together::<(Vec<Record>, usize)>(
        racers
            .iter()
            .map(|create| {
                let (made, list) = (trial.made(create, "a racer"), &list);
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
    trial.same(live.len(), 3, "as many as the limit in the end");
    trial.holds(
        seen.iter().all(|(_, most)| *most <= 3),
        "a watcher saw more than the limit",
    );
    let mut ends: Vec<_> = seen.iter().flat_map(|(evicted, _)| ids(evicted)).collect();
    ends.extend(live);
    ends.sort();
    let mut wanted: Vec<_> = racers.iter().map(|create| create.id).collect();
    wanted.sort();
    trial.same(ends, wanted, "each one was evicted once, or is live");
}

fn sign_ins<St: SessionStore>(session_set: &SessionSet<'_, St>, limit: Limit) -> Vec<Create> {
    (0..RACERS)
        .map(|_| {
            let mut create = session_set.asks(&session_set.token());
            create.limit = limit;
            create
        })
        .collect()
}

/// All of them side by side.
async fn race<St: SessionStore>(trial: &Trial<St>, racers: &[Create]) -> Vec<Created> {
    together(
        racers
            .iter()
            .map(|create| Box::pin(trial.create(create)) as _)
            .collect(),
    )
    .await
}

async fn refusing_admits_exactly_the_limit<St: SessionStore>(trial: &Trial<St>) {
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
                "a racer was neither let in nor refused: {other:?}"
            )),
        });
    trial.same(
        (made, refused),
        (2, RACERS - 2),
        "who was let in, and refused",
    );
    trial.live(&first, "nobody was evicted").await;
    trial.same(session_set.listed().await.len(), 3, "three of three");
}

async fn one_sign_in_sent_many_times_is_one_session<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.token();
    let racers = vec![session_set.asks(&token); RACERS];

    let created = race(trial, &racers).await;

    let record = trial.live(&token, "one session").await.record;
    for each in created {
        match each {
            Created::Created(new) => trial.same(new.record, record.clone(), "the same session"),
            other => trial.broken(&format!("sent many times, it was {other:?}")),
        }
    }
    session_set.holds_exactly(&[&token], "one session").await;
}

async fn no_write_is_lost<St: SessionStore>(trial: &Trial<St>) {
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
    trial.same(found.data.iter().count(), RACERS, "every key is kept");
    saved.dedup();
    trial.same(saved.len(), RACERS, "each write is a revision of its own");

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
        "one of many writes that depend on the same revision",
    );
}

async fn only_one_of_many_ends_it<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let end = session_set.end_one(&token);

    let ended = together(
        (0..RACERS)
            .map(|_| Box::pin(trial.end(&end)) as _)
            .collect(),
    )
    .await;

    let count: usize = ended
        .into_iter()
        .map(|ended| match ended {
            Ended::Ended { ids, .. } => ids.len(),
            other => trial.broken(&format!("ended many times, it was {other:?}")),
        })
        .sum();
    trial.same(count, 1, "it was live for one of them");
    trial.notice(&token, "it has ended").await;
}

async fn nobody_slips_past_the_cutoff<St: SessionStore>(trial: &Trial<St>) {
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
        .holds_exactly(&[], "authenticated before the cutoff, none is left")
        .await;
}

async fn a_dropped_future_leaves_no_half<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let previous = session_set.signs_in().await;
    trial.clock.advance(MS);
    let other = session_set.signs_in().await;
    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(2);
    create.replaces = Some(previous.session_id());

    begin_and_drop(Box::pin(trial.store.create(&create))).await;
    // Sent or not, it runs before or after this; either way, as a whole.
    let live = ids(&session_set.listed().await);
    let [previous, other, new] =
        [&previous, &other, &token].map(|token| live.contains(&token.session_id()));
    trial.holds(
        // Neither, both, or given up after both.
        other && !(previous && new),
        "a dropped `create` left a half",
    );

    let token = session_set.signs_in().await;
    let mut save = session_set.sets(&token, "cart", "apple");
    save.changes.set("page", "3");
    begin_and_drop(Box::pin(trial.store.save(&save))).await;
    let found = trial.live(&token, "a dropped `save`").await;
    let whole = Data::default().apply(&save.changes);
    trial.holds(
        (found.record.revision, &found.data) == (0, &Data::default())
            || (found.record.revision, &found.data) == (1, &whole),
        "a dropped `save` left a half",
    );

    let user = trial.user();
    let tokens = [user.signs_in().await, user.signs_in().await];
    begin_and_drop(Box::pin(trial.store.end(&user.end(Which::All)))).await;
    let listed = user.listed().await.len();
    trial.holds(listed == 0 || listed == 2, "a dropped `end` left a half");
    trial.end(&user.end(Which::All)).await;
    for token in &tokens {
        trial.notice(token, "it ends when it is asked again").await;
    }
    let mut create = user.asks(&user.token());
    create.changes = set("cart", "apple");
    trial.rejected(&create, "the cutoff is there").await;
}
