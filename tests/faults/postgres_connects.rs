//! A server to which connecting takes longer than a call waits: one that wakes up, or that is far away.

use tower_user_sessions::{
    PostgresStore,
    store::{Resolve, SessionStore, StoreErrorKind},
};

use crate::common::{
    people::{signs_in, until},
    postgres::{Server, pool},
};

#[tokio::test]
async fn a_connection_that_takes_longer_than_its_call_serves_the_next_ones() {
    let server = Server::start_with(&["fsync=off", "post_auth_delay=1"]);
    let resolve = Resolve::new(signs_in(&server.store().await, "anna").await);
    for size in [1, 8] {
        let store = PostgresStore::new(pool(&server.url(), size));

        let first = store.resolve(&resolve).await.unwrap_err();

        assert_eq!(first.kind(), StoreErrorKind::Timeout, "{first:?}");
        // Also if the pool has only the place of that connection.
        let connects = async || match store.resolve(&resolve).await {
            Err(error) => {
                assert_eq!(error.kind(), StoreErrorKind::Timeout, "{error:?}");
                false
            }
            Ok(_) => true,
        };
        until("a call has a connection", connects).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_refused_after_its_call_is_the_cause_of_the_next_errors() {
    let server = Server::start_with(&["fsync=off", "pre_auth_delay=1"]);
    let resolve = Resolve::new(signs_in(&server.store().await, "anna").await);
    server.passwords("app", "secret").await;
    let url = format!("postgres://app:wrong@127.0.0.1:{}/postgres", server.port);
    let store = PostgresStore::new(pool(&url, 8));

    let first = store.resolve(&resolve).await.unwrap_err();

    assert_eq!(first.kind(), StoreErrorKind::Timeout, "{first:?}");
    let is_denied = async || {
        let error = store.resolve(&resolve).await.unwrap_err();
        error.kind() == StoreErrorKind::Denied
    };
    until("the password is the cause", is_denied).await;
    // It is not tried again at once.
    assert!(is_denied().await);
}
