//! "End all" followed by a sign-in in one handler keeps that sign-in, also within one millisecond.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, time::Duration};

use http::{Request, Response, StatusCode};
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{
    EndReason, MemoryStore, RedisStore, Session, SessionLayer, UserId, UserSessions,
    store::{End, ManualClock, RedisSource, SessionStore, SharedStore, Timestamp, Which},
};

use crate::common::{people::signs_in, proxy::Proxy, redis::Server};

fn standing_clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(1_764_000_000_000))
}

/// Changes a password: ends all sessions, then signs in, within one millisecond.
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
async fn a_sign_in_in_the_millisecond_of_its_own_end_all_is_kept_in_memory() {
    let store = MemoryStore::builder().clock(standing_clock()).build();

    let changed = status_of_a_password_change(store).await;

    assert_eq!(changed, (StatusCode::OK, 1));
}

// T21 T53
#[tokio::test]
async fn a_sign_in_in_the_millisecond_of_its_own_end_all_is_kept_in_redis() {
    let server = Server::start();

    let changed = status_of_a_password_change(server.store(standing_clock())).await;

    assert_eq!(changed, (StatusCode::OK, 1));
}

// T21 T53
#[tokio::test]
async fn a_sign_in_after_an_end_all_whose_first_reply_was_lost_is_kept_in_redis() {
    for has_session in [false, true] {
        let server = Server::start();
        let proxy = Proxy::start(server.port).await;
        let source = RedisSource::url(&proxy.url()).unwrap();
        let store = RedisStore::builder(source)
            .deadline(Duration::from_secs(60))
            .build();
        // From here on the server knows the scripts, so a call is one command.
        let bob = signs_in(&store, "bob").await;
        let all = End::new(bob.tag(), Which::All, EndReason::Administrator);
        store.end(&all).await.unwrap();
        if has_session {
            signs_in(&store, "alice").await;
        }

        proxy.lose_answers(1);
        let changed = status_of_a_password_change(store).await;

        assert_eq!(proxy.lost(), 1);
        assert_eq!(changed, (StatusCode::OK, 1));
    }
}
