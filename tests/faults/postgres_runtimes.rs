//! `PostgresStore` in several runtimes: the one that began something may be idle, which nothing drives.

use deadpool_postgres::tokio_postgres::NoTls;
use tower_user_sessions::{
    EndReason, PostgresStore, UserId,
    store::{End, List, SessionStore, Which},
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
fn the_feed_arrives_though_the_runtime_that_listened_is_idle() {
    let (idle, busy) = (idle(), busy());
    let server = busy.block_on(async { Server::start() });
    let live = || {
        PostgresStore::builder(server.pool())
            .live(server.url().parse().unwrap(), NoTls)
            .build()
    };
    let (here, there) = (live(), live());
    let tag = here.tag(&UserId::new("anna").unwrap());
    busy.block_on(async {
        here.migrate().await.unwrap();
        signs_in(&here, "anna").await;
    });
    // The task that listens begins in a runtime that stops soon.
    let reader = idle.block_on(async {
        let reader = Reader::of(&here);
        tokio::time::sleep(millis(50)).await;
        reader
    });

    busy.block_on(async {
        // What that task heard counts for a moment more. Then another one begins an epoch.
        let before = reader.epochs();
        until("the feed is trusted again", async || {
            // It may get a connection of that runtime, and fails then.
            let listed = here.list(&List::new(tag)).await;
            listed.is_ok() && reader.epochs() > before && reader.is_trusted(tag)
        })
        .await;
        let end = End::new(tag, Which::All, EndReason::Revoked);
        there.end(&end).await.unwrap();
        assert!(!reader.news(tag).await.is_empty());
    });
}
