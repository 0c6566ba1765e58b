//! A stale sign-in is asked to step up, with the challenge of RFC 9470.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{Layer, ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    DeviceApi, DevicePage, Login, MemoryStore, Problem, RequireFresh, SessionLayer,
    store::ManualClock,
};

use crate::common::http::{Client, HOUR, ids, store, user};

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const MS: Duration = Duration::from_millis(1);

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

fn guard() -> RequireFresh<Problem> {
    RequireFresh::within(FIVE_MINUTES).reply(Problem)
}

/// Sends a request of this client through the guard.
async fn guarded(
    client: &Client,
    layer: &SessionLayer,
    guard: RequireFresh<Problem>,
) -> Response<Full<Bytes>> {
    sent(client.head("/transfer"), layer, guard).await
}

async fn sent(
    request: Request<()>,
    layer: &SessionLayer,
    guard: RequireFresh<Problem>,
) -> Response<Full<Bytes>> {
    let service =
        service_fn(|_: Request<()>| async { Ok::<_, Infallible>(Response::new(Full::default())) });
    let service = ServiceBuilder::new()
        .layer(layer.clone())
        .layer(guard)
        .service(service);
    service.oneshot(request).await.unwrap()
}

async fn json_of(response: Response<Full<Bytes>>) -> Value {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    serde_json::from_slice(&bytes).unwrap()
}

// T39
#[tokio::test]
async fn a_stale_sign_in_gets_the_step_up_challenge_of_rfc_9470() {
    let (layer, _store, clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    clock.advance(FIVE_MINUTES + Duration::from_secs(1));

    let answer = guarded(&client, &layer, guard()).await;

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.headers()["www-authenticate"],
        "Bearer error=\"insufficient_user_authentication\", \
         error_description=\"A more recent authentication is required\", max_age=\"300\""
    );
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let problem = json!({
        "type": "about:blank",
        "title": "Prove who you are again",
        "status": 401,
        "reason": "insufficient_user_authentication",
        "maxAge": 300,
    });
    assert_eq!(json_of(answer).await, problem);
}

// T39
#[tokio::test]
async fn a_fresh_sign_in_passes_and_activity_or_rotation_does_not_make_one_fresh() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut statuses = Vec::new();
    for _ in 0..2 {
        clock.advance(FIVE_MINUTES - Duration::from_secs(1));
        client
            .send(|session| async move { session.rotate().unwrap() })
            .await;
        client.user().await;
        statuses.push(guarded(&client, &layer, guard()).await.status());
    }

    assert_eq!(statuses, [StatusCode::OK, StatusCode::UNAUTHORIZED]);
}

// T16 T39
#[tokio::test]
async fn re_authentication_makes_a_sign_in_fresh() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);

    client
        .send(|session| async move { session.reauthenticated().unwrap() })
        .await;

    assert_eq!(
        guarded(&client, &layer, guard()).await.status(),
        StatusCode::OK
    );
}

// T39
#[tokio::test]
async fn a_sign_in_staged_in_the_same_request_counts() {
    let (layer, _store, clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);

    let ages = client.request(|session| async move {
        let before = session.authentication_age().unwrap() >= HOUR;
        session.reauthenticated().unwrap();
        (before, session.authentication_age(), session.is_fresh(MS))
    });

    assert_eq!(ages.await.value(), (true, Some(Duration::ZERO), true));
}

// T39
#[tokio::test]
async fn a_browsers_navigation_is_redirected_to_the_step_up_page() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    client
        .headers
        .insert("sec-fetch-mode", "navigate".parse().unwrap());
    let guard = guard().redirect_to("/prove");

    let answer = guarded(&client, &layer, guard).await;

    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    assert_eq!(answer.headers()["location"], "/prove");
}

#[tokio::test]
async fn a_guest_gets_401_before_any_step_up() {
    let (layer, _store, _clock) = world();

    let answer = guarded(&Client::new(&layer), &layer, guard()).await;

    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        answer.headers()["www-authenticate"],
        "Cookie cookie-name=\"__Host-session\""
    );
    assert_eq!(json_of(answer).await["reason"], "not_signed_in");
}

// T39
#[tokio::test]
async fn over_grpc_a_stale_sign_in_is_unauthenticated() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    client.method = Method::POST;
    client
        .headers
        .insert("content-type", "application/grpc".parse().unwrap());

    let answer = guarded(&client, &layer, guard()).await;

    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["grpc-status"], "16");
    assert_eq!(
        answer.headers()["grpc-message"],
        "insufficient_user_authentication"
    );
}

/// Two sessions of a user, signed in an hour ago: one browser, and the ids of both.
async fn an_hour_old(
    layer: &SessionLayer,
    store: &MemoryStore,
    clock: &ManualClock,
) -> (Client, String, String) {
    Client::signed_in(layer, "alice").await;
    let mut client = Client::new(layer);
    let own = client.log_in("alice").await;
    let all = ids(store, "alice").await;
    let other = all.into_iter().find(|id| *id != own).unwrap();
    clock.advance(HOUR);
    client
        .headers
        .insert("sec-fetch-site", "same-origin".parse().unwrap());
    (client, own.to_string(), other.to_string())
}

