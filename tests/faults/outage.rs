//! `RedisStore` while its server is away or silent, and what it leaves when it is dropped.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Request, Response};
use tokio::time::Instant;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    OnOutage, RedisStore, SessionLayer,
    store::{RedisSource, Resolve, SessionStore, StoreError, StoreErrorKind},
};

use super::runtimes::busy;
use crate::common::{
    load::{answered, kinds, millis, offer},
    people::{self, asks, guest, is_live, signs_in, token, until},
    redis::{self, Server, pool},
    relay::Relay,
};

async fn resolves(store: RedisStore) -> Result<(), StoreError> {
    store.resolve(&Resolve::new(guest())).await.map(drop)
}

/// Connections that a server counted, less those that asked it.
async fn connects(server: &Server) -> u64 {
    let info: String = server.ask("INFO stats").await;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("total_connections_received:"));
    line.unwrap().parse().unwrap()
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn ten_gaps_of_a_tenth_of_a_second_go_unnoticed() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let token = signs_in(&store, "alice").await;

    let load = offer(300, millis(10_000), |number| {
        let (store, token) = (store.clone(), token.clone());
        async move {
            if number % 8 == 0 {
                let user = format!("user-{number}");
                let token = people::token(&store, &user);
                return store.create(&asks(&user, &token)).await.map(drop);
            }
            store.resolve(&Resolve::new(token)).await.map(drop)
        }
    });
    let gaps = async {
        for _ in 0..10 {
            tokio::time::sleep(millis(850)).await;
            relay.go_away(millis(100)).await;
        }
    };
    let (all, ()) = tokio::join!(load, gaps);

    assert_eq!(
        (all.len(), answered(&all)),
        (3_000, 3_000),
        "{:?}",
        kinds(&all)
    );
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_fell_silent_in_a_pause_costs_no_request() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let token = signs_in(&store, "alice").await;
    for _ in 0..2 {
        tokio::time::sleep(millis(1_200)).await;

        relay.fall_silent();

        assert!(is_live(&store, &token).await);
        tokio::time::sleep(millis(1_200)).await;
        let second = people::token(&store, "bob");
        relay.fall_silent();
        store.create(&asks("bob", &second)).await.unwrap();
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn where_an_outage_makes_guests_pages_take_no_time_after_the_first_second() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();
    let token = signs_in(&store, "alice").await;
    let layer = SessionLayer::new(store).on_outage(OnOutage::Guest);
    let service =
        ServiceBuilder::new()
            .layer(layer)
            .service(service_fn(async |_: Request<String>| {
                Ok::<_, Infallible>(Response::new(String::new()))
            }));

    relay.become_a_black_hole();
    let (began, late) = (Instant::now(), Arc::new(Mutex::new(Vec::new())));
    let cookie = format!("__Host-session={}", token.encode().as_str());
    offer(100, millis(4_000), |_| {
        let (mut service, cookie) = (service.clone(), cookie.clone());
        let late = Arc::clone(&late);
        async move {
            let mut request = Request::new(String::new());
            request
                .headers_mut()
                .insert("cookie", cookie.parse().unwrap());
            let (at, mut polls) = (Instant::now(), 0);
            let mut answer = pin!(service.ready().await.unwrap().call(request));
            let answer = poll_fn(|cx| {
                polls += 1;
                answer.as_mut().poll(cx)
            });
            assert_eq!(answer.await.unwrap().status(), 200);
            if at > began + millis(1_100) {
                late.lock().unwrap().push((at.elapsed(), polls));
            }
            Ok(())
        }
    })
    .await;

    let late = std::mem::take(&mut *late.lock().unwrap());
    assert!(late.len() > 250, "{} pages", late.len());
    // A page that is done at its first poll waits for nothing but the processor, which other programs use, too.
    let waits = |(took, polls): &&(Duration, u32)| *polls > 1 && *took >= millis(10);
    let slow = late.iter().filter(waits).count();
    assert!(slow * 20 < late.len(), "{late:?}");
}

// T70
#[tokio::test]
async fn an_error_is_never_older_than_the_outage() {
    let mut server = Server::start();
    let store = RedisStore::connect(&server.url()).unwrap();
    let token = signs_in(&store, "alice").await;
    server.kill();
    until("the outage is known", async || {
        resolves(store.clone()).await.is_err()
    })
    .await;

    server.restart();
    tokio::time::sleep(millis(1_700)).await;

    assert!(!is_live(&store, &token).await, "answered: it is empty");
}

