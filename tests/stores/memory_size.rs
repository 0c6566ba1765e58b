//! What `MemoryStore` needs for a session, that it gives memory back, and that sessions share user agents.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are shown with --nocapture"
)]

use std::{collections::HashSet, fs, net::IpAddr, time::Duration};

use tempfile::TempDir;
use tokio_test::block_on;
use tower_user_sessions::{
    Client, MemoryStore, UserId,
    store::{
        Arrival, Authenticated, Create, Created, FileStore, LastSeen, List, ManualClock,
        NoteClient, Record, Resolve, Resolved, SessionStore, StoreErrorKind, Tag, Timestamp, Token,
    },
};

use crate::common::people::{asks, guest, token};

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// As long as the user agent of a browser.
const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                     Chrome/140.0.0.0 Safari/537.36 tests/000000000";

fn make(clock: &ManualClock) -> MemoryStore {
    MemoryStore::builder().clock(clock.clone()).build()
}

fn create(store: &impl SessionStore, create: &Create) {
    let created = block_on(store.create(create)).unwrap();
    assert!(matches!(created, Created::Created(_)), "{created:?}");
}

fn create_guest(token: &Token) -> Create {
    Create::new(token, None, Authenticated::On(Arrival::now()))
}

fn browser(agent: &str) -> Client {
    Client::new().with_user_agent(Some(agent.as_bytes()))
}

/// Sessions of as many users, each on a browser of the same kind.
fn sign_in(store: &impl SessionStore, users: u32) {
    for at in 0..users {
        let user = UserId::from(at);
        let token = Token::random(store.tag(&user)).unwrap();
        let mut asked = Create::new(&token, Some(user), Authenticated::On(Arrival::now()));
        let address = IpAddr::from(at.to_be_bytes());
        asked.client = browser(AGENT).with_address(Some(address));
        create(store, &asked);
    }
}

/// The memory of this process that is in RAM, in bytes.
fn resident() -> i64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = pages.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

// The harness of `benches` measures RSS: this and what the allocator adds.
#[test]
fn a_session_takes_at_most_400_bytes() {
    let sessions = 100_000;
    let mut store = None;

    let before = resident();
    let counted = allocation_counter::measure(|| {
        let made = MemoryStore::new();
        sign_in(&made, sessions);
        store = Some(made);
    });
    let grown = resident() - before;

    let each = counted.bytes_current / i64::from(sessions);
    println!(
        "{each} bytes per session, RSS {}",
        grown / i64::from(sessions)
    );
    assert_eq!(store.unwrap().sets(), 100_000);
    assert!(each <= 400, "{each}");
}

/// The sessions of as many users, of one each.
fn records(store: &impl SessionStore, users: u32) -> impl Iterator<Item = (Tag, Record)> {
    (0..users).map(|at| {
        let tag = store.tag(&UserId::from(at));
        let mut listed = block_on(store.list(&List::new(tag))).unwrap();
        assert_eq!(listed.len(), 1);
        (tag, listed.remove(0))
    })
}

/// How many copies of their user agents as many sessions have: of the sign-in, and of the last request.
fn copies(store: &impl SessionStore, users: u32) -> (usize, usize) {
    let (mut first, mut last) = (HashSet::new(), HashSet::new());
    for (_, record) in records(store, users) {
        first.insert(record.client().user_agent().unwrap().as_ptr());
        let seen = record.last_seen();
        last.extend(seen.map(|seen| seen.client.user_agent().unwrap().as_ptr()));
    }
    (first.len(), last.len())
}

/// All browsers are updated.
fn update(store: &impl SessionStore, users: u32) {
    for (tag, record) in records(store, users) {
        let seen = LastSeen::new(browser("Chrome/141"), record.last_activity);
        let note = NoteClient::new(tag, record, seen);
        assert!(block_on(store.note_client(&note)).unwrap());
    }
}

/// A store has as many locks, and keeps a user agent under each.
const LOCKS: usize = 64;

