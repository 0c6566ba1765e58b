//! The layer in each framework it supports, through real sockets where the framework has them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use axum::{
    Router,
    routing::{get, post},
};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, task::JoinHandle};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_http::timeout::TimeoutLayer;
use tower_user_sessions::{
    Bare, DeviceApi, MemoryStore, Problem, Rejection, RejectionKind, Session, SessionLayer,
};

use crate::common::{
    faulty::{Fault, FaultyStore, Method as Asked},
    http::{Client, ids, store, user},
};

/// A server on a free port, stopped when it is dropped.
struct Server {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A browser over a socket.
#[derive(Default)]
struct Browser {
    http: reqwest::Client,
    cookie: Option<String>,
}

impl Browser {
    async fn send(&mut self, server: &Server, line: &str) -> (StatusCode, HeaderMap, String) {
        let (method, path) = line.split_once(' ').unwrap();
        let method: Method = method.parse().unwrap();
        let mut request = self
            .http
            .request(method, format!("http://{}{path}", server.address));
        if let Some(cookie) = &self.cookie {
            request = request.header(header::COOKIE, cookie);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        if let Some(line) = headers.get(header::SET_COOKIE) {
            let line = line.to_str().unwrap();
            let pair = line.split(';').next().unwrap().to_owned();
            self.cookie = (!line.contains("Max-Age=0")).then_some(pair);
        }
        (status, headers, answer.text().await.unwrap())
    }
}

async fn log_in(session: Session) -> &'static str {
    session.log_in(user("alice")).unwrap();
    "welcome"
}

async fn me(session: Session) -> String {
    session
        .user_id()
        .map_or_else(|| "guest".to_owned(), |user| user.to_string())
}

async fn axum(layer: SessionLayer<Problem>) -> Server {
    let app = Router::new()
        .route("/login", post(log_in))
        .route("/me", get(me))
        .nest_service("/account/sessions", DeviceApi::new())
        .layer(layer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Server { address, task }
}

/// A plain hyper app with its own routing and its own body type.
async fn route<B>(request: Request<B>) -> Result<Response<BoxBody<Bytes, Infallible>>, Infallible> {
    let session = request.extensions().get::<Session>().unwrap().clone();
    let body = match request.uri().path() {
        "/login" => log_in(session).await.to_owned(),
        "/me" => me(session).await,
        _ => {
            let answer = DeviceApi::at("/account/sessions").oneshot(request).await?;
            return Ok(answer.map(BodyExt::boxed));
        }
    };
    Ok(Response::new(Full::from(body).boxed()))
}

async fn hyper(layer: SessionLayer) -> Server {
    let layer =
        layer.reply_with(|rejection| rejection.into_problem(|bytes| Full::from(bytes).boxed()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let service = TowerToHyperService::new(layer.layer(service_fn(route)));
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service),
            );
        }
    });
    Server { address, task }
}

