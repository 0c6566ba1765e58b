//! What requests get while PostgreSQL is away, silent or of no use.

use std::{error::Error, time::Duration};

use tokio::{task::JoinSet, time::Instant};
use tower_user_sessions::{
    EndReason, PostgresStore,
    store::{End, Resolve, SessionStore, StoreError, StoreErrorKind, Which},
};

use super::runtimes::{busy, idle};
use crate::common::{
    load::{answered, kinds, millis, offer},
    people::{asks, is_live, signs_in, token, until},
    postgres::{Server, client, pool, url},
    wire::Wire,
};

/// All of an error that a log shows.
fn chain(error: &StoreError) -> String {
    let (mut text, mut source) = (error.to_string(), error.source());
    while let Some(cause) = source {
        text.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    text
}

async fn fails(store: &PostgresStore, user: &str) -> StoreError {
    store
        .create(&asks(user, &token(store, user)))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_server_that_stops_is_an_error_with_its_cause_and_few_connections() {
    let mut server = Server::start();
    let wire = Wire::before(server.port).await;
    let store = PostgresStore::new(pool(&url(wire.port), 8));
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    server.stop();
    let before = wire.made();

    let resolve = Resolve::new(phone.clone());
    let calls = offer(1_000, millis(2_000), |_| {
        let (store, resolve) = (store.clone(), resolve.clone());
        async move { store.resolve(&resolve).await.map(drop) }
    })
    .await;

    assert_eq!(answered(&calls), 0);
    let connects = wire.made() - before;
    println!("{connects} connects for 2,000 calls, {:?}", kinds(&calls));
    assert!(connects <= 60, "{connects} connects for 2,000 calls");
    let slow = calls.iter().filter(|call| call.took > millis(500)).count();
    assert!(
        slow * 10 < calls.len(),
        "{slow} of {} calls waited",
        calls.len()
    );
    let error = fails(&store, "bert").await;
    assert_eq!(
        error.kind(),
        StoreErrorKind::Unavailable,
        "{}",
        chain(&error)
    );

    server.restart();
    until("the store connects again", async || {
        store.resolve(&Resolve::new(phone.clone())).await.is_ok()
    })
    .await;
    assert!(is_live(&store, &phone).await);
    // The sign-in that failed is none.
    assert_eq!(store.drain(Duration::from_secs(5)).await, 0);
}

#[tokio::test]
async fn a_closed_port_is_named_as_the_cause() {
    let mut server = Server::start();
    let store = server.store().await;
    server.stop();

    let error = fails(&store, "anna").await;

    assert!(
        chain(&error).contains("Connection refused"),
        "{}",
        chain(&error)
    );
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
}

#[tokio::test]
async fn a_silent_server_costs_one_deadline_and_then_no_time() {
    let server = Server::start();
    let store = server.store().await;
    let phone = signs_in(&store, "anna").await;
    server.suspend();

    let first = fails(&store, "anna").await;
    let began = Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let (store, phone) = (store.clone(), phone.clone());
        calls.spawn(async move {
            store
                .resolve(&Resolve::new(phone))
                .await
                .unwrap_err()
                .kind()
        });
    }
    let kinds = calls.join_all().await;

    assert_eq!(first.kind(), StoreErrorKind::Timeout, "{}", chain(&first));
    let timeouts = kinds
        .iter()
        .filter(|kind| **kind == StoreErrorKind::Timeout)
        .count();
    assert_eq!(timeouts, 100, "{kinds:?}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );

    server.resume();
    until("it answers", async || {
        store.resolve(&Resolve::new(phone.clone())).await.is_ok()
    })
    .await;
    assert!(is_live(&store, &phone).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_that_meets_calls_in_a_full_pool_ends_with_it() {
    let server = Server::start();
    let setup = server.store().await;
    let phone = signs_in(&setup, "anna").await;
    // One connection: the other calls wait for it while the server falls silent.
    let store = PostgresStore::new(pool(&server.url(), 1));
    assert!(is_live(&store, &phone).await);
    server.suspend();

    let mut calls = JoinSet::new();
    for number in 0..60 {
        let (store, phone) = (store.clone(), phone.clone());
        calls.spawn(async move {
            // Some come early, some while the first ones give up.
            tokio::time::sleep(Duration::from_millis(number * 20)).await;
            store.resolve(&Resolve::new(phone)).await.is_err()
        });
    }
    let failed = calls.join_all().await;
    server.resume();

    assert!(failed.iter().all(|failed| *failed));
    until("it answers", async || {
        store.resolve(&Resolve::new(phone.clone())).await.is_ok()
    })
    .await;
}

#[tokio::test]
async fn connections_that_are_cut_cost_no_request() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let store = PostgresStore::new(pool(&url(wire.port), 8));
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;

    let resolve = Resolve::new(phone.clone());
    let load = offer(200, millis(2_000), |_| {
        let (store, resolve) = (store.clone(), resolve.clone());
        async move { store.resolve(&resolve).await.map(drop) }
    });
    let cuts = async {
        for number in 0..10 {
            tokio::time::sleep(millis(180)).await;
            if number % 2 == 0 {
                wire.cut();
            } else {
                // The server closes them in good order.
                let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
                server.ask(all).await;
            }
        }
    };
    let (calls, ()) = tokio::join!(load, cuts);

    assert_eq!(answered(&calls), calls.len(), "{:?}", kinds(&calls));
    assert!(is_live(&store, &phone).await);
}

// T24
#[tokio::test]
async fn an_end_whose_reply_is_lost_has_happened_when_it_is_answered() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let store = PostgresStore::builder(pool(&url(wire.port), 4))
        // Each write has its text, by which the relay knows it.
        .prepared(false)
        .deadline(Duration::from_secs(20))
        .build();
    store.migrate().await.unwrap();
    for _ in 0..5 {
        let phone = signs_in(&store, "anna").await;
        wire.hold("UPDATE tower_user_sessions");
        let before = wire.held();
        let ends = tokio::spawn({
            let (store, tag) = (store.clone(), phone.tag());
            async move {
                store
                    .end(&End::new(tag, Which::All, EndReason::Revoked))
                    .await
            }
        });
        until("the write is held", async || wire.held() > before).await;
        wire.cut();
        wire.release();

        ends.await.unwrap().unwrap();
        assert!(!is_live(&store, &phone).await);
        tokio::time::sleep(millis(20)).await;
    }
}

#[tokio::test]
async fn errors_name_their_cause_and_never_the_password() {
    let server = Server::start();
    let store = server.store().await;
    server.passwords("app", "right-secret").await;
    let at = |password: &str| {
        let url = format!(
            "postgres://app:{password}@127.0.0.1:{}/postgres",
            server.port
        );
        PostgresStore::new(pool(&url, 2))
    };

    let error = fails(&at("wrong-secret"), "anna").await;
    assert_eq!(error.kind(), StoreErrorKind::Denied);
    let text = format!("{} {error:?}", chain(&error));
    assert!(text.contains("28P01") && !text.contains("secret"), "{text}");

    let error = fails(&at("right-secret"), "anna").await;
    assert_eq!(error.kind(), StoreErrorKind::Denied);
    let text = format!("{} {error:?}", chain(&error));
    assert!(text.contains("42501") && !text.contains("secret"), "{text}");

    let tls = format!("{}?sslmode=require", server.url());
    let error = fails(&PostgresStore::new(pool(&tls, 2)), "anna").await;
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(chain(&error).contains("NoTls"), "{}", chain(&error));

    let admin = client(&server.url()).await;
    admin
        .batch_execute("ALTER TABLE tower_user_sessions RENAME TO another")
        .await
        .unwrap();
    let error = fails(&store, "anna").await;
    assert!(
        chain(&error).contains("PostgresStore::migrate"),
        "{}",
        chain(&error)
    );
    admin
        .batch_execute("ALTER TABLE another RENAME TO tower_user_sessions")
        .await
        .unwrap();

    // Each statement of the role is cancelled, because the table is locked.
    admin
        .batch_execute(
            "GRANT ALL ON tower_user_sessions, tower_user_sessions_parts TO app;
             ALTER ROLE app SET statement_timeout = '50ms'",
        )
        .await
        .unwrap();
    admin
        .batch_execute("BEGIN; LOCK TABLE tower_user_sessions")
        .await
        .unwrap();
    let app = at("right-secret");
    let error = fails(&app, "anna").await;
    assert_eq!(error.kind(), StoreErrorKind::Timeout);
    assert!(chain(&error).contains("57014"), "{}", chain(&error));
    admin.batch_execute("ROLLBACK").await.unwrap();
    signs_in(&app, "anna").await;

    admin
        .batch_execute("ALTER ROLE app SET default_transaction_read_only = on")
        .await
        .unwrap();
    let error = fails(&at("right-secret"), "anna").await;
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(chain(&error).contains("25006"), "{}", chain(&error));

    admin
        .batch_execute("ALTER ROLE app CONNECTION LIMIT 0")
        .await
        .unwrap();
    let error = fails(&at("right-secret"), "anna").await;
    assert_eq!(error.kind(), StoreErrorKind::Busy);
    assert!(chain(&error).contains("53300"), "{}", chain(&error));
}

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
        store.end_undelivered(second.tag(), second.session_id());
        assert_eq!(store.drain(Duration::from_secs(10)).await, 0);
        assert!(!is_live(&store, &first).await && !is_live(&store, &second).await);
    });
}

// T25
#[tokio::test]
async fn writers_take_turns_under_any_isolation() {
    let server = Server::start();
    let admin = client(&server.url()).await;
    admin
        .batch_execute("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'")
        .await
        .unwrap();
    let stores = [server.store().await, server.store().await];
    let mut crowd = JoinSet::new();
    for number in 0..40 {
        let store = stores[number % 2].clone();
        crowd.spawn(async move { signs_in(&store, "anna").await });
    }

    let tokens = crowd.join_all().await;

    let mut live = 0;
    for token in &tokens {
        live += u32::from(is_live(&stores[0], token).await);
    }
    assert_eq!(live, 3);
}
