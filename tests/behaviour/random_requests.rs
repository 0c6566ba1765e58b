//! Requests that do many things in a random order, beside others on the same session.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering::SeqCst},
};

use http::StatusCode;
use proptest::{collection::vec, prelude::*};
use tower_user_sessions::{MemoryStore, Session, SessionErrorKind, SessionLayer};

use crate::common::http::Client;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Adds one to the counter.
    Count,
    Insert,
    Rotate,
    Reauthenticate,
    Commit,
    /// Another request adds one to the counter.
    TheyCount,
    TheyInsert,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Count),
        2 => Just(Step::Insert),
        1 => Just(Step::Rotate),
        1 => Just(Step::Reauthenticate),
        4 => Just(Step::Commit),
        4 => Just(Step::TheyCount),
        2 => Just(Step::TheyInsert),
    ];
    vec(step, 1..16)
}

fn count(session: &Session, counted: &AtomicU32) {
    // With the token of before a re-authentication the request has no user.
    if session.user_id().is_some() {
        session
            .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
            .unwrap();
        counted.fetch_add(1, SeqCst);
    }
}

async fn run(session: Session, steps: Vec<Step>, other: Client, counted: Arc<AtomicU32>) {
    for step in steps {
        match step {
            Step::Count => count(&session, &counted),
            Step::Insert => session.insert("own", "x").unwrap(),
            Step::Rotate => session.rotate().unwrap(),
            Step::Reauthenticate => session.reauthenticated().unwrap(),
            Step::Commit => drop(session.commit().await.unwrap()),
            Step::TheyCount | Step::TheyInsert => {
                let counted = Arc::clone(&counted);
                let answer = other.request(move |session| {
                    let counted = Arc::clone(&counted);
                    async move {
                        if matches!(step, Step::TheyCount) {
                            count(&session, &counted);
                        } else if session.user_id().is_some() {
                            session.insert("theirs", "x").unwrap();
                        }
                    }
                });
                assert_eq!(answer.await.status, StatusCode::OK);
            }
        }
    }
}

/// How often the counter was counted, and what is stored.
async fn counts(steps: Vec<Step>) -> (u32, u32) {
    let layer = SessionLayer::new(MemoryStore::new());
    let mut client = Client::signed_in(&layer, "alice").await;
    let (other, counted) = (client.clone(), Arc::new(AtomicU32::new(0)));

    let counting = Arc::clone(&counted);
    let answer = client
        .send(move |session| run(session, steps.clone(), other.clone(), Arc::clone(&counting)));
    assert_eq!(answer.await.status, StatusCode::OK);

    let n = client.send(|session| async move { session.get("n").unwrap().unwrap_or(0) });
    (counted.load(SeqCst), n.await.value())
}

/// A change of one of a few keys, or a commit.
#[derive(Clone, Debug)]
enum Change {
    Insert(usize, usize),
    Append(usize, usize),
    Remove(usize),
    Clear,
    Commit,
    SignIn,
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    let (key, length) = (0..12_usize, 0..24_usize);
    let change = prop_oneof![
        6 => (key.clone(), length.clone()).prop_map(|(key, length)| Change::Insert(key, length)),
        4 => (key.clone(), length).prop_map(|(key, length)| Change::Append(key, length)),
        3 => key.prop_map(Change::Remove),
        1 => Just(Change::Clear),
        2 => Just(Change::Commit),
        1 => Just(Change::SignIn),
    ];
    vec(change, 1..40)
}

const LIMIT: usize = 160;

/// The data as a plain list, the keys in the order in which they were first set.
#[derive(Default)]
struct Plain(Vec<(String, String)>);

impl Plain {
    fn get(&self, key: &str) -> Option<&String> {
        self.0
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, it)| it)
    }

    fn with(&self, key: &str, value: &str) -> Self {
        let mut list = self.0.clone();
        match list.iter_mut().find(|(name, _)| name == key) {
            Some((_, slot)) => value.clone_into(slot),
            None => list.push((key.to_owned(), value.to_owned())),
        }
        Self(list)
    }

    /// 6 bytes of lengths, the key, and `MessagePack`'s 1 before a text of up to 31 bytes, 2 before others.
    fn size(&self) -> usize {
        let sizes = self
            .0
            .iter()
            .map(|(key, value)| 6 + key.len() + value.len() + if value.len() < 32 { 1 } else { 2 });
        sizes.sum()
    }

    fn set(&mut self, key: &str, value: &str) -> Option<SessionErrorKind> {
        let next = self.with(key, value);
        if next.size() > LIMIT {
            return Some(SessionErrorKind::TooLarge);
        }
        *self = next;
        None
    }
}

async fn change(session: &Session, plain: &mut Plain, change: Change) {
    let key = |key: usize| format!("{key:?}");
    match change {
        Change::Insert(at, length) => {
            let (key, value) = (key(at), "x".repeat(length));
            let done = session.insert(&key, &value).err().map(|error| error.kind());
            assert_eq!(done, plain.set(&key, &value));
        }
        Change::Append(at, length) => {
            let (key, more) = (key(at), "y".repeat(length));
            let value = plain.get(&key).cloned().unwrap_or_default() + &more;
            let append = move |text: Option<String>| text.unwrap_or_default() + &more;
            let done = session.update(&key, append).err().map(|error| error.kind());
            assert_eq!(done, plain.set(&key, &value));
        }
        Change::Remove(at) => {
            session.remove(&key(at)).unwrap();
            plain.0.retain(|(name, _)| *name != key(at));
        }
        Change::Clear => {
            session.clear().unwrap();
            plain.0.clear();
        }
        Change::Commit => drop(session.commit().await.unwrap()),
        // The same user: the new session keeps the data.
        Change::SignIn => session.log_in("alice").unwrap(),
    }
    let mut keys = session.keys();
    keys.sort();
    let mut expected: Vec<_> = plain.0.iter().map(|(key, _)| key.clone()).collect();
    expected.sort();
    assert_eq!(keys, expected);
    for (key, value) in &plain.0 {
        assert_eq!(session.get::<String>(key).unwrap().as_ref(), Some(value));
    }
}

async fn stays_as_a_plain_list(all: Vec<Change>) {
    let layer = SessionLayer::new(MemoryStore::new()).data_limit(LIMIT);
    let mut client = Client::signed_in(&layer, "alice").await;

    let answer = client.send(move |session| {
        let all = all.clone();
        async move {
            let mut plain = Plain::default();
            for each in all {
                change(&session, &mut plain, each).await;
            }
            plain.0
        }
    });
    let answer = answer.await;
    assert_eq!(answer.status, StatusCode::OK);

    for (key, value) in answer.value() {
        let stored = client.send(move |session| {
            let key = key.clone();
            async move { session.get::<String>(&key).unwrap() }
        });
        assert_eq!(stored.await.value(), Some(value));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_update_is_lost_whatever_a_request_does_before(steps in steps()) {
        let (counted, stored) = tokio_test::block_on(counts(steps));

        prop_assert_eq!(counted, stored);
    }

    #[test]
    fn staged_changes_and_their_size_are_those_of_a_plain_list(all in changes()) {
        tokio_test::block_on(stays_as_a_plain_list(all));
    }
}
