//! The layers inside stacks of other layers, as described on the page "Composing".
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, pin::pin, time::Duration};

use axum::{Router, body::Body, routing::get};
use http::{HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt;
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneService};
use tower_http::{
    body::Limited,
    catch_panic::CatchPanicLayer,
    compression::CompressionLayer,
    cors::CorsLayer,
    limit::RequestBodyLimitLayer,
    map_response_body::MapResponseBodyLayer,
    request_id::{MakeRequestUuid, SetRequestIdLayer},
    timeout::TimeoutLayer,
    trace::TraceLayer,
};
use tower_test::mock;
use tower_user_sessions::{
    BearerLayer, Problem, RequireUser, Session, SessionLayer, TokenSource, UserSessions,
};

use crate::common::{
    faulty::{FaultyStore, Method as Asked, poll_once},
    http::{Client, HOUR, ids, store, user},
};

/// `/in` signs alice in, `/panic` does so and panics, all other paths return the user.
async fn handle<B>(request: Request<B>) -> Result<Response<Body>, Infallible> {
    let session: &Session = request.extensions().get().unwrap();
    let path = request.uri().path();
    if path != "/" {
        session.log_in(user("alice")).unwrap();
    }
    assert_ne!(path, "/panic");
    let who = session.user_id().map(|user| user.to_string());
    Ok(Response::new(Body::from(
        who.unwrap_or_default().repeat(99),
    )))
}

type Stack = BoxCloneService<Request<Body>, Response<Body>, Infallible>;

/// A short form of the stack in `examples/composing`.
fn stack(sessions: SessionLayer) -> Stack {
    let stack = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(MakeRequestUuid))
        .layer(TraceLayer::new_for_http())
        .layer(CorsLayer::permissive())
        .layer(CompressionLayer::new())
        .layer(RequestBodyLimitLayer::new(1024))
        .layer(sessions.reply(Problem))
        .layer(MapResponseBodyLayer::new(Body::new))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            Duration::from_secs(60),
        ))
        .layer(CatchPanicLayer::new())
        .service_fn(handle::<Limited<Body>>);
    let stack = ServiceExt::<Request<Body>>::map_response(stack, |answer: Response<_>| {
        answer.map(Body::new)
    });
    BoxCloneService::new(stack)
}

