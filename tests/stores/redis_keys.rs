//! What `RedisStore` keeps in Redis, and which commands it sends there.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use tower_user_sessions::{
    Client, EndReason, Limit, RedisStore, UserId,
    store::{
        Create, Created, End, EndEveryone, Ended, LastSeen, List, ManualClock, NoteClient, Renewal,
        Resolve, Resolved, Rotate, Rotated, Salt, Save, Saved, SessionStore, StoreErrorKind,
        TagKey, Timestamp, Token, Which,
    },
};

use crate::common::{
    people::{asks, guest, is_live, listed, set, signs_in, token},
    redis::Server,
};

// T50
#[tokio::test]
async fn no_operation_leaves_a_key_without_a_ttl() {
    let server = Server::start();
    let store = server.patient();
    let one = |token: &Token, reason| End::new(token.tag(), Which::One(token.session_id()), reason);

    // Each of these is the first operation on its key.
    signs_in(&store, "alice").await;
    let visitor = guest();
    let create = Create::new(&visitor, None, asks("nobody", &visitor).authenticated);
    store.create(&create).await.unwrap();
    let nobody = token(&store, "nobody").tag();
    let all = End::new(nobody, Which::All, EndReason::Administrator);
    store.end(&all).await.unwrap();
    let lost = token(&store, "lost");
    store
        .end(&one(&lost, EndReason::Undelivered))
        .await
        .unwrap();
    every_key_has_a_ttl(&server, 4).await;

    // These change what is there.
    let previous = signs_in(&store, "bob").await;
    let next = token(&store, "bob");
    let mut create = asks("bob", &next);
    create.replaces = Some(previous.session_id());
    store.create(&create).await.unwrap();
    every_key_has_a_ttl(&server, 5).await;
    let save = Save::new(next.tag(), next.session_id(), set("cart", "apple"));
    store.save(&save).await.unwrap();
    assert!(is_live(&store, &next).await);
    every_key_has_a_ttl(&server, 5).await;
    store.end(&one(&next, EndReason::LoggedOut)).await.unwrap();
    store.list(&List::new(next.tag())).await.unwrap();
    every_key_has_a_ttl(&server, 5).await;

    // The one key that is kept for ever, because sessions from before its moment must never be live again.
    store.end_everyone(EndEveryone::Now).await.unwrap();
    let ttl: i64 = server.ask("PTTL sessions:{everyone}").await;
    assert_eq!(ttl, -1);
    let _: () = server.ask("RENAME sessions:{everyone} elsewhere").await;
    let _: bool = server.ask("PEXPIRE elsewhere 1000000").await;
    every_key_has_a_ttl(&server, 6).await;
}

async fn every_key_has_a_ttl(server: &Server, wanted: usize) {
    let keys: Vec<String> = server.ask("KEYS *").await;
    assert_eq!(keys.len(), wanted, "{keys:?}");
    for key in keys {
        let ttl: i64 = server.ask(&format!("PTTL {key}")).await;
        assert!(ttl > 0, "{key} has no TTL");
    }
}

// T50
#[tokio::test]
async fn ten_thousand_sign_ins_of_one_user_leave_a_small_hash() {
    let server = Server::start();
    let store = server.patient();
    let tag = token(&store, "alice").tag();

    let mut previous = None;
    for round in 0..10_000 {
        let token = token(&store, "alice");
        let mut create = asks("alice", &token);
        create.changes = set("cart", "apple");
        // Some sign in again on the same device, some sign out, most only sign in.
        create.replaces = previous.filter(|_| round % 3 == 0);
        let created = store.create(&create).await.unwrap();
        assert!(matches!(created, Created::Created(_)), "{created:?}");
        previous = Some(token.session_id());
        if round % 7 == 0 {
            let which = Which::One(token.session_id());
            let end = End::new(tag, which, EndReason::LoggedOut);
            store.end(&end).await.unwrap();
        }
    }

    // Three sessions, the data of each and for a minute what it ended, and three notices.
    let fields: usize = server.ask(&format!("HLEN sessions:{{{tag}}}")).await;
    assert!(fields <= 12, "{fields} fields");
    assert_eq!(server.ask::<usize>("DBSIZE").await, 1);
}

/// A command of a client, and the commands inside its script.
type Call = (String, Vec<String>);

/// The commands while this ran.
async fn monitored(server: &Server, run: impl Future<Output = ()>) -> Vec<Call> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    socket.write_all(b"MONITOR\r\n").unwrap();
    let mut lines = BufReader::new(socket).lines().map(Result::unwrap);
    assert_eq!(lines.next().unwrap(), "+OK");

    run.await;
    let _: String = server.ask("ECHO end-of-run").await;

    let mut calls: Vec<Call> = Vec::new();
    for line in lines.take_while(|line| !line.contains("end-of-run")) {
        if line.contains(" lua] ") {
            calls.last_mut().unwrap().1.push(line);
        } else if !line.contains("\"CLIENT\" \"SETINFO\"") {
            calls.push((line, Vec::new()));
        }
    }
    calls
}

