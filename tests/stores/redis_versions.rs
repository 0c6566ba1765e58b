//! Records of other versions and unreadable records in the hash of a user. They open no session and
//! are not listed, counted or ended. Records of another version are not changed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    EndReason, Limit, RedisStore, SessionLayer,
    store::{
        Created, End, Ended, Redeem, Resolve, Resolved, Save, Saved, SessionStore, StoreErrorKind,
        Token, Which,
    },
};

use crate::common::{
    alone::is_alone,
    http::Client,
    log::Log,
    people::{asks, is_live, leaves, listed, set, signs_in, ticket, token},
    redis::{Server, ask_with},
};

/// A session of another version, made in Lua from one of this version: `r`.
const OTHER_VERSIONS: [&str; 3] = [
    r"'\2' .. r:sub(2)",
    r"'\0' .. r:sub(2)",
    r"'\2' .. r:sub(2, 40)",
];

/// What is no session: truncated in the header, in the body, or empty; of unknown kinds; of a
/// guest, with a user; with other bytes as body.
const NO_SESSIONS: [&str; 9] = [
    r"r:sub(1, 81)",
    r"r:sub(1, 82)",
    r"r:sub(1, -4)",
    r"''",
    r"'\1\0' .. r:sub(3)",
    r"'\1\2' .. r:sub(3)",
    r"'\1\193' .. r:sub(3)",
    r"'\1\161' .. r:sub(3)",
    r"r:sub(1, 82) .. '\255\255'",
];

/// A notice of another version, and what is no notice.
const NO_NOTICES: [&str; 6] = [
    r"'\2' .. r:sub(2)",
    r"'\0' .. r:sub(2)",
    r"r:sub(1, 50)",
    r"r:sub(1, 55)",
    r"'\1\7' .. r:sub(3)",
    r"r:sub(1, 42) .. '\99' .. r:sub(44)",
];

fn key(token: &Token) -> String {
    format!("sessions:{{{}}}", token.tag())
}

/// Changes what is stored of this session, and returns the new bytes in hexadecimal.
async fn rewrite(server: &Server, token: &Token, form: &str) -> String {
    let script = format!(
        "local r = redis.call('HGET', KEYS[1], ARGV[1]) \
         redis.call('HSET', KEYS[1], ARGV[1], {form})"
    );
    let id = token.session_id().to_string();
    let _: () = ask_with(&server.url(), &["EVAL", &script, "1", &key(token), &id]).await;
    stored(server, token).await.unwrap()
}

/// The bytes that are stored under the id of this session, in hexadecimal.
async fn stored(server: &Server, token: &Token) -> Option<String> {
    let script = "local r = redis.call('HGET', KEYS[1], ARGV[1]) \
        return r and r:gsub('.', function(c) return string.format('%02x', c:byte()) end)";
    let id = token.session_id().to_string();
    ask_with(&server.url(), &["EVAL", script, "1", &key(token), &id]).await
}

async fn has_data(server: &Server, token: &Token) -> bool {
    let field = format!("{}.data", token.session_id());
    server.ask(&format!("HEXISTS {} {field}", key(token))).await
}

fn end(token: &Token, which: Which) -> End {
    End::new(token.tag(), which, EndReason::Revoked)
}

async fn is_unknown(store: &RedisStore, token: &Token) -> bool {
    let resolve = Resolve::new(token.clone());
    matches!(store.resolve(&resolve).await.unwrap(), Resolved::Unknown)
}

// T2
#[tokio::test]
async fn an_unreadable_record_opens_no_session_and_hides_no_other() {
    let server = Server::start();
    let store = server.patient();
    let alice = signs_in(&store, "alice").await;

    for form in [&OTHER_VERSIONS[..], &NO_SESSIONS[..]].concat() {
        let odd = signs_in(&store, "alice").await;
        rewrite(&server, &odd, form).await;

        assert!(is_unknown(&store, &odd).await, "{form}");
        let live = listed(&store, alice.tag()).await;
        assert_eq!(live, [alice.session_id()], "{form}");
        assert!(is_live(&store, &alice).await, "{form}");
        let _: i64 = server
            .ask(&format!("HDEL {} {}", key(&odd), odd.session_id()))
            .await;
    }
}

