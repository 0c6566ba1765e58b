//! How many statements requests cost.

use std::time::Duration;

use tower_user_sessions::{Limit, SessionLayer};

use crate::common::{
    http::Client,
    postgres::{Server, patient},
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
