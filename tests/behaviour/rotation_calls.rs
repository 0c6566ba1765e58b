//! The store is not asked to rotate where the record says that the token stays.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use proptest::{collection::vec, prelude::*};
use tower_user_sessions::{
    MemoryStore, SessionLayer, SessionStore, TokenSource,
    store::{ManualClock, Renewal, Rotate, Rotated, Salt, Token},
};

use crate::common::{
    faulty::{FaultyStore, Method},
    http::{Answer, Client, store, user},
};

const GRACE: Duration = Duration::from_secs(120);
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
    assert!(client.bears(&answer));
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

/// What happens next to a session with several tokens.
#[derive(Clone, Debug)]
enum Step {
    Advance(u64),
    /// A request with one of the newest tokens asks for a rotation, and the response may be lost.
    Rotate(usize, bool),
    Reauthenticate(usize),
    Visit(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..25_u64).prop_map(Step::Advance),
        6 => (0..3_usize, any::<bool>()).prop_map(|(token, lost)| Step::Rotate(token, lost)),
        1 => (0..2_usize).prop_map(Step::Reauthenticate),
        2 => (0..3_usize).prop_map(Step::Visit),
    ];
    vec(step, 1..30)
}

/// Whether the store itself would give the session another token for a request with this one.
async fn store_rotates(store: &MemoryStore, token: &str) -> bool {
    let (token, salt) = (token.parse::<Token>().unwrap(), Salt::random().unwrap());
    let next = token.successor(&salt);
    let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
    !matches!(
        store.rotate(&rotate).await.unwrap(),
        Rotated::Kept | Rotated::Ended
    )
}

async fn asks_exactly_where_the_store_rotates(steps: Vec<Step>) {
    let (store, clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone()).end_on_reuse(false);
    let mut clients = vec![Client::signed_in(&layer, "alice").await];
    let nth = |clients: &[Client], token: usize| clients.len().saturating_sub(token + 1);
    for step in steps {
        match step {
            Step::Advance(seconds) => {
                clock.advance(Duration::from_secs(seconds));
            }
            Step::Visit(token) => {
                let at = nth(&clients, token);
                clients[at].clone().user().await;
            }
            Step::Rotate(token, lost) => {
                let mut client = clients[nth(&clients, token)].clone();
                let before = faulty.calls(Method::Rotate);
                let answer = client.send(|session| async move {
                    session.rotate().unwrap();
                    session.user_id().is_some()
                });
                let answer = answer.await;
                let (asked, got) = (
                    faulty.calls(Method::Rotate) - before,
                    !answer.sets_no_cookie(),
                );
                let live = answer.value();
                assert_eq!(asked == 1, got);
                if live && asked == 0 {
                    assert!(!store_rotates(&store, &client.token()).await);
                }
                if got && !lost {
                    clients.push(client);
                }
            }
            Step::Reauthenticate(token) => {
                let mut client = clients[nth(&clients, token)].clone();
                let answer =
                    client.send(|session| async move { session.reauthenticated().is_ok() });
                if answer.await.value() {
                    clients.push(client);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    // T46
    #[test]
    fn the_layer_asks_exactly_where_the_store_would_rotate(steps in steps()) {
        tokio_test::block_on(asks_exactly_where_the_store_rotates(steps));
    }
}
