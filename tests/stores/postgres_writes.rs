//! What requests write to PostgreSQL, and what never overwrites what.

use std::time::Duration;

use tower_user_sessions::{
    EndReason, PostgresStore, UserId,
    store::{
        Authenticated, Changes, Create, Created, End, List, ManualClock, Resolve, Resolved, Save,
        Saved, SessionStore, TagKey, Timestamp, Token, Which,
    },
};

use crate::common::{
    people::{asks, is_live, set, signs_in, token, until},
    postgres::{Server, client, patient, pool, url},
    wire::Wire,
};

/// As much as a session may have, 64 KiB with its key, and nothing that the server could compress.
fn much(seed: u8) -> Changes {
    let (mut number, mut text) = (u32::from(seed) + 1, String::new());
    while text.len() < 65_500 {
        // Numbers that follow no pattern, each the same in each run.
        number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        text.push_str(&format!("{:06x}", number >> 8));
    }
    let mut changes = Changes::default();
    changes.set("cart", text);
    changes
}

/// A sign-in after a cutoff. It counts as earlier by the time that its read took, so that the first ones may be rejected.
async fn signs_in_again(store: &PostgresStore, user: &str) -> Token {
    for _ in 0..200 {
        let token = token(store, user);
        if let Created::Created(_) = store.create(&asks(user, &token)).await.unwrap() {
            return token;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("each sign-in of a second is rejected");
}

async fn wal(server: &Server) -> i64 {
    server
        .number("SELECT (pg_current_wal_lsn() - '0/0'::pg_lsn)::bigint")
        .await
}

/// What some work costs: bytes of WAL, bytes that the server sent, and those that it received.
async fn costs(server: &Server, wire: &Wire, work: impl AsyncFnOnce()) -> [u64; 3] {
    let (log, (sent, received)) = (wal(server).await, wire.carried());
    work().await;
    let (sent_then, received_then) = wire.carried();
    let log = u64::try_from(wal(server).await - log).unwrap();
    [log, sent_then - sent, received_then - received]
}

#[tokio::test]
async fn a_request_reads_and_writes_no_other_sessions_data() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
    let store = patient(pool(&url(wire.port), 1))
        .clock(clock.clone())
        .activity_every(Duration::ZERO)
        .build();
    store.migrate().await.unwrap();
    let user = UserId::new("anna").unwrap();
    let mut tokens = Vec::new();
    for number in 0..100 {
        let token = Token::random(store.tag(&user)).unwrap();
        let mut create = Create::new(&token, Some(user.clone()), Authenticated::At(clock.now()));
        create.changes = much(number);
        let created = store.create(&create).await.unwrap();
        assert!(matches!(created, Created::Created(_)), "{created:?}");
        tokens.push(token);
    }
    let live = server
        .number("SELECT live::bigint FROM tower_user_sessions")
        .await;
    let parts = server
        .number("SELECT sum(length(bytes)) FROM tower_user_sessions_parts")
        .await;
    assert!(
        (live, parts / 1024) >= (100, 6_390),
        "{live} sessions, {parts} bytes"
    );

    let requests = costs(&server, &wire, async || {
        for token in &tokens {
            clock.advance(Duration::from_secs(2));
            let found = store.resolve(&Resolve::new(token.clone())).await.unwrap();
            let Resolved::Live(found) = found else {
                panic!("{found:?}");
            };
            assert!(found.data.get("cart").is_some());
        }
    });
    let [log, sent, received] = requests.await.map(|bytes| bytes / 100);
    println!("a request: {log} bytes of WAL, {sent} sent, {received} received");
    // Its own data and the head. The head has no data, and goes back with the activity.
    assert!((1..50_000).contains(&log), "{log} bytes of WAL");
    assert!((65_000..110_000).contains(&sent), "{sent} bytes were sent");
    assert!(
        (1..45_000).contains(&received),
        "{received} bytes were received"
    );

    let save = Save::new(tokens[0].tag(), tokens[50].session_id(), much(200));
    let saves = costs(&server, &wire, async || {
        let saved = store.save(&save).await.unwrap();
        assert!(matches!(saved, Saved::Saved { .. }), "{saved:?}");
    });
    let [log, sent, received] = saves.await;
    println!("a save: {log} bytes of WAL, {sent} sent, {received} received");
    for bytes in [log, sent, received] {
        assert!(
            (65_000..130_000).contains(&bytes),
            "{bytes} bytes for one save"
        );
    }
}

#[tokio::test]
async fn recorded_activity_writes_no_index() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_790_000_000_000));
    let pool = server.pool();
    let store = PostgresStore::builder(pool.clone())
        .clock(clock.clone())
        .build();
    store.migrate().await.unwrap();
    let mut tokens = Vec::new();
    for number in 0..25 {
        tokens.push(signs_in(&store, &format!("user-{number}")).await);
    }

    let before = wal(&server).await;
    for _ in 0..20 {
        clock.advance(Duration::from_secs(2));
        for token in &tokens {
            assert!(is_live(&store, token).await);
        }
    }
    let log = (wal(&server).await - before) / 500;
    println!("{log} bytes of WAL for one activity");
    // The log of an update has no bytes from before its first change, and none from after the last one.
    assert!(log < 300, "{log} bytes of WAL for one activity");

    // A connection that closes reports what it did.
    pool.close();
    let count = async |column: &str| {
        let sql = format!(
            "SELECT {column} FROM pg_stat_user_tables WHERE relname = 'tower_user_sessions'"
        );
        server.number(&sql).await
    };
    until("the server has counted", async || {
        count("n_tup_upd").await >= 500
    })
    .await;
    let indexed = 500 - count("n_tup_hot_upd").await;
    // Room on a page is made when it is read again, so a few may find none.
    assert!(indexed <= 25, "{indexed} of 500 updates wrote an index");
}

