//! What `MemoryStore` needs for a session, and that it gives memory back.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its figures are shown with --nocapture"
)]

use std::{fs, net::IpAddr, time::Duration};

use tokio_test::block_on;
use tower_user_sessions::{
    Client, MemoryStore, UserId,
    store::{
        Arrival, Authenticated, Create, Created, ManualClock, Resolve, Resolved, SessionStore,
        StoreErrorKind, Timestamp, Token,
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

fn create(store: &MemoryStore, create: &Create) {
    let created = block_on(store.create(create)).unwrap();
    assert!(matches!(created, Created::Created(_)), "{created:?}");
}

fn create_guest(token: &Token) -> Create {
    Create::new(token, None, Authenticated::On(Arrival::now()))
}

/// Sessions of as many users, each on a browser of the same kind.
fn sign_in(store: &MemoryStore, users: u32) {
    for at in 0..users {
        let user = UserId::from(at);
        let token = Token::random(store.tag(&user)).unwrap();
        let mut asked = Create::new(&token, Some(user), Authenticated::On(Arrival::now()));
        let address = IpAddr::from(at.to_be_bytes());
        asked.client = Client::new()
            .with_address(Some(address))
            .with_user_agent(Some(AGENT.as_bytes()));
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

// T60. `benches/RESULTS.md` has the figures of a million.
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
        // So many that each lock is swept.
        for _ in 0..1_500 {
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
    assert_eq!(store.sets(), 1_500);
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
