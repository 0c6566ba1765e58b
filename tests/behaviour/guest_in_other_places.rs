//! Guest sessions whose token is not in the guest cookie: of an earlier version, and bearer tokens.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::{Method, header};
use tower_user_sessions::{
    Login, MemoryStore, SessionLayer, TokenSource,
    store::{Arrival, Authenticated, Changes, Create, SessionStore, Tag, Token},
};

use crate::common::http::{Client, HOUR, store};

/// A guest session as an earlier version began it: its token is in the signed-in cookie.
async fn earlier(store: &MemoryStore, layer: &SessionLayer) -> Client {
    let token = Token::random(Tag::random().unwrap()).unwrap();
    let mut create = Create::new(&token, None, Authenticated::On(Arrival::now()));
    let mut changes = Changes::default();
    changes.set("cart", rmp_serde::to_vec("apple").unwrap());
    create.changes = changes;
    store.create(&create).await.unwrap();
    let mut client = Client::new(layer);
    client.cookie = Some(format!("__Host-session={}", token.encode()));
    client
}

// T63
#[tokio::test]
async fn a_guest_session_in_the_signed_in_cookie_goes_on_and_never_sets_or_removes_that_cookie() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).rotate_after(HOUR / 2);
    let mut client = earlier(&store, &layer).await;
    let before = client.cookie.clone();

    client.insert("note", "x").await;
    clock.advance(HOUR);
    client
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(client.get("note").await.as_deref(), Some("x"));
    let out = client
        .send(|session| async move { session.log_out().unwrap() })
        .await;

    assert!(out.sets_no_cookie());
    assert_eq!((client.cookie.clone(), &client.guest), (before, &None));
    assert_eq!(client.get("cart").await, None);
}

// T63
#[tokio::test]
async fn a_sign_in_ends_a_guest_session_in_the_signed_in_cookie_and_carries_what_it_names() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut client = earlier(&store, &layer).await;

    let answer = client.send(|session| async move {
        let login = Login::new("alice").carry(["cart"]);
        session.log_in_with(login).unwrap();
    });
    let answer = answer.await;

    assert_eq!(answer.set_cookies().len(), 1);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

// T63
#[tokio::test]
async fn with_a_bearer_token_first_a_guest_session_is_in_the_header_and_in_no_cookie() {
    let (store, _clock) = store();
    for source in [TokenSource::Bearer, TokenSource::BearerThenCookie] {
        let layer = SessionLayer::new(store.clone()).token_source(source);

        let answer = Client::new(&layer)
            .request(|session| async move { session.insert("cart", "apple").unwrap() })
            .await;

        assert!(answer.sets_no_cookie());
        assert_eq!(answer.header("x-session-token").map(str::len), Some(64));
    }
}

// T40 T63
#[tokio::test]
async fn a_dead_bearer_token_beside_a_guest_cookie_is_no_authentication_by_bearer_token() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).token_source(TokenSource::CookieThenBearer);
    let mut client = Client::new(&layer);
    client.insert("cart", "apple").await;
    let bearer = format!("Bearer {}", "A".repeat(64)).parse().unwrap();
    client.headers.insert(header::AUTHORIZATION, bearer);
    client.method = Method::POST;
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));

    let answer = client
        .send(|session| async move { session.log_in("alice").unwrap() })
        .await;

    // The way in which the request sent the token of a user.
    assert_eq!(answer.header("x-session-token").map(str::len), Some(64));
    assert!(
        answer.removes_cookie() && answer.set_cookies()[0].starts_with("__Host-session-guest=")
    );
}
