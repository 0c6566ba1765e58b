//! Guards send browsers to a path of this origin only, and remember where the guest wanted to go.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use axum::{Router, body::Body, extract::Query, response::Redirect, routing::get};
use http::{Request, Response, StatusCode};
use serde::Deserialize;
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{
    DevicePage, RequireFresh, RequireUser, Session, SessionError, SessionLayer, local_path,
};

use crate::common::{
    http::{Client, DAY, HOUR, store},
    log::Log,
    page::visit,
};

const NAVIGATION: (&str, &str) = ("sec-fetch-mode", "navigate");

/// Where a guest is sent who asks for this line.
async fn sent(guard: &RequireUser, line: &str, header: (&str, &str)) -> Option<String> {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let (method, path) = line.split_once(' ').unwrap();
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(header.0, header.1)
        .body(())
        .unwrap();
    let reached = service_fn(async |_: Request<()>| {
        Ok::<_, std::convert::Infallible>(Response::new(String::new()))
    });
    let answer = layer.layer(guard.layer(reached)).oneshot(request).await;
    let answer = answer.unwrap();
    let location = answer.headers().get("location")?;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    Some(location.to_str().unwrap().to_owned())
}

fn to_login() -> RequireUser {
    RequireUser::new()
        .redirect_to("/login")
        .remember_target("next")
}

#[tokio::test]
async fn the_sign_in_page_gets_the_path_and_query_that_the_guest_wanted() {
    for (line, location) in [
        ("GET /orders", "/login?next=/orders"),
        ("GET /", "/login?next=/"),
        (
            "GET /orders?page=2&q=a%20b",
            "/login?next=/orders%3Fpage%3D2%26q%3Da%2520b",
        ),
        ("GET /a+b;c='d'", "/login?next=/a%2Bb%3Bc%3D%27d%27"),
    ] {
        assert_eq!(sent(&to_login(), line, NAVIGATION).await.unwrap(), location);
    }
}

#[tokio::test]
async fn it_joins_a_query_and_stays_before_a_fragment() {
    for (page, location) in [
        ("/login?from=guard", "/login?from=guard&next=/orders"),
        ("/login#form", "/login?next=/orders#form"),
        ("/login?a=b#c?d", "/login?a=b&next=/orders#c?d"),
    ] {
        let guard = to_login().redirect_to(page);
        let sent = sent(&guard, "GET /orders", NAVIGATION).await;
        assert_eq!(sent.unwrap(), location);
    }
}

#[tokio::test]
async fn only_a_page_that_a_browser_gets_is_remembered() {
    let guard = to_login();

    let head = sent(&guard, "HEAD /orders", NAVIGATION).await;
    let older = sent(&guard, "GET /orders", ("accept", "text/html")).await;
    let script = sent(&guard, "GET /orders", ("sec-fetch-mode", "cors")).await;
    let form = sent(&guard, "POST /orders", NAVIGATION).await;

    assert_eq!(head.as_deref(), Some("/login"));
    assert_eq!(older.as_deref(), Some("/login?next=/orders"));
    assert_eq!((script, form), (None, None));
}

#[tokio::test]
async fn a_target_that_could_lead_away_is_not_remembered() {
    for line in [
        "GET //evil.example",
        "GET /%2fevil.example",
        "GET /%5cevil.example",
        "GET /orders?a=%0d%0a",
    ] {
        let location = sent(&to_login(), line, NAVIGATION).await;
        assert_eq!(location.as_deref(), Some("/login"), "{line}");
    }
}

#[tokio::test]
async fn a_target_that_a_proxy_would_find_too_long_is_not_remembered() {
    let room = 2_048 - "/login?next=/".len();
    for (target, is_kept) in [
        ("a".repeat(room), true),
        ("a".repeat(room + 1), false),
        // Each takes three bytes.
        ("!".repeat(room / 3), true),
        ("!".repeat(room / 3 + 1), false),
    ] {
        let line = format!("GET /{target}");
        let location = sent(&to_login(), &line, NAVIGATION).await.unwrap();

        assert_eq!(location != "/login", is_kept, "{} bytes", target.len());
    }
}

#[derive(Deserialize)]
struct Target {
    next: Option<String>,
}

async fn sign_in(session: Session, target: Query<Target>) -> Result<Redirect, SessionError> {
    session.log_in(42)?;
    let next = target.next.as_deref().and_then(local_path);
    Ok(Redirect::to(next.unwrap_or("/")))
}

