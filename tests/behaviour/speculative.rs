//! A page that a browser loads ahead is no activity of its user, and begins no guest session.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method};
use tower_user_sessions::{CommitError, Rejection, SessionLayer};

use crate::common::{
    faulty::{FaultyStore, Method as Asked},
    http::{Client, store},
};

const HEADERS: [(&str, &str); 8] = [
    ("sec-purpose", "prefetch"),
    ("sec-purpose", "prefetch;prerender"),
    ("sec-purpose", "prefetch;anonymous-client-ip"),
    ("sec-purpose", "prerender"),
    ("purpose", "prefetch"),
    ("purpose", "Prefetch"),
    ("x-moz", "prefetch"),
    ("x-purpose", "preview"),
];

fn header(client: &mut Client, name: &'static str, value: &'static str) {
    let name = HeaderName::from_static(name);
    client.headers.insert(name, HeaderValue::from_static(value));
}

// T64
#[tokio::test]
async fn a_speculative_request_does_not_count_as_activity() {
    for (name, value) in HEADERS {
        let (store, clock) = store();
        let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
        let idle_ends = |client: Client| async move {
            let asked = client.request(|session| async move {
                assert_eq!(session.user_id().unwrap().as_str(), "alice");
                session.idle_expires_at().unwrap()
            });
            asked.await.value()
        };
        let plain = client.clone();
        let before = idle_ends(plain.clone()).await;
        clock.advance(Duration::from_secs(60));
        header(&mut client, name, value);

        let speculative = idle_ends(client).await;

        assert_eq!(speculative, before, "{name}: {value}");
        assert!(idle_ends(plain).await > before);
    }
}

// T64
#[tokio::test]
async fn a_speculative_request_begins_no_guest_session_and_its_response_is_sent() {
    for (name, value) in HEADERS {
        let (store, _clock) = store();
        let faulty = FaultyStore::new(&store);
        let mut client = Client::new(&SessionLayer::new(faulty.clone()));
        header(&mut client, name, value);

        let answer = client
            .request(|session| async move {
                session.insert("cart", "apple").unwrap();
                (session.is_speculative(), session.get("cart").unwrap())
            })
            .await;

        assert!(answer.sets_no_cookie(), "{name}: {value}");
        assert_eq!((answer.status.as_u16(), faulty.all_calls()), (200, 0));
        assert_eq!(answer.value(), (true, Some("apple".to_owned())));
    }
}

#[tokio::test]
async fn other_purposes_and_unsafe_methods_begin_a_guest_session() {
    for (name, value, method) in [
        ("sec-purpose", "fallback", Method::GET),
        ("purpose", "preview", Method::GET),
        ("x-moz", "livebookmarks", Method::GET),
        ("x-purpose", "instant", Method::GET),
        ("sec-purpose", "prefetch", Method::POST),
    ] {
        let (store, _clock) = store();
        let mut client = Client::new(&SessionLayer::new(store));
        header(&mut client, name, value);
        client.method = method;

        client.insert("cart", "apple").await;

        assert!(client.guest.is_some(), "{name}: {value}");
    }
}

#[tokio::test]
async fn a_commit_that_would_begin_a_guest_session_ahead_says_so_and_is_503() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    header(&mut client, "sec-purpose", "prefetch");

    let answer = client.request(|session| async move {
        session.insert("form", "shown").unwrap();
        let error = session.commit().await.unwrap_err();
        // Nothing is left to store.
        session.commit().await.unwrap();
        error
    });

    let error = answer.await.value();
    assert!(matches!(error, CommitError::Speculative), "{error}");
    assert_eq!(Rejection::from(error).status(), 503);
}

#[tokio::test]
async fn a_speculative_request_saves_the_data_of_a_session_that_is_stored() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let mut user = Client::signed_in(&layer, "alice").await;

    for client in [&mut guest, &mut user] {
        header(client, "sec-purpose", "prefetch");
        client.insert("seen", "yes").await;

        assert_eq!(client.get("seen").await.as_deref(), Some("yes"));
    }
}

// T64
#[tokio::test]
async fn two_hundred_speculative_page_views_that_keep_something_leave_no_key() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let mut client = Client::new(&SessionLayer::new(faulty.clone()));
    header(&mut client, "sec-purpose", "prefetch");

    for _ in 0..200 {
        client.insert("form", "shown").await;
    }

    assert_eq!(faulty.calls(Asked::Create), 0);
    assert_eq!(store.sets(), 0);
}
