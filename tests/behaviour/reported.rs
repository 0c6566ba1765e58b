//! What users and programs learn when a session ended or a limit refuses a sign-in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    EndReason, EndWords, Limit, MemoryStore, Problem, RequireUser, Session, SessionLayer,
    UserSessions, store::ManualClock,
};

use crate::common::http::{Client, HOUR, ids, store, user};

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).limit(Limit::at_most(1));
    (layer, store, clock)
}

/// Signs in as Firefox on Windows, then moves the clock on.
async fn on_firefox(layer: &SessionLayer, clock: &ManualClock) -> Client {
    clock.advance(HOUR);
    let mut client = Client::new(layer);
    client.user_agent = FIREFOX;
    client.log_in("alice").await;
    client
}

/// The response of a route for users: status, headers and JSON.
async fn for_users(client: &Client, layer: &SessionLayer) -> (StatusCode, Value, Option<String>) {
    let layer = layer.clone().reply(Problem);
    let service = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = ServiceBuilder::new()
        .layer(layer)
        .layer(RequireUser::new().reply(Problem))
        .service(service);
    let (head, body) = service
        .oneshot(client.head("/"))
        .await
        .unwrap()
        .into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let cookie = head
        .headers
        .get("set-cookie")
        .map(|it| it.to_str().unwrap().to_owned());
    (head.status, serde_json::from_slice(&bytes).unwrap(), cookie)
}

// T42
#[tokio::test]
async fn an_evicted_client_learns_why_when_and_by_which_session_and_device() {
    let (layer, store, clock) = world();
    let evicted = Client::signed_in(&layer, "alice").await;
    on_firefox(&layer, &clock).await;
    let by = ids(&store, "alice").await[0];

    let (status, problem, cookie) = for_users(&evicted, &layer).await;

    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let expected = json!({
        "type": "about:blank",
        "title": "Not signed in",
        "status": 401,
        "reason": "evicted",
        "endedAt": "2025-11-24T17:00:00.000Z",
        "by": by.to_string(),
        "byDevice": "Firefox 145 on Windows",
    });
    assert_eq!(problem, expected);
    assert_eq!(cookie, None);
}

// T42
#[tokio::test]
async fn a_stranger_with_a_made_up_token_of_the_same_session_learns_nothing() {
    let (layer, _store, clock) = world();
    let evicted = Client::signed_in(&layer, "alice").await;
    on_firefox(&layer, &clock).await;
    let mut stranger = evicted.clone();
    stranger.cookie = Some(format!(
        "__Host-session={}{:A<32}",
        &evicted.token()[..32],
        ""
    ));

    let (status, problem, _) = for_users(&stranger, &layer).await;

    let (plain_status, plain, _) = for_users(&Client::new(&layer), &layer).await;
    assert_eq!((status, problem), (plain_status, plain));
}

// T42
#[tokio::test]
async fn a_session_ended_from_another_device_names_that_device() {
    let (_, store, clock) = world();
    let layer = SessionLayer::new(store);
    let ended = Client::signed_in(&layer, "alice").await;
    let other = on_firefox(&layer, &clock).await;
    let ends = other.request(|session| async move {
        session.user_sessions().unwrap().end_others().await.unwrap()
    });
    ends.await;

    let messages = ended.request(|session| async move {
        let notice = session.ended().unwrap();
        let mut french = EndWords::default();
        french.revoked = "Déconnecté depuis {device}.".into();
        french.device = "{browser} sous {system}".into();
        [EndWords::default(), french].map(|words| words.message(&notice))
    });

    assert_eq!(
        messages.await.value(),
        [
            "You were signed out from Firefox 145 on Windows.",
            "Déconnecté depuis Firefox 145 sous Windows."
        ]
    );
}

// T42
#[tokio::test]
async fn each_reason_has_a_sentence_that_the_app_can_replace() {
    let (_, store, clock) = world();
    let layer = SessionLayer::new(store.clone());
    let mut words = EndWords::default();
    words.administrator = "Ein Administrator hat Sie abgemeldet.".into();
    let sentences = [
        (
            EndReason::Administrator,
            "Ein Administrator hat Sie abgemeldet.",
        ),
        (
            EndReason::CredentialsChanged,
            "You were signed out because your password was changed.",
        ),
        (
            EndReason::Disabled,
            "You were signed out because your account was disabled.",
        ),
        (
            EndReason::Revoked,
            "You were signed out from another device.",
        ),
        (
            EndReason::Evicted,
            "You were signed out because you signed in on another device.",
        ),
    ];

    for (reason, sentence) in sentences {
        let client = Client::signed_in(&layer, "alice").await;
        let sessions = UserSessions::new(store.clone(), user("alice")).because(reason);
        sessions.end_all().await.unwrap();
        clock.advance(HOUR / 2);
        let words = words.clone();

        let message = client.request(move |session: Session| {
            let words = words.clone();
            async move { words.message(&session.ended().unwrap()) }
        });

        assert_eq!(message.await.value(), sentence);
    }
}

