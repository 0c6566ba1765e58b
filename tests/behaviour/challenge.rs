//! A 401 says how a request proves who sends it (RFC 9110 §15.5.2).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, time::Duration};

use axum::body::Body;
use http::{Request, Response, StatusCode, header::WWW_AUTHENTICATE};
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{
    MemoryStore, Problem, RequireFresh, RequireUser, SessionCookie, SessionLayer, TokenSource,
};

const COOKIE: &str = "Cookie cookie-name=\"__Host-session\"";
const BEARER: &str = "Bearer realm=\"session\"";

async fn is_401(_request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    Ok(response)
}

async fn is_401_with_its_own(_request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = is_401(Request::new(Body::empty())).await?;
    let own = "Basic realm=\"metrics\"".parse().unwrap();
    response.headers_mut().insert(WWW_AUTHENTICATE, own);
    Ok(response)
}

async fn is_403(_request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::FORBIDDEN;
    Ok(response)
}

fn challenges(response: &Response<Body>) -> Vec<&str> {
    let all = response.headers().get_all(WWW_AUTHENTICATE);
    all.iter().map(|value| value.to_str().unwrap()).collect()
}

fn layer() -> SessionLayer<Problem> {
    SessionLayer::new(MemoryStore::new()).reply(Problem)
}

#[tokio::test]
async fn a_401_of_a_guard_and_of_the_app_names_what_the_layer_reads() {
    for (source, challenge) in [
        (TokenSource::Cookie, COOKIE),
        (TokenSource::Bearer, BEARER),
        (TokenSource::BearerThenCookie, BEARER),
        (TokenSource::CookieThenBearer, BEARER),
    ] {
        let guarded = RequireUser::new().reply(Problem).layer(service_fn(is_403));
        let fresh = RequireFresh::within(Duration::from_secs(60))
            .reply(Problem)
            .layer(service_fn(is_403));
        let request = || Request::new(Body::empty());
        let layer = layer().token_source(source);

        let guard = layer.layer(guarded).oneshot(request()).await.unwrap();
        let fresh = layer.layer(fresh).oneshot(request()).await.unwrap();
        let app = layer.layer(service_fn(is_401)).oneshot(request());

        for response in [guard, fresh, app.await.unwrap()] {
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
            assert_eq!(challenges(&response), [challenge], "{source:?}");
        }
    }
}

#[tokio::test]
async fn the_challenge_names_the_cookie_of_the_layer() {
    let cookie = SessionCookie::named("sid").build().unwrap();
    let app = layer().cookie(cookie).layer(service_fn(is_401));

    let response = app.oneshot(Request::new(Body::empty())).await.unwrap();

    assert_eq!(challenges(&response), ["Cookie cookie-name=\"sid\""]);
}

#[tokio::test]
async fn other_responses_and_a_challenge_of_the_app_are_left_alone() {
    let request = || Request::new(Body::empty());
    let own = layer().layer(service_fn(is_401_with_its_own));
    let forbidden = layer().layer(service_fn(is_403));
    let passed = layer()
        .resolve_if(|_| false)
        .layer(service_fn(is_401))
        .oneshot(request());

    let own = own.oneshot(request()).await.unwrap();

    assert_eq!(challenges(&own), ["Basic realm=\"metrics\""]);
    let forbidden = forbidden.oneshot(request()).await.unwrap();
    assert_eq!(challenges(&forbidden), <[&str; 0]>::default());
    assert_eq!(challenges(&passed.await.unwrap()), <[&str; 0]>::default());
}

#[tokio::test]
async fn grpc_has_no_challenge() {
    let guarded = RequireUser::new().reply(Problem).layer(service_fn(is_403));
    let mut request = Request::post("/pkg.Service/Method");
    request = request.header("content-type", "application/grpc");

    let response = layer()
        .layer(guarded)
        .oneshot(request.body(Body::empty()).unwrap());

    let response = response.await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "16");
    assert_eq!(challenges(&response), <[&str; 0]>::default());
}
