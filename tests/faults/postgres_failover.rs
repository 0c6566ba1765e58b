//! A standby of PostgreSQL takes over.

use std::{error::Error, time::Duration};

use tower_user_sessions::{
    PostgresStore,
    store::{Resolve, SessionStore, StoreErrorKind},
};

use crate::common::{
    people::{asks, is_live, signs_in, token, until},
    postgres::{Server, pool, url},
};

#[tokio::test]
async fn a_standby_that_takes_over_answers_without_a_restart_of_the_app() {
    let mut primary = Server::start();
    let setup = primary.store().await;
    let standby = primary.standby();
    let servers = format!(
        "postgres://postgres@127.0.0.1:{},127.0.0.1:{}/postgres?target_session_attrs=read-write",
        primary.port, standby.port
    );
    let store = PostgresStore::new(pool(&servers, 4));
    let phone = signs_in(&store, "anna").await;

    // A store on the standby alone answers nothing: neither old sessions nor new ones.
    let only = PostgresStore::new(pool(&url(standby.port), 4));
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
    standby.ask("SELECT pg_promote()").await;

    until("the store has found it", async || {
        store.resolve(&Resolve::new(phone.clone())).await.is_ok()
    })
    .await;
    assert!(is_live(&store, &phone).await);
    signs_in(&store, "bert").await;
    assert_eq!(store.drain(Duration::from_secs(5)).await, 0);
    // That one too, once it is a primary.
    until("the other store takes it", async || {
        only.resolve(&Resolve::new(phone.clone())).await.is_ok()
    })
    .await;
}
