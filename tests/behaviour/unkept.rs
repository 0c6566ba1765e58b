//! A cookie that the browser will not keep is one warning in the log, for each cause.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::HeaderMap;
use tower_user_sessions::{SameSite, SessionCookie, SessionLayer, TokenSource};

use crate::common::{
    alone::is_alone,
    http::{Client, store},
    log::Log,
};

const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 \
                      Safari/537.36";
const WEBKIT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/60.5 \
                      Safari/605.1.15";

/// Signs in three times, by requests with these headers.
async fn sign_in_from<const N: usize>(layer: &SessionLayer, lines: [(&'static str, &str); N]) {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.insert(name, value.parse().unwrap());
    }
    for _ in 0..3 {
        let mut client = Client::new(layer);
        client.headers = headers.clone();
        client.log_in("alice").await;
    }
}

#[tokio::test]
async fn a_secure_cookie_for_a_page_on_plain_http_is_one_warning() {
    if !is_alone(
        module_path!(),
        "a_secure_cookie_for_a_page_on_plain_http_is_one_warning",
    ) {
        return;
    }
    let (memory, _clock) = store();
    let layer = SessionLayer::new(memory.clone());
    let insecure = SessionLayer::new(memory).realm("insecure").cookie(
        SessionCookie::named("session")
            .secure(false)
            .build()
            .unwrap(),
    );
    let log = Log::start();

    for page in [
        ("origin", "https://app.test"),
        ("origin", "http://localhost:3000"),
        ("referer", "http://127.0.0.1:3000/login"),
        ("referer", "http://blog.test/a-link"),
    ] {
        sign_in_from(&layer, [page]).await;
    }
    sign_in_from(&insecure, [("origin", "http://192.168.1.5")]).await;
    Client::new(&layer).request(|_session| async {}).await;
    assert_eq!(log.at("WARN"), [""; 0]);

    sign_in_from(&layer, [("origin", "http://192.168.1.5:3000")]).await;
    sign_in_from(&layer, [("origin", "http://app.test")]).await;
    let [warning] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    for part in [
        "browsers drop it",
        "use https",
        "http://localhost",
        "danger_insecure",
    ] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
}

/// As WebKitGTK 2.50 sends it. It drops the cookie.
#[tokio::test]
async fn a_secure_cookie_for_webkit_on_localhost_is_one_warning() {
    if !is_alone(
        module_path!(),
        "a_secure_cookie_for_webkit_on_localhost_is_one_warning",
    ) {
        return;
    }
    let page = [
        ("host", "localhost:3000"),
        ("origin", "http://localhost:3000"),
        ("sec-fetch-site", "same-origin"),
    ];
    let from = |agent| [page[0], page[1], page[2], ("user-agent", agent)];
    let (memory, _clock) = store();
    let insecure = SessionLayer::new(memory.clone())
        .realm("insecure")
        .cookie(SessionCookie::danger_insecure());
    let layer = SessionLayer::new(memory);
    let log = Log::start();

    sign_in_from(&layer, from(CHROME)).await;
    sign_in_from(&insecure, from(WEBKIT)).await;
    assert_eq!(log.at("WARN"), [""; 0]);

    sign_in_from(&layer, from(WEBKIT)).await;
    let [warning] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    for part in ["Safari", "http://localhost", "danger_insecure"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
}

#[tokio::test]
async fn a_bearer_token_for_a_page_on_plain_http_or_of_another_site_is_no_warning() {
    if !is_alone(
        module_path!(),
        "a_bearer_token_for_a_page_on_plain_http_or_of_another_site_is_no_warning",
    ) {
        return;
    }
    let log = Log::start();
    let layer = SessionLayer::new(store().0).token_source(TokenSource::Bearer);

    sign_in_from(&layer, [("origin", "http://app.test")]).await;
    sign_in_from(&layer, SCRIPT).await;

    assert_eq!(log.at("WARN"), [""; 0]);
}

/// What `fetch` of a page on another site sends.
const SCRIPT: [(&str, &str); 3] = [
    ("origin", "https://app.test"),
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "cors"),
];

fn with(same_site: SameSite) -> SessionLayer {
    let cookie = SessionCookie::named("__Host-sid").same_site(same_site);
    SessionLayer::new(store().0).cookie(cookie.build().unwrap())
}

#[tokio::test]
async fn a_same_site_cookie_for_a_script_of_another_site_is_one_warning() {
    if !is_alone(
        module_path!(),
        "a_same_site_cookie_for_a_script_of_another_site_is_one_warning",
    ) {
        return;
    }
    let log = Log::start();
    let lax = with(SameSite::Lax);
    let [origin, site, mode] = SCRIPT;
    sign_in_from(&with(SameSite::None), SCRIPT).await;
    for site in ["same-origin", "same-site", "none"] {
        sign_in_from(&lax, [origin, ("sec-fetch-site", site), mode]).await;
    }
    // A form or an image of another site.
    for mode in ["navigate", "no-cors"] {
        sign_in_from(&lax, [origin, site, ("sec-fetch-mode", mode)]).await;
    }
    let mut guest = Client::new(&lax);
    guest
        .headers
        .extend(SCRIPT.map(|(name, value)| (name.parse().ok(), value.parse().unwrap())));
    guest.request(|_session| async {}).await;
    assert_eq!(log.at("WARN"), [""; 0]);

    sign_in_from(&lax, SCRIPT).await;
    sign_in_from(&with(SameSite::Strict), SCRIPT).await;

    let [warning] = &log.at("WARN")[..] else {
        panic!("{}", log.text());
    };
    for part in ["browsers drop it", "one site", "another_origin"] {
        assert!(warning.contains(part), "{part}: {warning}");
    }
}

#[tokio::test]
async fn a_guest_session_that_a_script_of_another_site_begins_is_a_warning_too() {
    if !is_alone(
        module_path!(),
        "a_guest_session_that_a_script_of_another_site_begins_is_a_warning_too",
    ) {
        return;
    }
    let log = Log::start();
    let mut client = Client::new(&with(SameSite::Lax));
    client
        .headers
        .extend(SCRIPT.map(|(name, value)| (name.parse().ok(), value.parse().unwrap())));

    client
        .request(|session| async move { session.insert("cart", &1).unwrap() })
        .await;

    assert_eq!(log.at("WARN").len(), 1);
}
