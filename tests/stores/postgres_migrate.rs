//! `PostgresStore::migrate` when an app starts whose tables exist.

use std::{error::Error, time::Duration};

use tokio::time::timeout;
use tower_user_sessions::{PostgresStore, store::StoreErrorKind};

use crate::common::{
    people::{is_live, signs_in, until},
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

#[tokio::test]
async fn a_statement_timeout_of_the_app_does_not_end_the_wait_for_another_node() {
    let server = Server::start();
    let other = client(&server.url()).await;
    // As another node does that creates the tables.
    let turn = 0x746f_7765_7275_7365_i64;
    let takes = format!("BEGIN; SELECT pg_advisory_xact_lock({turn})");
    other.batch_execute(&takes).await.unwrap();
    server
        .ask("ALTER DATABASE postgres SET statement_timeout = '2s'")
        .await;
    let store = PostgresStore::new(server.pool());

    let goes_on = async {
        let waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
        until("it waits", async || server.number(waits).await == 1).await;
        tokio::time::sleep(Duration::from_millis(2_500)).await;
        other.batch_execute("COMMIT").await.unwrap();
    };
    let (migrated, ()) = tokio::join!(store.migrate(), goes_on);

    migrated.unwrap();
}

#[tokio::test]
async fn an_index_that_stayed_with_a_renamed_table_is_named() {
    let server = Server::start();
    let store = server.store().await;
    let renamed = "ALTER TABLE tower_user_sessions RENAME TO before; \
                   ALTER TABLE tower_user_sessions_parts RENAME TO before_parts";
    let admin = client(&server.url()).await;
    admin.batch_execute(renamed).await.unwrap();

    let error = store.migrate().await.unwrap_err();

    let text = format!("{error:?}");
    assert!(text.contains("`user_sessions_kept_until`"), "{text}");
    let renamed = "ALTER INDEX user_sessions_kept_until RENAME TO before_kept_until";
    admin.batch_execute(renamed).await.unwrap();
    store.migrate().await.unwrap();
    let indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = 'tower_user_sessions'";
    assert_eq!(server.number(indexes).await, 2);
}

#[tokio::test]
async fn a_setting_that_lets_no_table_be_created_is_named() {
    let server = Server::start();
    for (setting, value) in [
        ("default_transaction_read_only", "on"),
        ("search_path", "absent"),
    ] {
        let of_all = format!("ALTER DATABASE postgres SET {setting} = {value}");
        let admin = client(&server.url()).await;
        admin.batch_execute(&of_all).await.unwrap();

        let error = PostgresStore::new(server.pool())
            .migrate()
            .await
            .unwrap_err();

        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        let text = error.source().unwrap().to_string();
        assert!(text.contains(&format!("`{setting}`")), "{text}");
        let writes = "SET default_transaction_read_only = off";
        admin.batch_execute(writes).await.unwrap();
        admin
            .batch_execute("ALTER DATABASE postgres RESET ALL")
            .await
            .unwrap();
    }
}