/// Two devices of alice: the second sees both, ends the first, then itself.
async fn devices(server: &Server) {
    let (mut phone, mut laptop) = (Browser::default(), Browser::default());

    phone.send(server, "POST /login").await;
    let (status, headers, body) = laptop.send(server, "POST /login").await;
    assert_eq!((status, &*body), (StatusCode::OK, "welcome"));
    assert_eq!(headers[header::CACHE_CONTROL], "no-store");
    assert_eq!(laptop.send(server, "GET /me").await.2, "alice");

    let (status, _, body) = laptop.send(server, "GET /account/sessions").await;
    assert_eq!(
        (status, body.matches("\"id\"").count()),
        (StatusCode::OK, 2)
    );
    let (_, _, body) = laptop
        .send(server, "POST /account/sessions/logout-all")
        .await;
    assert_eq!(
        body,
        r#"{"message":"All other sessions logged out","ended":1}"#
    );
    assert_eq!(phone.send(server, "GET /me").await.2, "guest");

    let (_, _, body) = laptop.send(server, "GET /account/sessions").await;
    let id = body.split('"').nth(5).unwrap();
    let ended = laptop
        .send(server, &format!("DELETE /account/sessions/{id}"))
        .await;
    assert_eq!(
        (ended.0, &*ended.2),
        (StatusCode::OK, r#"{"success":true}"#)
    );
    assert_eq!(laptop.cookie, None);
    assert_eq!(laptop.send(server, "GET /me").await.2, "guest");
}

/// The store is down: the response is a problem with `Retry-After`, and the cookie stays.
async fn outage(server: &Server, faulty: &FaultyStore) {
    let mut browser = Browser::default();
    browser.send(server, "POST /login").await;
    faulty.next(Asked::Resolve, Fault::Fail);

    let (status, headers, body) = browser.send(server, "GET /me").await;

    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(headers[header::RETRY_AFTER], "1");
    assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
    // In debug builds a detail follows.
    let start = r#"{"type":"about:blank","title":"Sessions are unavailable","status":503,"reason":"unavailable""#;
    assert!(body.starts_with(start), "{body}");
    assert_eq!(browser.send(server, "GET /me").await.2, "alice");
}

// T19 T35 T53
#[tokio::test]
async fn axum_over_a_socket_lists_and_ends_devices() {
    let server = axum(SessionLayer::new(MemoryStore::new()).reply(Problem)).await;

    devices(&server).await;
}

// T33 T59
#[tokio::test]
async fn axum_over_a_socket_survives_an_outage() {
    let faulty = FaultyStore::new(&MemoryStore::new());
    let server = axum(SessionLayer::new(faulty.clone()).reply(Problem)).await;

    outage(&server, &faulty).await;
}

// T19 T35 T53
#[tokio::test]
async fn bare_hyper_over_a_socket_lists_and_ends_devices() {
    let server = hyper(SessionLayer::new(MemoryStore::new())).await;

    devices(&server).await;
}

// T33 T59
#[tokio::test]
async fn bare_hyper_over_a_socket_survives_an_outage() {
    let faulty = FaultyStore::new(&MemoryStore::new());
    let server = hyper(SessionLayer::new(faulty.clone())).await;

    outage(&server, &faulty).await;
}

// T40
#[tokio::test]
async fn over_a_socket_the_host_header_decides_which_origin_is_the_same() {
    let server = axum(SessionLayer::new(MemoryStore::new()).reply(Problem)).await;
    let mut browser = Browser::default();
    browser.send(&server, "POST /login").await;
    let url = format!("http://{}/account/sessions/logout-all", server.address);

    for (origin, status) in [
        (format!("http://{}", server.address), 200),
        ("http://evil.test".to_owned(), 403),
    ] {
        let request = browser.http.post(&url).header("origin", &origin);
        let answer = request
            .header("cookie", browser.cookie.as_ref().unwrap())
            .send()
            .await;

        assert_eq!(answer.unwrap().status(), status, "{origin}");
    }
}

/// The response of a layer with this `Reply` in an outage, in the service's body type.
async fn refused<B, R>(reply: R) -> Response<B>
where
    B: Default + Send + 'static,
    R: tower_user_sessions::Reply<B> + Clone,
{
    let (store, _clock) = store();
    let signed_in = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    let faulty = FaultyStore::new(&store);
    faulty.next(Asked::Resolve, Fault::Fail);
    let layer = SessionLayer::new(faulty).reply(reply);
    let service = service_fn(|_request: Request<()>| async {
        Ok::<_, Infallible>(Response::new(B::default()))
    });
    layer
        .layer(service)
        .oneshot(signed_in.head("/"))
        .await
        .unwrap()
}

#[tokio::test]
async fn bare_replies_in_any_body_type_with_a_default() {
    let answer: Response<Vec<u64>> = refused(Bare).await;

    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.body(), &[0_u64; 0]);
}

#[tokio::test]
async fn problem_replies_in_any_body_type_made_from_bytes() {
    let full: Response<Full<Bytes>> = refused(Problem).await;
    let axum: Response<axum::body::Body> = refused(Problem).await;

    let full = full.into_body().collect().await.unwrap().to_bytes();
    let axum = axum.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(full, axum);
    assert!(full.starts_with(b"{\"type\":"));
}

#[tokio::test]
async fn a_closure_makes_the_response() {
    let teapot = |rejection: Rejection| {
        assert_eq!(rejection.kind(), RejectionKind::Unavailable);
        let mut response = Response::new("short and stout");
        *response.status_mut() = StatusCode::IM_A_TEAPOT;
        response
    };

    let answer: Response<&str> = refused(teapot).await;

    assert_eq!(
        (answer.status(), *answer.body()),
        (StatusCode::IM_A_TEAPOT, "short and stout")
    );
}

/// Signs alice in, then never responds.
async fn hang(request: Request<()>) -> Result<Response<String>, Infallible> {
    let session: &Session = request.extensions().get().unwrap();
    session.log_in(user("alice")).unwrap();
    session.insert("cart", "apple").unwrap();
    std::future::pending().await
}

// T57
#[tokio::test(start_paused = true)]
async fn a_timeout_inside_the_layer_stores_nothing() {
    let (store, _clock) = store();
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, Duration::from_secs(5));
    let stack = ServiceBuilder::new()
        .layer(SessionLayer::new(store.clone()))
        .layer(timeout);

    let answer = stack
        .service_fn(hang)
        .oneshot(Request::new(()))
        .await
        .unwrap();

    assert_eq!(answer.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(answer.headers().get(header::SET_COOKIE).is_none());
    assert_eq!(store.sets(), 0);
}

// T57
#[tokio::test(start_paused = true)]
async fn a_timeout_outside_the_layer_leaves_no_session_behind() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    faulty.next(Asked::Create, Fault::HangAfter);
    let layer = SessionLayer::new(faulty);
    let timeout =
        TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, Duration::from_secs(5));
    let service = service_fn(|request: Request<()>| async move {
        request
            .extensions()
            .get::<Session>()
            .unwrap()
            .log_in(user("alice"))
            .unwrap();
        Ok::<_, Infallible>(Response::new(String::new()))
    });

    let answer = ServiceBuilder::new()
        .layer(timeout)
        .layer(layer)
        .service(service)
        .oneshot(Request::new(()))
        .await;

    assert_eq!(answer.unwrap().status(), StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(ids(&store, "alice").await, []);
}
