//! A call that never arrived is sent again, and says how long ago its request came.

use std::time::Duration;

use tower_user_sessions::{
    EndReason, RedisStore,
    store::{Created, End, Ended, RedisSource, SessionStore, Timestamp, Which},
};

use crate::common::{
    people::{asks, listed, signs_in, token, until},
    redis::Server,
    wire::Wire,
};

/// The time of the server.
async fn now(server: &Server) -> Timestamp {
    let (seconds, micros): (i64, i64) = server.ask("TIME").await;
    Timestamp::from_millis(seconds * 1_000 + micros / 1_000)
}

// T21 T57
#[tokio::test]
async fn a_sign_in_that_is_sent_again_after_an_end_of_all_is_rejected() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let source = RedisSource::url(&format!("redis://127.0.0.1:{}", wire.port)).unwrap();
    let store = RedisStore::builder(source)
        .deadline(Duration::from_secs(60))
        .build();
    // From here on the server knows the script, so a call is one command.
    signs_in(&store, "first").await;
    let alice = token(&store, "alice");
    wire.hold(alice.session_id().to_string());
    let began = now(&server).await;

    let create = asks("alice", &alice);
    let sends = tokio::spawn({
        let store = store.clone();
        async move { store.create(&create).await.unwrap() }
    });
    until("the sign-in is held", async || wire.held() > 0).await;
    let waited = began.plus(Duration::from_secs(2));
    until("some time has passed", async || now(&server).await > waited).await;
    let direct = server.patient();
    let all = End::new(alice.tag(), Which::All, EndReason::Administrator);
    let ended = direct.end(&all).await.unwrap();
    let Ended::Ended { now: cutoff, .. } = ended else {
        panic!("{ended:?}");
    };
    let waited = cutoff.plus(Duration::from_millis(500));
    until("the cutoff is over", async || now(&server).await > waited).await;
    wire.lose_held();

    // With the age of the first attempt it would seem to have come after the cutoff.
    let created = sends.await.unwrap();
    assert!(matches!(created, Created::Rejected), "{created:?}");
    assert!(listed(&direct, alice.tag()).await.is_empty());
}