fn request(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

fn with(mut request: Request<Body>, name: HeaderName, value: &str) -> Request<Body> {
    request.headers_mut().insert(name, value.parse().unwrap());
    request
}

#[tokio::test]
async fn a_sign_in_works_through_a_whole_stack_and_its_response_is_compressed() {
    let (store, _clock) = store();
    let stack = stack(SessionLayer::new(store));
    let plain = request("/in");

    let answer = stack.clone().oneshot(plain).await.unwrap();
    let line = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let cookie = line.split(';').next().unwrap();
    let next = with(request("/"), header::COOKIE, cookie);
    let next = with(next, header::ACCEPT_ENCODING, "gzip");
    let next = stack.oneshot(next).await.unwrap();

    assert_eq!(next.headers()[header::CONTENT_ENCODING], "gzip");
    assert!(next.headers().get(header::SET_COOKIE).is_none());
    let zipped = next.into_body().collect().await.unwrap().to_bytes();
    assert!(zipped.starts_with(b"\x1f\x8b") && zipped.len() < 99);
}

#[tokio::test]
async fn the_sign_in_of_a_disabled_user_is_403_through_a_whole_stack() {
    let (store, _clock) = store();
    let sessions = UserSessions::new(store.clone(), user("alice"));
    sessions.disable_for(HOUR).await.unwrap();

    let answer = stack(SessionLayer::new(store))
        .oneshot(request("/in"))
        .await;

    let answer = answer.unwrap();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    assert!(answer.headers().get(header::SET_COOKIE).is_none());
}

#[tokio::test]
async fn a_panic_caught_inside_or_outside_the_layer_stores_no_sign_in() {
    let (store, _clock) = store();
    let inside = stack(SessionLayer::new(store.clone()));
    let outside = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .layer(SessionLayer::new(store.clone()))
        .service_fn(handle::<Body>);

    let inside = inside.oneshot(request("/panic")).await.unwrap();
    let outside = outside.oneshot(request("/panic")).await.unwrap();

    assert_eq!(
        (inside.status(), outside.status()),
        (
            StatusCode::INTERNAL_SERVER_ERROR,
            StatusCode::INTERNAL_SERVER_ERROR
        )
    );
    assert!(inside.headers().get(header::SET_COOKIE).is_none());
    assert_eq!(ids(&store, "alice").await, []);
}

#[tokio::test]
async fn a_request_refused_outside_the_layer_costs_no_store_call() {
    let (store, _clock) = store();
    let signed_in = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    let faulty = FaultyStore::new(&store);
    let stack = stack(SessionLayer::new(faulty.clone()));
    let cookie = signed_in.cookie.unwrap();

    let mut preflight = with(request("/"), header::ORIGIN, "https://app.example.com");
    *preflight.method_mut() = Method::OPTIONS;
    let preflight = with(preflight, header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
    let preflight = with(preflight, header::COOKIE, &cookie);
    let large = with(request("/"), header::CONTENT_LENGTH, "1025");
    let large = with(large, header::COOKIE, &cookie);
    let allowed = stack.clone().oneshot(preflight).await.unwrap();
    let refused = stack.oneshot(large).await.unwrap();

    assert_eq!(allowed.status(), StatusCode::OK);
    assert_eq!(refused.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(faulty.all_calls(), 0);
}

#[tokio::test]
async fn in_axum_layer_wraps_the_fallback_and_route_layer_does_not() {
    let (store, _clock) = store();
    let client = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    let app = || Router::new().route("/", get(async || "here"));
    let whole: Router = app().layer(layer.clone());
    let routes: Router = app().route_layer(layer);

    for (app, path, calls) in [
        (&routes, "/nowhere", 0),
        (&routes, "/", 1),
        (&whole, "/nowhere", 2),
        (&whole, "/", 3),
    ] {
        let request = client.head(path).map(|()| Body::empty());
        app.clone().oneshot(request).await.unwrap();

        assert_eq!(faulty.calls(Asked::Resolve), calls, "{path}");
    }
}

#[tokio::test]
async fn a_stack_can_be_boxed_into_one_type_and_its_clones_share_the_sessions() {
    let (store, _clock) = store();
    let (one, two) = {
        let stack = stack(SessionLayer::new(store));
        (stack.clone(), stack)
    };

    let answer = one.oneshot(request("/in")).await.unwrap();
    let line = answer.headers()[header::SET_COOKIE].to_str().unwrap();
    let cookie = line.split(';').next().unwrap();
    let who = two
        .oneshot(with(request("/"), header::COOKIE, cookie))
        .await;

    let body = who.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "alice".repeat(99));
}

#[tokio::test]
async fn a_concurrency_limit_inside_counts_the_ready_instance_that_is_called() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let client = Client::signed_in(&layer, "alice").await;
    let limited = ServiceBuilder::new()
        .layer(SessionLayer::new(FaultyStore::new(&store)))
        .concurrency_limit(1)
        .service(service_fn(async |_request: Request<()>| {
            Ok::<_, Infallible>(Response::new(()))
        }));

    for _ in 0..3 {
        let answer = limited.clone().oneshot(client.head("/")).await.unwrap();

        assert_eq!(answer.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn require_user_polls_the_wrapped_service_ready_and_calls_it_for_users_only() {
    let (store, _clock) = store();
    let (mut service, mut handle) =
        mock::spawn_layer::<Request<()>, Response<()>, _>(RequireUser::new());
    handle.allow(0);
    tokio_test::assert_pending!(service.poll_ready());
    handle.allow(1);
    tokio_test::assert_ready!(service.poll_ready()).unwrap();
    let guest = Client::new(&SessionLayer::new(store))
        .send(|session| async move { session })
        .await
        .value();
    let mut request = Request::new(());
    request.extensions_mut().insert(guest);

    let answer = service.call(request).await.unwrap();

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert!(poll_once(pin!(handle.next_request())).await.is_none());
}

// T3
#[tokio::test]
async fn a_bearer_client_sends_the_token_of_its_sign_in_until_it_forgets_it() {
    let (store, _clock) = store();
    let server = SessionLayer::new(store).token_source(TokenSource::Bearer);
    let bearer = BearerLayer::new();
    let client = ServiceBuilder::new()
        .layer(bearer.clone())
        .layer(server)
        .service_fn(handle::<Body>);
    let ask = async |path| {
        let answer = client.clone().oneshot(request(path)).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        body.len() / 99
    };

    assert_eq!((ask("/").await, bearer.token().is_none()), (0, true));
    assert_eq!(ask("/in").await, "alice".len());
    assert_eq!(ask("/").await, "alice".len());
    let token = bearer.token().unwrap();
    assert!(!format!("{bearer:?}").contains(&token.encode()));
    bearer.forget();
    assert_eq!(ask("/").await, 0);
    bearer.set_token(token);
    assert_eq!(ask("/").await, "alice".len());
}

#[tokio::test]
async fn a_bearer_client_keeps_an_authorization_header_that_the_app_set() {
    let (service, mut handle) = mock::pair::<Request<()>, Response<()>>();
    let bearer = BearerLayer::new();
    bearer.set_token("A".repeat(64).parse().unwrap());
    let mut request = Request::new(());
    let own = "Basic YTpi".parse().unwrap();
    request.headers_mut().insert(header::AUTHORIZATION, own);

    let answer = tokio::spawn(bearer.layer(service).oneshot(request));

    let (request, answers) = handle.next_request().await.unwrap();
    assert_eq!(request.headers()[header::AUTHORIZATION], "Basic YTpi");
    answers.send_response(Response::new(()));
    answer.await.unwrap().unwrap();
}