// T25
#[tokio::test]
async fn a_sign_in_that_failed_does_not_run_when_its_write_arrives() {
    let server = Server::start();
    let direct = server.store().await;
    let wire = Wire::before(server.port).await;
    let store = PostgresStore::builder(pool(&url(wire.port), 4))
        // Each write has its text, by which the relay knows it.
        .prepared(false)
        .deadline(Duration::from_millis(400))
        .build();
    for (user, write) in [
        ("anna", "UPDATE tower_user_sessions"),
        ("carl", "UPDATE tower_user_sessions"),
        ("bert", "INSERT INTO tower_user_sessions"),
    ] {
        // Bert has no session set yet.
        let phone = match user {
            "bert" => None,
            user => Some(signs_in(&direct, user).await),
        };
        let late = token(&store, user);
        let mut create = asks(user, &late);
        if user == "carl" {
            create.changes = set("cart", "apple");
        }
        create.limit = tower_user_sessions::Limit::at_most(1);

        wire.hold(write);
        let before = wire.held();
        let failed = store.create(&create).await;
        assert!(failed.is_err() && wire.held() > before, "{failed:?}");
        wire.release();

        // Long enough for the server to run what was held.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!is_live(&direct, &late).await);
        if let Some(phone) = phone {
            assert!(
                is_live(&direct, &phone).await,
                "the late sign-in evicted the phone"
            );
        }
    }
}

// T25
#[tokio::test]
async fn a_sign_in_that_failed_does_not_run_when_a_lock_is_released() {
    let server = Server::start();
    let direct = server.store().await;
    let store = PostgresStore::builder(server.pool())
        .deadline(Duration::from_millis(400))
        .build();
    let phone = signs_in(&direct, "anna").await;
    let tag = store.tag(&UserId::new("bert").unwrap());
    let bert: String = tag
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let inserts = format!(
        "INSERT INTO tower_user_sessions (tag, version, head, kept_until, live) VALUES ('\\x{bert}', 1, '\\x', now(), 0)"
    );
    for (user, locks) in [
        ("anna", "UPDATE tower_user_sessions SET live = live"),
        ("bert", inserts.as_str()),
    ] {
        let holder = client(&server.url()).await;
        holder.batch_execute("BEGIN").await.unwrap();
        holder.batch_execute(locks).await.unwrap();
        let late = token(&store, user);
        let mut create = asks(user, &late);
        create.limit = tower_user_sessions::Limit::at_most(1);

        let failed = store.create(&create).await;
        assert!(failed.is_err(), "{failed:?}");
        holder.batch_execute("ROLLBACK").await.unwrap();

        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!is_live(&direct, &late).await);
        assert!(
            is_live(&direct, &phone).await,
            "the late sign-in evicted the phone"
        );
    }
}

