//! Tokens that come as `Authorization: Bearer` instead of a cookie, or beside one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::convert::Infallible;

use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use tower::{Layer, ServiceExt, service_fn};
use tower_user_sessions::{DeviceApi, MemoryStore, Session, SessionLayer, TokenSource};

use crate::common::{
    faulty::FaultyStore,
    http::{Answer, Client, store, user},
    log::Log,
};

const BOTH: [TokenSource; 2] = [TokenSource::BearerThenCookie, TokenSource::CookieThenBearer];

fn layer(store: &MemoryStore, source: TokenSource) -> SessionLayer {
    SessionLayer::new(store.clone()).token_source(source)
}

/// A client that sends this `Authorization` header.
fn authorized(layer: &SessionLayer, line: &str) -> Client {
    let mut client = Client::new(layer);
    add(&mut client, header::AUTHORIZATION, line);
    client
}

fn add(client: &mut Client, name: HeaderName, line: &str) {
    let line = HeaderValue::try_from(line).unwrap();
    client.headers.append(name, line);
}

async fn log_in(client: &Client) -> Answer<()> {
    client
        .request(|session: Session| async move { session.log_in(user("alice")).unwrap() })
        .await
}

/// A token of alice, from a layer that returns it in a header.
async fn token(store: &MemoryStore) -> String {
    let layer = layer(store, TokenSource::Bearer);
    let answer = log_in(&Client::new(&layer)).await;
    answer.header("x-session-token").unwrap().to_owned()
}

// T8 T12
#[tokio::test]
async fn a_sign_in_carries_the_token_in_a_header_once_and_sets_no_cookie() {
    let (store, _clock) = store();
    let layer = layer(&store, TokenSource::Bearer);

    let answer = log_in(&Client::new(&layer)).await;

    let values: Vec<_> = answer.headers.get_all("x-session-token").iter().collect();
    let [value] = values[..] else {
        panic!("not one token: {values:?}");
    };
    assert_eq!((value.len(), value.is_sensitive()), (64, true));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Authorization"));
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.body, "");
    let mut client = authorized(&layer, &format!("Bearer {}", value.to_str().unwrap()));
    let next = client
        .send(|session| async move { session.user_id().unwrap() })
        .await;
    assert_eq!(next.header("x-session-token"), None);
    assert_eq!(next.value().as_str(), "alice");
}

#[tokio::test]
async fn the_app_chooses_the_name_of_the_header() {
    let (store, _clock) = store();
    let layer = layer(&store, TokenSource::Bearer).token_header(HeaderName::from_static("x-mine"));

    let answer = log_in(&Client::new(&layer)).await;

    assert_eq!(answer.header("x-mine").map(str::len), Some(64));
    assert_eq!(answer.header("x-session-token"), None);
}

#[tokio::test]
async fn the_scheme_is_read_in_any_case() {
    let (store, _clock) = store();
    let token = token(&store).await;
    let layer = layer(&store, TokenSource::Bearer);

    for scheme in ["Bearer", "bearer", "BEARER "] {
        let user = authorized(&layer, &format!("{scheme} {token}"))
            .user()
            .await;
        assert_eq!(user.as_deref(), Some("alice"), "{scheme}");
    }
}

// T2
#[tokio::test]
async fn a_token_in_another_header_is_none() {
    let (store, _clock) = store();
    let token = token(&store).await;
    for source in [TokenSource::Bearer, TokenSource::CookieThenBearer] {
        let layer = SessionLayer::new(store.clone()).token_source(source);
        for name in ["proxy-authorization", "x-session-token", "x-token"] {
            let mut client = Client::new(&layer);
            let line = format!("Bearer {token}").parse().unwrap();
            client.headers.insert(name, line);

            assert_eq!(client.user().await, None, "{source:?} {name}");
        }
    }
}

