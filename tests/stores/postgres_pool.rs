//! Which calls take a connection of the pool first, if more wait than it has.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tower_user_sessions::{
    EndReason, PostgresStore, UserId,
    store::{End, Resolve, SessionStore, Which},
};

use crate::common::{
    people::{is_live, signs_in},
    postgres::{Server, pool},
};

/// Lets all other tasks run until each of them waits for something.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

// T24
#[tokio::test]
async fn an_end_and_a_sign_in_go_before_two_hundred_requests_that_wait_for_a_connection() {
    let server = Server::start();
    let pool = pool(&server.url(), 1);
    let store = PostgresStore::builder(pool.clone())
        .deadline(Duration::from_secs(60))
        // A request reads once and writes nothing.
        .activity_step(Duration::from_secs(60))
        .build();
    store.migrate().await.unwrap();
    let phone = signs_in(&store, "anna").await;
    let other = signs_in(&store, "bert").await;
    assert!(is_live(&store, &other).await);
    // The app uses the only connection itself.
    let held = pool.get().await.unwrap();
    let (answered, mut requests) = (Arc::new(AtomicU32::new(0)), tokio::task::JoinSet::new());
    for _ in 0..200 {
        let (store, answered) = (store.clone(), Arc::clone(&answered));
        let resolve = Resolve::new(other.clone());
        requests.spawn(async move {
            store.resolve(&resolve).await.unwrap();
            answered.fetch_add(1, SeqCst);
        });
    }
    settle().await;
    let sign_in = tokio::spawn({
        let (store, answered) = (store.clone(), Arc::clone(&answered));
        async move {
            signs_in(&store, "carl").await;
            answered.load(SeqCst)
        }
    });
    let end = tokio::spawn({
        let (store, answered) = (store.clone(), Arc::clone(&answered));
        let end = End::new(
            store.tag(&UserId::new("anna").unwrap()),
            Which::All,
            EndReason::Revoked,
        );
        async move {
            store.end(&end).await.unwrap();
            answered.load(SeqCst)
        }
    });
    settle().await;
    assert_eq!(answered.load(SeqCst), 0);
    drop(held);

    let (before_end, before_sign_in) = (end.await.unwrap(), sign_in.await.unwrap());

    // Each needs the connection twice, and every second call that gets it is a request.
    assert!(
        before_end <= 6 && before_sign_in <= 12,
        "{before_end} of 200 requests went before the end, {before_sign_in} before the sign-in"
    );
    requests.join_all().await;
    assert_eq!(answered.load(SeqCst), 200);
    assert!(!is_live(&store, &phone).await);
}
