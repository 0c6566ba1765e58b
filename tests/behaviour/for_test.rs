//! The feature `test`: sessions without a sign-in, for tests of an app.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use axum::{
    Router,
    body::Body,
    http::{Request, StatusCode, header},
    routing::{get, post},
};
use tower::ServiceExt;
use tower_user_sessions::{
    Session, SessionError, User,
    test::{self, SignedIn},
};

async fn me(session: Session) -> String {
    match session.user_id() {
        Some(user) => user.to_string(),
        None => "a guest".to_owned(),
    }
}

async fn add(session: Session) {
    session
        .update("visits", |visits: Option<u32>| visits.unwrap_or(0) + 1)
        .unwrap();
}

async fn strict(user: User) -> String {
    user.id().to_string()
}

fn app(signed_in: &SignedIn) -> Router {
    Router::new()
        .route("/me", get(me))
        .route("/add", post(add))
        .route("/strict", get(strict))
        .route(
            "/out",
            post(async |session: Session| session.log_out().unwrap()),
        )
        .route(
            "/bob",
            post(async |session: Session| session.log_in("bob").unwrap()),
        )
        .route(
            "/rotate",
            post(async |session: Session| session.rotate().unwrap()),
        )
        .layer(signed_in.clone())
}

async fn ask(app: &Router, method: &str, path: &str) -> (StatusCode, String) {
    let request = Request::builder().method(method).uri(path);
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap());
    let (head, body) = response.await.unwrap().into_parts();
    let body = axum::body::to_bytes(body, 1_000).await.unwrap();
    (head.status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test]
async fn a_handler_is_called_with_a_session_that_is_signed_in_and_commits() {
    let session = Session::for_test("alice");

    add(session.clone()).await;
    session.commit().await.unwrap();

    assert_eq!(session.get::<u32>("visits").unwrap(), Some(1));
    assert_eq!(me(session.clone()).await, "alice");
    let listed = session.user_sessions().unwrap().list().await.unwrap();
    assert_eq!(listed[0].id(), session.id().unwrap());
    assert!(listed[0].is_current());
}

#[tokio::test]
async fn a_handler_is_called_with_a_guest_session_and_signs_in() {
    let session = Session::for_test_guest();
    assert_eq!((session.user_id(), session.id()), (None, None));

    session.insert("theme", "dark").unwrap();
    session.log_in("alice").unwrap();
    session.commit().await.unwrap();

    assert_eq!(me(session.clone()).await, "alice");
    assert_eq!(session.user_sessions().unwrap().count().await.unwrap(), 1);
    assert_eq!(session.get::<String>("theme").unwrap().unwrap(), "dark");
}

#[tokio::test]
async fn two_sessions_for_tests_share_nothing() -> Result<(), SessionError> {
    let (one, other) = (Session::for_test("alice"), Session::for_test("alice"));

    one.insert("cart", "apple")?;
    one.commit().await.unwrap();

    assert_ne!(one.id(), other.id());
    assert_eq!(other.user_sessions().unwrap().count().await.unwrap(), 1);
    Ok(())
}

#[tokio::test]
async fn every_request_is_signed_in_and_data_is_there_in_the_next() {
    let alice = test::signed_in_as("alice");
    let app = app(&alice);

    assert_eq!(ask(&app, "GET", "/strict").await.1, "alice");
    for _ in 0..3 {
        assert_eq!(ask(&app, "POST", "/add").await.0, StatusCode::OK);
    }

    assert_eq!(alice.session().get::<u32>("visits").unwrap(), Some(3));
    assert_eq!(alice.session().user_id().unwrap().as_str(), "alice");
}

#[tokio::test]
async fn later_requests_follow_a_sign_out_another_sign_in_and_a_new_token() {
    let alice = test::signed_in_as("alice");
    let app = app(&alice);

    assert_eq!(ask(&app, "POST", "/rotate").await.0, StatusCode::OK);
    assert_eq!(ask(&app, "GET", "/me").await.1, "alice");
    assert_eq!(ask(&app, "POST", "/bob").await.0, StatusCode::OK);
    assert_eq!(ask(&app, "GET", "/me").await.1, "bob");
    assert_eq!(ask(&app, "POST", "/out").await.0, StatusCode::OK);
    assert_eq!(ask(&app, "GET", "/me").await.1, "a guest");
    assert_eq!(
        ask(&app, "GET", "/strict").await.0,
        StatusCode::UNAUTHORIZED
    );
    assert_eq!(alice.session().user_id(), None);
}

#[tokio::test]
async fn a_request_that_brings_its_own_cookie_is_left_alone() {
    let app = app(&test::signed_in_as("alice"));

    let request = Request::get("/me")
        .header(header::COOKIE, "__Host-session=mine")
        .body(Body::empty())
        .unwrap();
    let response = app.oneshot(request).await.unwrap();

    let body = axum::body::to_bytes(response.into_body(), 100).await;
    assert_eq!(body.unwrap(), "a guest");
}

#[tokio::test]
async fn other_cookies_of_a_request_stay() {
    let echo = async |request: Request<Body>| {
        let cookies = request.headers().get_all(header::COOKIE).iter();
        cookies.count().to_string()
    };
    let app = Router::new()
        .route("/", get(echo))
        .layer(test::signed_in_as("alice"));

    let request = Request::get("/")
        .header(header::COOKIE, "theme=dark")
        .body(Body::empty());
    let response = app.oneshot(request.unwrap()).await.unwrap();

    let body = axum::body::to_bytes(response.into_body(), 100).await;
    assert_eq!(body.unwrap(), "2");
}

#[test]
#[should_panic(expected = "a user id is text of 1 to 255 bytes")]
fn text_that_is_no_user_id_fails_the_test() {
    let _ = Session::for_test("");
}
