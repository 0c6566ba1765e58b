//! It lists who is signed in, and ends the sessions of one user or of all.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::process::Command;

use tower_user_sessions::{Everyone, RedisStore, store::TagKey};

use crate::common::{
    people::{listed, signs_in},
    redis::Server,
};

/// Runs the program. Returns whether it succeeded, and what it wrote.
fn admin(url: &str, arguments: &[&str]) -> (bool, String) {
    let done = Command::new(env!("CARGO_BIN_EXE_example-admin"))
        .args(arguments)
        .env("REDIS_URL", url)
        .output()
        .unwrap();
    let text = [done.stdout, done.stderr].concat();
    (done.status.success(), String::from_utf8(text).unwrap())
}

// T74
#[tokio::test]
async fn it_lists_users_ends_one_and_then_all_and_a_dry_run_ends_none() {
    let server = Server::start();
    let url = server.url();
    let store = RedisStore::connect(&url).unwrap();
    let (alice, bob) = (
        signs_in(&store, "alice").await,
        signs_in(&store, "bob").await,
    );
    signs_in(&store, "bob").await;

    let (listed_well, text) = admin(&url, &["list"]);
    assert!(listed_well, "{text}");
    for token in [&alice, &bob] {
        assert!(text.contains(&token.session_id().to_string()), "{text}");
    }
    assert_eq!(
        text.lines().filter(|line| !line.starts_with(' ')).count(),
        2
    );

    assert_eq!(
        admin(&url, &["end", "alice"]),
        (true, "1 sessions ended\n".to_owned())
    );
    assert!(listed(&store, alice.tag()).await.is_empty());
    let dry = admin(&url, &["end-all", "--dry-run"]);
    assert_eq!(dry, (true, "2 sessions of 1 users would end\n".to_owned()));
    assert_eq!(listed(&store, bob.tag()).await.len(), 2);
    let everyone = Everyone::new(store);
    assert_eq!(everyone.ended_before().await.unwrap(), None);

    let (ended, text) = admin(&url, &["end-all"]);

    let moment = everyone.ended_before().await.unwrap().unwrap();
    assert!(ended && text.contains(&moment.to_string()), "{text}");
    let after = admin(&url, &["end-all", "--dry-run"]);
    assert_eq!(
        after,
        (true, "0 sessions of 0 users would end\n".to_owned())
    );
    assert_eq!(admin(&url, &["list"]), (true, String::new()));
}

#[tokio::test]
async fn it_finds_the_users_of_an_app_with_a_prefix_and_a_key() {
    let server = Server::start();
    let (prefix, key) = ("shop", "a secret of the app's");
    let store = RedisStore::builder(server.pool())
        .prefix(prefix)
        .tag_key(TagKey::new(key).unwrap())
        .build();
    let alice = signs_in(&store, "alice").await;

    let ended = Command::new(env!("CARGO_BIN_EXE_example-admin"))
        .args(["end", "alice"])
        .env("REDIS_URL", server.url())
        .env("SESSIONS_PREFIX", prefix)
        .env("TAG_KEY", key)
        .output()
        .unwrap();

    assert_eq!(ended.stdout, b"1 sessions ended\n", "{ended:?}");
    assert!(listed(&store, alice.tag()).await.is_empty());
}

#[test]
fn it_says_how_it_is_used_and_why_it_failed() {
    let url = "redis://127.0.0.1:1";

    for wrong in [&[][..], &["end"], &["end-all", "now"], &["delete"]] {
        let (succeeded, text) = admin(url, wrong);
        assert!(!succeeded && text.starts_with("usage: "), "{text}");
    }
    let (succeeded, text) = admin(url, &["end-all"]);
    assert!(
        !succeeded && text.contains("the store is unavailable"),
        "{text}"
    );
}
