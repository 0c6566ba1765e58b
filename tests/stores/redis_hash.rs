//! What the hash of a user in Redis holds, and how long it is kept.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    EndReason, Lifetime, RedisStore,
    store::{
        Arrival, Authenticated, Changes, Create, Created, End, Ended, ManualClock, Resolve,
        Resolved, Save, Saved, SessionStore, Timestamp, Token, Which,
    },
};

use crate::common::{
    people::{self, asks, guest, is_live, leaves, listed, makes, set, signs_in, ticket, token},
    redis::{Server, ask_with},
};

/// Starts at a full second, minute and hour.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn key(token: &Token) -> String {
    format!("sessions:{{{}}}", token.tag())
}

pub(crate) async fn ttl(server: &Server, token: &Token) -> Duration {
    let millis: i64 = server.ask(&format!("PTTL {}", key(token))).await;
    Duration::from_millis(u64::try_from(millis).unwrap())
}

async fn fields(server: &Server, token: &Token) -> usize {
    server.ask(&format!("HLEN {}", key(token))).await
}

/// A sign-in with this lifetime, idle and absolute.
fn asks_for(token: &Token, absolute: Duration) -> Create {
    let mut create = asks("alice", token);
    create.lifetime = Lifetime::new(absolute, absolute);
    create
}

fn end(token: &Token, which: Which) -> End {
    End::new(token.tag(), which, EndReason::Revoked)
}

// T50
#[tokio::test]
async fn a_key_is_kept_for_its_longest_session() {
    let server = Server::start();
    let store = server.patient();

    for (absolute, least) in [
        (MINUTE, Duration::ZERO),
        (DAY, HOUR),
        (MINUTE, HOUR),
        (2 * DAY, DAY),
    ] {
        let token = token(&store, "alice");
        makes(&store, &asks_for(&token, absolute)).await;

        assert!(ttl(&server, &token).await > least, "{absolute:?}");
    }
}

// T14
#[tokio::test]
async fn a_key_outlives_the_idle_time_of_a_session_that_was_active_since() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    let (idle, step) = (16 * HOUR, HOUR);
    let token = token(&store, "alice");
    let mut create = asks("alice", &token);
    create.lifetime = Lifetime::new(idle, 30 * DAY);
    makes(&store, &create).await;

    // No request renews the key within a step, so it has that long to spare.
    assert!(ttl(&server, &token).await > idle + step - MINUTE);
    // The first request renews it in any case.
    assert!(is_live(&store, &token).await);
    let _: i64 = server.ask(&format!("PEXPIRE {} 60000", key(&token))).await;
    clock.advance(step - Duration::from_millis(1));
    assert!(is_live(&store, &token).await);
    assert!(ttl(&server, &token).await <= MINUTE, "it costs nothing yet");

    clock.advance(Duration::from_millis(1));
    assert!(is_live(&store, &token).await);
    assert!(ttl(&server, &token).await > idle + step - MINUTE);
}

// T50 T60
#[tokio::test]
async fn the_key_of_a_guest_session_is_kept_for_15_minutes_until_it_is_used() {
    let server = Server::start();
    let store = server.patient();
    for changes in [Changes::default(), set("cart", "apple")] {
        let token = guest();
        let now = Authenticated::On(Arrival::now());
        let mut create = Create::new(&token, None, now);
        create.changes = changes;
        makes(&store, &create).await;
        let unused = ttl(&server, &token).await;
        let mut resolve = Resolve::new(token.clone());
        resolve.activity = false;

        store.resolve(&resolve).await.unwrap();

        assert!(unused <= 16 * MINUTE, "{unused:?}");
        assert!(ttl(&server, &token).await > 23 * HOUR);
    }
}

// T42 T50
#[tokio::test]
async fn a_key_is_kept_for_its_notices_and_its_cutoff() {
    let server = Server::start();
    let store = server.patient();

    let replaced = token(&store, "alice");
    makes(&store, &asks_for(&replaced, MINUTE)).await;
    let next = token(&store, "alice");
    let mut create = asks_for(&next, MINUTE);
    create.replaces = Some(replaced.session_id());
    makes(&store, &create).await;
    assert!(ttl(&server, &next).await > HOUR - MINUTE, "its notice");

    let short = guest();
    let mut create = asks_for(&short, MINUTE);
    create.user = None;
    makes(&store, &create).await;
    let one = end(&short, Which::One(short.session_id()));
    store.end(&one).await.unwrap();
    assert!(ttl(&server, &short).await > HOUR - MINUTE, "its notice");

    store.end(&end(&next, Which::All)).await.unwrap();
    assert!(ttl(&server, &next).await > DAY - MINUTE, "the cutoff");
}

