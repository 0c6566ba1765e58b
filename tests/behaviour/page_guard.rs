//! How the device page handles hostile text, foreign forms, foreign frames and a store that fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::IpAddr;

use http::{HeaderValue, Request, StatusCode};
use tower::ServiceExt;
use tower_user_sessions::{DevicePage, Geo, MemoryStore, OnOutage, Place, SessionLayer};

use crate::common::{
    alone::is_alone,
    faulty::{self, Fault, FaultyStore},
    hostile::STRINGS,
    http::{Client, ids, store},
    log::Log,
    page::{View, unescape, visit},
};

/// A database that puts every address in this place.
struct Everywhere(&'static str);

impl Geo for Everywhere {
    fn place(&self, _address: IpAddr) -> Option<Place> {
        Some(Place::new().with_city(self.0))
    }
}

/// The page of a user with this name, user agent and place.
async fn seen(user: &str, agent: &'static str, place: &'static str) -> View {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::new(&layer);
    client.user_agent = agent;
    client.peer = Some("192.0.2.7".parse().unwrap());
    client.log_in(user).await;
    let page = DevicePage::at("/devices").geo(Everywhere(place));
    visit(&layer, &page, &client, "GET /devices", &[], "").await
}

#[tokio::test]
async fn hostile_text_is_escaped_wherever_it_comes_from() {
    assert!(STRINGS.len() >= 20);
    let harmless = seen("alice", "curl/8.5", "Berlin").await.skeleton();

    for hostile in STRINGS {
        let as_user = seen(hostile, "curl/8.5", "Berlin").await;
        let as_agent = seen("alice", hostile, "Berlin").await;
        let as_place = seen("alice", "curl/8.5", hostile).await;

        for (view, at) in [
            (&as_user, "user"),
            (&as_agent, "agent"),
            (&as_place, "place"),
        ] {
            assert_eq!(view.status, StatusCode::OK);
            assert_eq!(view.skeleton(), harmless, "{hostile:?} as {at}");
        }
        for view in [as_user, as_place] {
            assert!(unescape(&view.body).contains(hostile), "{hostile:?}");
        }
    }
}

// T37
#[tokio::test]
async fn odd_bytes_and_very_long_headers_are_harmless() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let page = DevicePage::at("/devices");
    for bytes in [
        vec![0xff; 200],
        vec![b'"'; 64 * 1024],
        b"\xc3\x28\t<b>".to_vec(),
    ] {
        let mut client = Client::new(&layer);
        for name in [
            "user-agent",
            "sec-ch-ua",
            "sec-ch-ua-mobile",
            "sec-ch-ua-platform",
        ] {
            let value = HeaderValue::from_bytes(&bytes).unwrap();
            client.headers.append(name, value);
        }
        client.user_agent = "";
        client.log_in("alice").await;

        let view = visit(&layer, &page, &client, "GET /devices", &[], "").await;

        assert_eq!(view.status, StatusCode::OK);
        assert!(view.body.len() < 16 * 1024 && !view.body.contains("<b>"));
    }
}

/// Alice on two devices. One of them sends a form with these headers.
async fn posted(page: &DevicePage, line: &str, headers: &[(&str, &str)]) -> (View, MemoryStore) {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let other = Client::new(&layer).log_in("alice").await;
    let client = Client::signed_in(&layer, "alice").await;
    let fields = format!("id={other}");
    (
        visit(&layer, page, &client, line, headers, &fields).await,
        store,
    )
}

const LINES: [&str; 2] = ["POST /devices/end", "POST /devices/end-others"];

// T40
#[tokio::test]
async fn a_form_from_another_site_or_port_is_403_and_ends_nothing() {
    let page = DevicePage::at("/devices");
    let foreign: [&[(&str, &str)]; 7] = [
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[
            ("sec-fetch-site", "same-site"),
            ("origin", "http://app.test:81"),
        ],
        // Browsers that do not send Sec-Fetch-Site.
        &[("origin", "http://app.test:81")],
        &[("origin", "https://evil.test")],
        &[("origin", "https://app.test.evil.test")],
        &[("origin", "null")],
    ];

    for headers in foreign {
        for line in LINES {
            let (view, store) = posted(&page, line, headers).await;

            assert_eq!(view.status, StatusCode::FORBIDDEN, "{line} {headers:?}");
            assert!(view.body.contains("That came from another site"));
            assert_eq!(ids(&store, "alice").await.len(), 2, "{line} {headers:?}");
        }
    }
}

// T40
#[tokio::test]
async fn a_form_from_the_same_or_a_trusted_origin_is_served() {
    let page = DevicePage::at("/devices")
        .add_trusted_origin("https://www.test")
        .unwrap();
    let own: [&[(&str, &str)]; 3] = [
        &[
            ("sec-fetch-site", "same-origin"),
            ("origin", "http://app.test"),
        ],
        &[("origin", "http://app.test")],
        &[
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://www.test"),
        ],
    ];

    for headers in own {
        for line in LINES {
            let (view, store) = posted(&page, line, headers).await;

            assert_eq!(view.status, StatusCode::SEE_OTHER, "{line} {headers:?}");
            assert_eq!(ids(&store, "alice").await.len(), 1, "{line} {headers:?}");
        }
    }
}

// T40
#[tokio::test]
async fn get_requests_change_nothing() {
    let page = DevicePage::at("/devices");
    for line in [
        "GET /devices",
        "HEAD /devices",
        "GET /devices/end",
        "GET /devices/end-others",
        "HEAD /devices/end-others",
    ] {
        let (_view, store) = posted(&page, line, &[]).await;

        assert_eq!(ids(&store, "alice").await.len(), 2, "{line}");
    }
}

