//! Numbers 8 and 9: the app's data.

use super::{
    own_data,
    trial::{ABSOLUTE, IDLE, MS, Trial, set},
};
use crate::{
    model::{Lifetime, Limit},
    store::{Changes, Created, Data, ManualClock, Save, Saved, SessionStore},
};

/// Number 8: `save` changes live sessions only, merges key by key, and increments the revision.
pub async fn saves_to_live_sessions_only<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(8, make).await;
    changes_are_merged_key_by_key(&trial).await;
    a_save_may_depend_on_the_revision(&trial).await;
    keys_and_values_may_be_any_bytes(&trial).await;
    a_save_revives_no_session(&trial).await;
    own_data::stays_with_its_session(&trial).await;
}

async fn changes_are_merged_key_by_key(trial: &Trial) {
    for session_set in [trial.user(), trial.guest()] {
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.changes = set("cart", "apple");
        create.changes.set("page", "1");
        let made = trial.made(&create, "a session with data").await;
        let mut data = Data::default().apply(&create.changes);
        trial.same(made.data, data.clone(), "the data that it was made with");
        let mut revision = made.record.revision;

        let mut replaced = set("page", "2");
        replaced.set("theme", "dark");
        let mut removed = Changes::default();
        removed.remove("cart");
        removed.remove("no such key");
        let mut back = set("cart", "");
        back.remove("theme");
        for changes in [replaced, removed, back, Changes::default()] {
            let save = Save::new(session_set.tag, token.session_id(), changes);
            let saved = session_set.saves(&save, "a change").await;
            trial.same(saved, revision + 1, "the revision after a write");
            revision = saved;
            data = data.apply(&save.changes);
            let found = trial.live(&token, "a live session").await;
            trial.same(found.record.revision, revision, "the stored revision");
            trial.same(pairs(&found.data), pairs(&data), "the merged data");
        }
    }
}

/// The entries in sorted order.
fn pairs(data: &Data) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> = data
        .iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    pairs.sort();
    pairs
}

async fn a_save_may_depend_on_the_revision(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let revision = trial.live(&token, "a new session").await.record.revision;
    let mut save = session_set.sets(&token, "count", "1");
    save.expect = Some(revision);
    let newer = session_set
        .saves(&save, "a save that expects the revision")
        .await;

    let mut late = session_set.sets(&token, "count", "2");
    late.expect = Some(revision);
    for expected in [revision, newer + 1] {
        late.expect = Some(expected);
        let wanted = Saved::Conflict {
            revision: newer,
            data: Data::default().apply(&save.changes),
        };
        trial.same(
            trial.save(&late).await,
            wanted,
            "a save that expects another revision",
        );
    }
    let found = trial.live(&token, "a live session").await;
    trial.same(
        (found.record.revision, found.data),
        (newer, Data::default().apply(&save.changes)),
        "revision and data after a conflict",
    );
    late.expect = Some(newer);
    trial.same(
        session_set
            .saves(&late, "a save that expects the newest revision")
            .await,
        newer + 1,
        "the revision after that",
    );
}

async fn keys_and_values_may_be_any_bytes(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let mut changes = Changes::default();
    changes.set("", "an empty key");
    changes.set("schlüssel\0", every);
    changes.set(&"k".repeat(Data::KEY_MAX), vec![0; 20_000]);

    let save = Save::new(session_set.tag, token.session_id(), changes);
    session_set.saves(&save, "a save of unusual bytes").await;

    let found = trial.live(&token, "a live session").await;
    let wanted = Data::default().apply(&save.changes);
    trial.holds(
        pairs(&found.data) == pairs(&wanted),
        "unusual keys and values are read as they were saved",
    );
}

async fn a_save_revives_no_session(trial: &Trial) {
    let session_set = trial.user();
    let (idle, ended) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.end(&session_set.end_one(&ended)).await;
    let elsewhere = trial.user().signs_in().await;
    for (token, what) in [
        (
            &session_set.token(),
            "a save to a session that was never made",
        ),
        (&elsewhere, "a save to a session of another session set"),
        (&ended, "a save to an ended session"),
    ] {
        let saved = trial.save(&session_set.sets(token, "key", "value")).await;
        trial.same(saved, Saved::Ended, what);
    }
    trial.notice(&ended, "the ended session after that").await;
    let found = trial.live(&elsewhere, "the session of the other set").await;
    trial.same(
        found.data,
        Data::default(),
        "the data of the session of the other set",
    );

    trial.clock.advance(IDLE - MS);
    session_set
        .saves(
            &session_set.sets(&idle, "key", "value"),
            "a save 1 ms before the idle deadline",
        )
        .await;
    trial.clock.advance(MS);
    let saved = trial.save(&session_set.sets(&idle, "key", "value")).await;
    trial.same(saved, Saved::Ended, "a save to an expired session");
    trial.unknown(&idle, "the expired session after that").await;
    session_set.lists_exactly(&[], "the list").await;

    let active = session_set.signs_in().await;
    for _ in 0..5 {
        trial.clock.advance(ABSOLUTE / 6);
        trial.touch(&active, "an active session").await;
    }
    trial.clock.advance(ABSOLUTE / 6);
    let saved = trial.save(&session_set.sets(&active, "key", "value")).await;
    trial.same(
        saved,
        Saved::Ended,
        "a save to a session at its absolute deadline",
    );
}

