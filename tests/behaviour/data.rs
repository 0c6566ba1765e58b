//! The app's data: merged key by key, never lost by an update, never over its limit.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    error::Error,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::StatusCode;
use serde::{Deserialize, Deserializer, de};
use tower_user_sessions::{MemoryStore, Session, SessionErrorKind, SessionLayer};

use crate::common::{
    faulty::{Fault, FaultyStore, Method, until_asked},
    http::{Client, store, user},
};

fn world() -> (SessionLayer, MemoryStore) {
    let (store, _clock) = store();
    (SessionLayer::new(store.clone()), store)
}

#[tokio::test]
async fn a_staged_value_is_visible_at_once_and_stored_with_the_response_head() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let parallel = client.clone();

    let seen = client.send(move |session| {
        let mut parallel = parallel.clone();
        async move {
            session.insert("cart", "apple").unwrap();
            let elsewhere = parallel.get("cart").await;
            (session.get::<String>("cart").unwrap(), elsewhere)
        }
    });

    assert_eq!(seen.await.value(), (Some("apple".to_owned()), None));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

#[tokio::test]
async fn removing_a_key_keeps_the_other_keys() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("cart", "apple").await;
    client.insert("note", "x").await;

    let seen = client.send(|session| async move {
        session.remove("cart").unwrap();
        session.get::<String>("cart").unwrap()
    });

    assert_eq!(seen.await.value(), None);
    assert_eq!(client.get("cart").await, None);
    assert_eq!(client.get("note").await.as_deref(), Some("x"));
}

#[tokio::test]
async fn removing_a_missing_key_costs_no_store_call() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let client = Client::new(&SessionLayer::new(faulty.clone()));

    let answer = client
        .request(|session| async move { session.remove("cart").unwrap() })
        .await;

    assert!(answer.sets_no_cookie());
    assert_eq!(faulty.all_calls(), 0);
}

#[tokio::test]
async fn two_requests_that_change_different_keys_are_both_stored_without_a_retry() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let mut client = Client::signed_in(&SessionLayer::new(faulty.clone()), "alice").await;

    client
        .at_once(
            |session| session.insert("a", "1").unwrap(),
            |session| session.insert("b", "2").unwrap(),
        )
        .await;

    assert_eq!(faulty.calls(Method::Save), 2);
    assert_eq!(client.get("a").await.as_deref(), Some("1"));
    assert_eq!(client.get("b").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn when_two_requests_change_the_same_key_the_later_commit_wins() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    client
        .at_once(
            |session| session.insert("a", "later").unwrap(),
            |session| session.insert("a", "earlier").unwrap(),
        )
        .await;

    assert_eq!(client.get("a").await.as_deref(), Some("later"));
}

#[tokio::test]
async fn an_update_runs_again_on_the_newest_value() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("log", "0").await;

    client
        .at_once(
            |session| {
                session
                    .update("log", |log: Option<String>| log.unwrap() + "a")
                    .unwrap();
            },
            |session| {
                session
                    .update("log", |log: Option<String>| log.unwrap() + "b")
                    .unwrap();
            },
        )
        .await;

    assert_eq!(client.get("log").await.as_deref(), Some("0ba"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_updates_at_once_none_is_lost() {
    let (layer, _store) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let requests: Vec<_> = (0..12)
        .map(|_| {
            tokio::spawn(client.request(|session| async move {
                tokio::task::yield_now().await;
                session
                    .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                    .unwrap();
            }))
        })
        .collect();
    for request in requests {
        assert_eq!(request.await.unwrap().status, StatusCode::OK);
    }

    let n = client.request(|session| async move { session.get::<u32>("n").unwrap() });
    assert_eq!(n.await.value(), Some(12));
}

#[tokio::test]
async fn an_update_after_a_commit_starts_from_the_newest_value_of_other_requests() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("log", "0").await;
    let parallel = client.clone();

    client
        .send(move |session: Session| {
            let mut parallel = parallel.clone();
            async move {
                parallel.insert("log", "1").await;
                session.insert("other", "x").unwrap();
                session.commit().await.unwrap();
                session
                    .update("log", |log: Option<String>| log.unwrap() + "a")
                    .unwrap();
            }
        })
        .await;

    assert_eq!(client.get("log").await.as_deref(), Some("1a"));
}

#[tokio::test]
async fn an_update_that_is_staged_while_another_one_is_committed_runs_again_on_the_newest_value() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let mut client = Client::signed_in(&SessionLayer::new(faulty.clone()), "alice").await;
    client.insert("log", "0").await;
    let parallel = client.clone();

    let answer = client.send(move |session: Session| {
        let (mut parallel, faulty) = (parallel.clone(), faulty.clone());
        async move {
            session
                .update("other", |n: Option<u32>| n.unwrap_or_default() + 1)
                .unwrap();
            let saves = faulty.calls(Method::Save) + 1;
            faulty.next(Method::Save, Fault::Hang);
            let mut commit = pin!(session.commit());
            until_asked(&faulty, Method::Save, saves, commit.as_mut()).await;
            parallel.insert("log", "1").await;
            session
                .update("log", |log: Option<String>| log.unwrap() + "a")
                .unwrap();
            faulty.release();
            commit.await.unwrap();
        }
    });
    answer.await;

    assert_eq!(client.get("log").await.as_deref(), Some("1a"));
}

