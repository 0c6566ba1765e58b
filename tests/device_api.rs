//! The device API: users see their sessions and end them, and nobody else's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_user_sessions::{
    DeviceApi, MemoryStore, OnOutage, SessionId, SessionLayer, store::ManualClock,
};

use crate::common::{
    faulty::{self, Fault, FaultyStore},
    http::{Client, HOUR, ids, store},
    log::Log,
};

struct Got {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Got {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// `POST /sessions/logout-all` as this client, with these headers.
async fn call(layer: &SessionLayer, client: &Client, line: &str, headers: &[(&str, &str)]) -> Got {
    through(layer, DeviceApi::at("/sessions"), client, line, headers).await
}

async fn through(
    layer: &SessionLayer,
    api: DeviceApi,
    client: &Client,
    line: &str,
    headers: &[(&str, &str)],
) -> Got {
    let (method, path) = line.split_once(' ').unwrap();
    let mut request: Request<()> = client.head(path);
    *request.method_mut() = method.parse().unwrap();
    request
        .headers_mut()
        .insert("host", "app.test".parse().unwrap());
    for (name, value) in headers {
        let name: http::HeaderName = name.parse().unwrap();
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    let service = layer
        .clone()
        .reply_with(|_| panic!("the layer had to answer"))
        .layer(api);
    let (head, body) = service.oneshot(request).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Got {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(body.into()).unwrap(),
    }
}

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

async fn signed_in(layer: &SessionLayer, id: &str) -> (Client, SessionId) {
    let mut client = Client::new(layer);
    let id = client.log_in(id).await;
    (client, id)
}

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:144.0) Gecko/20100101 Firefox/144.0";

const NOT_YOURS: &str =
    r#"{"type":"about:blank","title":"Not your session","status":403,"reason":"not_yours"}"#;

// T35
#[tokio::test]
async fn the_list_is_the_live_sessions_the_current_first_then_by_last_activity() {
    let (layer, _store, clock) = world();
    let mut current = Client::new(&layer);
    current.user_agent = FIREFOX;
    let first = current.log_in("alice").await;
    let mut phone = Client::new(&layer);
    phone.user_agent = "curl/8.5.0\t";
    phone.peer = Some("2001:db8::1".parse().unwrap());
    clock.advance(HOUR);
    let second = phone.log_in("alice").await;
    clock.advance(HOUR);
    let (_, third) = signed_in(&layer, "alice").await;
    signed_in(&layer, "bob").await;
    clock.advance(HOUR);
    phone.user().await;

    let looking = layer.counts_as_activity(|_| false);
    let got = call(&looking, &current, "GET /sessions", &[]).await;

    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(got.header("content-type"), Some("application/json"));
    let mut body = got.body;
    for (id, name) in [(first, "first"), (second, "second"), (third, "third")] {
        body = body.replace(&id.to_string(), name);
    }
    insta::assert_snapshot!(body.replace("},{", "},\n{"), @r#"
    {"sessions":[{"id":"first","device":{"label":"Firefox 144 on Windows","browser":"Firefox","os":"Windows","kind":"desktop"},"location":null,"ipAddress":null,"createdAt":"2025-11-24T16:00:00Z","lastActivity":"2025-11-24T16:00:00Z","current":true},
    {"id":"second","device":{"label":"curl 8.5","browser":"curl","os":null,"kind":"tool"},"location":null,"ipAddress":"2001:db8::1","createdAt":"2025-11-24T17:00:00Z","lastActivity":"2025-11-24T19:00:00Z","current":false},
    {"id":"third","device":{"label":"Unknown device","browser":null,"os":null,"kind":"other"},"location":null,"ipAddress":null,"createdAt":"2025-11-24T18:00:00Z","lastActivity":"2025-11-24T18:00:00Z","current":false}]}
    "#);
}

// T3 T35
#[tokio::test]
async fn there_is_no_secret_in_the_list() {
    let (layer, _store, _clock) = world();
    let (client, id) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, "GET /sessions", &[]).await;

    assert!(got.body.contains(&id.to_string()));
    assert!(!got.body.contains(&client.token()[32..]));
    assert!(!got.body.contains(&client.token()[..16]));
}

// T36
#[tokio::test]
async fn ids_in_the_list_stay_the_same() {
    let (layer, _store, clock) = world();
    let (mut client, id) = signed_in(&layer, "alice").await;

    client.insert("cart", "apple").await;
    clock.advance(HOUR);
    let got = call(&layer, &client, "GET /sessions", &[]).await;

    assert!(got.body.contains(&format!(r#""id":"{id}""#)));
}

// T35 T28
#[tokio::test]
async fn expired_sessions_are_not_listed() {
    let (layer, _store, clock) = world();
    signed_in(&layer, "alice").await;
    clock.advance(25 * HOUR);
    let (client, _) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, "GET /sessions", &[]).await;

    assert_eq!(got.body.matches(r#""id""#).count(), 1);
}

// T19 T24
#[tokio::test]
async fn ending_another_device_signs_it_out_and_again_is_the_same_answer() {
    let (layer, store, clock) = world();
    let (mut phone, id) = signed_in(&layer, "alice").await;
    let (laptop, current) = signed_in(&layer, "alice").await;
    let line = format!("DELETE /sessions/{id}");

    let first = call(&layer, &laptop, &line, &[]).await;
    let second = call(&layer, &laptop, &line, &[]).await;
    clock.advance(HOUR);
    let later = call(&layer, &laptop, &line, &[]).await;

    for got in [first, second] {
        assert_eq!(
            (got.status, &*got.body),
            (StatusCode::OK, r#"{"success":true}"#)
        );
        assert_eq!(got.header("set-cookie"), None);
    }
    assert_eq!(later.status, StatusCode::FORBIDDEN);
    assert_eq!(phone.user().await, None);
    assert_eq!(ids(&store, "alice").await, [current]);
}

// T19
#[tokio::test]
async fn ending_the_current_session_also_removes_the_cookie() {
    let (layer, store, _clock) = world();
    let (client, id) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, &format!("DELETE /sessions/{id}"), &[]).await;

    assert_eq!(
        (got.status, &*got.body),
        (StatusCode::OK, r#"{"success":true}"#)
    );
    assert!(got.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(ids(&store, "alice").await, []);
}

// T24
#[tokio::test]
async fn a_foreign_an_unknown_and_no_id_at_all_are_the_same_403() {
    let (layer, store, _clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    let (_, bob) = signed_in(&layer, "bob").await;

    for id in [
        bob.to_string(),
        SessionId::random().unwrap().to_string(),
        "x".to_owned(),
        "%20".to_owned(),
    ] {
        let got = call(&layer, &client, &format!("DELETE /sessions/{id}"), &[]).await;

        assert_eq!(
            (got.status, &*got.body),
            (StatusCode::FORBIDDEN, NOT_YOURS),
            "{id}"
        );
    }
    assert_eq!(ids(&store, "bob").await, [bob]);
}

// T53
#[tokio::test]
async fn logout_all_ends_all_others_and_says_how_many() {
    let (layer, store, _clock) = world();
    let (mut phone, _) = signed_in(&layer, "alice").await;
    signed_in(&layer, "alice").await;
    let (client, id) = signed_in(&layer, "alice").await;

    let got = call(&layer, &client, "POST /sessions/logout-all", &[]).await;

    assert_eq!(got.status, StatusCode::OK);
    assert_eq!(
        got.body,
        r#"{"message":"All other sessions logged out","ended":2}"#
    );
    assert_eq!(phone.user().await, None);
    assert_eq!(ids(&store, "alice").await, [id]);
}

#[tokio::test]
async fn without_a_user_all_of_it_is_401() {
    let (layer, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let id = SessionId::random().unwrap();

    for client in [Client::new(&layer), guest] {
        for line in [
            "GET /sessions".to_owned(),
            "POST /sessions/logout-all".to_owned(),
            format!("DELETE /sessions/{id}"),
        ] {
            let got = call(&layer, &client, &line, &[]).await;

            assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{line}");
            insta::allow_duplicates! {
                insta::assert_snapshot!(got.body, @r#"{"type":"about:blank","title":"Not signed in","status":401,"reason":"not_signed_in"}"#);
            }
        }
    }
}

// T40
#[tokio::test]
async fn other_methods_are_405_with_allow_and_change_nothing() {
    let (layer, store, _clock) = world();
    let (_, phone) = signed_in(&layer, "alice").await;
    let (client, _) = signed_in(&layer, "alice").await;
    let one = format!("/sessions/{phone}");

    for (method, path, allow) in [
        ("POST", "/sessions", "GET, HEAD"),
        ("DELETE", "/sessions", "GET, HEAD"),
        ("PUT", "/sessions/", "GET, HEAD"),
        ("GET", "/sessions/logout-all", "POST"),
        ("DELETE", "/sessions/logout-all", "POST"),
        ("GET", &one, "DELETE"),
        ("HEAD", &one, "DELETE"),
        ("POST", &one, "DELETE"),
    ] {
        let got = call(&layer, &client, &format!("{method} {path}"), &[]).await;

        assert_eq!(
            got.status,
            StatusCode::METHOD_NOT_ALLOWED,
            "{method} {path}"
        );
        assert_eq!(got.header("allow"), Some(allow), "{method} {path}");
    }
    assert_eq!(ids(&store, "alice").await.len(), 2);
}

#[tokio::test]
async fn other_paths_are_404() {
    let (layer, _store, _clock) = world();
    let (client, id) = signed_in(&layer, "alice").await;

    for line in [
        "GET /".to_owned(),
        "GET /sessionsx".to_owned(),
        "GET /other/sessions".to_owned(),
        format!("DELETE /sessions/{id}/x"),
        format!("DELETE /sessions/{id}/"),
        format!("DELETE /sessions//{id}"),
    ] {
        let got = call(&layer, &client, &line, &[]).await;

        assert_eq!(got.status, StatusCode::NOT_FOUND, "{line}");
    }
}

#[tokio::test]
async fn it_can_be_mounted_anywhere() {
    let (layer, _store, _clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;

    for (api, line) in [
        (DeviceApi::new(), "GET /"),
        (DeviceApi::new(), "HEAD /"),
        (DeviceApi::default(), "POST /logout-all"),
        (DeviceApi::at("/account/devices/"), "GET /account/devices"),
        (
            DeviceApi::at("/account/devices"),
            "GET /account/devices/?sort=x",
        ),
        (DeviceApi::at("/"), "POST /logout-all"),
    ] {
        let got = through(&layer, api, &client, line, &[]).await;

        assert_eq!(got.status, StatusCode::OK, "{line}");
    }
}

#[tokio::test]
async fn errors_are_problems_and_nothing_is_cached() {
    let (layer, _store, _clock) = world();
    let (client, id) = signed_in(&layer, "alice").await;
    let guest = Client::new(&layer);

    for (client, line, kind) in [
        (
            &guest,
            "GET /sessions".to_owned(),
            "application/problem+json",
        ),
        (
            &client,
            "DELETE /sessions/x".to_owned(),
            "application/problem+json",
        ),
        (
            &client,
            "PUT /sessions".to_owned(),
            "application/problem+json",
        ),
        (&client, "GET /x".to_owned(), "application/problem+json"),
        (&client, "GET /sessions".to_owned(), "application/json"),
        (
            &client,
            "POST /sessions/logout-all".to_owned(),
            "application/json",
        ),
        (
            &client,
            format!("DELETE /sessions/{id}"),
            "application/json",
        ),
    ] {
        let got = call(&layer, client, &line, &[]).await;

        assert_eq!(got.header("content-type"), Some(kind), "{line}");
        let cached: Vec<_> = got.headers.get_all("cache-control").iter().collect();
        assert_eq!(cached, ["no-store"], "{line}");
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503_with_retry_after() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone()).on_outage(OnOutage::Guest);
    let (client, id) = signed_in(&layer, "alice").await;

    for (method, line) in [
        (faulty::Method::Resolve, "GET /sessions".to_owned()),
        (faulty::Method::List, "GET /sessions".to_owned()),
        (faulty::Method::End, "POST /sessions/logout-all".to_owned()),
        (faulty::Method::End, format!("DELETE /sessions/{id}")),
    ] {
        faulty.next(method, Fault::Fail);
        let got = call(&layer, &client, &line, &[]).await;

        assert_eq!(got.status, StatusCode::SERVICE_UNAVAILABLE, "{line}");
        assert_eq!(got.header("retry-after"), Some("1"), "{line}");
        assert_eq!(got.header("set-cookie"), None, "{line}");
    }
}

#[tokio::test]
async fn without_its_layer_it_is_500_and_the_log_says_what_to_change() {
    let log = Log::start();
    let request = Request::builder()
        .method(Method::GET)
        .body("any body")
        .unwrap();

    let got = DeviceApi::new().oneshot(request).await.unwrap();

    assert_eq!(got.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(log.at("ERROR")[0].contains("SessionLayer"));
}
