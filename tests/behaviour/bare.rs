//! A guard without a `reply` of its own: in debug builds its body says what is wrong with the app's setup.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::convert::Infallible;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, response::Parts};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::RequireUser;

/// What a guard without a `reply` and without a layer answers, in this body type.
async fn bare<B: Default + 'static>(headers: &[(&str, &str)]) -> (Parts, B) {
    let inner = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(B::default())));
    let mut request = Request::post("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = RequireUser::new()
        .layer(inner)
        .oneshot(request.body(()).unwrap());
    answer.await.unwrap().into_parts()
}

#[tokio::test]
async fn a_guard_without_a_reply_of_its_own_says_it_in_bodies_that_hold_text() {
    let said = |body: &str| body.contains("no `SessionLayer` on this route");

    let (_, axum) = bare::<Body>(&[]).await;
    let axum = axum.collect().await.unwrap().to_bytes();
    let (head, string) = bare::<String>(&[]).await;
    let (_, bytes) = bare::<Bytes>(&[]).await;
    let (other_head, other) = bare::<Vec<u8>>(&[]).await;
    let (grpc_head, grpc) = bare::<String>(&[("content-type", "application/grpc")]).await;

    for body in [&axum[..], string.as_bytes(), &bytes[..]] {
        let body = std::str::from_utf8(body).unwrap();
        assert_eq!(said(body), cfg!(debug_assertions), "{body}");
        assert_eq!(body.is_empty(), !cfg!(debug_assertions), "{body}");
    }
    let is_problem = |head: &Parts| {
        head.headers
            .get("content-type")
            .is_some_and(|it| it == "application/problem+json")
    };
    assert_eq!(is_problem(&head), cfg!(debug_assertions));
    assert_eq!((other, is_problem(&other_head)), (Vec::new(), false));
    assert_eq!(other_head.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        (grpc.as_str(), &grpc_head.headers["grpc-status"]),
        ("", &HeaderValue::from_static("13"))
    );
}
