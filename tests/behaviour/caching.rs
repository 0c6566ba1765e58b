//! What responses say to caches: those that depend on the session are not shared, and a token is never stored.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{convert::Infallible, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, header};
use tokio_test::task::spawn;
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{Caching, RequireFresh, RequireUser, Session, SessionLayer, TokenSource};

use crate::common::http::{Client, store};

fn layer() -> SessionLayer {
    SessionLayer::new(store().0)
}

/// A response with these headers.
fn headed(headers: &[(&'static str, &'static str)]) -> Response<String> {
    let mut response = Response::default();
    for (name, value) in headers {
        let name = HeaderName::from_static(name);
        let value = HeaderValue::from_static(value);
        response.headers_mut().append(name, value);
    }
    response
}

/// The headers of the response after this handler, which answers with these.
async fn after(
    client: &Client,
    headers: &'static [(&'static str, &'static str)],
    handler: fn(&Session),
) -> HeaderMap {
    let answer = client.answered(move |session| async move {
        handler(&session);
        (headed(headers), ())
    });
    answer.await.headers
}

fn all<'a>(headers: &'a HeaderMap, name: &'static str) -> Vec<&'a str> {
    let values = headers.get_all(name).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

fn said(headers: &HeaderMap) -> (Vec<&str>, Vec<&str>) {
    (all(headers, "vary"), all(headers, "cache-control"))
}

fn read(session: &Session) {
    let _user = session.user_id();
}

// T65
#[tokio::test]
async fn a_response_whose_handler_read_the_session_is_private_and_varies_by_the_token() {
    let layer = layer();
    let user = Client::signed_in(&layer, "alice").await;
    let reads: [fn(&Session); 20] = [
        read,
        |session| _ = session.id(),
        |session| _ = session.created_at(),
        |session| _ = session.authenticated_at(),
        |session| _ = session.authentication_age(),
        |session| _ = session.last_activity(),
        |session| _ = session.expires_at(),
        |session| _ = session.idle_expires_at(),
        |session| _ = session.seen_at(),
        |session| _ = session.proof(),
        |session| assert!(session.counts()),
        |session| assert!(session.is_available()),
        |session| assert!(!session.is_fresh(Duration::ZERO) || session.user_id().is_some()),
        |session| _ = session.get::<String>("cart"),
        |session| _ = session.keys(),
        |session| _ = session.update("n", |n: Option<u32>| n.unwrap_or(0)),
        |session| _ = session.ended(),
        |session| _ = session.user_sessions(),
        |session| _ = session.live(),
        |session| assert!(spawn(session.commit()).poll().is_ready()),
    ];

    for (at, handler) in reads.into_iter().enumerate() {
        for client in [&user, &Client::new(&layer)] {
            let headers = after(client, &[("content-type", "text/html")], handler).await;
            let (vary, cached) = said(&headers);

            assert_eq!(vary, ["Cookie"], "{at}");
            // The update of a guest session sets a cookie.
            let token = headers.contains_key(header::SET_COOKIE);
            assert_eq!(cached, [if token { "no-store" } else { "private" }], "{at}");
        }
    }
}

// T65
#[tokio::test]
async fn a_response_whose_handler_only_peeked_gets_no_header() {
    let layer = layer();
    let client = Client::signed_in(&layer, "alice").await;
    let peeks: [fn(&Session); 3] = [
        |_session| {},
        |session| {
            let peek = session.peek();
            assert_eq!(peek.user_id().unwrap().as_str(), "alice");
            assert!(peek.id().is_some() && peek.is_available());
        },
        |session| assert!(format!("{session:?} {:?}", session.peek()).contains("id: Some")),
    ];

    for handler in peeks {
        let headers = after(&client, &[], handler).await;

        assert_eq!(said(&headers), (vec![], vec![]));
    }
}

// T65
#[tokio::test]
async fn what_a_response_says_about_caching_itself_stays() {
    let client = Client::new(&layer());
    for (name, value) in [
        ("cache-control", "public, max-age=600"),
        ("cache-control", "max-age=0, S-MaxAge=600"),
        ("cache-control", "max-age=600, private"),
        ("cache-control", "no-store"),
        ("cdn-cache-control", "max-age=600"),
        ("cloudflare-cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("x-accel-expires", "600"),
    ] {
        let headers: &'static [_] = Box::leak(Box::new([(name, value)]));

        let answer = after(&client, headers, read).await;

        assert_eq!(all(&answer, name), [value]);
        let expected: &[&str] = if name == "cache-control" {
            &[value]
        } else {
            &[]
        };
        assert_eq!(said(&answer), (vec!["Cookie"], expected.to_vec()), "{name}");
    }
}

// T65
#[tokio::test]
async fn what_a_response_says_of_no_cache_in_particular_is_said_to_browsers_only() {
    type Case = (&'static [(&'static str, &'static str)], &'static str);
    for caching in [Caching::Private, Caching::NoStore] {
        let client = Client::new(&layer().caching(caching));
        let cases: [Case; 6] = [
            (&[("cache-control", "max-age=600")], "max-age=600, private"),
            (&[("cache-control", "no-cache")], "no-cache, private"),
            (
                &[("cache-control", "publicly, x=public")],
                "publicly, x=public, private",
            ),
            (
                &[("cache-control", "a"), ("cache-control", "b")],
                "a, b, private",
            ),
            (&[("cache-control", "")], "private"),
            (&[("expires", "Thu, 01 Jan 2099 00:00:00 GMT")], "private"),
        ];
        for (there, expected) in cases {
            let headers = after(&client, there, read).await;

            assert_eq!(
                said(&headers),
                (vec!["Cookie"], vec![expected]),
                "{there:?}"
            );
            let expires = there.iter().any(|(name, _)| *name == "expires");
            assert_eq!(headers.contains_key("expires"), expires);
        }
    }
}

/// nginx before 1.23 reads only the last line of `Vary`, so a layer outside that adds one, as compression does, hides ours.
/// With `max-age=600` alone it then gave the page of one user to another.
// T65
#[tokio::test]
async fn a_cache_that_reads_one_line_of_vary_keeps_no_page_of_a_user() {
    let client = Client::signed_in(&layer(), "alice").await;
    let there = &[
        ("cache-control", "max-age=600"),
        ("vary", "accept"),
        ("vary", "origin"),
    ];

    let mut headers = after(&client, there, read).await;

    assert_eq!(all(&headers, "vary"), ["accept, origin, Cookie"]);
    headers.append("vary", HeaderValue::from_static("accept-encoding"));
    let last = all(&headers, "vary").pop().unwrap();
    let varies = last.to_ascii_lowercase().contains("cookie");
    let control = all(&headers, "cache-control").concat();
    assert!(varies || control.contains("private"), "{last} / {control}");
}

// T65
#[tokio::test]
async fn vary_names_every_header_that_the_layer_reads_once() {
    let (store, _clock) = store();
    for (source, names) in [
        (TokenSource::Cookie, vec!["Cookie"]),
        (TokenSource::Bearer, vec!["Authorization"]),
        (TokenSource::CookieThenBearer, vec!["Cookie, Authorization"]),
        (TokenSource::BearerThenCookie, vec!["Cookie, Authorization"]),
    ] {
        let client = Client::new(&SessionLayer::new(store.clone()).token_source(source));

        for handler in [read as fn(&Session), |session| session.log_in(7).unwrap()] {
            let headers = after(&client, &[], handler).await;
            assert_eq!(all(&headers, "vary"), names, "{source:?}");
        }
        let there = &[("vary", "Accept, cookie"), ("vary", "authorization")];
        let headers = after(&client, there, read).await;
        assert_eq!(all(&headers, "vary"), ["Accept, cookie", "authorization"]);
        let headers = after(&client, &[("vary", "accept")], read).await;
        assert_eq!(all(&headers, "vary"), [format!("accept, {}", names[0])]);
        let headers = after(&client, &[("vary", "*")], read).await;
        assert_eq!(all(&headers, "vary"), ["*"]);
    }
}

// T65
#[tokio::test]
async fn an_option_makes_it_no_store_or_turns_it_off() {
    for (caching, expected) in [
        (Caching::NoStore, (vec!["Cookie"], vec!["no-store"])),
        (Caching::Unchanged, (vec![], vec![])),
    ] {
        let client = Client::new(&layer().caching(caching));

        let headers = after(&client, &[], read).await;

        assert_eq!(said(&headers), expected, "{caching:?}");
        let headers = after(&client, &[], |session| session.log_in(7).unwrap()).await;
        assert_eq!(said(&headers), (vec!["Cookie"], vec!["no-store"]));
    }
}

// T65
#[tokio::test]
async fn a_response_with_a_token_keeps_no_field_for_caches_in_between() {
    const FIELDS: &[(&str, &str)] = &[
        ("cache-control", "public, max-age=600"),
        ("expires", "Thu, 01 Jan 2099 00:00:00 GMT"),
        ("cdn-cache-control", "max-age=600"),
        ("cloudflare-cdn-cache-control", "max-age=600"),
        ("netlify-cdn-cache-control", "max-age=600"),
        ("surrogate-control", "max-age=600"),
        ("x-accel-expires", "600"),
        ("x-litespeed-cache-control", "public"),
        ("edge-control", "max-age=600"),
        ("x-other", "stays"),
    ];
    let (store, _clock) = store();
    for source in [TokenSource::Cookie, TokenSource::Bearer] {
        let layer = SessionLayer::new(store.clone()).token_source(source);
        let guest = Client::new(&layer);

        let signed_in = after(&guest, FIELDS, |session| session.log_in(7).unwrap()).await;
        let began = after(&guest, FIELDS, |session| session.insert("a", "b").unwrap()).await;

        for headers in [signed_in, began] {
            assert_eq!(all(&headers, "cache-control"), ["no-store"]);
            let kept = FIELDS
                .iter()
                .filter(|(name, _)| headers.contains_key(*name));
            let kept: Vec<_> = kept.map(|(name, _)| *name).collect();
            assert_eq!(kept, ["cache-control", "x-other"]);
        }
    }
}

// T65
#[tokio::test]
async fn a_removed_cookie_keeps_no_field_for_caches_in_between() {
    let client = Client::signed_in(&layer(), "alice").await;
    let fields = &[("cdn-cache-control", "max-age=600")];

    let headers = after(&client, fields, |session| session.log_out().unwrap()).await;

    assert_eq!(all(&headers, "cdn-cache-control"), [""; 0]);
    assert_eq!(said(&headers), (vec!["Cookie"], vec!["no-store"]));
}

// T65
#[tokio::test]
async fn the_guards_read_the_session() {
    let layer = layer();
    let client = Client::signed_in(&layer, "alice").await;
    let inner = || service_fn(async |_request: Request<()>| Ok::<_, Infallible>(Response::new(())));
    let by_user = layer.layer(RequireUser::new().layer(inner()));
    let by_age = layer.layer(RequireFresh::within(Duration::from_secs(60)).layer(inner()));

    for answer in [
        by_user.oneshot(client.head("/")).await.unwrap(),
        by_age.oneshot(client.head("/")).await.unwrap(),
    ] {
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers()["vary"], "Cookie");
        assert_eq!(answer.headers()["cache-control"], "private");
    }
}

// T65
#[tokio::test]
async fn a_grpc_response_is_left_alone() {
    let mut client = Client::signed_in(&layer(), "alice").await;
    client.method = http::Method::POST;
    let grpc = HeaderValue::from_static("application/grpc");
    client.headers.insert(header::CONTENT_TYPE, grpc);

    let headers = after(&client, &[], read).await;

    assert_eq!(said(&headers), (vec![], vec![]));
}