/// The words of a line, without the time and the client before them.
fn words(line: &str) -> Vec<&str> {
    let (_, command) = line.split_once("] ").unwrap();
    command
        .split(' ')
        .map(|word| word.trim_matches('"'))
        .collect()
}

// T51 and the counts of `INFO commandstats`
#[tokio::test]
async fn each_operation_is_one_evalsha_on_one_key() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let store = server.store(clock.clone());
    every_operation(&store).await;
    // The next sign-in must be authenticated after the cutoff.
    clock.advance(Duration::from_secs(60));

    let calls = monitored(&server, Box::pin(every_operation(&store))).await;

    let key = format!("sessions:{{{}}}", token(&store, "alice").tag());
    assert_eq!(calls.len(), OPERATIONS, "{calls:#?}");
    for (client, script) in &calls {
        let client = words(client);
        assert_eq!((client[0], client[2], client[3]), ("EVALSHA", "1", &*key));
        assert!(!script.is_empty(), "{client:?}");
        for line in script {
            let words = words(line);
            assert!(words == ["TIME"] || words[1] == key, "{line}");
        }
    }
}

const OPERATIONS: usize = 9;

// T51: the data of all sessions would block the server.
#[tokio::test]
async fn a_script_reads_no_data_but_that_of_the_session_it_is_asked_for() {
    let server = Server::start();
    let store = server.patient();
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let token = signs_in(&store, "alice").await;
        let save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));
        store.save(&save).await.unwrap();
        assert!(is_live(&store, &token).await);
        tokens.push(token);
    }
    let tag = tokens[0].tag();
    let mut create = asks("alice", &token(&store, "alice"));
    create.limit = Limit::at_most(2);
    create.replaces = Some(tokens[0].session_id());

    let run = async {
        store.create(&create).await.unwrap();
        // One of the two others was evicted; which one is by chance if both were active in one millisecond.
        let left = listed(&store, tag).await;
        assert_eq!(left.len(), 2);
        let mut tokens = tokens.iter();
        let kept = tokens.find(|token| left.contains(&token.session_id()));
        let kept = kept.unwrap();
        let save = Save::new(tag, kept.session_id(), set("cart", "pear"));
        store.save(&save).await.unwrap();
        let salt = Salt::from_bytes([7; 16]);
        let next = kept.successor(&salt);
        let rotate = Rotate::new(kept, &next, Renewal::Derived(salt));
        store.rotate(&rotate).await.unwrap();
        assert!(is_live(&store, &next).await);
        for which in [Which::Others(kept.session_id()), Which::All] {
            let end = End::new(tag, which, EndReason::Revoked);
            store.end(&end).await.unwrap();
        }
    };
    let calls = monitored(&server, Box::pin(run)).await;

    let mut read = 0;
    for (client, script) in &calls {
        let client = words(client);
        for line in script {
            let words = words(line);
            assert!(!["HGETALL", "HVALS", "HSCAN"].contains(&words[0]), "{line}");
            if !["HGET", "HMGET"].contains(&words[0]) {
                continue;
            }
            for id in words.iter().filter_map(|word| word.strip_suffix(".data")) {
                assert!(client.contains(&id), "{line} of {client:?}");
                read += 1;
            }
        }
    }
    // That of the replaced session, of the one that changes, and of the one that a request asks for.
    assert_eq!(read, 3, "{calls:#?}");
}

/// Each one once, in an order in which none ends early.
async fn every_operation(store: &RedisStore) {
    let (first, second) = (
        signs_in(store, "alice").await,
        signs_in(store, "alice").await,
    );
    assert!(is_live(store, &first).await);
    let save = Save::new(first.tag(), first.session_id(), set("cart", "apple"));
    let saved = store.save(&save).await.unwrap();
    assert!(matches!(saved, Saved::Saved { .. }));
    assert_eq!(listed(store, first.tag()).await.len(), 2);
    let salt = Salt::from_bytes([7; 16]);
    let rotate = Rotate::new(&second, &second.successor(&salt), Renewal::Derived(salt));
    let rotated = store.rotate(&rotate).await.unwrap();
    assert!(matches!(rotated, Rotated::Rotated(_)));
    for (which, ended) in [
        (Which::One(second.session_id()), 1),
        (Which::Others(first.session_id()), 0),
        (Which::All, 1),
    ] {
        let end = End::new(first.tag(), which, EndReason::Revoked);
        let answer = store.end(&end).await.unwrap();
        assert!(matches!(answer, Ended::Ended { ids, .. } if ids.len() == ended));
    }
}

