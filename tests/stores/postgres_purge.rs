//! What the deletion of expired sets reads.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use tower_user_sessions::PostgresStore;

use crate::common::{
    people::{signs_in, until},
    postgres::{Server, client, patient},
};

/// Adds so many sets that have expired, and others.
async fn expires(server: &Server, expired: u32, others: u32) {
    let all = expired + others;
    let sql = format!(
        "INSERT INTO tower_user_sessions (tag, version, head, kept_until, live) SELECT decode(md5(random()::text), 'hex'), 1, \
         '\\x00', now() + i * interval '1 ms' + CASE WHEN i > {expired} THEN interval '1 day' ELSE interval '-1 day' END, 1 \
         FROM generate_series(1, {all}) AS i"
    );
    server.ask(&sql).await;
}

/// One write in sixteen deletes, at most 20, unless a deletion still runs: the first one needs a connection.
async fn deletes(server: &Server, store: &PostgresStore) {
    // Not by the index.
    let left = "SELECT count(*) FROM tower_user_sessions WHERE kept_until + interval '0' < now()";
    let users = AtomicU32::new(0);
    until("they are deleted", async || {
        for _ in 0..16 {
            let user = users.fetch_add(1, Relaxed);
            signs_in(store, &format!("user {user}")).await;
        }
        server.number(left).await == 0
    })
    .await;
}

async fn index(server: &Server, column: &str) -> i64 {
    let sql = format!(
        "SELECT {column} FROM pg_stat_user_indexes WHERE indexrelname = 'user_sessions_kept_until'"
    );
    server.number(&sql).await
}

#[tokio::test]
async fn the_deletion_of_expired_sets_reads_nothing_of_the_others() {
    let server = Server::start();
    let pool = server.pool();
    let store = patient(pool.clone()).build();
    store.migrate().await.unwrap();
    expires(&server, 30, 4_970).await;

    deletes(&server, &store).await;

    // A connection that closes reports what it did.
    pool.close();
    until("the server has counted", async || {
        index(&server, "idx_tup_read").await >= 30
    })
    .await;
    let read = index(&server, "idx_tup_read").await;
    assert!(read <= 500, "{read} index entries were read");
}

#[tokio::test]
async fn the_deletion_of_expired_sets_does_not_read_deleted_ones_again() {
    let server = Server::start();
    let pool = server.pool();
    let store = patient(pool.clone()).build();
    store.migrate().await.unwrap();
    expires(&server, 3_000, 0).await;
    // A backup for example: while it lasts, the index keeps what others delete.
    let backup = client(&server.url()).await;
    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM tower_user_sessions";
    backup.batch_execute(begin).await.unwrap();
    server.ask("DELETE FROM tower_user_sessions").await;
    expires(&server, 400, 10_000).await;

    deletes(&server, &store).await;

    pool.close();
    until("the server has counted", async || {
        index(&server, "idx_scan").await >= 20
    })
    .await;
    let read = index(&server, "idx_tup_read").await;
    assert!(read < 2 * 3_400, "{read} index entries were read");
    backup.batch_execute("COMMIT").await.unwrap();
}

#[tokio::test]
async fn sets_that_expire_at_the_same_moment_are_all_deleted() {
    let server = Server::start();
    let store = server.store().await;
    expires(&server, 200, 0).await;
    let at_once = "UPDATE tower_user_sessions SET kept_until = date_trunc('second', now()) - interval '1 day'";
    server.ask(at_once).await;

    // One deletion takes twenty.
    deletes(&server, &store).await;
}
