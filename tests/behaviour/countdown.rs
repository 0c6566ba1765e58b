//! The countdown of the device API: a page asks how long its session lives without prolonging it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use axum::{Router, body::Body};
use http::StatusCode;
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;
use tower_user_sessions::{
    DeviceApi, Lifetime, MemoryStore, SessionLayer, TokenSource, store::ManualClock,
};

use crate::common::{
    alone::is_alone,
    devices::{Got, call, signed_in, through},
    http::{Client, ids, store, user},
    log::Log,
};

const MINUTE: Duration = Duration::from_secs(60);
const GET: &str = "GET /sessions/current";
const POST: &str = "POST /sessions/current";

/// Sessions of 15 minutes idle and 12 hours in all.
fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).lifetime(Lifetime::AAL3);
    (layer, store, clock)
}

fn json(got: &Got) -> Value {
    assert_eq!(got.status, StatusCode::OK, "{}", got.body);
    serde_json::from_str(&got.body).unwrap()
}

/// Seconds until the idle and the absolute end.
fn left(got: &Got) -> (u64, u64) {
    let body = json(got);
    let seconds = |name: &str| body[name].as_u64().unwrap();
    (seconds("idleExpiresIn"), seconds("expiresIn"))
}

#[tokio::test]
async fn it_says_the_times_and_the_seconds_that_are_left() {
    let (layer, _store, clock) = world();
    let (client, id) = signed_in(&layer, "alice").await;
    clock.advance(Duration::from_millis(5 * 60_000 + 1));

    let got = call(&layer, &client, GET, &[]).await;

    assert_eq!(got.header("content-type"), Some("application/json"));
    assert_eq!(got.header("cache-control"), Some("no-store"));
    // By how long the sign-in took in real time.
    let authenticated = json(&got)["authenticatedAt"].as_str().unwrap().to_owned();
    let body = got.body.replace(&id.to_string(), "id");
    let body = body.replace(&format!(r#"At":"{authenticated}","l"#), r#"At":"then","l"#);
    insta::assert_snapshot!(body.replace(",", ",\n"), @r#"
    {"id":"id",
    "createdAt":"2025-11-24T16:00:00.000Z",
    "authenticatedAt":"then",
    "lastActivity":"2025-11-24T16:00:00.000Z",
    "idleExpiresAt":"2025-11-24T16:15:00.000Z",
    "expiresAt":"2025-11-25T04:00:00.000Z",
    "idleExpiresIn":599,
    "expiresIn":42899}
    "#);
    assert!(!got.body.contains("alice"));
}

#[tokio::test]
async fn to_get_it_neither_prolongs_the_session_nor_moves_it_up_in_the_list() {
    let (layer, store, clock) = world();
    let (first, first_id) = signed_in(&layer, "alice").await;
    clock.advance(MINUTE);
    let (_, second_id) = signed_in(&layer, "alice").await;

    for minutes in 1..=13 {
        clock.advance(MINUTE);
        for line in [GET, "HEAD /sessions/current"] {
            assert_eq!(call(&layer, &first, line, &[]).await.status, StatusCode::OK);
        }
        let got = call(&layer, &first, GET, &[]).await;
        assert_eq!(left(&got).0, (14 - minutes) * 60);
    }
    assert_eq!(ids(&store, "alice").await, [second_id, first_id]);
    clock.advance(MINUTE);
    let over = call(&layer, &first, GET, &[]).await;
    assert_eq!(over.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn to_post_it_prolongs_the_session_and_moves_it_up() {
    let (layer, store, clock) = world();
    let (first, first_id) = signed_in(&layer, "alice").await;
    let (_, second_id) = signed_in(&layer, "alice").await;
    clock.advance(14 * MINUTE);

    let prolonged = call(&layer, &first, POST, &[]).await;
    let order = ids(&store, "alice").await;
    clock.advance(14 * MINUTE);
    let later = call(&layer, &first, GET, &[]).await;

    assert_eq!(left(&prolonged), (15 * 60, (12 * 60 - 14) * 60));
    assert_eq!(json(&prolonged)["lastActivity"], "2025-11-24T16:14:00.000Z");
    assert_eq!(order, [first_id, second_id]);
    assert_eq!(left(&later), (60, (12 * 60 - 28) * 60));
}

#[tokio::test]
async fn the_idle_end_is_never_after_the_absolute_one() {
    let (store, clock) = store();
    let lifetime = Lifetime::new(15 * MINUTE, 20 * MINUTE);
    let layer = SessionLayer::new(store).lifetime(lifetime);
    let (client, _) = signed_in(&layer, "alice").await;
    clock.advance(10 * MINUTE);

    let got = call(&layer, &client, POST, &[]).await;

    assert_eq!(left(&got), (600, 600));
}

#[tokio::test]
async fn a_predicate_of_the_app_does_not_make_the_countdown_count() {
    let (layer, _store, clock) = world();
    let layer = layer
        .counts_as_activity(|request| request.uri.path() != "/poll")
        .resolve_if(|_| true);
    let (client, _) = signed_in(&layer, "alice").await;
    clock.advance(MINUTE);

    let asked = call(&layer, &client, GET, &[]).await;
    let prolonged = call(&layer, &client, POST, &[]).await;

    assert_eq!((left(&asked).0, left(&prolonged).0), (14 * 60, 15 * 60));
}

#[tokio::test]
async fn another_mount_is_named_to_the_layer() {
    let (layer, _store, clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    clock.advance(MINUTE);
    let ask = async |layer: &SessionLayer| {
        let api = DeviceApi::at("/account/devices");
        left(&through(layer, api, &client, "GET /account/devices/current", &[]).await).0
    };

    for path in ["/account/devices/current", "/account/devices/current/"] {
        assert_eq!(
            ask(&layer.clone().countdown_path(path)).await,
            14 * 60,
            "{path}"
        );
    }
    // Without it, the request counts as any other.
    assert_eq!(ask(&layer).await, 15 * 60);
}

#[tokio::test]
async fn a_countdown_that_prolongs_its_session_is_a_warning_once() {
    if !is_alone(
        module_path!(),
        "a_countdown_that_prolongs_its_session_is_a_warning_once",
    ) {
        return;
    }
    let log = Log::start();
    let (layer, _store, _clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    let ask = async |asked: &str| {
        let api = DeviceApi::at("/devices");
        json(&through(&layer, api, &client, asked, &[]).await);
    };

    call(&layer, &client, GET, &[]).await;
    call(&layer, &client, POST, &[]).await;
    ask("POST /devices/current").await;
    assert!(log.at("WARN").is_empty(), "{}", log.text());

    for _ in 0..2 {
        ask("GET /devices/current").await;
    }
    let [warning] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    assert!(warning.contains("`SessionLayer::countdown_path`"));
}

#[tokio::test]
async fn a_countdown_path_that_is_none_is_an_error_in_the_log_and_changes_nothing() {
    let log = Log::start();
    let (layer, _store, clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    clock.advance(MINUTE);

    for path in ["", "/", "//", "sessions/current"] {
        let layer = layer.clone().countdown_path(path);
        assert_eq!(left(&call(&layer, &client, GET, &[]).await).0, 14 * 60);
    }
    assert_eq!(log.at("ERROR").len(), 4);
    assert!(log.at("ERROR")[0].contains("`countdown_path` has no effect"));
}

#[tokio::test]
async fn in_axum_it_is_the_same() {
    let (layer, _store, clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    clock.advance(MINUTE);
    let app: Router = Router::new()
        .nest_service("/sessions", DeviceApi::new())
        .layer(layer);
    let ask = async |method: http::Method| {
        let mut request = client.head("/sessions/current").map(|()| Body::empty());
        *request.method_mut() = method;
        let answer = app.clone().oneshot(request).await.unwrap();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap();
        body["idleExpiresIn"].as_u64().unwrap()
    };

    assert_eq!(ask(http::Method::GET).await, 14 * 60);
    assert_eq!(ask(http::Method::POST).await, 15 * 60);
}

#[tokio::test]
async fn guests_get_401_and_other_methods_405() {
    let (layer, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let (client, _) = signed_in(&layer, "alice").await;

    for guest in [Client::new(&layer), guest] {
        for line in [GET, POST, "POST /sessions/logout-others"] {
            let got = call(&layer, &guest, line, &[]).await;
            assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{line}");
            assert!(got.body.contains(r#""reason":"not_signed_in""#));
        }
    }
    let wrong = call(&layer, &client, "DELETE /sessions/current", &[]).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.header("allow"), Some("GET, HEAD, POST"));
    let wrong = call(&layer, &client, "GET /sessions/logout-others", &[]).await;
    assert_eq!(wrong.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(wrong.header("allow"), Some("POST"));
}

// T40
#[tokio::test]
async fn a_post_of_another_origin_changes_nothing_but_the_idle_time_as_any_request_does() {
    let (layer, store, clock) = world();
    let (_, other_id) = signed_in(&layer, "alice").await;
    let (client, id) = signed_in(&layer, "alice").await;
    let foreign = [("sec-fetch-site", "cross-site")];
    for minutes in [5, 10] {
        clock.advance(5 * MINUTE);
        for line in [POST, "POST /sessions/logout-others"] {
            let got = call(&layer, &client, line, &foreign).await;
            assert_eq!(got.status, StatusCode::FORBIDDEN, "{line}");
        }

        let got = call(&layer, &client, GET, &[]).await;
        assert_eq!(left(&got), (15 * 60, (12 * 60 - minutes) * 60));
    }
    assert_eq!(ids(&store, "alice").await, [id, other_id]);
}

// T40
#[tokio::test]
async fn a_post_of_another_origin_is_403_unless_a_bearer_token_says_whose_it_is() {
    let (layer, store, _clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    let bearer = layer.clone().token_source(TokenSource::Bearer);
    let mut app = Client::new(&bearer);
    let token = format!("Bearer {}", client.token());
    app.headers.insert("authorization", token.parse().unwrap());
    let foreign = [("sec-fetch-site", "cross-site")];

    for line in [POST, "POST /sessions/logout-others"] {
        let got = call(&layer, &client, line, &foreign).await;
        assert_eq!(got.status, StatusCode::FORBIDDEN, "{line}");
        assert!(got.body.contains(r#""reason":"foreign_origin""#));
        let got = call(&bearer, &app, line, &foreign).await;
        assert_eq!(got.status, StatusCode::OK, "{line}");
    }
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T53
#[tokio::test]
async fn logout_others_is_logout_all_by_its_right_name() {
    let (layer, store, _clock) = world();
    signed_in(&layer, "alice").await;
    let (client, id) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, "POST /sessions/logout-others", &[]).await;
    let again = call(&layer, &client, "POST /sessions/logout-all", &[]).await;

    let answer =
        |ended| format!(r#"{{"message":"All other sessions logged out","ended":{ended}}}"#);
    assert_eq!((got.body, again.body), (answer(1), answer(0)));
    assert_eq!(ids(&store, "alice").await, [id]);
}

#[tokio::test]
async fn a_sign_in_that_is_only_staged_has_no_times_yet() {
    let (layer, _store, _clock) = world();
    let inside = tower::ServiceBuilder::new()
        .map_request(|request: http::Request<()>| {
            let session: &tower_user_sessions::Session = request.extensions().get().unwrap();
            session.log_in(user("alice")).unwrap();
            request
        })
        .service(DeviceApi::at("/sessions"));
    let service = tower::Layer::layer(&layer.reply_with(|_| panic!()), inside);

    let answer = service.oneshot(http::Request::get("/sessions/current").body(()).unwrap());

    assert_eq!(answer.await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
