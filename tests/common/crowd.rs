//! Users on all primaries of a Cluster, who read and sign in whatever becomes of it.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;
use tower_user_sessions::{
    RedisStore, UserId,
    store::{Resolve, Resolved, SessionStore, StoreError, Token},
};

use super::{
    cluster::slot,
    load::{Told, answered, kinds, offer},
    people::{asks, signs_in, token},
};

/// How many sign in and read.
const PEOPLE: u32 = 90;

/// A user with a session that is only read, and another one who signs in now and then.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) token: Token,
    pub(crate) visitor: String,
    /// Whether the first primary serves both.
    pub(crate) on_first: bool,
}

/// Whether the first of three primaries serves this user.
pub(crate) fn is_on_first(store: &RedisStore, user: &str) -> bool {
    slot(store.tag(&UserId::new(user).unwrap())) <= 5_460
}

/// The next so many users of the first primary, or of the others.
pub(crate) fn names(store: &RedisStore, prefix: &str, on_first: bool, count: usize) -> Vec<String> {
    let names = (0..).map(|number| format!("{prefix}-{number}"));
    names
        .filter(|name| is_on_first(store, name) == on_first)
        .take(count)
        .collect()
}

/// A third of them is served by the first primary.
pub(crate) async fn people(store: &RedisStore) -> Vec<Person> {
    let (mut people, count) = (Vec::new(), PEOPLE as usize);
    let both = [true, false].map(|on_first| names(store, "visitor", on_first, count));
    for number in 0..PEOPLE {
        let name = format!("reader-{number}");
        let on_first = is_on_first(store, &name);
        people.push(Person {
            token: signs_in(store, &name).await,
            visitor: both[usize::from(!on_first)][number as usize].clone(),
            on_first,
        });
    }
    people
}

/// Reads a session that is there, and every eighth call a sign-in; one that fails is given up, as the layer does.
pub(crate) async fn visit(
    store: RedisStore,
    number: u32,
    person: Person,
) -> Result<(), StoreError> {
    if !number.is_multiple_of(8) {
        let (id, digest) = (person.token.session_id(), person.token.digest());
        let found = store.resolve(&Resolve::new(person.token)).await?;
        let Resolved::Live(found) = found else {
            panic!("a session is gone: {found:?}");
        };
        assert_eq!((found.record.id, found.record.digest), (id, digest));
        return Ok(());
    }
    let token = token(&store, &person.visitor);
    let made = store.create(&asks(&person.visitor, &token)).await.map(drop);
    if made.is_err() {
        store.end_undelivered(token.tag(), token.session_id());
    }
    made
}

/// What became of the load, of the users of the first primary and of the others.
pub(crate) struct Both {
    pub(crate) began: Instant,
    pub(crate) first: Vec<Told>,
    pub(crate) others: Vec<Told>,
}

pub(crate) async fn load(store: &RedisStore, people: &[Person], rate: u32, time: Duration) -> Both {
    let began = Instant::now();
    let of = |number: u32| people[number as usize % people.len()].clone();
    let call = |number| {
        let visit = visit(store.clone(), number, of(number));
        async move { visit.await.inspect_err(explain) }
    };
    let all = offer(rate, time, call).await;
    let (first, others) = all.iter().partition(|told| of(told.number).on_first);
    Both {
        began,
        first,
        others,
    }
}

/// Prints the cause of the first failures.
fn explain(error: &StoreError) {
    static PRINTED: AtomicU32 = AtomicU32::new(0);
    if PRINTED.fetch_add(1, Relaxed) < 6 {
        println!("{error}: {:?}", std::error::Error::source(error));
    }
}

pub(crate) fn since(all: &[Told], at: Duration) -> Vec<Told> {
    all.iter().copied().filter(|told| told.at >= at).collect()
}

pub(crate) fn p99(all: &[Told]) -> Duration {
    let mut times: Vec<Duration> = all.iter().map(|told| told.took).collect();
    times.sort();
    times[times.len() * 99 / 100]
}

pub(crate) fn all_answered(all: &[Told]) {
    assert!(!all.is_empty());
    assert_eq!(answered(all), all.len(), "{:?}", kinds(all));
}

pub(crate) fn report(name: &str, both: &Both) {
    println!(
        "{name}: of the first primary {}; of the others {}",
        figures(&both.first),
        figures(&both.others)
    );
}

fn figures(all: &[Told]) -> String {
    let failed = all.iter().filter(|told| told.failed.is_some());
    let last = failed.map(|told| told.at + told.took).max();
    format!(
        "{} of {} answered {:?}, last failure at {last:?}, p99 {:?}",
        answered(all),
        all.len(),
        kinds(all),
        p99(all)
    )
}
