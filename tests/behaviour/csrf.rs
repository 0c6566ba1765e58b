//! Requests with unsafe methods from other origins do not change anything through the device API.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::error::Error;

use http::{HeaderName, Request, StatusCode};
use http_body_util::BodyExt;
use tower::{Layer, ServiceExt};
use tower_user_sessions::{DeviceApi, MemoryStore, OriginError, SessionLayer};

use crate::common::http::{Client, ids, store};

/// Alice on two devices. One of them asks to end the other, by each of the two routes.
async fn ask(api: DeviceApi, headers: &[(&str, &str)]) -> Vec<(StatusCode, String, MemoryStore)> {
    let mut asked = Vec::new();
    for method in ["DELETE", "POST"] {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store.clone());
        let other = Client::new(&layer).log_in("alice").await;
        let client = Client::signed_in(&layer, "alice").await;
        let path = if method == "POST" {
            "/logout-all".to_owned()
        } else {
            format!("/{other}")
        };
        let mut request: Request<()> = client.head(&path);
        *request.method_mut() = method.parse().unwrap();
        request
            .headers_mut()
            .insert("host", "app.test".parse().unwrap());
        for (name, value) in headers {
            let name: HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }

        let answer = layer.layer(api.clone()).oneshot(request).await;

        let (head, body) = answer.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        asked.push((head.status, String::from_utf8(body.into()).unwrap(), store));
    }
    asked
}

const FOREIGN: [&[(&str, &str)]; 7] = [
    &[("sec-fetch-site", "cross-site")],
    &[("sec-fetch-site", "same-site")],
    &[
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://app.test"),
    ],
    &[("origin", "https://evil.test")],
    &[("origin", "https://evil.app.test")],
    &[("origin", "https://app.test.evil.test")],
    &[("origin", "null")],
];

// T40
#[tokio::test]
async fn a_request_from_another_origin_is_403_and_ends_nothing() {
    for headers in FOREIGN {
        for (status, body, store) in ask(DeviceApi::new(), headers).await {
            assert_eq!(status, StatusCode::FORBIDDEN, "{headers:?}");
            insta::allow_duplicates! {
                insta::assert_snapshot!(body, @r#"{"type":"about:blank","title":"Request from another origin","status":403,"reason":"foreign_origin"}"#);
            }
            assert_eq!(ids(&store, "alice").await.len(), 2, "{headers:?}");
        }
    }
}

// T40
#[tokio::test]
async fn a_request_from_the_same_origin_or_not_from_a_browser_is_served() {
    let own: [&[(&str, &str)]; 4] = [
        &[],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("origin", "https://app.test")],
    ];

    for headers in own {
        for (status, _body, store) in ask(DeviceApi::new(), headers).await {
            assert_eq!(status, StatusCode::OK, "{headers:?}");
            assert_eq!(ids(&store, "alice").await.len(), 1, "{headers:?}");
        }
    }
}

// T40
#[tokio::test]
async fn a_trusted_origin_is_served_and_no_other() {
    let api = DeviceApi::new()
        .add_trusted_origin("https://admin.test")
        .unwrap();
    let trusted = [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://admin.test"),
    ];
    let other = [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://admin.test.evil.test"),
    ];

    for (status, _body, _store) in ask(api.clone(), &trusted).await {
        assert_eq!(status, StatusCode::OK);
    }
    for (status, _body, store) in ask(api.clone(), &other).await {
        assert_eq!(status, StatusCode::FORBIDDEN);
        assert_eq!(ids(&store, "alice").await.len(), 2);
    }
}

#[tokio::test]
async fn text_that_is_no_origin_cannot_be_trusted() {
    for text in ["admin.test", "https://admin.test/path", ""] {
        let error: OriginError = DeviceApi::new().add_trusted_origin(text).unwrap_err();

        assert_eq!(
            error.to_string(),
            "the text is not an origin: write it as browsers send it, `https://app.example.com`"
        );
        assert!(error.source().is_some(), "{text}");
    }
}

// T40
#[tokio::test]
async fn the_list_can_be_read_through_a_link_on_another_site() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut request = Client::signed_in(&layer, "alice").await.head("/");
    request
        .headers_mut()
        .insert("sec-fetch-site", "cross-site".parse().unwrap());

    let answer = layer.layer(DeviceApi::new()).oneshot(request).await;

    assert_eq!(answer.unwrap().status(), StatusCode::OK);
}
