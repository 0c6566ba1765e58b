//! "End all" followed by a sign-in in one handler leaves that sign-in standing, however fast.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, time::Duration};

use http::{Request, Response, StatusCode};
use redis_test::server::RedisServer;
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{
    MemoryStore, RedisStore, Session, SessionLayer, UserId, UserSessions,
    store::{ManualClock, SharedStore, Timestamp},
};

fn standing_clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(1_764_000_000_000))
}

/// Changes a password: ends all, then signs in, within one millisecond.
async fn status_of_a_password_change(store: impl Into<SharedStore>) -> (StatusCode, usize) {
    let store = store.into();
    let alice = UserId::new("alice").unwrap();
    let user = alice.clone();
    let service = SessionLayer::new(store.clone()).layer(service_fn(move |request: Request<()>| {
        let user = user.clone();
        async move {
            let session: &Session = request.extensions().get().unwrap();
            session.sessions_of(user.clone()).end_all().await.unwrap();
            session.log_in(user).unwrap();
            Ok::<_, Infallible>(Response::new(()))
        }
    }));

    let response = service.oneshot(Request::new(())).await.unwrap();

    let live = UserSessions::new(store, alice).list().await.unwrap();
    (response.status(), live.len())
}

// T21 T53
#[tokio::test]
async fn a_sign_in_within_the_millisecond_of_its_own_cut_stands_in_memory() {
    let store = MemoryStore::builder().clock(standing_clock()).build();

    let changed = status_of_a_password_change(store).await;

    assert_eq!(changed, (StatusCode::OK, 1));
}

// T21 T53
#[tokio::test]
async fn a_sign_in_within_the_millisecond_of_its_own_cut_stands_in_redis() {
    let server = RedisServer::new();
    let (host, port) = server.host_and_port().unwrap();
    let url = format!("redis://{host}:{port}");
    wait_for_a_listener(port).await;
    let pool = deadpool_redis::Config::from_url(url)
        .create_pool(Some(deadpool_redis::Runtime::Tokio1))
        .unwrap();
    let store = RedisStore::builder(pool).clock(standing_clock()).build();

    let changed = status_of_a_password_change(store).await;

    assert_eq!(changed, (StatusCode::OK, 1));
}

async fn wait_for_a_listener(port: u16) {
    for _ in 0..200 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port))
            .await
            .is_ok()
        {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("redis-server did not start (apt-get install redis-server)");
}
