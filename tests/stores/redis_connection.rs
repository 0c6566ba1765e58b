//! The connections that all callers of a `RedisStore` share, when many need them at once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    io::Write,
    net::{Ipv4Addr, TcpStream},
    time::Duration,
};

use tower_user_sessions::{
    RedisStore,
    store::{Resolve, Save, Saved, SessionStore, StoreErrorKind},
};

use crate::common::{
    load::millis,
    people::{guest, is_live, set, signs_in, until},
    proxy::Proxy,
    redis::{Server, pool, try_ask},
};

/// Callers, one every 10 ms.
fn crowd(store: &RedisStore, of: usize) -> tokio::task::JoinHandle<Vec<bool>> {
    let store = store.clone();
    tokio::spawn(async move {
        let mut callers = Vec::new();
        for _ in 0..of {
            let store = store.clone();
            callers.push(tokio::spawn(async move {
                store.resolve(&Resolve::new(guest())).await.is_ok()
            }));
            tokio::time::sleep(millis(10)).await;
        }
        let mut answered = Vec::new();
        for caller in callers {
            answered.push(caller.await.unwrap());
        }
        answered
    })
}

// T59
#[tokio::test]
async fn many_callers_that_give_up_do_not_keep_the_store_from_reconnecting() {
    let server = Server::start();
    let proxy = Proxy::start(server.port).await;
    let store = RedisStore::builder(pool(&proxy.url()))
        .deadline(millis(300))
        .build();

    proxy.hold(Duration::from_secs(60));
    let crowd = crowd(&store, 300);
    tokio::time::sleep(millis(600)).await;
    // Longer than the time between the deadlines of two callers.
    proxy.hold(millis(100));

    let answered = crowd.await.unwrap();
    assert_eq!(answered.first(), Some(&false), "nothing was carried");
    assert_eq!(answered.last(), Some(&true), "the store is back");
}

// T59
#[tokio::test]
async fn late_timeouts_of_a_previous_connection_do_not_drop_the_next_one() {
    let server = Server::start();
    let proxy = Proxy::start(server.port).await;
    let store = RedisStore::builder(pool(&proxy.url()))
        .deadline(millis(500))
        .build();
    let token = signs_in(&store, "alice").await;

    proxy.fall_silent();
    let crowd = crowd(&store, 40);
    until("the black hole is noticed", async || {
        store.resolve(&Resolve::new(token.clone())).await.is_ok()
    })
    .await;
    let answered = crowd.await.unwrap();

    assert_eq!(answered.last(), Some(&true), "the store is back");
    assert!(is_live(&store, &token).await);
    assert!(proxy.made() <= 4, "two for the other two: {}", proxy.made());
}

// T59
#[tokio::test]
async fn a_conditional_write_refused_by_a_busy_server_has_a_known_outcome() {
    let server = Server::start_with(&["--busy-reply-threshold", "1"]);
    let (patient, url) = (server.patient(), server.url());
    let store = RedisStore::builder(server.pool())
        .deadline(millis(300))
        .build();
    let token = signs_in(&patient, "alice").await;
    let mut save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));

    // It is sent again and again. Where other programs use the processor, the last sending may be without an answer at the
    // deadline: then nobody knows.
    let (mut kinds, mut revision) = (Vec::new(), 0);
    while kinds.iter().all(|kind| *kind == StoreErrorKind::Uncertain) && kinds.len() < 20 {
        until("the store is connected", async || {
            store.resolve(&Resolve::new(token.clone())).await.is_ok()
        })
        .await;
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port)).unwrap();
        let endless = b"EVAL \"while true do end\" 0\r\n";
        socket.write_all(endless).unwrap();
        until("the server is busy", async || {
            let answer = try_ask::<u32>(&url, &["DBSIZE"]).await;
            answer.is_err_and(|error| error.code() == Some("BUSY"))
        })
        .await;
        save.expect = Some(revision);
        kinds.push(store.save(&save).await.unwrap_err().kind());
        let _: () = server.ask("SCRIPT KILL").await;

        let saved = patient.save(&save).await.unwrap();
        assert!(matches!(saved, Saved::Saved { .. }), "{saved:?}");
        revision += 1;
    }

    let known = [StoreErrorKind::Timeout, StoreErrorKind::Unavailable];
    assert!(
        kinds.last().is_some_and(|kind| known.contains(kind)),
        "{kinds:?}"
    );
}

// T59
#[tokio::test]
async fn an_endless_deadline_is_accepted() {
    let server = Server::start();
    let store = RedisStore::builder(server.pool())
        .deadline(Duration::MAX)
        .build();

    let token = signs_in(&store, "alice").await;

    assert!(is_live(&store, &token).await);
}
