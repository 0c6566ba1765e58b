//! `PostgresStore::migrate` when an app starts whose tables exist.

use std::time::Duration;

use tokio::time::timeout;
use tower_user_sessions::{PostgresStore, store::StoreErrorKind};

use crate::common::{
    people::{is_live, signs_in},
    postgres::{Server, client, pool},
};

#[tokio::test]
async fn tables_that_exist_are_not_locked_when_an_app_starts() {
    let server = Server::start();
    let store = server.store().await;
    let phone = signs_in(&store, "anna").await;
    let other = client(&server.url()).await;
    // A backup or a report of the app may keep a transaction open for hours.
    let change = "BEGIN; UPDATE tower_user_sessions SET version = version";
    other.batch_execute(change).await.unwrap();

    let starts = async {
        let migrated = timeout(Duration::from_secs(5), store.migrate()).await;
        migrated.expect("it waits for no lock").unwrap();
    };
    let signs_in = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        signs_in(&store, "bert").await
    };
    let ((), tablet) = tokio::join!(starts, signs_in);

    other.batch_execute("ROLLBACK").await.unwrap();
    assert!(is_live(&store, &phone).await && is_live(&store, &tablet).await);
}

#[tokio::test]
async fn a_role_that_may_create_nothing_starts_with_tables_that_exist() {
    let server = Server::start();
    server.passwords("app", "secret").await;
    let url = format!("postgres://app:secret@127.0.0.1:{}/postgres", server.port);
    let store = PostgresStore::new(pool(&url, 2));

    let denied = store.migrate().await.unwrap_err();
    assert_eq!(denied.kind(), StoreErrorKind::Denied);
    let text = format!("{denied:?}");
    assert!(text.contains("GRANT CREATE ON SCHEMA"), "{text}");
    drop(server.store().await);
    let grant = "GRANT SELECT, INSERT, UPDATE, DELETE ON tower_user_sessions, tower_user_sessions_parts TO app";
    server.ask(grant).await;

    store.migrate().await.unwrap();
    signs_in(&store, "anna").await;
}

#[tokio::test]
async fn a_missing_index_is_not_waited_for_so_long_that_sign_ins_fail_for_long() {
    let server = Server::start();
    let store = server.store().await;
    server.ask("DROP INDEX user_sessions_kept_until").await;
    signs_in(&store, "anna").await;
    let other = client(&server.url()).await;
    let change = "BEGIN; UPDATE tower_user_sessions SET version = version";
    other.batch_execute(change).await.unwrap();

    let failed = timeout(Duration::from_secs(10), store.migrate()).await;

    let error = failed.expect("it gives up").unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Timeout);
    signs_in(&store, "bert").await;
    other.batch_execute("ROLLBACK").await.unwrap();
    store.migrate().await.unwrap();
}

#[tokio::test]
async fn a_server_to_which_connecting_takes_longer_than_a_call_waits_gets_its_tables() {
    let server = Server::start_with(&["fsync=off", "post_auth_delay=1"]);

    let migrated = PostgresStore::new(server.pool()).migrate().await;

    migrated.unwrap();
}
