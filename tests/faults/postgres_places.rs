//! What becomes of a connection of the pool whose statement gets no answer, or nobody waits for it.

use std::time::Duration;

use deadpool_postgres::tokio_postgres::Client;
use tower_user_sessions::{
    PostgresStore,
    store::{Resolve, SessionStore, Token},
};

use crate::common::{
    load::{answered, kinds, millis, offer},
    people::{asks, is_live, signs_in, token, until},
    postgres::{Server, client, pool, url},
    proxy::Proxy,
    wire::Wire,
};

/// How many connections of the store the server has.
const COUNT: &str = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'app'";

/// What a cancel request begins with (PostgreSQL, "Message Formats": `CancelRequest`).
const CANCEL: [u8; 8] = [0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e];

/// A store with so many connections whose table has this lock. The last one holds it.
async fn locked(connections: usize, lock: &str) -> (Server, PostgresStore, Token, Client) {
    let server = Server::start();
    let url = format!("{}?application_name=app", server.url());
    let store = PostgresStore::builder(pool(&url, connections))
        .activity_every(Duration::ZERO)
        .build();
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    let admin = locks(&server, lock).await;
    (server, store, phone, admin)
}

/// A connection that holds this lock of the table.
async fn locks(server: &Server, lock: &str) -> Client {
    let admin = client(&server.url()).await;
    let lock = format!("BEGIN; LOCK TABLE tower_user_sessions IN {lock} MODE");
    admin.batch_execute(&lock).await.unwrap();
    admin
}

#[tokio::test]
async fn connections_that_the_way_forgot_cost_one_call() {
    let server = Server::start();
    let proxy = Proxy::start(server.port).await;
    let pool = pool(&url(proxy.port), 8);
    let store = PostgresStore::new(pool.clone());
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(pool.get().await.unwrap());
    }
    drop(all);
    assert_eq!(pool.status().available, 8);

    // As a NAT does after an idle hour: new connections work. What was answered a moment ago would be no silence.
    tokio::time::sleep(millis(300)).await;
    proxy.fall_silent();
    let mut failed = 0;
    for _ in 0..10 {
        let resolve = Resolve::new(phone.clone());
        failed += u32::from(store.resolve(&resolve).await.is_err());
    }

    assert_eq!(failed, 1);
}

