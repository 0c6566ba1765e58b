//! Requests with more tokens than one, in cookies and as `Authorization: Bearer`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::{HeaderValue, Method, StatusCode, header};
use tower::{Layer, ServiceExt};
use tower_user_sessions::{
    DeviceApi, MemoryStore, SessionLayer, TokenSource, UserSessions,
    store::{Tag, Token},
};

use crate::common::{
    http::{Client, HOUR, store, user},
    log::Log,
};

const BOTH: [TokenSource; 2] = [TokenSource::BearerThenCookie, TokenSource::CookieThenBearer];

fn never_issued() -> String {
    Token::random(Tag::random().unwrap()).unwrap().encode()
}

fn add_bearer(client: &mut Client, token: &str) {
    let line = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    client.headers.insert(header::AUTHORIZATION, line);
}

/// A browser with a guest session that also sends a bearer token which was never issued.
async fn guest_with_a_bearer(store: &MemoryStore) -> Client {
    let source = TokenSource::CookieThenBearer;
    let mut guest = Client::new(&SessionLayer::new(store.clone()).token_source(source));
    guest.insert("cart", "apple").await;
    add_bearer(&mut guest, &never_issued());
    guest
}

// T10
#[tokio::test]
async fn a_bearer_token_beside_two_cookies_that_differ_is_not_used() {
    let (store, _clock) = store();
    let alice = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    for source in BOTH {
        let layer = SessionLayer::new(store.clone()).token_source(source);
        let [one, other] = [never_issued(), never_issued()];
        let cookies = format!("__Host-session={one}; __Host-session={other}");
        let mut client = Client::with_cookies(&layer, [cookies.as_bytes()]);
        add_bearer(&mut client, &alice.token());

        let answer = client
            .send(|session| async move { session.user_id() })
            .await;

        assert!(answer.sets_no_cookie(), "{source:?}");
        assert_eq!(answer.value(), None, "{source:?}");
    }
}

// T58
#[tokio::test]
async fn two_live_tokens_in_one_request_are_activity_of_neither_session() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).token_source(TokenSource::CookieThenBearer);
    let bob = Client::signed_in(&layer, "bob").await;
    let mut browser = Client::signed_in(&layer, "alice").await;
    add_bearer(&mut browser, &bob.token());
    let began = clock.now();
    clock.advance(HOUR);

    assert_eq!(browser.user().await, None);

    for id in ["alice", "bob"] {
        let live = UserSessions::new(store.clone(), user(id)).list().await;
        assert_eq!(live.unwrap()[0].last_activity(), began, "{id}");
    }
}

// T63
#[tokio::test]
async fn the_new_token_of_a_guest_that_came_by_cookie_goes_into_the_cookie() {
    let (store, _clock) = store();
    let mut guest = guest_with_a_bearer(&store).await;
    let before = guest.token();

    let answer = guest
        .send(|session| async move { session.rotate().unwrap() })
        .await;

    assert_eq!(answer.header("x-session-token"), None);
    assert_ne!(guest.token(), before);
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
}

// T40
#[tokio::test]
async fn a_bearer_token_beside_the_guest_cookie_spares_nobody_the_check_of_the_origin() {
    let (store, _clock) = store();
    let mut guest = guest_with_a_bearer(&store).await;
    guest.method = Method::POST;
    let cross_site = HeaderValue::from_static("cross-site");
    guest.headers.insert("sec-fetch-site", cross_site);
    let source = TokenSource::CookieThenBearer;
    let layer = SessionLayer::new(store).token_source(source);

    let api = layer.layer(DeviceApi::at("/sessions"));
    let answer = api.oneshot(guest.head("/sessions/logout-others")).await;

    assert_eq!(answer.unwrap().status(), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_cookie_beside_a_foreign_bearer_token_is_not_used_and_not_called_two_cookies() {
    let log = Log::start();
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).token_source(TokenSource::CookieThenBearer);
    let mut alice = Client::signed_in(&layer, "alice").await;
    let foreign = HeaderValue::from_static("Bearer eyJhbGciOiJIUzI1NiJ9.e30.c2lnbmF0dXJl");
    alice.headers.insert("authorization", foreign);

    assert_eq!(alice.user().await, None);

    assert_eq!(log.at("WARN"), [""; 0]);
    assert!(log.text().contains("beside a bearer token of another kind"));
    alice.headers.remove("authorization");
    assert_eq!(alice.user().await.as_deref(), Some("alice"));
}
