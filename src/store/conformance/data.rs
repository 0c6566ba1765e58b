//! Numbers 8 and 9: the app's data.

use super::trial::{ABSOLUTE, IDLE, MS, Trial, set};
use crate::{
    model::Limit,
    store::{Changes, Created, Data, ManualClock, Save, Saved, SessionStore},
};

/// Number 8: `save` changes a live session only, merges key by key, and counts the revision up.
pub async fn saves_to_live_sessions_only<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(8, make).await;
    changes_are_merged_key_by_key(&trial).await;
    it_may_depend_on_the_revision(&trial).await;
    any_bytes_come_back(&trial).await;
    nothing_is_brought_back(&trial).await;
}

async fn changes_are_merged_key_by_key<St: SessionStore>(trial: &Trial<St>) {
    for session_set in [trial.user(), trial.guest()] {
        let token = session_set.token();
        let mut create = session_set.asks(&token);
        create.changes = set("cart", "apple");
        create.changes.set("page", "1");
        let made = trial.made(&create, "a session with data").await;
        let mut data = Data::default().apply(&create.changes);
        trial.same(made.data, data.clone(), "the data it was made with");
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
            trial.same(saved, revision + 1, "each write counts the revision up");
            revision = saved;
            data = data.apply(&save.changes);
            let found = trial.live(&token, "a live session").await;
            trial.same(found.record.revision, revision, "the stored revision");
            trial.same(pairs(&found.data), pairs(&data), "the merged data");
        }
    }
}

/// What is kept, whatever the order.
fn pairs(data: &Data) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut pairs: Vec<_> = data
        .iter()
        .map(|(key, value)| (key.to_vec(), value.to_vec()))
        .collect();
    pairs.sort();
    pairs
}

async fn it_may_depend_on_the_revision<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let revision = trial.live(&token, "a new session").await.record.revision;
    let mut save = session_set.sets(&token, "count", "1");
    save.expect = Some(revision);
    let newer = session_set.saves(&save, "the expected revision").await;

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
            "another revision, and the newest data",
        );
    }
    let found = trial.live(&token, "a live session").await;
    trial.same(
        (found.record.revision, found.data),
        (newer, Data::default().apply(&save.changes)),
        "a conflict changes nothing",
    );
    late.expect = Some(newer);
    trial.same(
        session_set.saves(&late, "the newest revision").await,
        newer + 1,
        "it is saved now",
    );
}

async fn any_bytes_come_back<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let token = session_set.signs_in().await;
    let every: Vec<u8> = (0..=u8::MAX).collect();
    let mut changes = Changes::default();
    changes.set("", "an empty key");
    changes.set("schlüssel\0", every);
    changes.set(&"k".repeat(Data::KEY_MAX), vec![0; 20_000]);

    let save = Save::new(session_set.tag, token.session_id(), changes);
    session_set.saves(&save, "odd bytes").await;

    let found = trial.live(&token, "a live session").await;
    let wanted = Data::default().apply(&save.changes);
    trial.holds(
        pairs(&found.data) == pairs(&wanted),
        "odd keys and values come back as they were",
    );
}

async fn nothing_is_brought_back<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (idle, ended) = (session_set.signs_in().await, session_set.signs_in().await);
    trial.end(&session_set.end_one(&ended)).await;
    let elsewhere = trial.user().signs_in().await;
    for (token, what) in [
        (&session_set.token(), "a session that nobody made"),
        (&elsewhere, "a session of another session set"),
        (&ended, "an ended session"),
    ] {
        let saved = trial.save(&session_set.sets(token, "key", "value")).await;
        trial.same(saved, Saved::Ended, what);
    }
    trial.notice(&ended, "an ended session stays ended").await;
    let found = trial.live(&elsewhere, "the other's").await;
    trial.same(found.data, Data::default(), "the other's data");

    trial.clock.advance(IDLE - MS);
    session_set
        .saves(
            &session_set.sets(&idle, "key", "value"),
            "1 ms before its end",
        )
        .await;
    trial.clock.advance(MS);
    let saved = trial.save(&session_set.sets(&idle, "key", "value")).await;
    trial.same(saved, Saved::Ended, "an expired session");
    trial.unknown(&idle, "an expired session stays so").await;
    session_set.holds_exactly(&[], "nothing is live").await;

    let active = session_set.signs_in().await;
    for _ in 0..5 {
        trial.clock.advance(ABSOLUTE / 6);
        trial.touch(&active, "an active session").await;
    }
    trial.clock.advance(ABSOLUTE / 6);
    let saved = trial.save(&session_set.sets(&active, "key", "value")).await;
    trial.same(saved, Saved::Ended, "a session at its deadline");
}

/// Number 9: `create` and `save` that would exceed `data_limit` change nothing.
pub async fn holds_data_to_its_limit<St: SessionStore>(make: impl AsyncFn(ManualClock) -> St) {
    let trial = Trial::new(9, make).await;
    a_save_fits_or_changes_nothing(&trial).await;
    a_create_fits_or_changes_nothing(&trial).await;
}

async fn a_save_fits_or_changes_nothing<St: SessionStore>(trial: &Trial<St>) {
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
        "one byte too many, with what is there",
    );
    let after = trial.live(&token, "a live session").await;
    trial.same(
        (after.record, after.data),
        (before.record, before.data),
        "nothing changed",
    );
    save.data_limit = whole;
    session_set.saves(&save, "it fits exactly").await;
}

async fn a_create_fits_or_changes_nothing<St: SessionStore>(trial: &Trial<St>) {
    let session_set = trial.user();
    let (previous, other) = (session_set.signs_in().await, session_set.signs_in().await);
    session_set
        .saves(&session_set.sets(&previous, "cart", "apple"), "a save")
        .await;
    let before = trial.live(&previous, "the one to replace").await;
    let token = session_set.token();
    let mut create = session_set.asks(&token);
    create.limit = Limit::at_most(1);
    create.replaces = Some(previous.session_id());
    create.changes = set("page", "3");
    let whole = before.data.apply(&create.changes).as_bytes().len();

    create.data_limit = whole - 1;
    let created = trial.create(&create).await;
    trial.holds(
        matches!(created, Created::TooLarge),
        "one byte too many, with what it keeps",
    );
    trial.unknown(&token, "nothing was made").await;
    let after = trial.live(&previous, "nothing was replaced").await;
    trial.same(after.data, before.data, "its data is as it was");
    session_set
        .holds_exactly(&[&previous, &other], "nothing was evicted")
        .await;
    create.data_limit = whole;
    trial.made(&create, "it fits exactly").await;
    session_set
        .holds_exactly(&[&token], "it took their places")
        .await;
}