#[tokio::test]
async fn writes_that_wait_for_a_lock_of_the_table_leave_no_connections_behind() {
    let (server, store, phone, admin) = locked(8, "SHARE").await;

    let load = offer(200, millis(4_000), |_| {
        let (store, resolve) = (store.clone(), Resolve::new(phone.clone()));
        async move { store.resolve(&resolve).await.map(drop) }
    });
    let counts = async {
        let mut most = 0;
        for _ in 0..20 {
            tokio::time::sleep(millis(200)).await;
            most = most.max(server.number(COUNT).await);
        }
        most
    };
    let (calls, most) = tokio::join!(load, counts);

    // A busy machine may answer nothing for half a second. Then the connections lead nowhere, as far as the store can tell,
    // and are replaced once or twice. Without places for late statements there were more than sixty.
    assert!(most <= 26, "{most} connections of a pool of 8");
    println!(
        "{most} connections, {} answered, {:?}",
        answered(&calls),
        kinds(&calls)
    );
    // One connection is left for what waits for no lock.
    for _ in 0..10 {
        store.resolve(&Resolve::new(phone.clone())).await.unwrap();
    }
    admin.batch_execute("ROLLBACK").await.unwrap();
    until("writes run", async || {
        let create = asks("bert", &token(&store, "bert"));
        store.create(&create).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn writes_of_a_quiet_app_that_wait_for_a_lock_of_the_table_leave_no_connections_behind() {
    let (server, store, phone, _admin) = locked(3, "SHARE").await;

    // One after the other, so that nothing is answered while a write waits.
    let mut failed = 0;
    for _ in 0..20 {
        let resolve = Resolve::new(phone.clone());
        failed += u32::from(store.resolve(&resolve).await.is_err());
    }
    // The write that takes the last place holds it for longer than the next call waits.
    assert!(failed <= 2, "{failed} calls failed");

    let most = server.number(COUNT).await;
    // A busy machine may be silent once. When each write left a connection behind there were more than twenty.
    assert!(most <= 6, "{most} connections of a pool of 3");
}

#[tokio::test]
async fn a_cancel_request_that_arrives_late_cancels_no_other_statement() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let pool = pool(&url(wire.port), 2);
    let store = PostgresStore::new(pool.clone());
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    let admin = locks(&server, "ACCESS EXCLUSIVE").await;

    wire.hold(CANCEL);
    let (first, second) = (Resolve::new(phone.clone()), Resolve::new(phone));
    let late = tokio::join!(store.resolve(&first), store.resolve(&second));
    assert!(late.0.is_err() && late.1.is_err());
    until("the read that may not be late is cancelled", async || {
        wire.held() == 1
    })
    .await;
    admin.batch_execute("ROLLBACK").await.unwrap();
    let all = (pool.get().await.unwrap(), pool.get().await.unwrap());
    let sleeps = "SELECT pg_sleep(2)";
    let slept = async { tokio::join!(all.0.batch_execute(sleeps), all.1.batch_execute(sleeps)) };
    let arrives = async {
        let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        until("both sleep", async || server.number(sleeping).await == 2).await;
        wire.release();
    };

    let (slept, ()) = tokio::join!(slept, arrives);

    assert!(matches!(slept, (Ok(()), Ok(()))), "{slept:?}");
}

#[tokio::test]
async fn calls_that_are_dropped_leave_their_connections_in_the_pool() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let pool = pool(&url(wire.port), 2);
    let store = PostgresStore::new(pool.clone());
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    let all = (pool.get().await.unwrap(), pool.get().await.unwrap());
    drop(all);
    let (before, mut dropped) = (wire.made(), 0);

    for number in 0..300 {
        let resolve = Resolve::new(phone.clone());
        // Some are dropped before they are sent, some after.
        let turns = async {
            for _ in 0..number % 10 {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            resolved = store.resolve(&resolve) => drop(resolved.unwrap()),
            () = turns => dropped += 1,
        }
    }

    assert!(dropped > 30, "{dropped}");
    let made = wire.made() - before;
    assert_eq!(made, 0, "{dropped} dropped calls");
    assert!(is_live(&store, &phone).await);
}

/// `ALTER TABLE` takes such a lock: requests wait for it too.
#[tokio::test]
async fn requests_that_wait_for_a_lock_of_the_table_leave_no_connections_behind() {
    let (server, store, phone, admin) = locked(2, "ACCESS EXCLUSIVE").await;

    for _ in 0..12 {
        let load = offer(20, millis(1_000), |_| {
            let (store, resolve) = (store.clone(), Resolve::new(phone.clone()));
            async move { store.resolve(&resolve).await.map(drop) }
        });
        assert_eq!(answered(&load.await), 0);
    }

    // Those that are given up are answered within another deadline.
    let most = server.number(COUNT).await;
    assert!(most <= 4, "{most} connections of a pool of 2");
    admin.batch_execute("ROLLBACK").await.unwrap();
    until("requests are answered", async || {
        is_live(&store, &phone).await
    })
    .await;
}

/// Each end of a sign-in that was given up takes two round trips. One of them may wait for the lock of another transaction.
#[tokio::test]
async fn a_sign_in_that_cannot_be_given_up_yet_holds_up_no_other_one() {
    let server = Server::start();
    let store = server.store().await;
    let (first, second) = (
        signs_in(&store, "anna").await,
        signs_in(&store, "bert").await,
    );
    let admin = client(&server.url()).await;
    let lock = "BEGIN; SELECT FROM tower_user_sessions WHERE user_id = 'anna' FOR UPDATE";
    admin.batch_execute(lock).await.unwrap();
    let waiting = async || {
        let waits =
            "SELECT pid || ' ' || query_start FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
        let row = server.ask(waits).await.pop();
        row.map(|row| row.get::<_, String>(0))
    };

    store.end_undelivered(first.tag(), first.session_id());
    until("it waits for the lock", async || waiting().await.is_some()).await;
    let waits = waiting().await;
    store.end_undelivered(second.tag(), second.session_id());
    until("the other one has ended", async || {
        !is_live(&store, &second).await
    })
    .await;

    // The first one has not come to its end meanwhile.
    assert!(waits.is_some() && waiting().await == waits);
    admin.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.drain(millis(30_000)).await, 0);
    assert!(!is_live(&store, &first).await);
}

/// A storm leaves hundreds of sign-ins to end, and each end takes two round trips. The calls of users still get a connection.
#[tokio::test]
async fn of_many_sign_ins_that_were_given_up_more_are_ended_at_once_for_as_long_as_they_end() {
    let server = Server::start();
    // The pool has sixteen. A lock is waited for through a good part of the deadline.
    let store = PostgresStore::builder(server.pool()).deadline(millis(120_000));
    let store = store.build();
    store.migrate().await.unwrap();
    let other = signs_in(&store, "other").await;
    let mut tokens = Vec::new();
    for number in 0..40 {
        tokens.push(signs_in(&store, &format!("user {number:02}")).await);
    }
    let admin = client(&server.url()).await;
    let lock = "BEGIN; SELECT FROM tower_user_sessions WHERE user_id >= 'user 15' FOR UPDATE";
    admin.batch_execute(lock).await.unwrap();

    for token in &tokens {
        store.end_undelivered(token.tag(), token.session_id());
    }

    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    until("fifteen wait for the lock", async || {
        server.number(waiting).await == 15
    })
    .await;
    assert!(is_live(&store, &other).await);
    admin.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(store.drain(millis(30_000)).await, 0);
    for token in &tokens {
        assert!(!is_live(&store, token).await);
    }
}
