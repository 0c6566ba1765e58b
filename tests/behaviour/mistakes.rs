//! Mistakes in an app's setup: the log says once what to change, in debug builds the body too.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_user_sessions::{
    DeviceApi, DevicePage, MissingSession, OnOutage, Problem, RequireFresh, RequireUser, Session,
    SessionCookie, SessionLayer, User, store::Near,
};

use crate::common::{
    alone::is_alone,
    faulty::{Fault, FaultyStore, Method},
    http::{Client, HOUR, store, user},
    log::Log,
};

/// Every kind of handler that needs a session, each at a path of its own.
fn app() -> Router {
    let plain = || get(|| async { "reached" });
    let by_hand = get(|request: Request<Body>| async move {
        Session::of(request.extensions()).map(|_session| "reached")
    });
    Router::new()
        .route("/session", get(|_: Session| async { "reached" }))
        .route("/by-hand", by_hand)
        .route("/user", get(|_: User| async { "reached" }))
        .route("/user-or-guest", get(|_: Option<User>| async { "reached" }))
        .route(
            "/require-user",
            plain().route_layer(RequireUser::new().reply(Problem)),
        )
        .route(
            "/require-fresh",
            plain().route_layer(RequireFresh::within(HOUR).reply(Problem)),
        )
        .nest_service("/api", DeviceApi::new())
        .nest_service("/page", DevicePage::at("/page"))
}

const JSON: [&str; 7] = [
    "/session",
    "/by-hand",
    "/user",
    "/user-or-guest",
    "/require-user",
    "/require-fresh",
    "/api",
];

async fn ask(app: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = app.clone().oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.into()).unwrap())
}