// T2
#[tokio::test]
async fn a_token_of_another_version_is_unknown_and_its_request_a_guest() {
    let server = Server::start();
    let store = server.patient();
    let layer = SessionLayer::new(store.clone());

    for form in [OTHER_VERSIONS[0], NO_SESSIONS[0], NO_SESSIONS[2]] {
        let mut client = Client::signed_in(&layer, "alice").await;
        let token: Token = client.token().parse().unwrap();
        rewrite(&server, &token, form).await;

        let answer = client
            .send(|session| async move { session.user_id() })
            .await;

        assert!(answer.sets_no_cookie(), "{form}");
        assert_eq!(answer.value(), None, "{form}");
        // The user can sign in, too.
        client.log_in("alice").await;
        assert_eq!(client.user().await.as_deref(), Some("alice"), "{form}");
    }
}

// T2
#[tokio::test]
async fn the_log_says_once_that_there_are_sessions_of_another_version() {
    let name = "the_log_says_once_that_there_are_sessions_of_another_version";
    if !is_alone(module_path!(), name) {
        return;
    }
    let log = Log::start();
    let server = Server::start();
    let store = server.patient();
    let unknown = token(&store, "alice");
    assert!(is_unknown(&store, &unknown).await);
    assert_eq!(log.at("WARN"), Vec::<String>::new());

    for form in OTHER_VERSIONS {
        let other = signs_in(&store, "alice").await;
        rewrite(&server, &other, form).await;
        assert!(is_unknown(&store, &other).await, "{form}");
    }

    let lines = log.at("WARN");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("of another version of this crate"));
}

// T28 T31
#[tokio::test]
async fn sessions_of_another_version_are_neither_counted_nor_evicted() {
    let server = Server::start();
    let store = server.patient();
    let mut others = Vec::new();
    for form in OTHER_VERSIONS {
        let other = signs_in(&store, "alice").await;
        others.push((rewrite(&server, &other, form).await, other));
    }
    let [first, second] = [token(&store, "alice"), token(&store, "alice")];

    for token in [&first, &second] {
        let mut create = asks("alice", token);
        create.limit = Limit::at_most(1);
        let created = store.create(&create).await.unwrap();
        assert!(matches!(created, Created::Created(_)), "{created:?}");
    }

    assert_eq!(listed(&store, first.tag()).await, [second.session_id()]);
    for (before, other) in others {
        assert_eq!(stored(&server, &other).await, Some(before));
    }
}

// T24
#[tokio::test]
async fn a_session_of_another_version_cannot_be_ended_by_id_or_created_again() {
    let server = Server::start();
    let store = server.patient();

    for form in OTHER_VERSIONS {
        let other = signs_in(&store, "alice").await;
        let before = rewrite(&server, &other, form).await;

        let one = Which::One(other.session_id());
        let ended = store.end(&end(&other, one)).await.unwrap();
        let save = Save::new(other.tag(), other.session_id(), set("cart", "apple"));
        let saved = store.save(&save).await.unwrap();
        let created = store.create(&asks("alice", &other)).await.unwrap();

        assert_eq!(ended, Ended::Unknown, "{form}");
        assert_eq!(saved, Saved::Ended, "{form}");
        assert!(matches!(created, Created::Ended), "{created:?} {form}");
        assert_eq!(stored(&server, &other).await, Some(before), "{form}");
    }
}

// T50
#[tokio::test]
async fn records_of_another_version_keep_their_data_through_every_operation() {
    let server = Server::start();
    let store = server.patient();
    let other = signs_in(&store, "alice").await;
    let save = Save::new(other.tag(), other.session_id(), set("cart", "apple"));
    store.save(&save).await.unwrap();
    let before = rewrite(&server, &other, OTHER_VERSIONS[0]).await;
    let notice = signs_in(&store, "alice").await;
    let one = Which::One(notice.session_id());
    store.end(&end(&notice, one)).await.unwrap();
    let notice_before = rewrite(&server, &notice, NO_NOTICES[0]).await;

    listed(&store, other.tag()).await;
    signs_in(&store, "alice").await;
    listed(&store, other.tag()).await;

    assert_eq!(stored(&server, &other).await, Some(before));
    assert!(has_data(&server, &other).await);
    assert_eq!(stored(&server, &notice).await, Some(notice_before));
}

