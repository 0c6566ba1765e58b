//! `HEAD`: the head of what GET would get, and no content. Over HTTP/2 hyper sends what a service returns.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::{
    DeviceApi, DevicePage, Problem, Rejection, RequireFresh, RequireUser, SessionLayer,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method as Call},
    http::{Client, store},
};

/// Status, headers and content.
type Got = (StatusCode, HeaderMap, Bytes);

async fn send<S, B>(service: &S, client: &Client, method: Method, path: &str) -> Got
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let mut request = client.head(path).map(|()| Full::default());
    *request.method_mut() = method;
    let answer = service.clone().oneshot(request).await.unwrap();
    let (head, body) = answer.into_parts();
    let content = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, content)
}

async fn route(_: Request<Full<Bytes>>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::default())
}

/// Sends GET and HEAD, and compares them.
async fn compare<S, B>(service: &S, client: &Client, path: &str)
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data = Bytes, Error = Infallible>,
{
    let (status, mut headers, content) = send(service, client, Method::GET, path).await;
    let (head_status, mut head_headers, nothing) = send(service, client, Method::HEAD, path).await;

    let length = head_headers.remove("content-length");
    headers.remove("content-length");
    assert_eq!((head_status, head_headers), (status, headers), "{path}");
    assert_eq!(nothing, Bytes::new(), "{path}");
    assert!(!content.is_empty(), "{path}");
    assert_eq!(length.unwrap(), content.len().to_string(), "{path}");
}

#[tokio::test]
async fn the_device_api_and_the_page_answer_head_without_content() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let (guest, alice) = (
        Client::new(&layer),
        Client::signed_in(&layer, "alice").await,
    );
    let api = layer.layer(DeviceApi::at("/sessions"));
    let page = layer.layer(DevicePage::at("/devices"));

    for client in [&guest, &alice] {
        for path in ["/sessions", "/sessions/current", "/sessions/x/y"] {
            compare(&api, client, path).await;
        }
        for path in ["/devices", "/devices/page.css", "/devices/end-others", "/"] {
            compare(&page, client, path).await;
        }
    }
}

#[tokio::test]
async fn the_layer_and_the_guards_answer_head_with_a_problem_without_content() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone()).reply(Problem);
    let plain = SessionLayer::new(store);
    let (guest, alice) = (
        Client::new(&plain),
        Client::signed_in(&plain, "alice").await,
    );
    let users = RequireUser::new().reply(Problem);
    let fresh = RequireFresh::within(Duration::ZERO).reply(Problem);

    compare(&layer.layer(users.layer(service_fn(route))), &guest, "/").await;
    compare(&layer.layer(fresh.layer(service_fn(route))), &guest, "/").await;
    compare(&layer.layer(fresh.layer(service_fn(route))), &alice, "/").await;
    faulty.always([Call::Resolve], Fault::Fail);
    compare(&layer.layer(service_fn(route)), &alice, "/").await;
}

#[tokio::test]
async fn a_function_of_the_app_is_asked_for_a_response_to_head() {
    let reply = |rejection: Rejection| {
        let text = if rejection.is_head() { "" } else { "no" };
        rejection.into_response::<()>().map(|()| Full::from(text))
    };
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let guest = Client::new(&layer);
    let service = layer.layer(RequireUser::new().reply(reply).layer(service_fn(route)));

    for (method, text) in [(Method::GET, "no"), (Method::HEAD, "")] {
        let (status, _headers, content) = send(&service, &guest, method, "/").await;
        assert_eq!(
            (status, &*content),
            (StatusCode::UNAUTHORIZED, text.as_bytes())
        );
    }
}
