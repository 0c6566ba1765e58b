//! What is left in Redis of sessions that are over, and for how long it is kept.
//!
//! The clock of the suite of stores is set by hand, but the one that deletes keys is the server's. So these tests read the
//! fields of a key, and the time that it has left.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    EndReason, Lifetime, Limit, RedisStore,
    store::{
        Arrival, Authenticated, Create, End, Forget, ManualClock, Renewal, Resolve, Resolved,
        Rotate, Salt, SeenDevice, SessionStore, Token, Which,
    },
};

use crate::{
    common::{
        people::{asks, guest, is_live, leaves, makes, set, signs_in, ticket, token},
        redis::{Server, ask_with, patient},
    },
    redis_hash::{DAY, HOUR, MINUTE, NOW, key, ttl},
};

/// Nothing else than what comes next keeps the key.
async fn goes_soon(server: &Server, token: &Token) {
    let _: i64 = server.ask(&format!("PEXPIRE {} 60000", key(token))).await;
}

/// The fields of the key of this token, sorted.
async fn fields(server: &Server, token: &Token) -> Vec<String> {
    let mut fields: Vec<String> = server.ask(&format!("HKEYS {}", key(token))).await;
    fields.sort();
    fields
}

fn id(token: &Token) -> String {
    token.session_id().to_string()
}

/// A sign-in with data, on a new device.
fn asks_with_all(token: &Token) -> Create {
    let mut create = asks("alice", token);
    create.changes = set("cart", "apple");
    create.device = Some(SeenDevice {
        digest: [7; 12],
        kept: MINUTE,
    });
    create
}

async fn ends(store: &RedisStore, token: &Token, which: Which) {
    let end = End::new(token.tag(), which, EndReason::Revoked);
    store.end(&end).await.unwrap();
}

#[tokio::test]
async fn the_data_of_a_session_goes_with_it() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    let first = token(&store, "alice");
    makes(&store, &asks_with_all(&first)).await;
    let made = |token: &Token| {
        [
            id(token),
            format!("{}.data", id(token)),
            format!("{}.made", id(token)),
        ]
    };
    for field in made(&first) {
        assert!(fields(&server, &first).await.contains(&field), "{field}");
    }

    ends(&store, &first, Which::One(first.session_id())).await;

    assert_eq!(
        fields(&server, &first).await,
        sorted([id(&first), "devices".into()])
    );

    // The next one ends for a sign-in.
    clock.advance(MINUTE);
    let [second, third] = [(); 2].map(|()| token(&store, "alice"));
    makes(&store, &asks_with_all(&second)).await;
    for field in made(&second) {
        assert!(fields(&server, &first).await.contains(&field), "{field}");
    }
    let mut create = asks("alice", &third);
    create.limit = Limit::at_most(1);
    let evicted = makes(&store, &create).await.evicted;
    assert_eq!(evicted[0].id, second.session_id());
    let left = fields(&server, &first).await;
    assert!(left.contains(&id(&second)), "{left:?}");
    assert!(!left.contains(&made(&second)[1]), "{left:?}");
    assert!(!left.contains(&made(&second)[2]), "{left:?}");
}

fn sorted<const N: usize>(mut fields: [String; N]) -> [String; N] {
    fields.sort();
    fields
}

#[tokio::test]
async fn of_an_expired_session_the_record_stays_for_an_hour_and_of_a_guest_nothing_does() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    let user = token(&store, "alice");
    let mut create = asks("alice", &user);
    create.changes = set("cart", "apple");
    makes(&store, &create).await;
    let guest = guest();
    let now = Authenticated::On(Arrival::now());
    makes(&store, &Create::new(&guest, None, now)).await;
    clock.advance(1_000 * DAY);
    for token in [&user, &guest] {
        goes_soon(&server, token).await;
        let resolve = Resolve::new(token.clone());

        let answer = store.resolve(&resolve).await.unwrap();

        assert!(matches!(answer, Resolved::Expired(_)), "{answer:?}");
    }
    assert_eq!(fields(&server, &user).await, [id(&user)]);
    assert!(ttl(&server, &user).await > HOUR - MINUTE);
    assert_eq!(fields(&server, &guest).await, [""; 0]);
}

// T50
#[tokio::test]
async fn no_key_is_kept_longer_than_its_session_can_live() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    for (user, changes) in [("alice", Default::default()), ("bob", set("cart", "apple"))] {
        let token = token(&store, user);
        let mut create = asks(user, &token);
        create.lifetime = Lifetime::new(HOUR, HOUR);
        create.changes = changes;
        makes(&store, &create).await;
        assert!(ttl(&server, &token).await <= HOUR, "{user} has signed in");
        assert!(is_live(&store, &token).await);
        assert!(ttl(&server, &token).await <= HOUR, "{user} is back");
        goes_soon(&server, &token).await;
        clock.advance(HOUR / 2);

        assert!(is_live(&store, &token).await);

        let left = ttl(&server, &token).await;
        assert!(left > MINUTE && left <= HOUR / 2, "{left:?}");
    }
}

// T50
#[tokio::test]
async fn activity_of_a_short_session_does_not_shorten_the_time_of_a_long_one() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    let mut tokens = Vec::new();
    for lifetime in [40 * DAY, HOUR] {
        let token = token(&store, "alice");
        let mut create = asks("alice", &token);
        create.lifetime = Lifetime::new(lifetime, lifetime);
        makes(&store, &create).await;
        assert!(is_live(&store, &token).await);
        tokens.push(token);
    }
    clock.advance(HOUR / 2);

    assert!(is_live(&store, &tokens[1]).await);

    assert!(ttl(&server, &tokens[0]).await > 39 * DAY);
}

