//! `PostgresStore` in several runtimes: the one that began something may be idle, which nothing drives.

use deadpool_postgres::tokio_postgres::NoTls;
use tokio::time::timeout;
use tower_user_sessions::{
    EndReason, PostgresStore, UserId,
    store::{End, List, SessionStore, Which},
};

use super::runtimes::{busy, idle};
use crate::common::{
    feed::Reader,
    load::millis,
    people::{is_live, signs_in, until},
    postgres::{Server, patient, pool},
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

/// A store of a node that reads and sends messages.
fn live(server: &Server) -> PostgresStore {
    PostgresStore::builder(server.pool())
        .live(server.url().parse().unwrap(), NoTls)
        .build()
}

// T70
#[test]
fn the_feed_arrives_though_the_runtime_that_listened_is_idle() {
    let (idle, busy) = (idle(), busy());
    let server = busy.block_on(async { Server::start() });
    let (here, there) = (live(&server), live(&server));
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

#[test]
fn a_runtime_that_ends_leaves_no_place_of_the_pool_behind() {
    let (first, second) = (busy(), busy());
    let server = first.block_on(async { Server::start() });
    let store = patient(pool(&server.url(), 1)).build();
    first.block_on(async {
        store.migrate().await.unwrap();
        signs_in(&store, "anna").await;
        // The call is dropped, and its statement gets no answer.
        server.suspend();
        let list = List::new(store.tag(&UserId::new("anna").unwrap()));
        let dropped = timeout(millis(50), store.list(&list)).await;
        assert!(dropped.is_err(), "{dropped:?}");
    });
    drop(first);
    server.resume();

    second.block_on(async { signs_in(&store, "bert").await });
}

// T70
#[test]
fn messages_are_sent_though_the_runtime_of_the_task_that_sends_is_idle() {
    let (idle, busy) = (idle(), busy());
    let server = busy.block_on(async { Server::start() });
    let (here, there) = (live(&server), live(&server));
    let tag = |user| here.tag(&UserId::new(user).unwrap());
    let end = |user| End::new(tag(user), Which::All, EndReason::Revoked);
    let reader = busy.block_on(async {
        here.migrate().await.unwrap();
        for user in ["anna", "bert"] {
            signs_in(&here, user).await;
        }
        // The connection that the idle runtime takes is driven by this one.
        there.list(&List::new(tag("anna"))).await.unwrap();
        Reader::trusting(&here, tag("anna")).await
    });
    // The task that sends begins in a runtime that stops at once.
    idle.block_on(there.end(&end("anna"))).unwrap();

    busy.block_on(async {
        there.end(&end("bert")).await.unwrap();

        // The messages of both: the first one was still waiting.
        for user in ["anna", "bert"] {
            assert!(!reader.news(tag(user)).await.is_empty());
        }
    });
}