#[test]
fn sessions_share_their_user_agent_also_after_browsers_were_updated() {
    let (store, users) = (MemoryStore::new(), 150);
    sign_in(&store, users);
    update(&store, users);

    let (first, last) = copies(&store, users);
    assert!((1..=LOCKS).contains(&first), "{first}");
    assert!((1..=LOCKS).contains(&last), "{last}");
}

#[test]
fn sessions_in_a_file_share_their_user_agent_also_after_a_restart() {
    let (directory, users) = (TempDir::new().unwrap(), 150);
    let path = directory.path().join("sessions.db");
    let store = FileStore::open(&path).unwrap();
    sign_in(&store, users);
    update(&store, users);
    let before = copies(&store, users);
    drop(store);

    let after = copies(&FileStore::open(&path).unwrap(), users);
    for copies in [before.0, before.1, after.0, after.1] {
        assert!((1..=LOCKS).contains(&copies), "{before:?} {after:?}");
    }
}

/// Every 16th of them looks at 1,024 sets under another lock, so that each lock comes to its turn twice. A
/// lock has some 1,560 sets: how many of the later guests it gets itself does not matter.
const LATER: usize = 2 * 16 * LOCKS + 16;

// T60. `benches/results/in_process.md` has the figures of a million.
#[test]
fn guests_that_keep_no_cookie_leave_no_memory_behind_after_15_minutes() {
    let clock = ManualClock::at(NOW);
    let store = make(&clock);
    let guests = 100_000;
    // What stays for good: the locks and the first tables.
    create(&store, &create_guest(&guest()));
    let before = resident();

    let all = allocation_counter::measure(|| {
        for _ in 1..guests {
            create(&store, &create_guest(&guest()));
        }
    });
    let full = resident();
    assert_eq!(store.sets(), guests);
    clock.advance(15 * MINUTE);
    let swept = allocation_counter::measure(|| {
        for _ in 0..LATER {
            create(&store, &create_guest(&guest()));
        }
    });

    println!(
        "{} MB and then {} MB more, RSS {} MB and then {} MB more than before",
        all.bytes_current / 1_000_000,
        (all.bytes_current + swept.bytes_current) / 1_000_000,
        (full - before) / 1_000_000,
        (resident() - before) / 1_000_000,
    );
    assert_eq!(store.sets(), LATER);
    let left = all.bytes_current + swept.bytes_current;
    assert!(
        left < all.bytes_current / 40,
        "{left} of {}",
        all.bytes_current
    );
}

// T60
#[test]
fn an_unused_guest_session_lives_for_15_minutes_and_a_used_one_for_its_idle_time() {
    for used in [false, true] {
        let clock = ManualClock::at(NOW);
        let (store, token) = (make(&clock), guest());
        create(&store, &create_guest(&token));
        if used {
            let mut resolve = Resolve::new(token.clone());
            resolve.activity = false;
            block_on(store.resolve(&resolve)).unwrap();
        }
        clock.advance(15 * MINUTE);

        let found = block_on(store.resolve(&Resolve::new(token))).unwrap();

        let is_live = matches!(found, Resolved::Live(_));
        assert_eq!(is_live, used, "{found:?}");
    }
}

// T60
#[test]
fn a_guest_session_too_many_is_refused_until_one_expires_and_users_sign_in() {
    let clock = ManualClock::at(NOW);
    let store = MemoryStore::builder().clock(clock.clone()).max_guests(2);
    let store = store.build();
    let kept = guest();
    create(&store, &create_guest(&kept));
    create(&store, &create_guest(&guest()));

    let refused = block_on(store.create(&create_guest(&guest())));

    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Full);
    create(&store, &asks("alice", &token(&store, "alice")));
    let found = block_on(store.resolve(&Resolve::new(kept))).unwrap();
    assert!(matches!(found, Resolved::Live(_)), "{found:?}");
    clock.advance(15 * MINUTE);
    create(&store, &create_guest(&guest()));
    let refused = block_on(store.create(&create_guest(&guest())));
    assert_eq!(refused.unwrap_err().kind(), StoreErrorKind::Full);
}
