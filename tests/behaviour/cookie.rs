//! The cookie that carries the token: how it is set and removed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::{HeaderValue, Response, header};
use tower_user_sessions::{
    CookieErrorKind, DeviceCookie, Lifetime, SameSite, SessionCookie, SessionCookieBuilder,
    SessionLayer,
};

use crate::common::http::{Answer, Client, DAY, store};

async fn sign_in(layer: &SessionLayer) -> Answer<()> {
    let client = Client::new(layer);
    client
        .request(|session| async move { session.log_in(7).unwrap() })
        .await
}

async fn sign_in_with(cookie: SessionCookieBuilder) -> Answer<()> {
    let (store, _clock) = store();
    sign_in(&SessionLayer::new(store).cookie(cookie.build().unwrap())).await
}

/// A `Set-Cookie` line without its token.
fn attributes<T>(answer: &Answer<T>) -> String {
    let [line] = answer.set_cookies()[..] else {
        panic!("not one Set-Cookie: {:?}", answer.set_cookies());
    };
    let (pair, rest) = line.split_once(';').unwrap();
    let (name, token) = pair.split_once('=').unwrap();
    format!("{name}=<{}>;{rest}", token.len())
}

// T6 T7 T8
#[tokio::test]
async fn the_defaults_are_host_prefixed_secure_http_only_lax_and_last_as_long_as_the_session() {
    let (store, _clock) = store();

    let answer = sign_in(&SessionLayer::new(store)).await;

    insta::assert_snapshot!(attributes(&answer), @"__Host-session=<64>; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=2592000");
}

// T6
#[test]
fn contradicting_settings_fail_when_built_and_the_error_names_both() {
    let named = SessionCookie::named;
    let clashes = [
        (
            named("__Host-s").domain("a.test"),
            CookieErrorKind::HostPrefixAndDomain,
            ["`__Host-`", "Domain"],
        ),
        (
            named("__host-s").domain("a.test"),
            CookieErrorKind::HostPrefixAndDomain,
            ["`__Host-`", "Domain"],
        ),
        (
            named("__Host-s").path("/app"),
            CookieErrorKind::HostPrefixAndPath,
            ["`__Host-`", "Path"],
        ),
        (
            named("__Host-s").secure(false),
            CookieErrorKind::PrefixAndInsecure,
            ["prefix", "Secure"],
        ),
        (
            named("__Secure-s").secure(false),
            CookieErrorKind::PrefixAndInsecure,
            ["prefix", "Secure"],
        ),
        (
            named("__HTTP-s").secure(false),
            CookieErrorKind::PrefixAndInsecure,
            ["prefix", "Secure"],
        ),
        (
            named("s").same_site(SameSite::None).secure(false),
            CookieErrorKind::SameSiteNoneAndInsecure,
            ["SameSite=None", "Secure"],
        ),
        (
            named("s").partitioned(true).secure(false),
            CookieErrorKind::PartitionedAndInsecure,
            ["Partitioned", "Secure"],
        ),
    ];

    for (settings, clash, both) in clashes {
        let error = settings.clone().build().unwrap_err();

        assert_eq!(error.kind(), clash, "{settings:?}");
        let text = error.to_string();
        assert!(both.iter().all(|one| text.contains(one)), "{text}");
    }
}