#[tokio::test]
async fn an_update_that_keeps_losing_gives_up_with_503() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    faulty.always([Method::Save], Fault::Overtake);
    let mut client = Client::signed_in(&SessionLayer::new(faulty.clone()), "alice").await;
    let runs = Arc::new(AtomicUsize::new(0));

    let counted = Arc::clone(&runs);
    let answer = client.send(move |session| {
        let counted = Arc::clone(&counted);
        async move {
            let update = session.update("n", move |n: Option<u32>| {
                counted.fetch_add(1, Ordering::SeqCst);
                n.unwrap_or(0) + 1
            });
            update.unwrap();
        }
    });

    assert_eq!(answer.await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(runs.load(Ordering::SeqCst) < 100);
}

#[tokio::test]
async fn reading_a_value_as_another_type_is_an_error_and_does_not_change_it() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("cart", "apple").await;

    let answer = client.send(|session: Session| async move {
        let read = session.get::<u32>("cart").unwrap_err().kind();
        let updated = session
            .update("cart", |n: Option<u32>| n.unwrap_or(0))
            .unwrap_err()
            .kind();
        (read, updated)
    });

    let decode = SessionErrorKind::Decode;
    assert_eq!(answer.await.value(), (decode, decode));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

#[tokio::test]
async fn an_error_of_reading_names_the_key_and_the_wanted_type_and_no_value() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("cart", "secret, expected secret").await;

    let texts = client.send(|session: Session| async move {
        let number = session.get::<u32>("cart").unwrap_err();
        let time = session.get::<std::time::Duration>("cart").unwrap_err();
        let address = session.get::<std::net::IpAddr>("cart").unwrap_err();
        let updated = session.update("cart", |n: Option<bool>| n.unwrap_or_default());
        session.insert("pin", &77).unwrap();
        let pin = session
            .get::<String>("pin")
            .unwrap_err()
            .source()
            .unwrap()
            .to_string();
        assert!(!pin.is_empty() && !pin.contains("77"), "{pin}");
        [number, time, address, updated.unwrap_err()]
            .map(|error| (error.to_string(), error.source().unwrap().to_string()))
    });

    let wanted = [
        "u32",
        "core::time::Duration",
        "core::net::ip_addr::IpAddr",
        "bool",
    ];
    for ((text, cause), wanted) in texts.await.value().into_iter().zip(wanted) {
        assert!(
            text.contains("\"cart\"") && text.contains(&format!("`{wanted}`")),
            "{text}"
        );
        assert!(
            !text.contains("secret") && !cause.contains("secret"),
            "{cause}"
        );
        assert!(!cause.is_empty());
    }
}

/// A type of an app whose error quotes what it read.
#[derive(Debug)]
struct Quoting;

impl<'de> Deserialize<'de> for Quoting {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        Err(de::Error::custom(format!("it is {text}")))
    }
}

#[tokio::test]
async fn the_cause_says_what_was_expected_unless_a_type_of_the_app_words_it() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("cart", "secret, expected secret").await;

    let causes = client.send(|session| async move {
        let time = session.get::<std::time::Duration>("cart").unwrap_err();
        let quoting = session.get::<Quoting>("cart").unwrap_err();
        [time, quoting].map(|error| error.source().unwrap().to_string())
    });

    let [time, quoting] = causes.await.value();
    assert!(
        time.starts_with("expected ") && !time.contains("secret"),
        "{time}"
    );
    assert_eq!(quoting, "the type does not accept it");
}

#[tokio::test]
async fn an_update_that_fails_on_the_newest_value_is_not_stored() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let status = client.at_once(
        |session| {
            session
                .update("n", |n: Option<u32>| n.unwrap_or(0) + 1)
                .unwrap();
        },
        |session| session.insert("n", "text").unwrap(),
    );

    assert_eq!(status.await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(client.get("n").await.as_deref(), Some("text"));
}

#[tokio::test]
async fn an_update_computed_before_signing_in_again_is_not_lost() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("log", "0").await;

    client
        .at_once(
            |session| {
                session
                    .update("log", |log: Option<String>| log.unwrap() + "a")
                    .unwrap();
                session.log_in(user("alice")).unwrap();
            },
            |session| {
                session
                    .update("log", |log: Option<String>| log.unwrap() + "b")
                    .unwrap();
            },
        )
        .await;

    assert_eq!(client.get("log").await.as_deref(), Some("0ba"));
}

#[tokio::test]
async fn changes_made_by_the_closure_of_an_update_are_not_lost() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let answer = client.send(|session: Session| async move {
        let (inner, mut first) = (session.clone(), true);
        let update = move |n: Option<u32>| {
            if std::mem::take(&mut first) {
                inner.insert("n", &40).unwrap();
            }
            n.unwrap_or(0) + 2
        };
        session.update("n", update).unwrap();
        session.get::<u32>("n").unwrap()
    });

    assert_eq!(answer.await.value(), Some(42));
}