// T2
#[tokio::test]
async fn a_malformed_bearer_makes_a_guest_and_costs_no_store_call() {
    let (store, _clock) = store();
    let token = token(&store).await;
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone()).token_source(TokenSource::Bearer);
    let long = format!("Bearer {}", "A".repeat(1 << 20));
    let lines = [
        "Bearer",
        "Bearer ",
        "Bearer x",
        &format!("Bearer {token}x"),
        &format!("Bearer {token} {token}"),
        &format!("Bearer{token}"),
        &format!("Basic {token}"),
        // As long as `Bearer`.
        &format!("Digest {token}"),
        &token,
        &long,
    ];

    for line in lines {
        let answer = authorized(&layer, line)
            .send(|session| async move { session.user_id() })
            .await;

        assert!(answer.sets_no_cookie());
        assert_eq!(answer.value(), None);
    }
    let mut odd = Client::new(&layer);
    let bytes = HeaderValue::from_bytes(b"Bearer \xff\xfe").unwrap();
    odd.headers.append(header::AUTHORIZATION, bytes);
    assert_eq!(odd.user().await, None);
    assert_eq!(faulty.all_calls(), 0);
}

// T19
#[tokio::test]
async fn a_dead_bearer_makes_a_guest_and_sets_no_cookie() {
    let (store, _clock) = store();
    let layer = layer(&store, TokenSource::Bearer);
    let mut client = authorized(&layer, &format!("Bearer {}", token(&store).await));

    let out = client
        .send(|session| async move { session.log_out().unwrap() })
        .await;
    let after = client
        .send(|session| async move { session.ended().is_some() })
        .await;
    let stranger = authorized(&layer, &format!("Bearer {}", "A".repeat(64)))
        .send(|session| async move { session.user_id() })
        .await;

    assert!(out.sets_no_cookie() && after.sets_no_cookie() && stranger.sets_no_cookie());
    assert_eq!((after.value(), stranger.value()), (true, None));
}

#[tokio::test]
async fn a_layer_for_one_source_ignores_the_other() {
    let (store, _clock) = store();
    let token = token(&store).await;
    let (by_cookie, by_bearer) = (
        layer(&store, TokenSource::Cookie),
        layer(&store, TokenSource::Bearer),
    );

    let mut bearer = authorized(&by_cookie, &format!("Bearer {token}"));
    let cookie = format!("__Host-session={token}");
    let mut cookie = Client::with_cookies(&by_bearer, [cookie.as_bytes()]);

    assert_eq!((bearer.user().await, cookie.user().await), (None, None));
}

#[tokio::test]
async fn with_both_sources_the_new_token_goes_back_the_way_the_old_one_came() {
    for source in BOTH {
        let (store, _clock) = store();
        let layer = layer(&store, source);
        let bearer = authorized(&layer, &format!("Bearer {}", token(&store).await));
        let cookie = format!("__Host-session={}", token(&store).await);
        let cookie = Client::with_cookies(&layer, [cookie.as_bytes()]);

        let (by_bearer, by_cookie) = (log_in(&bearer).await, log_in(&cookie).await);

        assert!(by_bearer.sets_no_cookie());
        assert_eq!(by_bearer.header("x-session-token").map(str::len), Some(64));
        assert_eq!(by_cookie.set_cookies().len(), 1);
        assert_eq!(by_cookie.header("x-session-token"), None);
    }
}

#[tokio::test]
async fn with_both_sources_the_first_one_carries_the_token_for_a_request_with_none_or_the_same_twice()
 {
    for (source, by_cookie) in BOTH.into_iter().zip([false, true]) {
        let (store, _clock) = store();
        let layer = layer(&store, source);
        let token = token(&store).await;
        let mut twice = authorized(&layer, &format!("Bearer {token}"));
        add(
            &mut twice,
            header::COOKIE,
            &format!("__Host-session={token}"),
        );
        assert_eq!(twice.user().await.as_deref(), Some("alice"));

        for answer in [log_in(&Client::new(&layer)).await, log_in(&twice).await] {
            assert_eq!(answer.sets_no_cookie(), !by_cookie, "{source:?}");
            assert_eq!(
                answer.header("x-session-token").is_none(),
                by_cookie,
                "{source:?}"
            );
        }
    }
}