#[tokio::test]
async fn after_signing_in_the_user_is_back_and_a_planted_target_leads_home() {
    let (store, _clock) = store();
    let app: Router = Router::new()
        .nest(
            "/shop",
            Router::new().route("/orders", get(|| async { "orders" })),
        )
        .route_layer(to_login())
        .route("/login", get(sign_in))
        .layer(SessionLayer::new(store));
    let ask = async |path: &str| {
        let request = Request::get(path).header(NAVIGATION.0, NAVIGATION.1);
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap());
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), StatusCode::SEE_OTHER, "{path}");
        answer.headers()["location"].to_str().unwrap().to_owned()
    };

    let login = ask("/shop/orders?page=2").await;
    let back = ask(&login).await;
    let planted = ask("/login?next=https://evil.example").await;

    assert_eq!(login, "/login?next=/shop/orders%3Fpage%3D2");
    assert_eq!((&*back, &*planted), ("/shop/orders?page=2", "/"));
}

#[tokio::test]
async fn a_name_may_have_digits_and_some_marks() {
    for name in ["next2", "return-to", "return_to", "return.to"] {
        let guard = to_login().remember_target(name);

        let location = sent(&guard, "GET /orders", NAVIGATION).await;

        assert_eq!(location, Some(format!("/login?{name}=/orders")));
    }
}

#[tokio::test]
async fn a_name_that_is_none_is_an_error_in_the_log_and_nothing_is_added() {
    let log = Log::start();

    for name in ["", "a&b", "next=", "ne xt", "é", "a#b"] {
        let guard = to_login().remember_target(name);
        let location = sent(&guard, "GET /orders", NAVIGATION).await;
        assert_eq!(location.as_deref(), Some("/login"), "{name}");
    }

    assert_eq!(log.at("ERROR").len(), 6);
    assert!(log.at("ERROR")[0].contains("`remember_target` is off"));
}

const FOREIGN: [&str; 5] = [
    "//evil.example/x",
    "https://evil.example",
    r"/\evil.example",
    "login",
    "/sign in",
];

#[tokio::test]
async fn a_redirect_to_another_origin_is_off_and_the_log_says_what_to_change() {
    let log = Log::start();
    for page in FOREIGN {
        let guard = to_login().redirect_to(page);
        assert_eq!(
            sent(&guard, "GET /orders", NAVIGATION).await,
            None,
            "{page}"
        );
    }

    let errors = log.at("ERROR");
    assert_eq!(errors.len(), 5);
    for error in errors {
        assert!(error.contains("RequireUser::redirect_to") && error.contains("such as `/login`"));
    }
}

#[tokio::test]
async fn so_it_is_for_users_who_have_to_prove_themselves() {
    let log = Log::start();
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    let value = NAVIGATION.1.parse().unwrap();
    client.headers.insert(NAVIGATION.0, value);

    for page in FOREIGN {
        let guard = RequireFresh::within(Duration::from_secs(60)).redirect_to(page);
        let reached = service_fn(async |_: Request<()>| {
            Ok::<_, std::convert::Infallible>(Response::new(String::new()))
        });
        let answer = layer.layer(guard.layer(reached)).oneshot(client.head("/"));
        assert_eq!(answer.await.unwrap().status(), StatusCode::UNAUTHORIZED);
    }
    assert_eq!(log.at("RequireFresh::redirect_to").len(), 5);
}

#[tokio::test]
async fn so_it_is_on_the_device_page() {
    let log = Log::start();
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let guest = Client::new(&layer);
    let client = Client::signed_in(&layer, "alice").await;
    clock.advance(DAY / 2);

    for path in FOREIGN {
        let page = DevicePage::at("/devices")
            .login(path)
            .require_fresh(HOUR, path)
            .back_link(path, "Back");

        let shown = visit(&layer, &page, &guest, "GET /devices", &[], "").await;
        assert_eq!((shown.status.as_u16(), shown.location()), (401, None));
        assert!(!shown.body.contains("<a "), "{}", shown.body);
        let line = "POST /devices/end-others";
        let stale = visit(&layer, &page, &client, line, &[], "").await;
        assert_eq!((stale.status.as_u16(), stale.location()), (401, None));
        assert!(stale.body.contains("Please sign in again to do that."));
    }
    for setting in ["login", "require_fresh", "back_link"] {
        let lines = log.at(&format!("DevicePage::{setting}"));
        assert_eq!(lines.len(), 5, "{setting}");
    }
}