// T50
#[tokio::test]
async fn a_truncated_record_of_this_version_is_removed_with_its_data() {
    let server = Server::start();
    let store = server.patient();
    let odd = signs_in(&store, "alice").await;
    let save = Save::new(odd.tag(), odd.session_id(), set("cart", "apple"));
    store.save(&save).await.unwrap();
    rewrite(&server, &odd, NO_SESSIONS[0]).await;

    signs_in(&store, "alice").await;

    assert_eq!(stored(&server, &odd).await, None);
    assert!(!has_data(&server, &odd).await);
}

// T42
#[tokio::test]
async fn an_unreadable_notice_reports_nothing() {
    let server = Server::start();
    let store = server.patient();

    for form in NO_NOTICES {
        let ended = signs_in(&store, "alice").await;
        let one = Which::One(ended.session_id());
        let mut end = end(&ended, one);
        end.by = Some(token(&store, "alice").session_id());
        store.end(&end).await.unwrap();
        rewrite(&server, &ended, form).await;

        assert!(is_unknown(&store, &ended).await, "{form}");
        let created = store.create(&asks("alice", &ended)).await.unwrap();
        assert!(matches!(created, Created::Ended), "{created:?} {form}");
    }
}

// T27
#[tokio::test]
async fn a_ticket_of_another_version_is_unknown() {
    let server = Server::start();
    let store = server.patient();
    signs_in(&store, "alice").await;
    let refused = token(&store, "alice");
    let ticket = ticket(&refused);
    let create = asks("alice", &token(&store, "alice"));
    leaves(&store, create, ticket).await;
    let before = rewrite(&server, &refused, OTHER_VERSIONS[0]).await;

    let mut create = asks("alice", &token(&store, "alice"));
    create.redeem = Some(Redeem { ticket, ends: None });
    let answer = store.create(&create).await.unwrap();

    assert!(matches!(answer, Created::NoTicket), "{answer:?}");
    assert_eq!(stored(&server, &refused).await, Some(before));
}

// T19 T21 T22
#[tokio::test]
async fn end_all_and_end_others_end_sessions_of_another_version_too() {
    let server = Server::start();
    let store = server.patient();

    for (user, all) in [("alice", true), ("bob", false)] {
        let mine = signs_in(&store, user).await;
        let other = signs_in(&store, user).await;
        let save = Save::new(other.tag(), other.session_id(), set("cart", "apple"));
        store.save(&save).await.unwrap();
        rewrite(&server, &other, OTHER_VERSIONS[0]).await;
        let which = if all {
            Which::All
        } else {
            Which::Others(mine.session_id())
        };

        store.end(&end(&mine, which)).await.unwrap();

        assert_eq!(stored(&server, &other).await, None, "{user}");
        assert!(!has_data(&server, &other).await, "{user}");
        assert_eq!(is_live(&store, &mine).await, !all);
    }
}

// T2
#[tokio::test]
async fn data_that_another_program_damaged_is_corrupt_and_no_outage() {
    let server = Server::start();
    let store = server.patient();
    let alice = signs_in(&store, "alice").await;
    let field = format!("{}.data", alice.session_id());
    let damage = format!(
        "HSET {} {field} not-written-by-a-session-store",
        key(&alice)
    );
    let _: i64 = server.ask(&damage).await;

    let save = Save::new(alice.tag(), alice.session_id(), set("key", "value"));
    let saved = store.save(&save).await.map_err(|error| error.kind());
    let mut again = asks("alice", &token(&store, "alice"));
    again.replaces = Some(alice.session_id());
    let created = store.create(&again).await.map_err(|error| error.kind());

    assert_eq!(saved.unwrap_err(), StoreErrorKind::Corrupt);
    assert_eq!(created.unwrap_err(), StoreErrorKind::Corrupt);
    let ended = store.end(&end(&alice, Which::All)).await;
    assert!(matches!(ended, Ok(Ended::Ended { .. })), "{ended:?}");
}
