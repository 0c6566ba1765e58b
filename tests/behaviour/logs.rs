//! What is logged, and what is never logged.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use axum::{Router, body::Body, routing::get};
use http::{Request, StatusCode};
use tower::ServiceExt;
use tower_user_sessions::{
    DeviceApi, Limit, MemoryStore, OnOutage, RedisStore, Rejection, Session, SessionCookie,
    SessionLayer, UserId, UserSessions,
    store::{Near, RedisLive, RedisSource},
};

use crate::common::{
    alone::is_alone,
    faulty::{Fault, FaultyStore, Method},
    http::{Client, store},
    log::Log,
};

fn world() -> (SessionLayer, FaultyStore, MemoryStore) {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    (SessionLayer::new(faulty.clone()), faulty, store)
}

// T6
#[tokio::test]
async fn the_one_insecure_switch_warns_once() {
    if !is_alone(module_path!(), "the_one_insecure_switch_warns_once") {
        return;
    }
    let log = Log::start();
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).cookie(SessionCookie::danger_insecure());

    let layer = layer.cookie(SessionCookie::danger_insecure());
    let signed_in = Client::signed_in(&layer, "alice").await;

    assert!(signed_in.cookie.unwrap().starts_with("session="));
    assert_eq!(log.at("WARN").len(), 1);
}

#[tokio::test]
async fn a_near_cache_warns_if_its_store_reports_too_little() {
    let log = Log::start();
    let near = |live: Option<RedisLive>| {
        // It does not connect.
        let store = RedisStore::builder(RedisSource::url("redis://localhost").unwrap());
        let store = match live {
            Some(live) => store.live(live),
            None => store,
        };
        drop(Near::new(store.build()));
        log.at("WARN").len()
    };

    assert_eq!(near(Some(RedisLive::all())), 0);
    assert_eq!(near(Some(RedisLive::ends())), 1);
    assert_eq!(near(None), 2);
    let [ends, none] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    assert!(ends.contains("RedisLive::all()"), "{ends}");
    assert!(none.contains("has no feed"), "{none}");
}

// T2 T3
#[tokio::test]
async fn a_malformed_token_is_a_debug_event_without_its_value() {
    let log = Log::start();
    let (store, _clock) = store();
    let client = Client::with_cookies(&SessionLayer::new(store), [b"__Host-session=not-a-token"]);

    client.request(|_session| async {}).await;

    assert_eq!(log.at("DEBUG").len(), 1);
    assert!(!log.text().contains("not-a-token"));
}

// T10
#[tokio::test]
async fn two_differing_cookies_are_a_warning_with_the_likely_cause_and_no_value() {
    if !is_alone(
        module_path!(),
        "two_differing_cookies_are_a_warning_with_the_likely_cause_and_no_value",
    ) {
        return;
    }
    let log = Log::start();
    let (layer, _faulty, _store) = world();
    let token = Client::signed_in(&layer, "alice").await.token();
    let cookie = format!("__Host-session={token}; __Host-session=planted");

    Client::with_cookies(&layer, [cookie.as_bytes()])
        .request(|_session| async {})
        .await;

    let [warning] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    assert!(warning.contains("path or domain"));
    assert!(!log.text().contains(&token) && !log.text().contains("planted"));
}

// T3
#[tokio::test]
async fn the_token_is_in_no_log_line_and_not_in_the_debug_of_the_session() {
    let log = Log::start();
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));

    client.insert("cart", "apple").await;
    let guest = client.token();
    client.log_in("alice").await;
    let user = client.token();
    let debug = client.send(|session| async move {
        tracing::trace!(?session, "handled");
        format!("{session:?}")
    });
    let debug = debug.await.value();

    let text = format!("{}{debug}", log.text());
    assert!(text.contains("handled"));
    for secret in [guest, user] {
        assert!(!text.contains(&secret) && !text.contains(&secret[32..]));
    }
}

// T5
#[tokio::test]
async fn a_created_login_succeeds_and_a_guest_session_that_cannot_end_is_logged_and_ends_later() {
    let log = Log::start();
    let (layer, faulty, _store) = world();
    let mut client = Client::new(&layer);
    client.insert("cart", "apple").await;
    let guest = client.clone();
    let id = guest.request(|session| async move { session.id() });
    let id = id.await.value().unwrap();
    faulty.always([Method::End], Fault::Fail);

    client.log_in("alice").await;
    faulty.mend();

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(log.at("WARN").len(), 1);
    assert_eq!(faulty.given_up(), [id]);
    let found = guest.request(|session| async move { session.id() });
    assert_eq!(found.await.value(), None);
}

