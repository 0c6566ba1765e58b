//! A standby of PostgreSQL takes over.

use std::{error::Error, time::Duration};

use tokio::time::Instant;
use tower_user_sessions::{
    EndReason, PostgresStore,
    store::{End, Look, Resolve, SessionStore, StoreErrorKind, Which},
};

use super::postgres_confirm::waits_for;
use crate::common::{
    load::{answered, millis, offer},
    people::{asks, is_live, signs_in, token, until},
    postgres::{Server, patient, pool, url},
    wire::Wire,
};

/// How many connections were opened to the server, as far as they are closed or were seen.
async fn opened(server: &Server) -> i64 {
    server
        .number("SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'")
        .await
}

#[tokio::test]
async fn calls_to_a_server_that_takes_no_writes_open_few_connections() {
    let primary = Server::start();
    let setup = primary.store().await;
    let phone = signs_in(&setup, "anna").await;
    let standby = primary.standby();
    let resolve = Resolve::new(phone.clone());
    let store = PostgresStore::new(pool(&url(standby.port), 4));

    let (before, began) = (opened(&standby).await, Instant::now());
    let calls = offer(200, millis(2_000), |_| {
        let (store, resolve) = (store.clone(), resolve.clone());
        async move { store.resolve(&resolve).await.map(drop) }
    })
    .await;
    let made = opened(&standby).await - before;
    assert_eq!(answered(&calls), 0);
    // The first ones after 25, 50, 100 ms, later one a second. On a busy machine several calls begin before one has failed.
    let most = 40 + began.elapsed().as_secs().cast_signed();
    assert!(made <= most, "{made} connections for {} calls", calls.len());

    // Not a standby: it answers reads, and the connections stay.
    primary
        .ask("ALTER DATABASE postgres SET default_transaction_read_only = on")
        .await;
    let store = patient(primary.pool()).build();
    let (before, began) = (opened(&primary).await, Instant::now());
    for _ in 0..50 {
        let failed = store.create(&asks("bert", &token(&store, "bert"))).await;
        assert_eq!(failed.unwrap_err().kind(), StoreErrorKind::Unavailable);
        assert!(
            store
                .look(&Look::new(phone.tag(), vec![phone.session_id()]))
                .await
                .is_ok()
        );
    }
    let made = opened(&primary).await - before;
    let most = 25 + began.elapsed().as_secs().cast_signed();
    assert!(made <= most, "{made} connections for 50 sign-ins");
}

#[tokio::test]
async fn a_synchronous_standby_that_stops_costs_changes_and_no_reads() {
    // Each call that waits for the standby takes as long.
    let deadline = Duration::from_secs(4);
    let primary = Server::start();
    let store = PostgresStore::builder(primary.pool())
        .deadline(deadline)
        .build();
    store.migrate().await.unwrap();
    let standby = primary.standby();
    let phone = signs_in(&store, "anna").await;
    waits_for(&primary, &standby).await;
    let tablet = signs_in(&store, "anna").await;
    // A store whose connections wait for no standby by themselves, and with it a set of which an end leaves nothing.
    let local = format!("{}?options=-c%20synchronous_commit%3Dlocal", primary.url());
    let confirms = PostgresStore::builder(pool(&local, 4))
        .notice_kept(Duration::ZERO)
        .confirm(true)
        .deadline(deadline)
        .build();
    let carl = signs_in(&confirms, "carl").await;
    standby.suspend();

    // Neither is acknowledged, because a failover could undo it.
    let end = End::new(
        phone.tag(),
        Which::One(phone.session_id()),
        EndReason::Revoked,
    );
    let signed_in = store.create(&asks("bert", &token(&store, "bert"))).await;
    let ended = store.end(&end).await;
    assert_eq!(signed_in.unwrap_err().kind(), StoreErrorKind::Timeout);
    assert_eq!(ended.unwrap_err().kind(), StoreErrorKind::Timeout);
    assert!(is_live(&store, &phone).await && is_live(&store, &tablet).await);
    let one = Which::One(carl.session_id());
    let last = End::new(carl.tag(), one, EndReason::Revoked);
    let deleted = confirms.end(&last).await;
    assert_eq!(deleted.unwrap_err().kind(), StoreErrorKind::Timeout);

    standby.resume();
    until("ends are acknowledged again", async || {
        store.end(&end).await.is_ok()
    })
    .await;
    assert!(!is_live(&store, &phone).await && is_live(&store, &tablet).await);
}

#[tokio::test]
async fn a_standby_that_takes_over_answers_without_a_restart_of_the_app() {
    let mut primary = Server::start();
    let setup = primary.store().await;
    let standby = primary.standby();
    let wires = [
        Wire::before(primary.port).await,
        Wire::before(standby.port).await,
    ];
    let servers = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        wires[0].port, wires[1].port
    );
    let store = PostgresStore::new(pool(&servers, 4));
    let phone = signs_in(&store, "anna").await;

    // A store on the standby alone answers nothing: neither old sessions nor new ones.
    let only = patient(pool(&url(standby.port), 4)).build();
    until("the standby has it", async || {
        standby
            .number("SELECT count(*) FROM tower_user_sessions")
            .await
            == 1
    })
    .await;
    let error = only
        .resolve(&Resolve::new(phone.clone()))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    assert!(
        error
            .source()
            .unwrap()
            .to_string()
            .contains("target_session_attrs")
    );
    drop(setup);

    primary.kill();
    let failed = store.create(&asks("bert", &token(&store, "bert"))).await;
    assert!(failed.is_err(), "{failed:?}");
    let made = || wires[0].made() + wires[1].made();
    let before = made();
    let resolve = Resolve::new(phone.clone());
    let calls = offer(200, millis(2_000), |_| {
        let (store, resolve) = (store.clone(), resolve.clone());
        async move { store.resolve(&resolve).await.map(drop) }
    })
    .await;
    assert_eq!(answered(&calls), 0);
    let waited = made() - before;
    standby.ask("SELECT pg_promote()").await;

    until("the store has found it", async || {
        store.resolve(&resolve).await.is_ok()
    })
    .await;
    println!(
        "{waited} connects while no server took writes, {} in all",
        made() - before
    );
    // Each attempt asks both servers.
    assert!(waited <= 24, "{waited} connects for {} calls", calls.len());
    assert!(is_live(&store, &phone).await);
    signs_in(&store, "bert").await;
    assert_eq!(store.drain(Duration::from_secs(5)).await, 0);
    // That one too, once it is a primary.
    until("the other store takes it", async || {
        only.resolve(&Resolve::new(phone.clone())).await.is_ok()
    })
    .await;
}