/// Asks each path and checks that all of them say the same.
async fn all_say(app: Router, advice: &str) {
    for path in JSON {
        let (status, body) = ask(&app, path).await;

        assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR, "{path}");
        assert!(body.contains(r#""reason":"no_session""#), "{path}: {body}");
        assert_eq!(
            body.contains(advice),
            cfg!(debug_assertions),
            "{path}: {body}"
        );
    }
    let (status, body) = ask(&app, "/page").await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(body.contains("Something went wrong."));
    assert_eq!(body.contains(advice), cfg!(debug_assertions), "{body}");
}

#[tokio::test]
async fn without_a_layer_they_all_say_so() {
    if !is_alone(module_path!(), "without_a_layer_they_all_say_so") {
        return;
    }
    all_say(app(), "no `SessionLayer` on this route: add `.layer(").await;
}

#[tokio::test]
async fn a_route_that_was_added_after_the_layer_says_that_the_app_has_one() {
    let (store, _clock) = store();
    let late = Router::new().layer(SessionLayer::new(store)).merge(app());

    all_say(late, "although the app has one").await;
}

#[tokio::test]
async fn where_resolve_if_let_the_request_pass_they_all_say_so() {
    let (store, _clock) = store();
    let passing = app().layer(SessionLayer::new(store).resolve_if(|_| false));

    all_say(passing, "`resolve_if` let the request pass").await;
}

#[tokio::test]
async fn it_is_logged_once_for_each_that_asks_and_never_silent() {
    if !is_alone(
        module_path!(),
        "it_is_logged_once_for_each_that_asks_and_never_silent",
    ) {
        return;
    }
    let log = Log::start();
    let app = app();

    for _ in 0..3 {
        for path in JSON {
            ask(&app, path).await;
        }
    }

    let errors = log.at("ERROR");
    let askers = [
        "Session",
        "User",
        "Option<User>",
        "RequireUser",
        "RequireFresh",
        "DeviceApi",
    ];
    for asker in askers {
        let said = errors
            .iter()
            .filter(|line| line.contains(&format!("asker=\"{asker}\"")));
        assert_eq!(said.count(), 1, "{asker}: {}", log.text());
    }
    assert_eq!(errors.len(), askers.len());
    assert_eq!(log.at("DEBUG").len(), 3 * JSON.len() - errors.len());
}

#[tokio::test]
async fn a_guard_outside_of_its_layer_says_that_the_app_has_one() {
    let (store, _clock) = store();
    let wrong = Router::new()
        .route("/", get(|| async { "reached" }))
        .layer(SessionLayer::new(store))
        .layer(RequireUser::new().reply(Problem));

    let (status, body) = ask(&wrong, "/").await;

    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(
        body.contains("although the app has one"),
        cfg!(debug_assertions)
    );
}

#[tokio::test]
async fn option_extractors_tell_a_guest_from_a_mistake_and_an_outage() {
    async fn session(session: Option<Session>) -> String {
        format!("{:?}", session.map(|session| session.is_available()))
    }
    async fn signed_in(user: Option<User>) -> String {
        user.map_or_else(|| "guest".to_owned(), |user| user.id().to_string())
    }
    let app = || {
        Router::new()
            .route("/session", get(session))
            .route("/user", get(signed_in))
    };
    let (memory, _clock) = store();
    let faulty = FaultyStore::new(&memory);
    let layer = SessionLayer::new(faulty.clone()).on_outage(OnOutage::Guest);
    let alice = Client::signed_in(&layer, "alice").await;
    let send = async |app: Router, client: &Client, path: &str| {
        let request = client.head(path).map(|()| Body::empty());
        let answer = app.oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.into()).unwrap())
    };
    let ok = |body: &str| (200, body.to_owned());
    let guest = Client::new(&layer);
    let with = || app().layer(layer.clone());
    let passed = || app().layer(layer.clone().resolve_if(|_| false));

    assert_eq!(send(with(), &alice, "/session").await, ok("Some(true)"));
    assert_eq!(send(with(), &guest, "/session").await, ok("Some(true)"));
    assert_eq!(send(app(), &guest, "/session").await, ok("None"));
    assert_eq!(send(passed(), &alice, "/session").await, ok("None"));
    assert_eq!(send(with(), &alice, "/user").await, ok("alice"));
    assert_eq!(send(with(), &guest, "/user").await, ok("guest"));
    assert_eq!(send(app(), &guest, "/user").await.0, 500);
    assert_eq!(send(passed(), &alice, "/user").await.0, 500);
    faulty.always([Method::Resolve], Fault::Fail);
    assert_eq!(send(with(), &alice, "/session").await, ok("Some(false)"));
    let (status, body) = send(with(), &alice, "/user").await;
    assert_eq!(status, 503);
    assert!(body.contains(r#""reason":"unavailable""#));
}

#[tokio::test]
async fn neither_an_optional_user_nor_a_required_one_takes_the_reason_of_an_ended_session_away() {
    let (memory, _clock) = store();
    let layer = SessionLayer::new(memory.clone());
    let client = Client::signed_in(&layer, "alice").await;
    let sessions = tower_user_sessions::UserSessions::new(memory, user("alice"));
    sessions.end_all().await.unwrap();
    let app = |handler| Router::new().route("/", handler).layer(layer.clone());
    let optional = app(get(|_: Option<User>| async { "guest" }));
    let required = app(get(|_: User| async { "user" }));
    let ask = async |app: Router| {
        let request = client.head("/").map(|()| Body::empty());
        app.oneshot(request).await.unwrap()
    };

    let first = ask(optional).await;
    let second = ask(required.clone()).await;
    let third = ask(required).await;

    for answer in [&first, &second, &third] {
        assert!(!answer.headers().contains_key("set-cookie"));
    }
    assert_eq!(second.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(second.status(), third.status());
}

#[tokio::test]
async fn an_outage_says_what_to_look_at() {
    let log = Log::start();
    let (memory, _clock) = store();
    let faulty = FaultyStore::new(&memory);
    let layer = SessionLayer::new(faulty.clone());
    let client = Client::signed_in(&layer, "alice").await;
    faulty.always([Method::Resolve], Fault::Fail);
    let app = app().layer(layer.reply(Problem));

    let request = client.head("/session").map(|()| Body::empty());
    let answer = app.oneshot(request).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap().to_bytes();
    let body = String::from_utf8(body.into()).unwrap();

    let advice = "is it running, and is its address right?";
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(body.contains(r#""reason":"unavailable""#));
    assert_eq!(body.contains(advice), cfg!(debug_assertions), "{body}");
    assert_eq!(log.at("WARN").len(), 1);
    assert!(log.at("WARN")[0].contains(advice));
}

#[tokio::test]
async fn a_request_from_another_origin_that_is_refused_says_in_the_log_how_to_trust_it() {
    if !is_alone(
        module_path!(),
        "a_request_from_another_origin_that_is_refused_says_in_the_log_how_to_trust_it",
    ) {
        return;
    }
    let log = Log::start();
    let app = app().layer(SessionLayer::new(store().0));
    for (asker, path) in [
        ("DeviceApi", "/api/logout-others"),
        ("DevicePage", "/page/others"),
    ] {
        let request = Request::post(path).header("sec-fetch-site", "same-site");

        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap());

        assert_eq!(answer.await.unwrap().status(), StatusCode::FORBIDDEN);
        let lines = log.at("DEBUG");
        let line = lines.iter().find(|line| line.contains(asker)).unwrap();
        assert!(line.contains("`add_trusted_origin`"), "{line}");
    }
}

// T10
#[tokio::test]
async fn a_flood_of_differing_cookies_is_one_warning_for_each_cookie() {
    if !is_alone(
        module_path!(),
        "a_flood_of_differing_cookies_is_one_warning_for_each_cookie",
    ) {
        return;
    }
    let log = Log::start();
    let layer = SessionLayer::new(store().0);
    let names = ["__Host-session", "__Host-session-guest"];
    for cookie in names.map(|name| format!("{name}=a; {name}=b")) {
        let client = Client::with_cookies(&layer, [cookie.as_bytes()]);
        for _ in 0..500 {
            client.request(|_session| async {}).await;
        }
    }

    let warnings = log.at("WARN");
    assert_eq!(warnings.len(), 2);
    for (name, warning) in names.iter().zip(warnings) {
        assert!(warning.contains(&format!("\"{name}\"")), "{warning}");
    }
}

// T6
#[tokio::test]
async fn a_cookie_that_is_not_secure_warns_once() {
    if !is_alone(module_path!(), "a_cookie_that_is_not_secure_warns_once") {
        return;
    }
    let log = Log::start();
    let builder = SessionCookie::named("sid").secure(false);
    assert_eq!(log.at("WARN"), [""; 0]);

    let cookie = builder.clone().build().unwrap();
    assert_eq!((cookie.name(), log.at("WARN").len()), ("sid", 1));
    drop((builder.build(), SessionCookie::danger_insecure()));

    let [warning] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    assert!(warning.contains("plain http"), "{warning}");
}

#[test]
fn the_error_itself_says_what_to_change() {
    let text = MissingSession::NoLayer.to_string();

    assert!(text.contains(".layer(SessionLayer::new(store))"));
}

#[tokio::test]
async fn near_without_a_cache_is_one_warning() {
    if !is_alone(module_path!(), "near_without_a_cache_is_one_warning") {
        return;
    }
    let log = Log::start();
    let (memory, _clock) = store();
    let plain = SessionLayer::new(memory.clone());
    let near = plain.clone().near(|_request| true);
    Client::new(&plain).user().await;
    assert_eq!(log.at("WARN"), [""; 0]);

    for layer in [&near, &near, &near.clone().near(|_request| false)] {
        Client::new(layer).user().await;
    }

    let [line] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    assert!(line.contains("wrap it in `store::Near`"), "{line}");
}

#[tokio::test]
async fn near_around_a_cache_is_no_warning() {
    if !is_alone(module_path!(), "near_around_a_cache_is_no_warning") {
        return;
    }
    let log = Log::start();
    let (memory, _clock) = store();
    let layer = SessionLayer::new(Near::new(memory)).near(|_request| true);

    Client::new(&layer).user().await;

    assert_eq!(log.at("WARN"), [""; 0]);
}
