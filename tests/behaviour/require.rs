//! `RequireUser` and the extractor `User` keep guests out of routes for users.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::convert::Infallible;

use axum::{Router, body::Body, routing::get};
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    OnOutage, Problem, Rejection, RejectionKind, RequireUser, SessionLayer, User,
};

use crate::common::{
    alone::is_alone,
    faulty::{Fault, FaultyStore, Method as Asked},
    http::{Client, store},
    log::Log,
};

type Answer = (StatusCode, HeaderMap, String);

async fn reached(_request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body::from("reached")))
}

async fn read(answer: Response<Body>) -> Answer {
    let (head, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        head.status,
        head.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

async fn send(layer: &SessionLayer, guard: &RequireUser<Problem>, request: Request<()>) -> Answer {
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(guard.clone())
        .service(service_fn(reached));
    let request = request.map(|()| Body::empty());
    read(service.oneshot(request).await.unwrap()).await
}

/// The response of axum for a handler that takes a `User`.
async fn send_to_axum(layer: &SessionLayer, request: Request<()>) -> Answer {
    let app: Router = Router::new()
        .route(
            "/",
            get(async |user: User| user.id().to_string())
                .post(async |user: User| user.id().to_string()),
        )
        .layer(layer.clone());
    let request = request.map(|()| Body::empty());
    read(app.oneshot(request).await.unwrap()).await
}

fn guard() -> RequireUser<Problem> {
    RequireUser::new().reply(Problem)
}

fn redirecting() -> RequireUser<Problem> {
    guard().redirect_to("/login?from=guard")
}

fn by<const N: usize>(
    method: Method,
    client: &Client,
    lines: [(&'static str, &'static str); N],
) -> Request<()> {
    let mut request = client.head("/");
    *request.method_mut() = method;
    for (name, value) in lines {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

const GRPC: (&str, &str) = ("content-type", "application/grpc");

fn problem(title: &str, status: u16, reason: &str) -> String {
    format!(r#"{{"type":"about:blank","title":"{title}","status":{status},"reason":"{reason}"}}"#)
}

#[tokio::test]
async fn a_user_passes() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let alice = Client::signed_in(&layer, "alice").await;

    let (status, _, body) = send(&layer, &redirecting(), alice.head("/")).await;
    let (_, _, id) = send_to_axum(&layer, alice.head("/")).await;

    assert_eq!((status, &*body, &*id), (StatusCode::OK, "reached", "alice"));
}

#[tokio::test]
async fn a_guest_is_answered_with_401_and_a_problem() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let guest = Client::new(&layer);

    for (status, headers, body) in [
        send(&layer, &guard(), guest.head("/")).await,
        send_to_axum(&layer, guest.head("/")).await,
    ] {
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(body, problem("Not signed in", 401, "not_signed_in"));
    }
}

// T42
#[tokio::test]
async fn a_client_that_was_signed_out_learns_why_and_its_cookie_stays() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);

    for axum in [false, true] {
        let mut alice = Client::signed_in(&layer, "alice").await;
        let before = alice.clone();
        alice
            .send(|session| async move { session.log_out().unwrap() })
            .await;

        let (status, headers, body) = if axum {
            send_to_axum(&layer, before.head("/")).await
        } else {
            send(&layer, &guard(), before.head("/")).await
        };

        assert_eq!(status, StatusCode::UNAUTHORIZED);
        let expected = problem("Not signed in", 401, "logged_out");
        let expected = expected.replace('}', r#","endedAt":"2025-11-24T16:00:00.000Z"}"#);
        assert_eq!(body, expected);
        assert!(!headers.contains_key(header::SET_COOKIE));
    }
}

#[tokio::test]
async fn a_grpc_guest_is_unauthenticated_by_trailers_only() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let request = || by(Method::POST, &Client::new(&layer), [GRPC]);

    for (status, headers, body) in [
        send(&layer, &redirecting(), request()).await,
        send_to_axum(&layer, request()).await,
    ] {
        assert_eq!(
            (status, &*body, &headers["grpc-status"]),
            (StatusCode::OK, "", &"16".parse().unwrap())
        );
        assert_eq!(headers["grpc-message"], "not_signed_in");
        assert_eq!(headers[header::CONTENT_TYPE], "application/grpc");
    }
}

#[tokio::test]
async fn a_browser_that_navigates_is_redirected_to_sign_in() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let guest = Client::new(&layer);
    let html = ("accept", "text/html,application/xhtml+xml");

    for request in [
        by(Method::GET, &guest, [("sec-fetch-mode", "navigate")]),
        by(Method::HEAD, &guest, [("sec-fetch-mode", "navigate")]),
        by(Method::GET, &guest, [html]),
    ] {
        let (status, headers, body) = send(&layer, &redirecting(), request).await;

        assert_eq!((status, &*body), (StatusCode::SEE_OTHER, ""));
        assert_eq!(headers[header::LOCATION], "/login?from=guard");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    }
}