// T3
#[tokio::test]
async fn an_outage_is_logged_with_its_kind_and_no_token() {
    let log = Log::start();
    let (layer, faulty, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.next(Method::Resolve, Fault::Fail);

    client.send(|_session| async {}).await;

    let [warning] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    assert!(warning.contains("Unavailable"));
    assert!(!log.text().contains(&client.token()));
}

#[tokio::test]
async fn an_outage_is_a_few_lines_and_not_one_for_each_request() {
    if !is_alone(
        module_path!(),
        "an_outage_is_a_few_lines_and_not_one_for_each_request",
    ) {
        return;
    }
    let log = Log::start();
    let (layer, faulty, _store) = world();
    let user = Client::signed_in(&layer, "alice").await;
    let (pages, guest) = (
        layer.clone().on_outage(OnOutage::Guest),
        Client::new(&layer),
    );
    let lists = || UserSessions::new(faulty.clone(), UserId::new("alice").unwrap());
    faulty.always([Method::Resolve, Method::Create, Method::List], Fault::Fail);

    let mut statuses = Vec::new();
    for _ in 0..10 {
        let resolves = user.request(|_session| async {}).await;
        let writes = user.before(&pages).request(|session| async move {
            let refused = session.insert("cart", &1).unwrap_err();
            Rejection::from(refused).status()
        });
        let signs_in = guest.request(|session| async move { session.log_in("bob").unwrap() });
        let unlisted = Rejection::from(lists().list().await.unwrap_err());
        statuses.extend([resolves.status, writes.await.value()]);
        statuses.extend([signs_in.await.status, unlisted.status()]);
    }

    assert_eq!(statuses, [StatusCode::SERVICE_UNAVAILABLE; 40]);
    let [resolves, unlisted] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    let [signs_in] = &log.at("ERROR")[..] else {
        panic!("{}", log.text());
    };
    assert!(resolves.contains("session not resolved") && resolves.contains("failed=1"));
    assert!(unlisted.contains("sessions not listed or ended"));
    assert!(signs_in.contains("session not committed"));
}

#[tokio::test]
async fn without_the_session_layer_it_is_500_and_the_log_says_what_to_change() {
    if !is_alone(
        module_path!(),
        "without_the_session_layer_it_is_500_and_the_log_says_what_to_change",
    ) {
        return;
    }
    let log = Log::start();
    let request = Request::new("any body");

    let got = DeviceApi::new().oneshot(request).await.unwrap();

    assert_eq!(got.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(log.at("ERROR")[0].contains("SessionLayer"));
}

/// A handler that takes a `Session`.
fn app() -> Router {
    Router::new().route("/", get(|_session: Session| async {}))
}

#[tokio::test]
async fn an_extractor_without_the_layer_logs_that() {
    if !is_alone(module_path!(), "an_extractor_without_the_layer_logs_that") {
        return;
    }
    let log = Log::start();

    let answer = app().oneshot(Request::new(Body::empty())).await.unwrap();

    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let [line] = &log.at("ERROR")[..] else {
        panic!("{}", log.text());
    };
    assert!(line.contains("no `SessionLayer` on this route") && line.contains(".layer("));
}

#[tokio::test]
async fn an_extractor_on_a_request_that_resolve_if_skipped_logs_that() {
    if !is_alone(
        module_path!(),
        "an_extractor_on_a_request_that_resolve_if_skipped_logs_that",
    ) {
        return;
    }
    let log = Log::start();
    let (store, _clock) = store();
    let app = app().layer(SessionLayer::new(store).resolve_if(|_| false));

    let answer = app.oneshot(Request::new(Body::empty())).await.unwrap();

    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let [line] = &log.at("ERROR")[..] else {
        panic!("{}", log.text());
    };
    assert!(line.contains("`resolve_if`") && line.contains("return true"));
}

// T3 T44
#[tokio::test]
async fn events_are_logged_at_debug_under_their_own_target_without_token_or_address() {
    let log = Log::start();
    let (layer, _faulty, _store) = world();
    let layer = layer.limit(Limit::at_most(1));
    let mut first = Client::new(&layer);
    first.user_agent = "Firefox";
    first.peer = Some([192, 0, 2, 1].into());
    let evicted = first.log_in("alice").await;

    let mut second = first.before(&layer);
    second.cookie = None;
    let by = second.log_in("alice").await;

    let lines: Vec<String> = log.at("tower_user_sessions::audit");
    assert_eq!(lines.len(), 3, "{}", log.text());
    assert!(lines.iter().all(|line| line.contains("DEBUG")));
    let end = &lines[2];
    for field in [
        "kind=\"ended\"".to_owned(),
        "user=alice".to_owned(),
        format!("session={evicted}"),
        "why=\"evicted\"".to_owned(),
        "initiator=\"policy\"".to_owned(),
        format!("by={by}"),
    ] {
        assert!(end.contains(&field), "{field}: {end}");
    }
    for secret in [
        &first.token()[32..],
        &second.token()[32..],
        "192.0.2.1",
        "Firefox",
    ] {
        assert!(lines.iter().all(|line| !line.contains(secret)), "{secret}");
    }
}

// T3
#[tokio::test]
async fn lines_at_debug_that_are_no_events_name_no_user_session_or_address() {
    let log = Log::start();
    let (layer, faulty, _store) = world();
    let layer = layer.limit(Limit::at_most(1));
    let mut evicted = Client::new(&layer);
    evicted.peer = Some([192, 0, 2, 1].into());
    let first = evicted.log_in("alice").await;
    let mut client = Client::new(&layer);
    let second = client.log_in("alice").await;

    evicted.send(|_session| async {}).await;
    client.insert("cart", "apple").await;
    let unread = client.send(|session| async move { session.get::<u32>("cart").is_err() });
    assert!(unread.await.value());
    faulty.next(Method::Resolve, Fault::Fail);
    client.send(|_session| async {}).await;

    let text = log.text();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains("tower_user_sessions::audit"))
        .collect();
    for part in ["a token opens no session", "WARN"] {
        assert!(lines.iter().any(|line| line.contains(part)), "{text}");
    }
    for named in ["alice", &first.to_string(), &second.to_string(), "192.0.2"] {
        assert!(!lines.iter().any(|line| line.contains(named)), "{text}");
    }
}