// T39
#[tokio::test]
async fn the_device_api_ends_others_for_a_fresh_sign_in_only() {
    let (layer, store, clock) = world();
    let (mut client, own, other) = an_hour_old(&layer, &store, &clock).await;
    let api = layer.layer(DeviceApi::at("/sessions").require_fresh(FIVE_MINUTES));
    let ask = async |client: &Client, method: Method, path: &str| {
        let mut client = client.clone();
        client.method = method;
        api.clone()
            .oneshot(client.head(path))
            .await
            .unwrap()
            .status()
    };
    assert_eq!(ask(&client, Method::GET, "/sessions").await, StatusCode::OK);
    let others = ask(&client, Method::POST, "/sessions/logout-all").await;
    let one = ask(&client, Method::DELETE, &format!("/sessions/{other}")).await;
    assert_eq!(
        (others, one),
        (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED)
    );
    client
        .send(|session| async move { session.reauthenticated().unwrap() })
        .await;
    assert_eq!(
        ask(&client, Method::DELETE, &format!("/sessions/{other}")).await,
        StatusCode::OK
    );
    clock.advance(HOUR);
    assert_eq!(
        ask(&client, Method::DELETE, &format!("/sessions/{own}")).await,
        StatusCode::OK
    );
    assert!(ids(&store, "alice").await.is_empty());
}

// T39
#[tokio::test]
async fn the_device_page_redirects_a_stale_sign_in_to_the_step_up_page() {
    let (layer, store, clock) = world();
    let (client, own, other) = an_hour_old(&layer, &store, &clock).await;
    let page = DevicePage::at("/devices").require_fresh(FIVE_MINUTES, "/prove");
    let page = layer.layer(page);
    let post = async |path: &str, id: &str| {
        let mut client = client.clone();
        client.method = Method::POST;
        client.headers.insert(
            "content-type",
            "application/x-www-form-urlencoded".parse().unwrap(),
        );
        let request = client
            .head(path)
            .map(|()| Full::<Bytes>::from(format!("id={id}")));
        let answer = page.clone().oneshot(request).await.unwrap();
        let location = answer
            .headers()
            .get("location")
            .or_else(|| answer.headers().get("refresh"))
            .map(|it| it.to_str().unwrap().to_owned());
        (answer.status(), location.unwrap_or_default())
    };

    let to_prove = (StatusCode::OK, "0;url=/prove".to_owned());
    assert_eq!(post("/devices/end", &other).await, to_prove);
    assert_eq!(post("/devices/end-others", "").await, to_prove);
    assert_eq!(ids(&store, "alice").await.len(), 2);
    let (status, location) = post("/devices/end", &own).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    assert_ne!(location, "/prove");
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T39
#[tokio::test]
async fn a_sign_in_is_fresh_until_the_maximum_age_and_not_after() {
    let (layer, _store, clock) = world();
    let client = Client::signed_in(&layer, "alice").await;
    let age = client.request(|session| async move { session.authentication_age().unwrap() });
    let since_arrival = age.await.value();
    clock.advance(FIVE_MINUTES - since_arrival);

    let at_the_moment = guarded(&client, &layer, guard()).await.status();
    clock.advance(MS);
    let after = guarded(&client, &layer, guard()).await.status();

    assert_eq!(
        (at_the_moment, after),
        (StatusCode::OK, StatusCode::UNAUTHORIZED)
    );
}

// T39
#[tokio::test]
async fn only_navigations_of_users_are_redirected() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    let guard = || guard().redirect_to("/prove");
    client
        .headers
        .insert("sec-fetch-mode", "cors".parse().unwrap());
    let script = guarded(&client, &layer, guard()).await;
    let mut guest = Client::new(&layer);
    guest
        .headers
        .insert("sec-fetch-mode", "navigate".parse().unwrap());
    let guest = guarded(&guest, &layer, guard()).await;

    assert_eq!(script.status(), StatusCode::UNAUTHORIZED);
    assert!(script.headers().contains_key("www-authenticate"));
    assert_eq!(guest.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn without_the_session_layer_it_is_500() {
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = ServiceBuilder::new().layer(guard()).service(service);

    let answer = service.oneshot(Request::new(())).await.unwrap();

    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
}

// T39
#[tokio::test]
async fn a_staged_sign_in_that_states_an_earlier_moment_is_not_fresh() {
    let (layer, _store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let fresh = client.request(|session| async move {
        let since = session.seen_at().unwrap().minus(HOUR);
        let login = Login::new(user("alice")).since(since);
        session.log_in_with(login).unwrap();
        session.is_fresh(FIVE_MINUTES)
    });

    assert!(!fresh.await.value());
}