// T70
#[test]
fn a_store_serves_one_runtime_after_the_other() {
    let server = Server::start();
    let store = RedisStore::connect(&server.url()).unwrap();

    let token = busy().block_on(signs_in(&store, "alice"));
    for _ in 0..3 {
        assert!(busy().block_on(is_live(&store, &token)));
    }
}

// T70
#[tokio::test]
async fn a_store_that_is_dropped_leaves_no_task_and_no_socket() {
    let server = Server::start();
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let store = RedisStore::connect(&server.url()).unwrap();
    signs_in(&store, "alice").await;
    until("the second connection is there", async || {
        server
            .ask::<String>("CLIENT LIST")
            .await
            .matches("tower-user-sessions")
            .count()
            >= 2
    })
    .await;
    assert!(tasks() > before);

    server.suspend();
    let slow = {
        let store = store.clone();
        tokio::spawn(async move { resolves(store).await })
    };
    tokio::time::sleep(millis(50)).await;
    slow.abort();
    drop(store);

    tokio::time::sleep(millis(100)).await;
    assert_eq!(tasks(), before);
    server.resume();
    until("no socket is left", async || {
        !server
            .ask::<String>("CLIENT LIST")
            .await
            .contains("tower-user-sessions")
    })
    .await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_pool_lends_its_settings_and_none_of_its_places() {
    let server = Server::start();
    let pool = pool(&server.url());
    let store = RedisStore::new(pool.clone());
    let token = signs_in(&store, "alice").await;

    assert!(is_live(&store, &token).await);
    assert_eq!(pool.status().size, 0);
}

// T70
#[tokio::test]
async fn who_connects_is_asked_each_time() {
    use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo, RedisError};

    let server = Server::start_with(&["--requirepass", "first"]);
    let ask = |password: &str| -> Result<ConnectionInfo, RedisError> {
        format!("redis://:{password}@127.0.0.1:{}", server.port).into_connection_info()
    };
    let passwords = Arc::new(Mutex::new(ask("first").unwrap()));
    let told = Arc::clone(&passwords);
    let store = RedisStore::connect_with(move || {
        let info = told.lock().unwrap().clone();
        async move { Ok::<_, RedisError>(info) }
    });
    let token = signs_in(&store, "alice").await;

    let first = format!("redis://:first@127.0.0.1:{}", server.port);
    let _: () = redis::ask(&first, "CONFIG SET requirepass second").await;
    *passwords.lock().unwrap() = ask("second").unwrap();
    let second = format!("redis://:second@127.0.0.1:{}", server.port);
    let _: i64 = redis::ask(&second, "CLIENT KILL TYPE normal SKIPME yes").await;

    assert!(is_live(&store, &token).await);
}

#[test]
fn what_is_no_url_of_redis_is_refused_without_its_password() {
    for url in [
        "http://user:hunter2@host",
        "redis://:p#hunter2@ss@host",
        "hunter2",
    ] {
        let error = RedisSource::url(url).map(drop).unwrap_err();

        let said = format!("{error} {error:?}");
        assert!(!said.contains("hunter2"), "{said}");
        assert!(said.contains("%23"), "{said}");
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn at_a_busy_moment_few_connections_are_made() {
    let server = Server::start();
    let store = RedisStore::connect(&server.url()).unwrap();
    let before = connects(&server).await;

    let all = offer(2_000, millis(500), |_| resolves(store.clone())).await;

    assert_eq!(answered(&all), 1_000, "{:?}", kinds(&all));
    // One for this question.
    assert_eq!(connects(&server).await - before, 3);
    let _ = token(&store, "alice");
}

// T70
#[tokio::test]
async fn a_server_without_its_replicas_is_unavailable_at_once_and_the_connection_stays() {
    let server = Server::start();
    let store = RedisStore::connect(&server.url()).unwrap();
    let token = signs_in(&store, "alice").await;
    tokio::time::sleep(millis(100)).await;
    let _: () = server.ask("CONFIG SET min-replicas-to-write 1").await;
    let before = connects(&server).await;

    let began = Instant::now();
    let error = store
        .resolve(&Resolve::new(token.clone()))
        .await
        .unwrap_err();

    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    // Well before the deadline, which is a second.
    assert!(began.elapsed() < millis(600), "{:?}", began.elapsed());
    let _: () = server.ask("CONFIG SET min-replicas-to-write 0").await;
    assert!(is_live(&store, &token).await);
    // One for the setting, one for this question.
    assert_eq!(connects(&server).await - before, 2);
}
