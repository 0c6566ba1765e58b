//! The store is not asked to rotate where the record says that the token stays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{SessionLayer, TokenSource, store::ManualClock};

use crate::common::{
    faulty::{FaultyStore, Method},
    http::{Answer, Client, store, user},
};

const GRACE: Duration = Duration::from_secs(30);
const AGE: Duration = Duration::from_secs(10);

/// A token is old long before the grace period of the previous one is over.
fn world() -> (SessionLayer, FaultyStore, ManualClock) {
    let (store, clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone()).rotate_after(AGE);
    (layer, faulty, clock)
}

/// The previous and the current client of a session that has just rotated. The new token was used.
async fn rotated(layer: &SessionLayer, clock: &ManualClock) -> (Client, Client) {
    let mut client = Client::signed_in(layer, "alice").await;
    let previous = client.clone();
    clock.advance(AGE);
    client.user().await;
    assert_ne!(client.token(), previous.token());
    client.user().await;
    (previous, client)
}

// T46
#[tokio::test]
async fn while_the_previous_token_works_an_old_token_costs_no_second_round_trip() {
    let (layer, faulty, clock) = world();
    let (mut previous, mut client) = rotated(&layer, &clock).await;
    let (kept, before) = (client.token(), faulty.all_calls());

    clock.advance(AGE * 2);
    for _ in 0..10 {
        assert_eq!(client.user().await.as_deref(), Some("alice"));
        assert_eq!(previous.user().await.as_deref(), Some("alice"));
    }
    assert_eq!(
        (client.token(), faulty.all_calls() - before),
        (kept.clone(), 20)
    );

    clock.advance(GRACE);
    client.user().await;
    assert_ne!(client.token(), kept);
}

// T46
#[tokio::test]
async fn while_the_previous_token_works_a_requested_rotation_does_not_ask_the_store() {
    let (layer, faulty, clock) = world();
    let (_previous, client) = rotated(&layer, &clock).await;
    let before = faulty.calls(Method::Rotate);

    let early = client.request(|session| async move { session.rotate().unwrap() });
    assert!(early.await.sets_no_cookie());
    assert_eq!(faulty.calls(Method::Rotate), before);

    clock.advance(GRACE);
    let due = client.request(|session| async move { session.rotate().unwrap() });
    assert_eq!(due.await.set_cookies().len(), 1);
}

// T46
#[tokio::test]
async fn after_a_re_authentication_an_old_token_does_not_ask_the_store_for_the_grace() {
    let (layer, faulty, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client
        .send(|session| async move { session.reauthenticated().unwrap() })
        .await;
    let before = faulty.calls(Method::Rotate);

    clock.advance(AGE);
    let early = client.request(|session| async move { session.user_id() });
    assert!(early.await.sets_no_cookie());
    assert_eq!(faulty.calls(Method::Rotate), before);

    clock.advance(GRACE);
    let due = client.request(|session| async move { session.user_id() });
    assert_eq!(due.await.set_cookies().len(), 1);
}

/// A bearer client before it takes a new token.
async fn bearer(layer: &SessionLayer) -> Client {
    let mut client = Client::new(layer);
    let answer = client
        .send(|session| async move { session.log_in(user("alice")).unwrap() })
        .await;
    let line = format!("Bearer {}", answer.header("x-session-token").unwrap());
    let line = line.parse().unwrap();
    client.headers.insert("authorization", line);
    client
}

/// The new token in the response to a request of this client.
async fn offered(client: &Client) -> Option<String> {
    let answer: Answer<()> = client.request(|_session| async {}).await;
    answer.header("x-session-token").map(ToOwned::to_owned)
}

// T48
#[tokio::test]
async fn a_bearer_client_that_never_takes_its_new_token_is_offered_it_once_in_30_seconds() {
    let (layer, faulty, clock) = world();
    let layer = layer.token_source(TokenSource::Bearer);
    let client = bearer(&layer).await;
    clock.advance(AGE);
    let (before, mut offers) = (faulty.calls(Method::Rotate), Vec::new());

    for _ in 0..60 {
        offers.extend(offered(&client).await);
        clock.advance(Duration::from_secs(1));
    }

    // One rotates, and one in each 30 s repeats it.
    assert_eq!(faulty.calls(Method::Rotate) - before, 3);
    assert_eq!(offers.len(), 3);
    assert!(offers.iter().all(|offer| *offer == offers[0]));
}

// T48
#[tokio::test]
async fn a_bearer_client_whose_response_was_lost_gets_its_new_token_with_the_next_one() {
    let (layer, _faulty, clock) = world();
    let layer = layer.token_source(TokenSource::Bearer);
    let mut client = bearer(&layer).await;
    clock.advance(AGE);

    let lost = offered(&client).await.unwrap();
    let again = offered(&client).await.unwrap();
    let line = format!("Bearer {again}").parse().unwrap();
    client.headers.insert("authorization", line);

    assert_eq!(again, lost);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}