// T6
#[test]
fn settings_with_characters_no_cookie_may_have_fail_when_built() {
    let named = SessionCookie::named;
    let broken = [
        (named(""), CookieErrorKind::Name),
        (named("a b"), CookieErrorKind::Name),
        (named("a=b"), CookieErrorKind::Name),
        (named("sïd"), CookieErrorKind::Name),
        (named("s").path("app"), CookieErrorKind::Path),
        (
            named("s").path("/; Domain=evil.test"),
            CookieErrorKind::Path,
        ),
        (named("s").path("/;Domain=evil.test"), CookieErrorKind::Path),
        (named("s").domain(""), CookieErrorKind::Domain),
        (named("s").domain("."), CookieErrorKind::Domain),
        (named("s").domain("https://a.test"), CookieErrorKind::Domain),
        (named("s").domain("a.test:8080"), CookieErrorKind::Domain),
        (named("s").domain("a.test."), CookieErrorKind::Domain),
        (
            named("s").domain("a.test; Path=/x"),
            CookieErrorKind::Domain,
        ),
        (named("s").domain("a.test\r\nX: y"), CookieErrorKind::Domain),
    ];

    for (settings, clash) in broken {
        assert_eq!(
            settings.clone().build().unwrap_err().kind(),
            clash,
            "{settings:?}"
        );
    }
}

// T9
#[test]
fn name_and_value_together_are_at_most_4096_bytes() {
    // The guest cookie has the longer name.
    let most = 4096 - 64 - "-guest".len();
    let fits = SessionCookie::named("s".repeat(most)).build();
    let over = SessionCookie::named("s".repeat(most + 1)).build();

    assert!(fits.is_ok());
    assert_eq!(over.unwrap_err().kind(), CookieErrorKind::NameTooLong);
}

// T9
#[test]
fn a_name_of_a_guest_cookie_is_refused() {
    let cookie = SessionCookie::named("__Host-session-guest").build();
    let device = DeviceCookie::named("sid-guest");

    assert_eq!(cookie.unwrap_err().kind(), CookieErrorKind::GuestName);
    assert_eq!(device.unwrap_err().kind(), CookieErrorKind::GuestName);
}

// T9
#[tokio::test]
async fn users_can_sign_in_even_if_the_device_cookie_has_the_name_of_the_session_cookie() {
    let (store, _clock) = store();
    let device = DeviceCookie::named("__Host-session").unwrap();
    let layer = SessionLayer::new(store).device_cookie(device);
    let client = Client::signed_in(&layer, "alice").await;

    let answer = client.request(|session| async move { session.user_id() });

    assert!(answer.await.value().is_some());
}

// T7
#[tokio::test]
async fn same_site_is_always_written() {
    let strict = sign_in_with(SessionCookie::named("s").same_site(SameSite::Strict)).await;
    let none = sign_in_with(SessionCookie::named("s").same_site(SameSite::None)).await;

    insta::assert_snapshot!(attributes(&strict), @"s=<64>; HttpOnly; SameSite=Strict; Secure; Path=/; Max-Age=2592000");
    insta::assert_snapshot!(attributes(&none), @"s=<64>; HttpOnly; SameSite=None; Secure; Path=/; Max-Age=2592000");
}

// T9
#[tokio::test]
async fn the_cookie_lasts_400_days_at_most() {
    let (store, _clock) = store();
    let ages = Lifetime::new(1_000 * DAY, 1_000 * DAY);

    let answer = sign_in(&SessionLayer::new(store).lifetime(ages)).await;

    assert!(attributes(&answer).ends_with("Max-Age=34560000"));
}

// T9
#[tokio::test]
async fn a_session_of_less_than_a_second_does_not_look_like_a_removal() {
    let (store, _clock) = store();
    let brief = Lifetime::new(Duration::from_millis(1), Duration::from_millis(1));

    let answer = sign_in(&SessionLayer::new(store).lifetime(brief)).await;

    assert!(attributes(&answer).ends_with("Max-Age=1"));
}

// T9
#[tokio::test]
async fn there_is_one_set_cookie_line_of_our_name_and_other_cookies_are_kept() {
    let (store, _clock) = store();
    let client = Client::new(&SessionLayer::new(store));

    let answer = client
        .answered(|session| async move {
            session.log_in(7).unwrap();
            let mut response = Response::new(String::new());
            for line in ["theme=dark", "__Host-session=planted", "__Host-session2=x"] {
                let value = HeaderValue::from_static(line);
                response.headers_mut().append(header::SET_COOKIE, value);
            }
            (response, ())
        })
        .await;

    let lines = answer.set_cookies();
    assert_eq!(lines[..2], ["theme=dark", "__Host-session2=x"]);
    assert_eq!(lines.len(), 3);
    assert!(lines[2].starts_with("__Host-session=") && !lines[2].contains("planted"));
}