// T49
#[tokio::test]
async fn flushed_scripts_are_loaded_again_without_an_error() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let store = server.store(clock.clone());
    let token = signs_in(&store, "alice").await;

    for _ in 0..3 {
        let _: () = server.ask("SCRIPT FLUSH").await;
        assert!(is_live(&store, &token).await);
        let _: () = server.ask("SCRIPT FLUSH").await;
        signs_in(&store, "alice").await;
        let _: () = server.ask("SCRIPT FLUSH").await;
        listed(&store, token.tag()).await;
        let _: () = server.ask("SCRIPT FLUSH").await;
        let save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));
        store.save(&save).await.unwrap();
        let _: () = server.ask("SCRIPT FLUSH").await;
        let end = End::new(
            token.tag(),
            Which::Others(token.session_id()),
            EndReason::Revoked,
        );
        store.end(&end).await.unwrap();
        clock.advance(Duration::from_secs(60));
    }
}

// T33 T60
#[tokio::test]
async fn a_full_server_refuses_sign_ins_but_resolves_rotates_and_ends_sessions() {
    let server = Server::start_with(&["--maxmemory-policy", "noeviction"]);
    let store = server.patient();
    let (first, second) = (
        signs_in(&store, "alice").await,
        signs_in(&store, "alice").await,
    );
    let lost = token(&store, "alice");
    let _: () = server.ask("CONFIG SET maxmemory 1").await;

    let full = store.create(&asks("alice", &lost)).await.unwrap_err();
    let save = Save::new(first.tag(), first.session_id(), set("cart", "apple"));
    let unsaved = store.save(&save).await.unwrap_err();
    assert_eq!(full.kind(), StoreErrorKind::Full);
    assert_eq!(unsaved.kind(), StoreErrorKind::Full);
    let Resolved::Live(found) = store.resolve(&Resolve::new(first.clone())).await.unwrap() else {
        panic!("not live");
    };
    // The session goes on with its new token.
    let salt = Salt::from_bytes([7; 16]);
    let next = first.successor(&salt);
    let rotate = Rotate::new(&first, &next, Renewal::Derived(salt));
    let rotated = store.rotate(&rotate).await.unwrap();
    assert!(matches!(rotated, Rotated::Rotated(_)), "{rotated:?}");
    assert!(is_live(&store, &next).await);
    let seen = LastSeen::new(Client::new(), found.now);
    let note = NoteClient::new(first.tag(), found.record, seen);
    assert!(store.note_client(&note).await.unwrap());
    assert_eq!(listed(&store, first.tag()).await.len(), 2);
    let end = End::new(
        first.tag(),
        Which::One(second.session_id()),
        EndReason::Revoked,
    );
    assert!(matches!(
        store.end(&end).await.unwrap(),
        Ended::Ended { ids, .. } if ids.len() == 1
    ));
    let others = End::new(
        first.tag(),
        Which::Others(first.session_id()),
        EndReason::Revoked,
    );
    assert!(matches!(
        store.end(&others).await.unwrap(),
        Ended::Ended { ids, .. } if ids.is_empty()
    ));
    assert!(!is_live(&store, &second).await);
    assert!(!is_live(&store, &lost).await);

    let _: () = server.ask("CONFIG SET maxmemory 0").await;
    signs_in(&store, "bob").await;
    store.save(&save).await.unwrap();
}

// T51
#[tokio::test]
async fn an_evicted_key_signs_out_that_user_and_no_other() {
    let server = Server::start();
    let store = server.patient();
    let (alice, bob) = (
        signs_in(&store, "alice").await,
        signs_in(&store, "bob").await,
    );

    let _: () = server
        .ask(&format!("DEL sessions:{{{}}}", alice.tag()))
        .await;

    assert!(!is_live(&store, &alice).await);
    assert!(listed(&store, alice.tag()).await.is_empty());
    assert!(is_live(&store, &bob).await);
    signs_in(&store, "alice").await;
}

// T3
#[tokio::test]
async fn a_tag_key_hides_the_user_and_a_prefix_names_the_app() {
    let server = Server::start();
    let store = RedisStore::builder(server.pool())
        .prefix("shop")
        .tag_key(TagKey::new(*b"a key of the app's own").unwrap())
        .build();
    let plain = server.patient();
    let user = UserId::new("alice").unwrap();

    let token = signs_in(&store, "alice").await;

    let keys: Vec<String> = server.ask("KEYS *").await;
    assert_eq!(keys, [format!("shop:{{{}}}", token.tag())]);
    assert_ne!(store.tag(&user), plain.tag(&user));
    let resolve = Resolve::new(token);
    assert!(matches!(
        store.resolve(&resolve).await.unwrap(),
        Resolved::Live(_)
    ));
    assert!(matches!(
        plain.resolve(&resolve).await.unwrap(),
        Resolved::Unknown
    ));
}