/// Number 9: `create` and `save` that would exceed `data_limit` change nothing.
pub async fn enforces_the_data_limit<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(9, make).await;
    a_save_over_the_data_limit_changes_nothing(&trial).await;
    a_create_over_the_data_limit_changes_nothing(&trial).await;
    data_over_a_lowered_limit_may_stay_or_shrink(&trial).await;
}

async fn a_save_over_the_data_limit_changes_nothing(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    session_set
        .saves(&session_set.sets(&token, "cart", "apple"), "a save")
        .await;
    let before = trial.live(&token, "a live session").await;
    let mut save = session_set.sets(&token, "page", "3");
    let whole = before.data.apply(&save.changes).as_bytes().len();

    save.data_limit = whole - 1;
    trial.same(
        trial.save(&save).await,
        Saved::TooLarge,
        "a save that makes the data one byte too long",
    );
    let after = trial.live(&token, "a live session").await;
    trial.same(
        (after.record, after.data),
        (before.record, before.data),
        "record and data after that",
    );
    save.data_limit = whole;
    session_set
        .saves(&save, "data exactly as long as the limit")
        .await;
}

async fn a_create_over_the_data_limit_changes_nothing(trial: &Trial) {
    let session_set = trial.user();
    let (previous, other) = (session_set.signs_in().await, session_set.signs_in().await);
    session_set
        .saves(&session_set.sets(&previous, "cart", "apple"), "a save")
        .await;
    let before = trial.live(&previous, "the session to replace").await;
    let token = session_set.token();
    let mut create = session_set.create_for(&token);
    create.limit = Limit::at_most(1);
    create.replaces = Some(previous.session_id());
    create.changes = set("page", "3");
    let whole = before.data.apply(&create.changes).as_bytes().len();

    create.data_limit = whole - 1;
    let created = trial.create(&create).await;
    trial.holds(
        matches!(created, Created::TooLarge),
        "a `create` that makes the data one byte too long is refused",
    );
    trial.unknown(&token, "the token of that `create`").await;
    let after = trial
        .live(&previous, "the session to replace after that")
        .await;
    trial.same(after.data, before.data, "its data after that");
    session_set
        .lists_exactly(&[&previous, &other], "the list after that")
        .await;
    create.data_limit = whole;
    trial
        .made(&create, "data exactly as long as the limit")
        .await;
    session_set
        .lists_exactly(&[&token], "the list after the `create`")
        .await;
}

/// A release may lower the limit while sessions have more data.
async fn data_over_a_lowered_limit_may_stay_or_shrink(trial: &Trial) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let mut two = session_set.sets(&token, "cart", "apples and pears");
    two.changes.set("page", "3");
    session_set.saves(&two, "a save").await;

    let mut more = session_set.sets(&token, "theme", "dark");
    more.data_limit = 1;
    trial.same(
        trial.save(&more).await,
        Saved::TooLarge,
        "a save that adds to data over a lowered limit",
    );
    let mut less = Changes::default();
    less.remove("page");
    let mut less = Save::new(session_set.tag, token.session_id(), less);
    less.data_limit = 1;
    session_set
        .saves(
            &less,
            "a save that removes a key of data over a lowered limit",
        )
        .await;
    let mut shorten = Save::new(session_set.tag, token.session_id(), Changes::default());
    (shorten.data_limit, shorten.shorten) = (1, Some(Lifetime::new(IDLE / 2, ABSOLUTE)));
    let shortened = trial.save(&shorten).await;
    trial.holds(
        matches!(shortened, Saved::Shortened { .. }),
        "a session whose data is over a lowered limit can be shortened",
    );

    let before = trial.live(&token, "the session to replace").await;
    let again = session_set.token();
    let mut create = session_set.create_for(&again);
    (create.replaces, create.data_limit) = (Some(token.session_id()), 1);
    create.changes = set("theme", "dark");
    let created = trial.create(&create).await;
    trial.holds(
        matches!(created, Created::TooLarge),
        "a `create` that adds to data over a lowered limit is refused",
    );
    create.changes = Changes::default();
    let made = trial
        .made(&create, "a `create` that keeps data over a lowered limit")
        .await;
    trial.same(made.data, before.data, "the data that it keeps");
}
