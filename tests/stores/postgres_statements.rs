//! How many statements requests cost.

use std::time::Duration;

use tokio::task::JoinSet;
use tower_user_sessions::{
    Limit, PostgresStore, SessionLayer,
    store::{Resolve, SessionStore},
};

use crate::common::{
    http::Client,
    people::signs_in,
    postgres::{Server, patient, pool},
};

#[tokio::test]
async fn a_request_is_one_statement_and_a_sign_in_two() {
    let server = Server::start_with(&["fsync=off", "log_statement=all"]);
    let store = patient(server.pool())
        .activity_every(Duration::from_secs(3_600))
        .build();
    store.migrate().await.unwrap();
    let layer = SessionLayer::new(store).limit(Limit::at_most(3));
    let mut client = Client::signed_in(&layer, "alice").await;
    // The server writes its log before it replies.
    let statements = || server.log().matches("LOG:  execute ").count();

    // The first request notes that the client has its token.
    client.user().await;
    let before = statements();
    for _ in 0..10 {
        assert_eq!(client.user().await.as_deref(), Some("alice"));
    }
    let requests = statements() - before;
    for _ in 0..10 {
        Client::signed_in(&layer, "bert").await;
    }
    let sign_ins = statements() - before - requests;

    // A deletion of expired sets may be among them.
    assert!(requests <= 11 && sign_ins <= 21, "{requests}, {sign_ins}");
}

/// In an overload, what a request has read would be in vain if its write had to wait behind all reads that came meanwhile.
#[tokio::test]
async fn a_request_that_has_read_writes_before_others_read() {
    const REQUESTS: usize = 8;
    let server = Server::start_with(&["fsync=off", "log_statement=all"]);
    let store = PostgresStore::builder(pool(&server.url(), 1)).deadline(Duration::from_secs(600));
    let store = store.activity_every(Duration::ZERO).build();
    store.migrate().await.unwrap();
    let mut requests = Vec::new();
    for number in 0..REQUESTS {
        let token = signs_in(&store, &format!("user {number}")).await;
        // The first one notes that its client has the token.
        store.resolve(&Resolve::new(token.clone())).await.unwrap();
        requests.push(Resolve::new(token));
    }
    let before = server.log().len();

    let mut running = JoinSet::new();
    for request in requests {
        let store = store.clone();
        running.spawn(async move { store.resolve(&request).await.map(drop) });
    }
    for answer in running.join_all().await {
        answer.unwrap();
    }

    let log = server.log();
    let (mut reads, mut writes, mut ahead) = (0_usize, 0_usize, 0);
    for line in log[before..].lines() {
        reads += usize::from(line.contains(": SELECT h.version, h.head"));
        writes += usize::from(line.contains("coalesce($6, clock_timestamp()) AS now"));
        ahead = ahead.max(reads.saturating_sub(writes));
    }
    assert_eq!((reads, writes), (REQUESTS, REQUESTS), "{}", &log[before..]);
    assert!(ahead <= 3, "{ahead} have read and not written");
}
