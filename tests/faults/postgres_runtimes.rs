//! `PostgresStore` in several runtimes: the one that began something may be idle, which nothing drives.

use deadpool_postgres::tokio_postgres::NoTls;
use tower_user_sessions::{
    EndReason, PostgresStore, UserId,
    store::{End, SessionStore, Which},
};

use super::runtimes::{busy, idle};
use crate::common::{
    feed::Reader,
    load::millis,
    people::{is_live, signs_in, until},
    postgres::Server,
};

// T70
#[test]
fn a_sign_in_that_was_given_up_ends_though_the_runtime_that_ends_it_is_idle() {
    let (idle, busy) = (idle(), busy());
    let server = busy.block_on(async { Server::start() });
    let (store, first, second) = busy.block_on(async {
        let store = server.store().await;
        let tokens = tokio::join!(signs_in(&store, "anna"), signs_in(&store, "bert"));
        (store, tokens.0, tokens.1)
    });
    server.suspend();
    idle.block_on(async {
        store.end_undelivered(first.tag(), first.session_id());
        tokio::time::sleep(millis(50)).await;
    });
    server.resume();

    busy.block_on(async {
        let direct = server.store().await;
        store.end_undelivered(second.tag(), second.session_id());
        // No call of this store follows.
        until("both have ended", async || {
            !is_live(&direct, &first).await && !is_live(&direct, &second).await
        })
        .await;
        assert_eq!(store.drain(millis(5_000)).await, 0);
    });
}

// T70
#[test]
fn the_feed_arrives_though_the_runtime_that_listened_and_sent_is_idle() {
    let (idle, busy) = (idle(), busy());
    let server = busy.block_on(async { Server::start() });
    let live = || {
        PostgresStore::builder(server.pool())
            .live(server.url().parse().unwrap(), NoTls)
            .build()
    };
    let (here, there) = (live(), live());
    let tag = |user: &str| here.tag(&UserId::new(user).unwrap());
    let end = |user: &str| End::new(tag(user), Which::All, EndReason::Revoked);
    let phone = busy.block_on(async {
        here.migrate().await.unwrap();
        signs_in(&here, "anna").await;
        let phone = signs_in(&here, "bert").await;
        // A connection of the pool stops with the runtime that opened it, so each pool has one of this runtime.
        assert!(is_live(&there, &phone).await);
        phone
    });
    // The task that listens here and the one that sends there begin in a runtime that stops at once.
    let reader = idle.block_on(async {
        let reader = Reader::of(&here);
        there.end(&end("anna")).await.unwrap();
        reader
    });

    busy.block_on(async {
        until("the feed is trusted", async || {
            is_live(&here, &phone).await && reader.is_trusted(tag("bert"))
        })
        .await;
        // The task that sends may have opened a connection in that runtime too. A call on it fails, and closes it.
        until("the session has ended", async || {
            there.end(&end("bert")).await.is_ok()
        })
        .await;
        assert!(!reader.news(tag("bert")).await.is_empty());
    });
}