#[tokio::test]
async fn only_a_navigation_is_redirected() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let guest = Client::new(&layer);
    let html = ("accept", "text/html");

    for request in [
        by(Method::GET, &guest, [html, ("sec-fetch-mode", "cors")]),
        by(Method::GET, &guest, [("accept", "application/json")]),
        by(Method::GET, &guest, []),
        by(Method::POST, &guest, [("sec-fetch-mode", "navigate"), html]),
    ] {
        let (status, headers, _) = send(&layer, &redirecting(), request).await;

        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(headers.get(header::LOCATION).is_none());
    }
}

// T42
#[tokio::test]
async fn a_redirect_keeps_the_reason_for_the_page_it_leads_to() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut alice = Client::signed_in(&layer, "alice").await;
    let mut before = alice.clone();
    alice
        .send(|session| async move { session.log_out().unwrap() })
        .await;

    let navigation = by(Method::GET, &before, [("sec-fetch-mode", "navigate")]);
    let (status, headers, _) = send(&layer, &redirecting(), navigation).await;

    assert_eq!(status, StatusCode::SEE_OTHER);
    assert!(headers.get(header::SET_COOKIE).is_none());
    let page = before.send(|session| async move { session.ended().is_some() });
    assert!(page.await.value());
}

// T59
#[tokio::test]
async fn an_unavailable_session_is_503_and_never_401() {
    let (store, _clock) = store();
    let alice = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    let faulty = FaultyStore::new(&store);
    faulty.always([Asked::Resolve], Fault::Fail);
    let layer = SessionLayer::new(faulty).on_outage(OnOutage::Guest);
    let navigation = || by(Method::GET, &alice, [("sec-fetch-mode", "navigate")]);

    for (status, headers, body) in [
        send(&layer, &redirecting(), navigation()).await,
        send_to_axum(&layer, navigation()).await,
    ] {
        assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(headers[header::RETRY_AFTER], "1");
        assert!(headers.get(header::SET_COOKIE).is_none());
        assert_eq!(
            body,
            problem("Sessions are unavailable", 503, "unavailable")
        );
    }
    let grpc = send(&layer, &guard(), by(Method::POST, &alice, [GRPC])).await;
    assert_eq!(grpc.1["grpc-status"], "14");
}

#[tokio::test]
async fn without_a_session_the_request_is_refused_and_the_log_says_why() {
    if !is_alone(
        module_path!(),
        "without_a_session_the_request_is_refused_and_the_log_says_why",
    ) {
        return;
    }
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).resolve_if(|_| false);
    let guest = Client::new(&layer);
    let log = Log::start();

    for (status, _, body) in [
        send(&layer, &redirecting(), guest.head("/")).await,
        send_to_axum(&layer, guest.head("/")).await,
    ] {
        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        // In release builds there is no detail.
        let start = r#"{"type":"about:blank","title":"Internal server error","status":500,"reason":"no_session""#;
        assert!(
            body.starts_with(start) && body.contains("`resolve_if`"),
            "{body}"
        );
    }
    assert_eq!(log.at("ERROR").len(), 2);
}

#[tokio::test]
async fn a_closure_makes_the_response() {
    let (store, _clock) = store();
    let guard = RequireUser::new().reply_with(|rejection: Rejection| {
        assert_eq!(rejection.kind(), RejectionKind::NotSignedIn);
        Response::new(rejection.reason())
    });
    let service = ServiceBuilder::new()
        .layer(SessionLayer::new(store).reply(|_: Rejection| Response::new("unused")))
        .layer(guard)
        .service(service_fn(async |_request: Request<()>| {
            Ok::<_, Infallible>(Response::new("reached"))
        }));

    let answer = service.oneshot(Request::new(())).await.unwrap();

    assert_eq!(*answer.body(), "not_signed_in");
}
