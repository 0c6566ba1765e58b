//! Copies of calls that were left behind on a connection that fell silent, and run after newer ones.

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_user_sessions::{
    EndReason, RedisStore,
    store::{Created, End, Ended, Resolve, Resolved, Save, Saved, SessionStore, Token, Which},
};

use crate::common::{
    people::{asks, is_live, set, signs_in, token},
    redis::{Server, pool},
    tee::Tee,
};

const DEADLINE: Duration = Duration::from_millis(300);

/// A store whose calls are kept, so that they can arrive again.
async fn world() -> (Server, Tee, RedisStore) {
    let server = Server::start();
    let tee = Tee::before(server.port).await;
    let url = format!("redis://127.0.0.1:{}", tee.port);
    let store = RedisStore::builder(pool(&url)).deadline(DEADLINE).build();
    // From here on the scripts are known to the server, and its time to the store.
    let first = signs_in(&store, "first").await;
    saves(&store, &first, "x").await;
    let end = End::new(first.tag(), Which::All, EndReason::Administrator);
    store.end(&end).await.unwrap();
    (server, tee, store)
}

async fn saves(store: &RedisStore, token: &Token, theme: &'static str) {
    let save = Save::new(token.tag(), token.session_id(), set("theme", theme));
    let saved = store.save(&save).await.unwrap();
    assert!(matches!(saved, Saved::Saved { .. }), "{saved:?}");
}

/// These bytes reach the server on a connection of their own, after nobody waits for them any more.
async fn arrives_late(server: &Server, bytes: &[u8]) {
    tokio::time::sleep(DEADLINE + Duration::from_millis(100)).await;
    let mut connection = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port))
        .await
        .unwrap();
    connection.write_all(bytes).await.unwrap();
    let mut reply = [0; 1024];
    let length = connection.read(&mut reply).await.unwrap();
    assert!(reply[..length].starts_with(b"*"), "it did not run");
}

#[tokio::test]
async fn a_late_copy_of_a_save_undoes_no_newer_one() {
    let (server, tee, store) = world().await;
    let alice = signs_in(&store, "alice").await;
    tee.take();
    saves(&store, &alice, "dark").await;
    let copy = tee.take();
    saves(&store, &alice, "light").await;

    arrives_late(&server, &copy).await;

    let resolve = Resolve::new(alice);
    let Resolved::Live(found) = store.resolve(&resolve).await.unwrap() else {
        panic!("it is live");
    };
    assert_eq!(found.data.get("theme"), Some("light".into()));
}

#[tokio::test]
async fn a_late_copy_of_an_end_ends_no_newer_session() {
    let (server, tee, store) = world().await;
    let before = signs_in(&store, "alice").await;
    tee.take();
    let end = End::new(before.tag(), Which::All, EndReason::Administrator);
    store.end(&end).await.unwrap();
    let copy = tee.take();
    tokio::time::sleep(Duration::from_millis(5)).await;
    let after = signs_in(&store, "alice").await;

    arrives_late(&server, &copy).await;

    assert!(!is_live(&store, &before).await);
    assert!(is_live(&store, &after).await);
}

#[tokio::test]
async fn a_late_copy_of_an_enabling_does_not_enable_a_user_who_was_disabled_since() {
    let (server, tee, store) = world().await;
    let alice = token(&store, "alice");
    let bar = async |bar: Duration| {
        let mut end = End::new(alice.tag(), Which::All, EndReason::Administrator);
        end.bar = Some(bar);
        let ended = store.end(&end).await.unwrap();
        assert!(matches!(ended, Ended::Ended { .. }), "{ended:?}");
    };
    tee.take();
    bar(Duration::ZERO).await;
    let copy = tee.take();
    bar(Duration::from_secs(3_600)).await;

    arrives_late(&server, &copy).await;

    let created = store.create(&asks("alice", &alice)).await.unwrap();
    assert!(matches!(created, Created::Disabled), "{created:?}");
}

/// The `latest` of the last script that was sent: its last argument.
fn latest(sent: &[u8]) -> i64 {
    let sent = String::from_utf8_lossy(sent);
    let last = sent.trim_end().rsplit("\r\n").next().unwrap();
    last.parse().unwrap()
}

#[tokio::test]
async fn a_cutoff_ahead_of_the_servers_clock_lets_no_later_call_run_late() {
    let (server, tee, store) = world().await;
    let alice = token(&store, "alice");
    let time = async || {
        let (seconds, micros): (i64, i64) = server.ask("TIME").await;
        seconds * 1_000 + micros / 1_000
    };
    // As after a failover to a server whose clock is behind.
    let ahead = time().await + 600_000;
    let key = format!("sessions:{{{}}}", alice.tag());
    let _: i64 = server.ask(&format!("HSET {key} cut {ahead}")).await;
    let end = End::new(alice.tag(), Which::All, EndReason::Administrator);

    let first = store.end(&end).await.unwrap();
    tee.take();
    let again = End::new(alice.tag(), Which::All, EndReason::Administrator);
    store.end(&again).await.unwrap();
    let sent = latest(&tee.take());

    assert!(
        matches!(first, Ended::Ended { now, .. } if now.as_millis() == ahead + 1),
        "{first:?}"
    );
    let most = time().await + i64::try_from(DEADLINE.as_millis()).unwrap();
    assert!(sent <= most, "{} ms too late", sent - most);
}
