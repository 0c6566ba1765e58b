//! `Session` as an axum extractor, and its error where there is no session.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_user_sessions::{
    MissingSession, Rejection, Session, SessionLayer, User,
    store::{StoreError, StoreErrorKind},
};

use crate::common::http::{Client, store};

async fn me(session: Session) -> String {
    session
        .user_id()
        .map_or_else(|| "guest".to_owned(), |user| user.to_string())
}

async fn maybe(session: Result<Session, MissingSession>) -> String {
    format!("{:?}", session.map(drop))
}

fn app() -> Router {
    Router::new()
        .route("/", get(me))
        .route("/maybe", get(maybe))
        .route("/from", get(from))
        .route("/greeting", get(greeting))
}

async fn from(session: Session) -> String {
    format!("{:?}", session.address())
}

async fn greeting(user: User) -> String {
    format!("hello, {user}")
}

async fn ask(app: &Router, request: Request<()>) -> (StatusCode, String) {
    let answer = app
        .clone()
        .oneshot(request.map(|()| Body::empty()))
        .await
        .unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap())
}

fn to(path: &str) -> Request<()> {
    Request::get(path).body(()).unwrap()
}

#[tokio::test]
async fn a_handler_takes_the_session_of_its_request() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let alice = Client::signed_in(&layer, "alice").await;
    let app = app().layer(layer);

    let guest = ask(&app, to("/")).await;
    let user = ask(&app, alice.head("/")).await;

    assert_eq!(guest, (StatusCode::OK, "guest".to_owned()));
    assert_eq!(user, (StatusCode::OK, "alice".to_owned()));
}

#[tokio::test]
async fn a_missing_layer_and_a_skipped_request_give_different_reasons() {
    let (store, _clock) = store();
    let passing = app().layer(SessionLayer::new(store).resolve_if(|_| false));

    for _ in 0..2 {
        let (_, without) = ask(&app(), to("/maybe")).await;
        let (_, passed) = ask(&passing, to("/maybe")).await;

        assert_eq!(without, "Err(NoLayer)");
        assert_eq!(passed, "Err(NotResolved)");
    }
}

#[tokio::test]
async fn without_a_session_it_is_500_and_the_body_says_what_to_change_in_debug_builds() {
    let (store, _clock) = store();
    let passing = app().layer(SessionLayer::new(store).resolve_if(|_| false));

    for (app, advice) in [(app(), "no `SessionLayer`"), (passing, "`resolve_if`")] {
        let (status, body) = ask(&app, to("/")).await;

        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        assert!(body.contains(r#""reason":"no_session""#), "{body}");
        assert_eq!(body.contains(advice), cfg!(debug_assertions), "{body}");
    }
}

#[tokio::test]
async fn a_handler_knows_the_address_that_the_app_passes_on() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut alice = Client::signed_in(&layer, "alice").await;
    let app = app().layer(layer);

    let (_, unknown) = ask(&app, alice.head("/from")).await;
    alice.peer = Some("198.51.100.7".parse().unwrap());
    let (_, known) = ask(&app, alice.head("/from")).await;
    let (_, greeting) = ask(&app, alice.head("/greeting")).await;

    assert_eq!(unknown, "None");
    assert_eq!(known, "Some(198.51.100.7)");
    assert_eq!(greeting, "hello, alice");
}

/// As from a call of `Everyone`.
#[tokio::test]
async fn an_error_of_the_store_is_a_rejection_in_a_handler() {
    async fn end_everyone() -> Result<(), Rejection> {
        Err(StoreError::new(StoreErrorKind::Timeout))?
    }
    let app = Router::new().route("/", get(end_everyone));

    let (status, body) = ask(&app, to("/")).await;

    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""reason":"unavailable""#), "{body}");
}