// T12
#[tokio::test]
async fn a_response_that_sets_or_removes_the_cookie_is_not_cached_and_varies_by_it() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    let headed = |mut response: Response<String>| {
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public"));
        headers.insert(header::VARY, HeaderValue::from_static("Accept"));
        response
    };

    let set = client
        .answered(move |session| async move {
            session.log_in(7).unwrap();
            (headed(Response::default()), ())
        })
        .await;
    client.keep(&set);
    let removed = client
        .answered(move |session| async move {
            session.log_out().unwrap();
            (headed(Response::default()), ())
        })
        .await;

    for answer in [set, removed] {
        let varies: Vec<_> = answer.headers.get_all(header::VARY).iter().collect();
        assert_eq!(varies, ["Accept, Cookie"]);
        let cached: Vec<_> = answer
            .headers
            .get_all(header::CACHE_CONTROL)
            .iter()
            .collect();
        assert_eq!(cached, ["no-store"]);
    }
}

// T12
#[tokio::test]
async fn a_response_that_does_not_change_the_cookie_only_says_that_it_is_private() {
    let (store, _clock) = store();
    let client = Client::signed_in(&SessionLayer::new(store), "alice").await;

    let answer = client
        .request(|session| async move { session.user_id() })
        .await;

    assert_eq!(answer.headers.len(), 2);
    assert_eq!(answer.header("cache-control"), Some("private"));
    assert_eq!(answer.header("vary"), Some("Cookie"));
    assert!(answer.value().is_some());
}

// T13
#[tokio::test]
async fn a_removal_repeats_name_path_domain_and_partition() {
    let (store, _clock) = store();
    let cookie = SessionCookie::named("sid")
        .path("/app")
        .domain("a.test")
        .same_site(SameSite::None)
        .partitioned(true)
        .build();
    let layer = SessionLayer::new(store).cookie(cookie.unwrap());
    let mut client = Client::new(&layer);

    let set = client
        .send(|session| async move { session.log_in(7).unwrap() })
        .await;
    let removed = client
        .send(|session| async move { session.log_out().unwrap() })
        .await;

    insta::assert_snapshot!(attributes(&set), @"sid=<64>; HttpOnly; SameSite=None; Partitioned; Secure; Path=/app; Domain=a.test; Max-Age=2592000");
    insta::assert_snapshot!(attributes(&removed), @"sid=<0>; HttpOnly; SameSite=None; Partitioned; Secure; Path=/app; Domain=a.test; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
}

// T3
#[tokio::test]
async fn headers_with_the_token_are_marked_sensitive() {
    let (store, _clock) = store();
    let client = Client::signed_in(&SessionLayer::new(store), "alice").await;

    let answer = client
        .request(|session| async move { session.log_in(8).unwrap() })
        .await;

    assert!(answer.headers[header::SET_COOKIE].is_sensitive());
}

// T6
#[tokio::test]
async fn the_one_insecure_switch_drops_prefix_and_secure() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).cookie(SessionCookie::danger_insecure());

    let answer = sign_in(&layer).await;

    insta::assert_snapshot!(attributes(&answer), @"session=<64>; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000");
}

// T9 T15
#[tokio::test]
async fn the_cookie_of_a_new_token_lasts_as_long_as_the_session_still_does() {
    let (store, clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;
    clock.advance(DAY / 2);

    let answer = client
        .send(|session| async move { session.rotate().unwrap() })
        .await;

    let left = 30 * DAY - DAY / 2;
    let max_age = format!("Max-Age={}", left.as_secs());
    assert!(attributes(&answer).ends_with(&max_age), "{answer:?}");
}
