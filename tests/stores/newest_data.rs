//! Whatever a request commits first, its next update computes on the newest data.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{Login, MemoryStore, Session, SessionLayer, store::SharedStore};

use crate::common::{
    http::{Client, user},
    redis::Server,
};

/// Stages what the first commit of the request does.
type Stage = fn(&Session);

const COMMITS: [(&str, Stage); 5] = [
    ("rotate", |session| session.rotate().unwrap()),
    ("re-authenticate", |session| {
        session.reauthenticated().unwrap();
    }),
    ("save", |session| session.insert("a", "x").unwrap()),
    ("save and rotate", |session| {
        session.insert("a", "x").unwrap();
        session.rotate().unwrap();
    }),
    ("save and re-authenticate", |session| {
        session.insert("a", "x").unwrap();
        session.reauthenticated().unwrap();
    }),
];

/// A request resolves, another one stores `n` = 2, the first commits what `stage` says, then adds 10.
async fn adds(store: &SharedStore, stage: Stage) -> Option<u32> {
    let mut client = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    client
        .send(|session| async move { session.insert("n", &1).unwrap() })
        .await;
    let parallel = client.clone();

    client
        .send(move |session| {
            let parallel = parallel.clone();
            async move {
                parallel
                    .request(|session| async move { session.insert("n", &2).unwrap() })
                    .await;
                stage(&session);
                session.commit().await.unwrap();
                session
                    .update("n", |n: Option<u32>| n.unwrap_or(0) + 10)
                    .unwrap();
            }
        })
        .await;

    let n = client.send(|session| async move { session.get("n").unwrap() });
    n.await.value()
}

async fn no_update_is_lost(store: impl Into<SharedStore>) {
    let store = store.into();
    for (what, stage) in COMMITS {
        assert_eq!(adds(&store, stage).await, Some(12), "{what}");
    }
}

#[tokio::test]
async fn an_update_after_any_commit_starts_from_the_newest_value_in_memory() {
    no_update_is_lost(MemoryStore::new()).await;
}

#[tokio::test]
async fn an_update_after_any_commit_starts_from_the_newest_value_in_redis() {
    let server = Server::start();

    no_update_is_lost(server.store(crate::common::http::store().1)).await;
}

/// A request commits over a write of another one, then stores another value.
async fn both_values_of_a_request(store: impl Into<SharedStore>) -> [Option<String>; 3] {
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
    let parallel = client.clone();

    client
        .send(move |session| {
            let mut parallel = parallel.clone();
            async move {
                parallel.insert("theirs", "x").await;
                session.insert("a", "1").unwrap();
                session.commit().await.unwrap();
                session.insert("b", "2").unwrap();
            }
        })
        .await;

    let values = client
        .send(|session| async move { ["a", "b", "theirs"].map(|key| session.get(key).unwrap()) });
    values.await.value()
}

#[tokio::test]
async fn a_second_commit_over_the_write_of_another_request_is_stored_in_memory() {
    let values = both_values_of_a_request(MemoryStore::new()).await;

    assert_eq!(values, ["1", "2", "x"].map(|value| Some(value.to_owned())));
}

#[tokio::test]
async fn a_second_commit_over_the_write_of_another_request_is_stored_in_redis() {
    let server = Server::start();

    let values = both_values_of_a_request(server.store(crate::common::http::store().1)).await;

    assert_eq!(values, ["1", "2", "x"].map(|value| Some(value.to_owned())));
}

/// The request of a guest resolves, another one fills the cart, the first rotates and signs in.
async fn cart_after_a_sign_in(store: impl Into<SharedStore>) -> Option<String> {
    let mut guest = Client::new(&SessionLayer::new(store));
    guest.insert("cart", "apple").await;
    let parallel = guest.clone();

    guest
        .send(move |session| {
            let mut parallel = parallel.clone();
            async move {
                parallel.insert("cart", "pear").await;
                session.rotate().unwrap();
                session.commit().await.unwrap();
                let login = Login::new(user("alice")).carry(["cart"]);
                session.log_in_with(login).unwrap();
            }
        })
        .await;

    guest.get("cart").await
}

#[tokio::test]
async fn a_sign_in_after_a_rotation_carries_the_newest_cart_over_in_memory() {
    let cart = cart_after_a_sign_in(MemoryStore::new()).await;

    assert_eq!(cart.as_deref(), Some("pear"));
}

#[tokio::test]
async fn a_sign_in_after_a_rotation_carries_the_newest_cart_over_in_redis() {
    let server = Server::start();

    let cart = cart_after_a_sign_in(server.store(crate::common::http::store().1)).await;

    assert_eq!(cart.as_deref(), Some("pear"));
}
