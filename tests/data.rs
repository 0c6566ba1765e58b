//! The app's data: merged key by key, never lost by an update, never over its limit.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::StatusCode;
use serde::{Serialize, Serializer, ser::Error as _};
use tower_user_sessions::{
    CommitError, MemoryStore, Problem, Session, SessionErrorKind, SessionLayer,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method},
    http::{Client, store, user},
};

fn world() -> (SessionLayer, MemoryStore) {
    let (store, _clock) = store();
    (SessionLayer::new(store.clone()), store)
}

#[tokio::test]
async fn what_is_staged_is_seen_at_once_and_stored_with_the_head() {
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
async fn a_removed_key_is_gone_and_others_stay() {
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
async fn removing_what_is_not_there_costs_nothing() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let client = Client::new(&SessionLayer::new(faulty.clone()));

    let answer = client
        .request(|session| async move { session.remove("cart").unwrap() })
        .await;

    assert!(answer.sets_no_cookie());
    assert_eq!(faulty.all_calls(), 0);
}

/// Runs `first` in a request, and `second` in another one while the first is in flight.
async fn at_once(client: &mut Client, first: fn(&Session), second: fn(&Session)) -> StatusCode {
    let parallel = client.clone();
    let answer = client.send(move |session| {
        let parallel = parallel.clone();
        async move {
            first(&session);
            parallel
                .request(move |session| async move { second(&session) })
                .await;
        }
    });
    answer.await.status
}

#[tokio::test]
async fn two_requests_that_change_different_keys_both_count_without_a_retry() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let mut client = Client::signed_in(&SessionLayer::new(faulty.clone()), "alice").await;

    at_once(
        &mut client,
        |session| session.insert("a", "1").unwrap(),
        |session| session.insert("b", "2").unwrap(),
    )
    .await;

    assert_eq!(faulty.calls(Method::Save), 2);
    assert_eq!(client.get("a").await.as_deref(), Some("1"));
    assert_eq!(client.get("b").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn of_two_requests_that_change_the_same_key_the_later_commit_wins() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    at_once(
        &mut client,
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

    at_once(
        &mut client,
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
async fn no_update_of_many_at_once_is_lost() {
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
async fn an_update_after_a_commit_over_which_others_wrote_starts_from_the_newest_value() {
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
async fn an_insert_over_the_limit_is_an_error_and_stages_nothing() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer.data_limit(100), "alice").await;

    let answer = client.send(|session: Session| async move {
        // 6 bytes of lengths, 1 of the key, and MessagePack's 2 before 91 bytes of text.
        session.insert("a", &"x".repeat(91)).unwrap();
        let over = session.insert("a", &"x".repeat(92)).unwrap_err().kind();
        let more = session.insert("b", "").unwrap_err().kind();
        (
            over,
            more,
            session.get::<String>("a").unwrap().unwrap().len(),
        )
    });

    let too_large = SessionErrorKind::TooLarge;
    assert_eq!(answer.await.value(), (too_large, too_large, 91));
    assert_eq!(client.get("a").await.unwrap().len(), 91);
}

#[tokio::test]
async fn the_default_limit_is_64_kib() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    // 6 bytes of lengths, 1 of the key, 3 of MessagePack.
    let answer = client.send(|session| async move {
        let over = session
            .insert("a", &"x".repeat(64 * 1024 - 9))
            .unwrap_err()
            .kind();
        session.insert("a", &"x".repeat(64 * 1024 - 10)).unwrap();
        over
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.value(), SessionErrorKind::TooLarge);
}

#[tokio::test]
async fn what_parallel_requests_together_put_over_the_limit_is_not_stored() {
    let (layer, _store) = world();
    let layer = layer.data_limit(100);
    let mut client = Client::signed_in(&layer, "alice").await;

    let status = at_once(
        &mut client,
        |session| session.insert("a", &"x".repeat(60)).unwrap(),
        |session| session.insert("b", &"x".repeat(60)).unwrap(),
    );

    assert_eq!(status.await, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(client.get("a").await, None);
    assert_eq!(client.get("b").await.unwrap().len(), 60);
}

#[tokio::test]
async fn commit_says_that_the_data_together_is_too_large() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer.data_limit(100), "alice").await;
    let parallel = client.clone();

    let answer = client.send(move |session| {
        let parallel = parallel.clone();
        async move {
            session.insert("a", &"x".repeat(60)).unwrap();
            parallel
                .request(|session| async move { session.insert("b", &"x".repeat(60)).unwrap() })
                .await;
            session.commit().await
        }
    });
    let answer = answer.await;

    assert_eq!(answer.status, StatusCode::OK);
    assert!(matches!(answer.value(), Err(CommitError::TooLarge)));
}

struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        Err(S::Error::custom("not today"))
    }
}

#[tokio::test]
async fn what_cannot_be_written_or_read_is_an_error_and_stages_nothing() {
    let (layer, store) = world();
    let mut client = Client::new(&layer);

    let answer = client.send(|session| async move {
        let unwritable = session.insert("a", &Unwritable).unwrap_err().kind();
        let long = session.insert(&"k".repeat(256), "x").unwrap_err().kind();
        (unwritable, long)
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    assert_eq!(
        answer.value(),
        (SessionErrorKind::Encode, SessionErrorKind::KeyTooLong)
    );
    assert_eq!(store.corners(), 0);
}

#[tokio::test]
async fn a_value_of_another_type_is_an_error_and_stays_as_it_is() {
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
async fn an_update_that_fails_on_the_newest_value_is_not_stored() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let status = at_once(
        &mut client,
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

    at_once(
        &mut client,
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
async fn what_cannot_be_stored_is_a_problem_of_its_own() {
    let (layer, _store) = world();
    let client = Client::signed_in(&layer.clone().data_limit(100), "alice").await;
    let parallel = client.clone();
    let service = tower::service_fn(move |request: http::Request<()>| {
        let (session, parallel) = (
            request.extensions().get::<Session>().unwrap().clone(),
            parallel.clone(),
        );
        async move {
            session.insert("a", &"x".repeat(60)).unwrap();
            parallel
                .request(|session| async move { session.insert("b", &"x".repeat(60)).unwrap() })
                .await;
            Ok::<_, std::convert::Infallible>(http::Response::new(bytes::Bytes::new()))
        }
    });
    let layer = layer.data_limit(100).reply(Problem);

    let sent = tower::ServiceExt::oneshot(tower::Layer::layer(&layer, service), client.head("/"));

    let body = sent.await.unwrap().into_body();
    insta::assert_snapshot!(str::from_utf8(&body).unwrap(), @r#"{"type":"about:blank","title":"Session not stored","status":500,"reason":"not_stored"}"#);
}
