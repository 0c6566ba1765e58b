//! What the device API refuses, and how it responds then.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use bytes::Bytes;
use http::StatusCode;
use http_body_util::Full;
use tower::{Layer, ServiceExt};
use tower_user_sessions::{
    DeviceApi, DevicePage, EndReason, MemoryStore, OnOutage, SessionId, SessionLayer, UserSessions,
    store::ManualClock,
};

use crate::common::{
    devices::{call, signed_in, through},
    faulty::{self, Fault, FaultyStore, until_asked},
    http::{Client, DAY, ids, store, user},
};

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

const NOT_YOURS: &str =
    r#"{"type":"about:blank","title":"Not your session","status":403,"reason":"not_yours"}"#;

// T24
#[tokio::test]
async fn a_foreign_id_an_unknown_id_and_no_id_get_the_same_403() {
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

#[tokio::test]
async fn without_a_user_every_route_is_401() {
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
async fn a_prefix_beyond_ascii_is_found_as_browsers_write_it() {
    let (layer, _store, _clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    let api = DeviceApi::at("/geräte");

    let got = through(&layer, api.clone(), &client, "GET /ger%C3%A4te", &[]).await;
    let current = through(&layer, api, &client, "GET /ger%C3%A4te/current", &[]).await;
    let page = layer.clone().layer(DevicePage::at("/geräte"));
    let page = page
        .oneshot(
            client
                .head("/ger%C3%A4te")
                .map(|()| Full::<Bytes>::default()),
        )
        .await;

    assert_eq!(
        (got.status, current.status),
        (StatusCode::OK, StatusCode::OK)
    );
    assert_eq!(page.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn a_client_whose_session_ended_reads_why() {
    let (layer, store, clock) = world();
    let (client, _) = signed_in(&layer, "alice").await;
    let admin = UserSessions::new(store, user("alice"));
    admin.because(EndReason::Disabled).end_all().await.unwrap();

    for line in [
        "GET /sessions",
        "GET /sessions/current",
        "POST /sessions/logout-others",
    ] {
        for _ in 0..2 {
            let got = call(&layer, &client, line, &[]).await;
            assert_eq!(got.status, StatusCode::UNAUTHORIZED, "{line}");
            assert!(got.body.contains(r#""reason":"disabled""#), "{}", got.body);
        }
    }

    let (client, _) = signed_in(&layer, "bob").await;
    clock.advance(DAY * 400);
    let got = call(&layer, &client, "GET /sessions", &[]).await;
    assert!(got.body.contains(r#""reason":"expired""#), "{}", got.body);
}

#[tokio::test]
async fn errors_are_problems_and_nothing_is_cached_or_sniffed() {
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
        let sniffed = got.header("x-content-type-options");
        assert_eq!(sniffed, Some("nosniff"), "{line}");
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

// T20
#[tokio::test]
async fn a_session_that_ended_during_its_request_gets_401_and_ends_no_others() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    let (client, id) = signed_in(&layer, "alice").await;
    let (_, other) = signed_in(&layer, "alice").await;
    faulty.next(faulty::Method::End, Fault::Hang);

    let mut got = Box::pin(call(&layer, &client, "POST /sessions/logout-all", &[]));
    until_asked(&faulty, faulty::Method::End, 1, got.as_mut()).await;
    UserSessions::new(store.clone(), user("alice"))
        .end(id)
        .await
        .unwrap();
    faulty.release();

    assert_eq!(got.await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ids(&store, "alice").await, [other]);
}
