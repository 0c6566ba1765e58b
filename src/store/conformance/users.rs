//! Number 10: users with similar ids have a session set each.

use super::trial::{MS, Trial, ids, ids_of};
use crate::{
    model::{Limit, UserId},
    store::Which,
};

/// The longest id of a user.
const LONGEST: usize = 255;

/// What a database, or code between it and the app, may take for the same text.
const ALIKE: [&str; 22] = [
    "alice",
    "Alice",
    "ALICE",
    "alice ",
    " alice",
    "alice\t",
    "alice\n",
    "alice\0",
    "alice\0b",
    "alic",
    "alices",
    "al%",
    "al*",
    "al_ce",
    "\"alice\"",
    "alice'",
    "alice\\",
    "{alice}",
    "alice:1",
    "7",
    "07",
    "7.0",
];

/// The same letters, composed and not, and of other widths.
const LETTERS: [&str; 6] = ["\u{e9}", "e\u{301}", "e", "\u{c9}", "\u{df}", "ss"];

pub(super) async fn with_similar_ids_are_apart(trial: &Trial) {
    let mut users = Vec::new();
    for id in similar(&trial.id().to_string()) {
        trial.clock.advance(MS);
        let session_set = trial.user_named(id);
        let token = session_set.token();
        let mut create = session_set.create_for(&token);
        create.limit = Limit::at_most(1);
        let made = trial.made(&create, "a sign-in of a user").await;
        trial.same(
            ids(&made.evicted),
            ids_of(&[]),
            "the sessions that it evicted of a user with a similar id",
        );
        users.push((session_set, token));
    }
    let id = |user: &Option<UserId>| user.as_ref().map(|user| user.as_str().to_owned());
    for (session_set, token) in &users {
        let found = trial.live(token, "the session of a user").await;
        trial.same(
            id(&found.record.user_id().cloned()),
            id(&session_set.user),
            "whose session it is",
        );
    }
    let mut left = users.iter();
    while let Some((session_set, token)) = left.next() {
        session_set
            .lists_exactly(&[token], "the list of a user")
            .await;
        let end = session_set.end(Which::All);
        trial.ends(&end, 1, None, "an end of all of a user").await;
        if let Some((_, next)) = left.clone().next() {
            let what = "the session of a user with a similar id, after that";
            trial.live(next, what).await;
        }
    }
}

/// Ids of different users. They begin with this text, which no other test has, or end with it.
fn similar(unique: &str) -> Vec<String> {
    let ends = ALIKE.iter().chain(&LETTERS);
    let mut all: Vec<String> = ends.map(|end| format!("{unique}/{end}")).collect();
    all.extend(["", " ", "\t", "0", "+", "\u{feff}"].map(|begin| format!("{begin}{unique}")));
    // They differ in the last byte alone, and in their length.
    let long = "x".repeat(LONGEST - 1 - unique.len());
    for end in ["", "x", "y"] {
        all.push(format!("{unique}{long}{end}"));
    }
    all
}
