//! What requests get while PostgreSQL is away, silent or of no use.

use std::{error::Error, time::Duration};

use tokio::{task::JoinSet, time::Instant};
use tower_user_sessions::{
    EndReason, PostgresStore,
    store::{End, Resolve, SessionStore, StoreError, StoreErrorKind, Which},
};

use crate::common::{
    load::{answered, kinds, millis, offer},
    log::Log,
    people::{asks, is_live, signs_in, token, until},
    postgres::{Server, client, patient, pool, url},
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
    let wire = Wire::before(server.port).await;
    let store = PostgresStore::new(pool(&url(wire.port), 16));
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    // A server that answered less than a quarter of the deadline before a call may only wait for a lock.
    tokio::time::sleep(millis(300)).await;
    server.suspend();
    let before = wire.made();

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
    // Those that find no connection of the pool are busy, where no call has found the silence yet.
    let is_either = |kind: &_| matches!(kind, StoreErrorKind::Timeout | StoreErrorKind::Busy);
    assert!(kinds.iter().all(is_either), "{kinds:?}");
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    // One call at a time tries, each for half of the deadline.
    let connects = wire.made() - before;
    println!("{connects} connects in {:?} of silence", began.elapsed());
    assert!(connects <= 10, "{connects} connects for 101 calls");

    server.resume();
    until("it answers", async || {
        store.resolve(&Resolve::new(phone.clone())).await.is_ok()
    })
    .await;
    assert!(is_live(&store, &phone).await);
}

#[tokio::test]
async fn a_silence_that_meets_calls_in_a_full_pool_ends_with_it() {
    let server = Server::start();
    let setup = server.store().await;
    let phone = signs_in(&setup, "anna").await;
    let pool = pool(&server.url(), 1);
    let store = PostgresStore::new(pool.clone());
    let resolve = Resolve::new(phone.clone());
    assert!(is_live(&store, &phone).await);
    server.suspend();
    store.resolve(&resolve).await.unwrap_err();
    server.resume();

    // The one call that may try finds no connection, because the app has it. So it learns nothing about the server.
    let app = pool.get().await.unwrap();
    let busy = store.resolve(&resolve).await.unwrap_err();
    assert_eq!(busy.kind(), StoreErrorKind::Busy, "{}", chain(&busy));
    drop(app);

    until("it answers", async || store.resolve(&resolve).await.is_ok()).await;
}

/// Whether an outage lasted longer than calls wait for the end of one. On a busy machine a new connection may take that long.
fn was_long(log: &Log) -> bool {
    let lines = log.at("INFO");
    let lasted = lines.iter().filter_map(|line| {
        let (_, after) = line.split_once("PostgreSQL answers again after=")?;
        after.split_whitespace().next()
    });
    lasted
        .into_iter()
        .any(|lasted| match lasted.strip_suffix("ms") {
            Some(millis) => millis.parse::<f64>().unwrap() >= 300.0,
            None => !lasted.ends_with("µs"),
        })
}

#[tokio::test]
async fn connections_that_are_cut_cost_no_request() {
    let log = Log::start();
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    // On a busy machine a call waits longer for one of eight connections.
    let store = patient(pool(&url(wire.port), 8))
        .deadline(Duration::from_secs(60))
        .build();
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;

    let before = wire.made();
    let resolve = Resolve::new(phone.clone());
    let load = offer(200, millis(3_000), |_| {
        let (store, resolve) = (store.clone(), resolve.clone());
        async move { store.resolve(&resolve).await.map(drop) }
    });
    let cuts = async {
        for number in 0..6 {
            tokio::time::sleep(millis(350)).await;
            if number % 2 == 0 {
                wire.go_away(millis(100)).await;
            } else {
                // The server closes them in good order.
                let all = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";
                server.ask(all).await;
            }
        }
    };
    let (calls, ()) = tokio::join!(load, cuts);

    until("it answers", async || store.resolve(&resolve).await.is_ok()).await;
    let failed = calls.len() - answered(&calls);
    let kinds = kinds(&calls);
    if was_long(&log) {
        println!("{failed} calls met an outage");
        assert!(failed < calls.len() / 2, "{kinds:?}");
    } else {
        assert_eq!(failed, 0, "{kinds:?}");
    }
    let connects = wire.made() - before;
    println!("{connects} connects after 6 cuts of at most 8 connections");
    // About 60, and three times as many if the machine is so busy that calls pile up. A storm would be four for each call.
    assert!(connects <= 400, "{connects} connects after 6 cuts");
}

#[tokio::test]
async fn connections_that_break_one_after_the_other_cost_no_request() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let pool = pool(&url(wire.port), 8);
    let store = patient(pool.clone()).build();
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    let mut all = Vec::new();
    for _ in 0..8 {
        all.push(pool.get().await.unwrap());
    }
    drop(all);
    let before = wire.made();

    // As after a restart of a proxy that forgets its connections. Only who uses one finds out.
    wire.cut_when_used();
    let found = store.resolve(&Resolve::new(phone)).await;

    assert!(found.is_ok(), "{}", chain(&found.unwrap_err()));
    assert_eq!(wire.made() - before, 1);
}

// T24
#[tokio::test]
async fn an_end_whose_reply_is_lost_has_happened_when_it_is_answered() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let store = patient(pool(&url(wire.port), 4))
        // Each write has its text, by which the relay knows it.
        .prepared(false)
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
        // A busy server takes its time to refuse.
        let builder = PostgresStore::builder(pool(&url, 2));
        builder.deadline(Duration::from_secs(10)).build()
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
    for means in ["server does not support TLS", "made with `NoTls`"] {
        let error = fails(&patient(pool(&tls, 2)).build(), "anna").await;
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert!(chain(&error).contains(means), "{}", chain(&error));
        server.offers_tls().await;
    }

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

// T25
#[tokio::test]
async fn writers_take_turns_under_any_isolation() {
    let server = Server::start();
    let admin = client(&server.url()).await;
    admin
        .batch_execute("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'")
        .await
        .unwrap();
    let store = || {
        let builder = PostgresStore::builder(server.pool());
        // On a busy machine the last of forty waits for long.
        builder.deadline(Duration::from_secs(30)).build()
    };
    let stores = [store(), store()];
    stores[0].migrate().await.unwrap();
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