// T50
#[tokio::test]
async fn a_key_is_kept_for_a_ticket_and_for_the_notice_of_a_reuse() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    let old = signs_in(&store, "alice").await;
    assert!(is_live(&store, &old).await);
    let left = ticket(&token(&store, "alice"));
    let create = asks("alice", &token(&store, "alice"));
    goes_soon(&server, &old).await;
    leaves(&store, create, left).await;
    assert!(ttl(&server, &old).await > 4 * MINUTE);

    let salt = Salt::from_bytes([7; 16]);
    let next = old.successor(&salt);
    let rotate = Rotate::new(&old, &next, Renewal::Derived(salt));
    store.rotate(&rotate).await.unwrap();
    // The previous token counts as activity, too.
    goes_soon(&server, &old).await;
    clock.advance(MINUTE);
    assert!(is_live(&store, &old).await);
    assert!(ttl(&server, &old).await > HOUR);
    assert!(is_live(&store, &next).await);
    clock.advance(MINUTE);
    goes_soon(&server, &old).await;
    assert!(!is_live(&store, &old).await);
    assert!(!is_live(&store, &next).await, "its reuse ended the session");
    assert!(ttl(&server, &old).await > HOUR - MINUTE);
}

// T50
#[tokio::test]
async fn the_key_of_a_guest_whose_first_call_is_a_new_token_is_kept() {
    let server = Server::start();
    let store = server.patient();
    let token = guest();
    let now = Authenticated::On(Arrival::now());
    makes(&store, &Create::new(&token, None, now)).await;
    let salt = Salt::from_bytes([7; 16]);
    let rotate = Rotate::new(&token, &token.successor(&salt), Renewal::Derived(salt));

    store.rotate(&rotate).await.unwrap();

    assert!(ttl(&server, &token).await > 23 * HOUR);
}

// T50
#[tokio::test]
async fn a_key_is_kept_for_a_cutoff_that_is_ahead_of_the_clock_and_for_notices() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    let token = token(&store, "alice");
    ends(&store, &token, Which::All).await;
    clock.set(NOW.minus(HOUR));

    ends(&store, &token, Which::All).await;

    assert!(ttl(&server, &token).await > DAY + HOUR - MINUTE);

    let store = patient(server.pool()).notice_kept(9 * DAY).build();
    ends(&store, &token, Which::All).await;
    assert!(ttl(&server, &token).await > 8 * DAY, "its notices are kept");
}

#[tokio::test]
async fn of_a_notice_that_its_user_closed_no_client_and_no_token_stays() {
    let server = Server::start();
    let store = server.patient();
    let [by, ended] = [
        signs_in(&store, "alice").await,
        signs_in(&store, "alice").await,
    ];
    let which = Which::One(ended.session_id());
    let mut end = End::new(ended.tag(), which, EndReason::Revoked);
    end.by = Some(by.session_id());
    store.end(&end).await.unwrap();
    let length = format!("HSTRLEN {} {}", key(&ended), id(&ended));
    assert!(server.ask::<usize>(&length).await > 67);

    store
        .forget(&Forget::new(
            ended.tag(),
            ended.session_id(),
            ended.digest(),
        ))
        .await
        .unwrap();

    assert_eq!(server.ask::<usize>(&length).await, 67);
}

#[tokio::test]
async fn what_a_sign_in_returned_is_kept_for_a_minute_and_at_most_64_ends_of_it() {
    let server = Server::start();
    let clock = ManualClock::at(NOW);
    let store = server.store(clock.clone());
    for _ in 0..70 {
        let mut create = asks("alice", &token(&store, "alice"));
        create.limit = Limit::at_most(100);
        makes(&store, &create).await;
    }
    let new = token(&store, "alice");
    let mut create = asks("alice", &new);
    create.limit = Limit::at_most(1);
    assert_eq!(makes(&store, &create).await.evicted.len(), 70);

    assert_eq!(makes(&store, &create).await.evicted.len(), 64, "sent again");

    let made = format!("{}.made", id(&new));
    assert!(fields(&server, &new).await.contains(&made));
    clock.advance(MINUTE);
    let mut create = asks("alice", &token(&store, "alice"));
    create.limit = Limit::at_most(2);
    makes(&store, &create).await;
    assert!(!fields(&server, &new).await.contains(&made));
}

/// Writes what a node of another version has stored under an id of this user.
async fn writes_another_version(server: &Server, of: &Token, kind: u8) -> Token {
    let tag = of.tag();
    let token = Token::random(tag).unwrap();
    let mut record = vec![2, kind];
    // A notice that is kept for ever, or a session without a deadline.
    record.extend(i64::MAX.to_be_bytes());
    record.extend([9; 90]);
    let record: String = record.iter().map(|byte| format!("\\{byte:03}")).collect();
    let script = format!("return redis.call('HSET', KEYS[1], ARGV[1], '{record}')");
    let (key, id) = (key(of), id(&token));
    let words = ["EVAL", &script, "1", &key, &id];
    assert_eq!(ask_with::<usize>(&server.url(), &words).await, 1);
    token
}

#[tokio::test]
async fn notices_of_another_version_take_no_place_and_a_session_of_one_stays_where_others_end() {
    let server = Server::start();
    let store = server.patient();
    let own = signs_in(&store, "alice").await;
    let mut others = Vec::new();
    for _ in 0..3 {
        others.push(writes_another_version(&server, &own, 3).await);
    }
    let mut create = asks("alice", &token(&store, "alice"));
    create.limit = Limit::at_most(1);
    makes(&store, &create).await;
    for other in &others {
        assert!(fields(&server, &own).await.contains(&id(other)));
    }

    let stays = writes_another_version(&server, &own, 1).await;
    ends(&store, &own, Which::Others(stays.session_id())).await;

    assert!(fields(&server, &own).await.contains(&id(&stays)));
}