// T2 T10
#[tokio::test]
async fn two_different_tokens_make_a_guest_and_neither_is_removed() {
    let (store, _clock) = store();
    let (one, other) = (token(&store).await, token(&store).await);
    let faulty = FaultyStore::new(&store);
    let log = Log::start();

    for source in BOTH {
        let layer = SessionLayer::new(faulty.clone()).token_source(source);
        let mut beside = authorized(&layer, &format!("Bearer {one}"));
        add(
            &mut beside,
            header::COOKIE,
            &format!("__Host-session={other}"),
        );
        let mut headers = authorized(&layer, &format!("Bearer {one}"));
        add(
            &mut headers,
            header::AUTHORIZATION,
            &format!("Bearer {other}"),
        );

        for mut client in [beside, headers] {
            let answer = client
                .send(|session| async move { session.user_id() })
                .await;

            assert!(answer.sets_no_cookie(), "{source:?}");
            assert_eq!(answer.value(), None, "{source:?}");
        }
    }
    // Whether the cookie beside the bearer token is live.
    assert_eq!(faulty.all_calls(), 2);
    assert_eq!(log.at("DEBUG").len(), 4);
    assert!(!log.text().contains(&one[32..]) && !log.text().contains(&other[32..]));
}

// T62
#[tokio::test]
async fn with_both_sources_a_dead_cookie_is_removed_only_where_the_handler_asks() {
    for source in BOTH {
        let (store, _clock) = store();
        for value in ["x", &"A".repeat(64)] {
            let cookie = format!("__Host-session={value}");
            let mut client = Client::with_cookies(&layer(&store, source), [cookie.as_bytes()]);
            let looked = client.send(|_session| async {}).await;
            client.method = http::Method::POST;

            let asked = client.send(|session| async move { session.forget().unwrap() });

            assert!(looked.sets_no_cookie(), "{source:?}");
            assert!(asked.await.removes_cookie(), "{source:?}");
        }
    }
}

// T10
#[tokio::test]
async fn an_empty_malformed_or_dead_cookie_is_no_second_token_beside_a_live_bearer_token() {
    for source in BOTH {
        let (store, _clock) = store();
        let bearer = format!("Bearer {}", token(&store).await);
        let mut ended = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
        let dead = ended.token();
        ended
            .send(|session| async move { session.log_out().unwrap() })
            .await;
        let faulty = FaultyStore::new(&store);
        let layer = SessionLayer::new(faulty.clone()).token_source(source);

        for (value, calls) in [("", 1), ("x", 1), (&dead, 2), (&"A".repeat(64), 2)] {
            let mut client = authorized(&layer, &bearer);
            add(
                &mut client,
                header::COOKIE,
                &format!("__Host-session={value}"),
            );
            let before = faulty.all_calls();

            let answer = client
                .send(|session| async move { session.user_id().unwrap() })
                .await;

            assert!(answer.sets_no_cookie(), "{value}");
            assert_eq!(answer.value().as_str(), "alice", "{value}");
            assert_eq!(faulty.all_calls() - before, calls, "{value}");
        }
    }
}

// T3
#[tokio::test]
async fn an_inner_service_that_prints_the_request_headers_prints_no_bearer_token() {
    let (store, _clock) = store();
    let token = token(&store).await;
    let layer = layer(&store, TokenSource::Bearer);
    let request = authorized(&layer, &format!("Bearer {token}")).head("/");

    let service = service_fn(async |request: Request<()>| {
        let printed = format!("{:?}", request.headers());
        Ok::<_, Infallible>(Response::new(printed))
    });
    let printed = layer
        .layer(service)
        .oneshot(request)
        .await
        .unwrap()
        .into_body();

    assert!(
        printed.contains("Sensitive") && !printed.contains(&token),
        "{printed}"
    );
}

// T40
#[tokio::test]
async fn the_device_api_accepts_a_bearer_from_any_origin_but_a_cookie_only_from_its_own() {
    let (store, _clock) = store();
    let token = token(&store).await;
    let layer = layer(&store, TokenSource::CookieThenBearer);
    let bearer = authorized(&layer, &format!("Bearer {token}"));
    let cookie = format!("__Host-session={token}");
    let cookie = Client::with_cookies(&layer, [cookie.as_bytes()]);
    let forged = authorized(&layer, &format!("Bearer {}", "A".repeat(64)));

    for (client, status) in [
        (cookie, StatusCode::FORBIDDEN),
        (forged, StatusCode::FORBIDDEN),
        (bearer, StatusCode::OK),
    ] {
        let mut request = client.head("/logout-all");
        *request.method_mut() = http::Method::POST;
        let headers = request.headers_mut();
        headers.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));

        let answer = layer.layer(DeviceApi::new()).oneshot(request).await;

        assert_eq!(answer.unwrap().status(), status);
    }
}
