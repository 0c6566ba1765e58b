//! `RedisStore` on connections that are the last ones which its server accepted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_user_sessions::{
    RedisStore,
    store::{Resolve, SessionStore, Token},
};

use crate::common::{
    load::millis,
    people::{is_live, signs_in, until},
    redis::Server,
    sentinel::{Said, Sentinel},
};

/// The server stands still for longer than it takes to find that out, while the store has a call on its way.
async fn stands_still(server: &Server, store: &RedisStore, token: &Token) {
    server.suspend();
    until("the outage is known", async || {
        store.resolve(&Resolve::new(token.clone())).await.is_err()
    })
    .await;
    tokio::time::sleep(millis(500)).await;
}

async fn is_back(store: &RedisStore, token: &Token) {
    let resolve = Resolve::new(token.clone());
    until("the store is back", async || {
        store.resolve(&resolve).await.is_ok()
    })
    .await;
    // Connections that were silent are stopped soon after. The one that goes on is none of them.
    tokio::time::sleep(millis(1_500)).await;
    assert!(is_live(store, token).await);
}

/// Takes all places that are free on the server.
async fn fills(server: &Server) -> Vec<TcpStream> {
    let mut others = Vec::new();
    loop {
        let mut other = TcpStream::connect(("127.0.0.1", server.port))
            .await
            .unwrap();
        other.write_all(b"PING\r\n").await.unwrap();
        let mut answer = [0; 1];
        if other.read(&mut answer).await.is_ok_and(|read| read == 1) && answer == *b"+" {
            others.push(other);
        } else {
            return others;
        }
    }
}

/// The server stands still while the store and others have all places that it has.
async fn is_full_and_stands_still(server: &Server, store: &RedisStore) -> (Token, Vec<TcpStream>) {
    let token = signs_in(store, "alice").await;
    let clients = async || server.ask::<String>("CLIENT LIST").await.lines().count();
    // The one that asks is among them.
    until("there is a spare", async || clients().await == 3).await;
    let others = fills(server).await;
    assert!(!others.is_empty());
    stands_still(server, store, &token).await;
    (token, others)
}

fn with_places() -> Server {
    Server::start_with(&["--maxclients", "20"])
}

// T70
#[tokio::test]
async fn a_server_without_a_place_for_another_connection_is_used_again_when_it_wakes() {
    let server = with_places();
    let store = RedisStore::connect(&server.url()).unwrap();

    let (token, _others) = is_full_and_stands_still(&server, &store).await;
    server.resume();

    is_back(&store, &token).await;
}

// T70
#[tokio::test]
async fn a_master_without_a_place_is_used_again_only_while_the_sentinels_name_it() {
    for is_replaced in [false, true] {
        let server = with_places();
        let sentinel = Sentinel::start(Said::new(server.port, 1)).await;
        let store = RedisStore::connect_sentinel([&*sentinel.url()], "mymaster").unwrap();

        let (token, _others) = is_full_and_stands_still(&server, &store).await;
        if is_replaced {
            // At this port nobody listens.
            sentinel.says(Said::new(1, 2));
            server.resume();
            for _ in 0..20 {
                assert!(store.resolve(&Resolve::new(token.clone())).await.is_err());
                tokio::time::sleep(millis(100)).await;
            }
        } else {
            server.resume();
            is_back(&store, &token).await;
        }
    }
}

// T70
#[tokio::test]
async fn a_server_whose_password_has_changed_is_used_again_when_it_wakes() {
    let server = Server::start();
    let store = RedisStore::connect(&server.url()).unwrap();
    let token = signs_in(&store, "alice").await;
    let _: String = server.ask("CONFIG SET requirepass new").await;

    stands_still(&server, &store, &token).await;
    server.resume();

    is_back(&store, &token).await;
}
