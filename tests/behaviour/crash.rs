//! A browser that crashed before it wrote its new token to disk.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::SessionLayer;

use crate::common::http::{Client, HOUR, store, user};

const GRACE: Duration = Duration::from_secs(120);
const MS: Duration = Duration::from_millis(1);

/// A client at this address.
fn at(client: &Client, address: &str, agent: &'static str) -> Client {
    let mut client = client.clone();
    client.peer = Some(address.parse().unwrap());
    client.headers.insert("user-agent", agent.parse().unwrap());
    client
}

// T48 T61
#[tokio::test]
async fn a_browser_that_lost_its_new_token_gets_it_again_within_the_grace() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = at(&Client::new(&layer), "198.51.100.4", "Browser/1");
    client.log_in("alice").await;
    let previous = client.clone();
    client
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    assert_ne!(client.token(), previous.token());
    client.user().await;
    clock.advance(GRACE - MS);

    let mut restarted = at(&previous, "198.51.100.200", "Browser/1");
    let elsewhere = at(&previous, "203.0.113.7", "Browser/1");
    let another = at(&previous, "198.51.100.4", "Browser/2");
    for other in [&elsewhere, &another] {
        let answer = other.request(|session| async move { session.user_id() });
        let answer = answer.await;
        assert!(answer.sets_no_cookie());
        assert_eq!(answer.value(), Some(user("alice")));
    }
    assert_eq!(restarted.user().await.as_deref(), Some("alice"));

    assert_eq!(restarted.token(), client.token());
    clock.advance(HOUR);
    assert_eq!(restarted.user().await.as_deref(), Some("alice"));
}

// T48
#[tokio::test]
async fn after_a_reauthentication_no_client_gets_the_new_token_by_the_previous_one() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = at(&Client::new(&layer), "198.51.100.4", "Browser/1");
    client.log_in("alice").await;
    let previous = client.clone();
    client
        .send(|session| async move { session.reauthenticated().unwrap() })
        .await;
    assert_ne!(client.token(), previous.token());

    let answer = previous.request(|session| async move { session.user_id() });

    let answer = answer.await;
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), None);
}
