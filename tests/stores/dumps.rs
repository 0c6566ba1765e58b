//! A dump of what a store keeps signs nobody in.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use tower_user_sessions::{CommitError, FileStore, Limit, SessionLayer, store::SharedStore};

use crate::common::{http::Client, postgres, redis::Server, shelf::Shelf};

/// What clients received while sessions began, got new tokens, ended and were refused: the tokens as text.
async fn tokens_of_clients(store: impl Into<SharedStore>) -> Vec<String> {
    let layer = SessionLayer::new(store).limit(Limit::at_most(2).refuse());
    let mut alice = Client::new(&layer);
    alice.insert("cart", "apple").await;
    let mut tokens = vec![alice.token()];
    alice.log_in("alice").await;
    alice.insert("cart", "pear").await;
    tokens.push(alice.token());
    let rotates = alice.send(|session| async move { session.rotate().unwrap() });
    rotates.await;
    tokens.push(alice.token());
    let proves = alice.send(|session| async move { session.reauthenticated().unwrap() });
    proves.await;
    tokens.push(alice.token());

    let mut phone = Client::signed_in(&layer, "alice").await;
    tokens.push(phone.token());
    let leaves = phone.send(|session| async move { session.log_out().unwrap() });
    leaves.await;
    let mut desk = Client::signed_in(&layer, "alice").await;
    tokens.push(desk.token());
    // No request sends this one, so the store still offers it.
    let rotates = desk.send(|session| async move { session.rotate().unwrap() });
    rotates.await;
    tokens.push(desk.token());
    let refused = Client::new(&layer).request(|session| async move {
        session.log_in("alice").unwrap();
        match session.commit().await {
            Err(CommitError::LimitReached(reached)) => reached.ticket.unwrap().encode(),
            other => panic!("{other:?}"),
        }
    });
    let ticket = refused.await.value();
    tokens.push(ticket.split('.').next().unwrap().to_owned());

    let mut different = tokens.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 8);
    tokens
}

fn holds_no_secret(dump: &[u8], tokens: &[String]) {
    let has = |part: &[u8]| dump.windows(part.len()).any(|window| window == part);
    for token in tokens {
        let (id, secret) = (&token[16..32], &token[32..]);
        let raw = |text: &str| URL_SAFE_NO_PAD.decode(text).unwrap();
        let is_dump_of_it = has(id.as_bytes()) || has(&raw(id));
        assert!(is_dump_of_it, "the dump is of these sessions");
        assert!(!has(secret.as_bytes()));
        for half in raw(secret).chunks(12) {
            assert!(!has(half));
        }
    }
}

// T3
#[tokio::test]
async fn a_dump_of_all_keys_and_values_of_redis_holds_no_secret() {
    let server = Server::start();

    let tokens = tokens_of_clients(server.patient()).await;

    let keys: Vec<String> = server.ask("KEYS *").await;
    let mut dump = keys.join(" ").into_bytes();
    for key in &keys {
        let fields: Vec<Vec<u8>> = server.ask(&format!("HGETALL {key}")).await;
        dump.extend(fields.concat());
    }
    holds_no_secret(&dump, &tokens);
}

// T3
#[tokio::test]
async fn a_dump_of_stored_session_sets_holds_no_secret() {
    let shelf = Shelf::default();

    let tokens = tokens_of_clients(shelf.store()).await;

    holds_no_secret(&shelf.dump(), &tokens);
}

// T3
#[tokio::test]
async fn the_file_of_a_store_holds_no_secret() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions.db");

    let tokens = tokens_of_clients(FileStore::open(&path).unwrap()).await;

    holds_no_secret(&std::fs::read(&path).unwrap(), &tokens);
}

// T3
#[tokio::test]
async fn a_dump_of_all_rows_of_postgresql_holds_no_secret() {
    let server = postgres::Server::start();

    let tokens = tokens_of_clients(server.store().await).await;

    let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public'";
    let mut dump = Vec::new();
    for table in server.ask(tables).await {
        let table: String = table.get(0);
        for row in server
            .ask(&format!("SELECT row::text FROM {table} row"))
            .await
        {
            let row: String = row.get(0);
            dump.extend(row.as_bytes());
            // Bytes are written as hex digits after `\x`.
            for bytes in row.split("\\x").skip(1) {
                let digits: Vec<u32> = bytes.chars().map_while(|it| it.to_digit(16)).collect();
                let bytes = digits
                    .chunks(2)
                    .map(|it| it.iter().fold(0, |sum, it| sum * 16 + it));
                dump.extend(bytes.map(|byte| u8::try_from(byte).unwrap()));
            }
        }
    }
    holds_no_secret(&dump, &tokens);
}