// T40
#[tokio::test]
async fn a_link_from_another_site_cannot_make_the_page_claim_that_something_was_done() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let client = Client::signed_in(&layer, "alice").await;
    let page = DevicePage::at("/devices");
    for done in ["device", "others"] {
        for (site, is_said) in [
            ("same-origin", true),
            ("same-site", false),
            ("cross-site", false),
            ("none", false),
        ] {
            let headers = [("sec-fetch-site", site)];
            let line = format!("GET /devices?done={done}");

            let view = visit(&layer, &page, &client, &line, &headers, "").await;

            assert_eq!(view.body.contains("role=\"status\""), is_said, "{site}");
        }
    }
}

#[tokio::test]
async fn every_page_forbids_inline_and_foreign_content_and_is_not_cached() {
    let page = DevicePage::at("/devices");
    for line in [
        "GET /devices",
        "GET /devices/end-others",
        "POST /devices/end-others",
        "POST /devices/end",
        "GET /devices/end",
        "GET /elsewhere",
    ] {
        let (view, _store) = posted(&page, line, &[]).await;

        for (name, value) in [
            ("cache-control", "no-store"),
            (
                "content-security-policy",
                "default-src 'none'; img-src data:; script-src 'self'; style-src 'self'; \
                 base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
            ),
            ("content-type", "text/html; charset=utf-8"),
            ("referrer-policy", "same-origin"),
            ("x-content-type-options", "nosniff"),
        ] {
            assert_eq!(view.header(name), Some(value), "{line}");
        }
        for inline in ["<style", " style=", " onclick=", "javascript:", "//"] {
            assert!(!view.body.contains(inline), "{inline} in {line}");
        }
        assert!(!view.body.replace("<script src=", "").contains("<script"));
    }
}

#[tokio::test]
async fn style_and_script_need_no_session_and_are_cached_by_their_hash() {
    let page = DevicePage::at("/devices");
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let client = Client::signed_in(&layer, "alice").await;
    let list = visit(&layer, &page, &client, "GET /devices", &[], "").await;
    let guest = Client::new(&layer);

    for (before, kind) in [
        (
            r#"<link rel="stylesheet" href=""#,
            "text/css; charset=utf-8",
        ),
        (r#"<script src=""#, "text/javascript; charset=utf-8"),
    ] {
        let (_, rest) = list.body.split_once(before).unwrap();
        let address = rest.split('"').next().unwrap();
        let (path, _hash) = address.split_once('?').unwrap();
        let get = async |path: &str| {
            let line = format!("GET {path}");
            visit(&layer, &page, &guest, &line, &[], "").await
        };

        let kept = get(address).await;
        let other = get(&format!("{path}?other")).await;
        let plain = get(path).await;

        let immutable = "public, max-age=31536000, immutable";
        assert_eq!(kept.header("cache-control"), Some(immutable));
        assert_eq!(other.header("cache-control"), Some("no-cache"));
        assert_eq!(plain.header("cache-control"), Some("no-cache"));
        assert_eq!(kept.header("content-type"), Some(kind));
        assert_eq!(kept.header("x-content-type-options"), Some("nosniff"));
        assert!(kept.status == StatusCode::OK && kept.body == plain.body);
    }
}

#[tokio::test]
async fn a_store_that_does_not_answer_is_503_with_retry_after() {
    let (memory, _clock) = store();
    let faulty = FaultyStore::new(&memory);
    let layer = SessionLayer::new(faulty.clone()).on_outage(OnOutage::Guest);
    let mut client = Client::new(&layer);
    let id = client.log_in("alice").await;
    let page = DevicePage::at("/devices");

    for (method, line) in [
        (faulty::Method::Resolve, "GET /devices"),
        (faulty::Method::List, "GET /devices"),
        (faulty::Method::End, "POST /devices/end"),
        (faulty::Method::End, "POST /devices/end-others"),
    ] {
        faulty.next(method, Fault::Fail);
        let view = visit(&layer, &page, &client, line, &[], &format!("id={id}")).await;

        assert_eq!(view.status, StatusCode::SERVICE_UNAVAILABLE, "{line}");
        assert_eq!(view.header("retry-after"), Some("1"), "{line}");
        assert_eq!(view.header("set-cookie"), None, "{line}");
    }
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
    let request = Request::new(String::new());

    let view = DevicePage::at("/devices").oneshot(request).await.unwrap();

    assert_eq!(view.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(log.at("ERROR")[0].contains("SessionLayer"));
}

#[tokio::test]
async fn a_form_of_more_than_a_kibibyte_is_not_read() {
    let page = DevicePage::at("/devices");
    for (length, wanted) in [
        (1_024, StatusCode::SEE_OTHER),
        (1_025, StatusCode::FORBIDDEN),
    ] {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store.clone());
        let other = Client::new(&layer).log_in("alice").await;
        let client = Client::signed_in(&layer, "alice").await;
        let fields = format!("id={other}&more={}", "x".repeat(length - 25));
        assert_eq!(fields.len(), length);

        let view = visit(&layer, &page, &client, LINES[0], &[], &fields).await;

        assert_eq!(view.status, wanted, "{length}");
        let is_live = ids(&store, "alice").await.contains(&other);
        assert_eq!(is_live, wanted == StatusCode::FORBIDDEN, "{length}");
    }
}