// T21
#[tokio::test]
async fn the_cutoff_is_kept_to_the_millisecond() {
    let server = Server::start();
    let clock = ManualClock::at(NOW.plus(Duration::from_millis(1_234_567)));
    let store = server.store(clock.clone());
    let token = token(&store, "alice");
    let mut create = asks("alice", &token);

    let ended = store.end(&end(&token, Which::All)).await.unwrap();
    let Ended::Ended { now: cutoff, .. } = ended else {
        panic!("{ended:?}");
    };
    create.authenticated = Authenticated::At(cutoff);
    let rejected = store.create(&create).await.unwrap();
    assert!(matches!(rejected, Created::Rejected), "{rejected:?}");
    clock.set(cutoff.minus(Duration::from_millis(1_111)));
    let rejected = store.create(&create).await.unwrap();
    assert!(matches!(rejected, Created::Rejected), "{rejected:?}");

    let moved = clock.now();
    create.authenticated = Authenticated::At(moved.plus(Duration::from_millis(1)));
    assert_eq!(makes(&store, &create).await.cutoff, Some(moved));

    // Kept for a day.
    for (at, kept) in [(DAY - Duration::from_millis(1), Some(moved)), (DAY, None)] {
        clock.set(moved.plus(at));
        let create = asks("alice", &people::token(&store, "alice"));
        assert_eq!(makes(&store, &create).await.cutoff, kept);
    }
}

// T28 T50
#[tokio::test]
async fn expired_sessions_are_removed_with_their_data() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());

    for (round, left) in [("list", 0), ("create", 1), ("end one", 0), ("end all", 2)] {
        let token = token(&store, round);
        let mut create = asks(round, &token);
        create.changes = set("cart", "apple");
        makes(&store, &create).await;
        assert_eq!(fields(&server, &token).await, 2);
        clock.advance(2 * DAY);

        match round {
            "list" => assert!(listed(&store, token.tag()).await.is_empty()),
            "create" => {
                signs_in(&store, round).await;
            }
            _ => {
                let which = match round {
                    "end one" => Which::One(token.session_id()),
                    _ => Which::All,
                };
                store.end(&end(&token, which)).await.unwrap();
            }
        }

        assert_eq!(fields(&server, &token).await, left, "after {round}");
    }
}

// T50
#[tokio::test]
async fn any_number_of_malformed_records_is_removed_and_those_of_another_version_stay() {
    let server = Server::start();
    let store = server.patient();
    let token = signs_in(&store, "alice").await;
    let save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));
    store.save(&save).await.unwrap();
    let fill = "for at = 1, 10000 do \
        redis.call('HSET', KEYS[1], string.format('%016d', at), '\\1short') end \
        local of = redis.call('HGET', KEYS[1], ARGV[1]) \
        redis.call('HSET', KEYS[1], 'another-version-', '\\2' .. string.sub(of, 2))";
    let id = token.session_id().to_string();
    let _: () = ask_with(&server.url(), &["EVAL", fill, "1", &key(&token), &id]).await;
    assert_eq!(fields(&server, &token).await, 10_003);

    let live = listed(&store, token.tag()).await;

    assert_eq!(live, [token.session_id()]);
    assert_eq!(fields(&server, &token).await, 3);
    assert!(is_live(&store, &token).await);
}

// T50 T60
#[tokio::test]
async fn given_up_ids_do_not_fill_the_hash() {
    let server = Server::start();
    let store = server.patient();
    let first = token(&store, "alice");
    let fill = "for at = 1, 19900 do \
        redis.call('HSET', KEYS[1], string.format('%016d.data', at), 'short') end";
    let _: () = ask_with(&server.url(), &["EVAL", fill, "1", &key(&first)]).await;

    for _ in 0..200 {
        let lost = Which::One(token(&store, "alice").session_id());
        let end = End::new(first.tag(), lost, EndReason::Undelivered);
        store.end(&end).await.unwrap();
    }

    assert_eq!(fields(&server, &first).await, 20_000);
}

