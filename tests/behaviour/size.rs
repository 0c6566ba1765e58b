//! Data that cannot be stored: too large, or of a type that cannot be serialized.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use serde::{Serialize, Serializer, ser::Error as _};
use tower_user_sessions::{
    CommitError, Lifetime, Login, MemoryStore, Problem, Session, SessionErrorKind, SessionLayer,
};

use crate::common::http::{Client, HOUR, store};

const MUCH: &str = "a text of many words that takes a lot of room, and more than half of all";

fn world() -> (SessionLayer, MemoryStore) {
    let (store, _clock) = store();
    (SessionLayer::new(store.clone()), store)
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
async fn data_over_a_lowered_limit_may_shrink_and_its_user_may_sign_in_again() {
    let (layer, _store) = world();
    let before = layer.clone().data_limit(1_000);
    let mut client = Client::signed_in(&before, "alice").await;
    client
        .insert("a", "a text of many words that takes a lot of room")
        .await;
    client.insert("b", "another text of many words").await;
    let mut client = client.before(&layer.data_limit(10));

    let answer = client.send(|session: Session| async move {
        let more = session.insert("c", "").unwrap_err().kind();
        session.insert("b", "a shorter one").unwrap();
        session.remove("a").unwrap();
        session.commit().await.unwrap();
        session.shorten(Lifetime::new(HOUR, HOUR)).unwrap();
        session.commit().await.unwrap();
        more
    });

    assert_eq!(answer.await.value(), SessionErrorKind::TooLarge);
    client.log_in("alice").await;
    assert_eq!(client.get("b").await.as_deref(), Some("a shorter one"));
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
async fn data_that_parallel_requests_together_put_over_the_limit_is_not_stored() {
    let (layer, _store) = world();
    let layer = layer.data_limit(100);
    let mut client = Client::signed_in(&layer, "alice").await;

    let status = client.at_once(
        |session| session.insert("a", &"x".repeat(60)).unwrap(),
        |session| session.insert("b", &"x".repeat(60)).unwrap(),
    );

    assert_eq!(status.await, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(client.get("a").await, None);
    assert_eq!(client.get("b").await.unwrap().len(), 60);
}

#[tokio::test]
async fn commit_reports_that_the_data_together_is_too_large() {
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
async fn a_value_or_key_that_cannot_be_stored_is_an_error_and_stages_nothing() {
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
    assert_eq!(store.sets(), 0);
}

#[tokio::test]
async fn data_that_is_too_large_answers_with_its_own_problem() {
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
    let body = str::from_utf8(&body).unwrap();
    // In debug builds a detail follows.
    let start =
        r#"{"type":"about:blank","title":"Session not stored","status":413,"reason":"not_stored""#;
    assert!(body.starts_with(start), "{body}");
}

#[tokio::test]
async fn a_guest_keeps_no_more_than_a_sign_in_can_carry_over() {
    let (layer, _store) = world();
    let mut client = Client::new(&layer.data_limit(100));

    let over = client.send(|session: Session| async move {
        let over = session.insert("a", &"x".repeat(92)).unwrap_err().kind();
        session.insert("a", &"x".repeat(91)).unwrap();
        over
    });
    assert_eq!(over.await.value(), SessionErrorKind::TooLarge);
    let signed_in = client.send(|session: Session| async move {
        let login = Login::new("alice").carry(["a"]);
        session.log_in_with(login).unwrap();
    });

    assert_eq!(signed_in.await.status, StatusCode::OK);
    assert_eq!(client.get("a").await.unwrap().len(), 91);
}

/// Signs in and carries what a guest kept.
async fn carries_its_cart(client: &mut Client) -> Result<(), CommitError> {
    let answer = client.send(|session: Session| async move {
        let login = Login::new("alice").carry(["cart"]);
        session.log_in_with(login).unwrap();
        session.commit().await.map(drop)
    });
    answer.await.value()
}

#[tokio::test]
async fn a_guest_with_more_data_than_a_lowered_limit_may_sign_in_and_carry_it() {
    let (layer, _store) = world();
    let mut client = Client::new(&layer);
    client
        .insert("cart", "a text of many words that takes a lot of room")
        .await;
    let mut client = client.before(&layer.data_limit(20));

    let done = carries_its_cart(&mut client).await;

    assert!(done.is_ok(), "{done:?}");
}

#[tokio::test]
async fn a_user_with_much_data_may_sign_in_again_and_carry_what_a_guest_kept() {
    let (layer, _store) = world();
    let layer = layer.data_limit(100);
    let mut guest = Client::new(&layer);
    guest.insert("cart", "a text of many words").await;
    let mut client = Client::signed_in(&layer, "alice").await;
    client.insert("a", MUCH).await;
    client.guest = guest.guest;

    let done = carries_its_cart(&mut client).await;

    assert!(done.is_ok(), "{done:?}");
    assert_eq!(client.get("a").await.unwrap(), MUCH);
    assert_eq!(client.get("cart").await.unwrap(), "a text of many words");
    let more = client.send(|session: Session| async move { session.insert("b", "") });
    let more = more.await.value().unwrap_err().kind();
    assert_eq!(more, SessionErrorKind::TooLarge);
}