// T25
#[tokio::test]
async fn a_stale_write_never_overwrites_a_set_that_was_made_again() {
    let server = Server::start();
    let direct = server.store().await;
    let wire = Wire::before(server.port).await;
    let store = patient(pool(&url(wire.port), 4))
        // Each write has its text, by which the relay knows it.
        .prepared(false)
        .build();
    let old = signs_in(&direct, "anna").await;
    wire.hold("UPDATE tower_user_sessions");
    let stale = tokio::spawn({
        let (store, old) = (store.clone(), old.clone());
        async move {
            let save = Save::new(old.tag(), old.session_id(), set("color", "red"));
            store.save(&save).await
        }
    });
    until("the write is held", async || wire.held() > 0).await;

    client(&server.url())
        .await
        .batch_execute("DELETE FROM tower_user_sessions")
        .await
        .unwrap();
    let before = asks("anna", &token(&direct, "anna"));
    let end = End::new(old.tag(), Which::All, EndReason::Revoked);
    direct.end(&end).await.unwrap();
    let new = signs_in_again(&direct, "anna").await;
    wire.release();

    assert_eq!(stale.await.unwrap().unwrap(), Saved::Ended);
    assert!(is_live(&direct, &new).await);
    assert!(!is_live(&direct, &old).await);
    // The cutoff of the new set is still there.
    let rejected = direct.create(&before).await.unwrap();
    assert!(matches!(rejected, Created::Rejected), "{rejected:?}");
}

// T25
#[tokio::test]
async fn a_stale_deletion_of_a_set_never_takes_a_sign_in_with_it() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_800_000_000_000));
    let direct = server.store_at(clock.clone()).await;
    let wire = Wire::before(server.port).await;
    let store = patient(pool(&url(wire.port), 4)).clock(clock.clone());
    let store = store.prepared(false).build();
    // The first write starts a deletion of expired sets.
    signs_in(&direct, "bert").await;
    let old = signs_in(&direct, "anna").await;
    // Nothing of the set is needed any more, and a list deletes it.
    clock.advance(Duration::from_secs(400 * 86_400));
    wire.hold("DELETE FROM tower_user_sessions");
    let list = tokio::spawn({
        let list = List::new(old.tag());
        async move { store.list(&list).await.map(|all| all.len()) }
    });
    until("the deletion is held", async || wire.held() > 0).await;

    let new = signs_in(&direct, "anna").await;
    wire.release();

    list.await.unwrap().unwrap();
    assert!(is_live(&direct, &new).await);
}

#[tokio::test]
async fn two_writers_on_one_user_lose_nothing() {
    let server = Server::start();
    let store = || patient(server.pool()).build();
    let stores = [store(), store()];
    stores[0].migrate().await.unwrap();
    let token = signs_in(&stores[0], "anna").await;
    let mut writers = tokio::task::JoinSet::new();
    for number in 0..40 {
        let (store, token) = (stores[number % 2].clone(), token.clone());
        writers.spawn(async move {
            let mut changes = Changes::default();
            changes.set(&format!("key-{number}"), "value");
            let save = Save::new(token.tag(), token.session_id(), changes);
            store.save(&save).await.unwrap()
        });
    }

    let mut revisions: Vec<u64> = Vec::new();
    for saved in writers.join_all().await {
        let Saved::Saved { revision } = saved else {
            panic!("{saved:?}");
        };
        revisions.push(revision);
    }

    revisions.sort_unstable();
    assert_eq!(revisions, (1..=40).collect::<Vec<u64>>());
    let Resolved::Live(found) = stores[1].resolve(&Resolve::new(token)).await.unwrap() else {
        panic!("not live");
    };
    for number in 0..40 {
        assert!(
            found.data.get(&format!("key-{number}")).is_some(),
            "key-{number} is lost"
        );
    }
}

#[tokio::test]
async fn a_schema_may_have_quotes_in_its_name() {
    let server = Server::start();
    let store = PostgresStore::builder(server.pool())
        .schema("it's \"ours\"")
        .build();
    store.migrate().await.unwrap();

    let token = signs_in(&store, "anna").await;

    assert!(is_live(&store, &token).await);
    assert_eq!(store.estimate().await.unwrap(), 1);
}

// T3
#[tokio::test]
async fn with_a_tag_key_no_row_names_its_user() {
    let server = Server::start();
    let plain = patient(server.pool()).build();
    plain.migrate().await.unwrap();
    let key = TagKey::new(*b"a key of the app's own").unwrap();
    let store = patient(server.pool()).tag_key(key).build();

    let token = signs_in(&store, "alice").await;
    assert!(is_live(&store, &token).await);

    let named = "SELECT count(user_id) FROM tower_user_sessions";
    assert_eq!(server.number(named).await, 0);
    signs_in(&plain, "alice").await;
    assert_eq!(server.number(named).await, 1);
}