// T60
#[tokio::test]
async fn removing_many_keys_at_once_does_not_block_the_server() {
    let server = Server::start();
    let store = server.patient();
    let token = signs_in(&store, "alice").await;
    let (mut some, mut none) = (Changes::default(), Changes::default());
    for number in 0..5_900 {
        some.set(&format!("{number:05}"), "");
    }
    for number in (0..5_900).rev() {
        none.remove(&format!("{number:05}"));
    }
    let save = Save::new(token.tag(), token.session_id(), some);
    store.save(&save).await.unwrap();
    let before = cpu(&server).await;

    let save = Save::new(token.tag(), token.session_id(), none);
    let saved = store.save(&save).await.unwrap();

    assert_eq!(saved, Saved::Saved { revision: 2 });
    let spent = cpu(&server).await - before;
    assert!(spent < 0.15, "{spent} s");
}

/// The CPU seconds of the server. Unlike the clock, they do not count the load of this machine.
async fn cpu(server: &Server) -> f64 {
    let info: String = server.ask("INFO cpu").await;
    let of = |name| {
        info.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
    };
    of("used_cpu_user:").parse().unwrap()
}

// T42 T50
#[tokio::test]
async fn a_notice_can_be_kept_for_the_longest_duration() {
    let server = Server::start();
    let store = RedisStore::builder(server.pool())
        .notice_kept(Duration::MAX)
        .build();
    let token = signs_in(&store, "alice").await;

    let ended = store
        .end(&end(&token, Which::One(token.session_id())))
        .await
        .unwrap();

    assert!(
        matches!(ended, Ended::Ended { ref ids, .. } if ids.len() == 1),
        "{ended:?}"
    );
    let resolved = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    assert!(matches!(resolved, Resolved::Ended(_)), "{resolved:?}");
    assert!(ttl(&server, &token).await > 399 * DAY);
}

// T50
#[tokio::test]
async fn refusals_leave_no_expired_tickets_behind() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    let first = signs_in_at(&store, &clock).await;
    // An unused session would not count.
    assert!(is_live(&store, &first).await);
    let mut counts = Vec::new();

    for _ in 0..5 {
        clock.advance(Duration::from_secs(301));
        let (token, left) = (token(&store, "alice"), token(&store, "alice"));
        let mut create = asks("alice", &token);
        create.authenticated = Authenticated::At(clock.now());
        leaves(&store, create, ticket(&left)).await;
        counts.push(fields(&server, &first).await);
    }

    assert_eq!(counts, [2; 5]);
}

/// A session of alice by this clock.
async fn signs_in_at(store: &RedisStore, clock: &ManualClock) -> Token {
    let token = token(store, "alice");
    let mut create = asks("alice", &token);
    create.authenticated = Authenticated::At(clock.now());
    makes(store, &create).await;
    token
}

// T42 T50
#[tokio::test]
async fn an_expired_session_of_a_user_stays_known_for_an_hour_after_it_is_found() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = RedisStore::builder(server.pool())
        .clock(clock.clone())
        .build();
    let token = token(&store, "alice");
    let mut create = asks_for(&token, DAY);
    create.lifetime = Lifetime::new(HOUR, DAY);
    makes(&store, &create).await;
    let save = Save::new(token.tag(), token.session_id(), set("cart", "tea"));
    store.save(&save).await.unwrap();
    clock.advance(HOUR);

    let mut found = Vec::new();
    for _ in 0..3 {
        match store.resolve(&Resolve::new(token.clone())).await.unwrap() {
            Resolved::Expired(record) => found.push((record.was_found_expired(), record.deadline)),
            other => panic!("{other:?}"),
        }
    }

    let expired = NOW.plus(HOUR);
    let first = (false, NOW.plus(DAY));
    assert_eq!(found, [first, (true, expired), (true, expired)]);
    // Its data is gone.
    assert_eq!(fields(&server, &token).await, 1);
    assert!(ttl(&server, &token).await > HOUR - MINUTE);
    assert_eq!(listed(&store, token.tag()).await, []);
    assert_eq!(fields(&server, &token).await, 0);
}