#[tokio::test]
async fn a_refused_program_gets_a_ticket_and_the_sessions_to_choose_from() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone())
        .limit(Limit::at_most(1).refuse())
        .reply(Problem);
    let plain = SessionLayer::new(store.clone()).limit(Limit::at_most(1).refuse());
    on_firefox(&plain, &clock).await;
    let listed = ids(&store, "alice").await[0];

    let service = service_fn(|request: Request<()>| async move {
        let session: &Session = request.extensions().get().unwrap();
        session.log_in(user("alice")).unwrap();
        Ok::<_, Infallible>(Response::new(Full::<Bytes>::default()))
    });
    let service = ServiceBuilder::new().layer(layer).service(service);
    let answer = service.oneshot(Request::new(())).await.unwrap();

    assert_eq!(answer.status(), StatusCode::CONFLICT);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let mut problem: Value = serde_json::from_slice(&bytes).unwrap();
    let ticket = problem.as_object_mut().unwrap().remove("ticket").unwrap();
    assert!(
        ticket
            .as_str()
            .unwrap()
            .parse::<tower_user_sessions::Ticket>()
            .is_ok()
    );
    let expected = json!({
        "type": "about:blank",
        "title": "Too many sessions",
        "status": 409,
        "reason": "limit_reached",
        "sessions": [{
            "id": listed.to_string(),
            "createdAt": "2025-11-24T17:00:00.000Z",
            "lastActivity": "2025-11-24T17:00:00.000Z",
            "device": "Firefox 145 on Windows",
        }],
    });
    assert_eq!(problem, expected);
}

#[tokio::test]
async fn only_a_sign_out_sends_clear_site_data_and_only_if_the_layer_is_set_so() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone()).clear_site_data(true);
    let mut client = Client::signed_in(&layer, "alice").await;
    let looked = client.request(|_session| async {}).await;
    let signed_out = client
        .send(|session| async move { session.log_out().unwrap() })
        .await;
    let mut stranger = Client::new(&layer);
    stranger.cookie = Some("__Host-session=unknown".to_owned());
    stranger.method = http::Method::POST;
    let removed = stranger
        .request(|session| async move { session.forget().unwrap() })
        .await;
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let no_user = guest
        .request(|session| async move { session.log_out().unwrap() })
        .await;
    let plain = SessionLayer::new(store);
    let mut other = Client::signed_in(&plain, "alice").await;
    let without = other
        .send(|session| async move { session.log_out().unwrap() })
        .await;
    let mut again = Client::signed_in(&layer, "alice").await;
    let new_token = again.send(|session| async move {
        session.log_out().unwrap();
        session.log_in(user("alice")).unwrap();
    });

    assert_eq!(
        signed_out.header("clear-site-data"),
        Some("\"cookies\", \"storage\", \"prefetchCache\", \"prerenderCache\"")
    );
    assert!(removed.removes_cookie());
    for answer in [looked, removed, no_user, without, new_token.await] {
        assert_eq!(answer.header("clear-site-data"), None);
    }
}

#[tokio::test]
async fn what_a_handler_clears_itself_is_cleared_too() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).clear_site_data(true);
    let client = Client::signed_in(&layer, "alice").await;

    let answer = client.answered(|session| async move {
        session.log_out().unwrap();
        let mut response = Response::new(String::new());
        let cache = http::HeaderValue::from_static("\"cache\"");
        response.headers_mut().insert("clear-site-data", cache);
        (response, ())
    });

    let headers = answer.await.headers;
    let lines: Vec<_> = headers.get_all("clear-site-data").iter().collect();
    let ours = "\"cookies\", \"storage\", \"prefetchCache\", \"prerenderCache\"";
    assert_eq!(lines, ["\"cache\"", ours]);
}

#[tokio::test]
async fn ending_the_current_session_through_the_list_is_a_sign_out_too() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).clear_site_data(true);
    let client = Client::signed_in(&layer, "alice").await;

    let ended = client.request(|session| async move {
        let sessions = session.user_sessions().unwrap();
        sessions.end(session.id().unwrap()).await.unwrap();
    });

    assert_eq!(
        ended.await.header("clear-site-data"),
        Some("\"cookies\", \"storage\", \"prefetchCache\", \"prerenderCache\"")
    );
}

// T37
#[tokio::test]
async fn the_message_is_text_that_the_page_must_escape_and_has_no_characters_that_do_not_show() {
    let (layer, _store, clock) = world();
    let evicted = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    let mut other = Client::new(&layer);
    let long = "x".repeat(200);
    let brands = format!("\"<script>{{device}}\u{202e}{long}\";v=\"1\"");
    other.headers.insert(
        "sec-ch-ua",
        http::HeaderValue::from_bytes(brands.as_bytes()).unwrap(),
    );
    other.log_in("alice").await;

    let said = evicted
        .request(|session| async move { EndWords::default().message(&session.ended().unwrap()) })
        .await
        .value();

    let name = "<script>{device}";
    let rest = &long[..40 - name.len()];
    let sentence = format!("You were signed out because you signed in on {name}{rest}.");
    assert_eq!(said, sentence);
}
