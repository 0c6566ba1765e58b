//! In headless Chromium, through a relay that holds responses back: a late response signs nobody out who
//! signed in meanwhile in another tab.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use thirtyfour::{Cookie, WebDriver};
use tower_user_sessions::SameSite;

use crate::{
    common::{http::DAY, webdriver::browse},
    site::{Site, cookies, seen, sign_in},
};

/// Sends a request, and signs in in another tab before its response arrives.
async fn overtaken(browser: &WebDriver, site: &Site, path: &str) {
    site.hold.hold();
    let line = format!("GET {path}");
    let before = site.times(&line);
    let fetch = "window.late = fetch(arguments[0]).then(answer => answer.text())";
    browser.execute(fetch, vec![path.into()]).await.unwrap();
    site.until(&line, before + 1).await;
    let first = browser.window().await.unwrap();
    let second = browser.new_tab().await.unwrap();
    browser.switch_to_window(second).await.unwrap();
    sign_in(browser, site).await;

    site.hold.release();
    browser.switch_to_window(first.clone()).await.unwrap();
    let arrived = "const done = arguments[0]; window.late.then(() => done(true))";
    let arrived = browser.execute_async(arrived, vec![]).await.unwrap();
    assert!(arrived.convert::<bool>().unwrap());

    assert_eq!(
        seen(browser, site, "/look", "#user").await,
        "alice",
        "{path}"
    );
    assert_eq!(site.rows().await, 1, "{path}");
    for tab in browser.windows().await.unwrap() {
        if tab != first {
            browser.switch_to_window(tab).await.unwrap();
            browser.close_window().await.unwrap();
        }
    }
    browser.switch_to_window(first).await.unwrap();
}

async fn forget_all(browser: &WebDriver, site: &Site) {
    browser.goto(site.hold.url("/look")).await.unwrap();
    browser.delete_all_cookies().await.unwrap();
}

// T62
#[tokio::test(flavor = "multi_thread")]
async fn a_late_response_to_a_dead_token_leaves_a_newer_sign_in_alone() {
    let site = Arc::new(Site::start(SameSite::Lax).await);
    browse(move |browser| async move {
        // The session of the user expired.
        sign_in(&browser, &site).await;
        site.clock.advance(DAY);
        overtaken(&browser, &site, "/slow/look").await;

        // A guest session expired.
        forget_all(&browser, &site).await;
        assert_eq!(seen(&browser, &site, "/keep", "#kept").await, "1");
        site.clock.advance(10 * DAY);
        overtaken(&browser, &site, "/slow/look").await;

        // Evicted, and the handler reads the reason.
        forget_all(&browser, &site).await;
        sign_in(&browser, &site).await;
        site.evict().await;
        let why = seen(&browser, &site, "/look", "#reason").await;
        assert_eq!(why, "evicted");
        overtaken(&browser, &site, "/slow/look").await;

        // Unknown.
        forget_all(&browser, &site).await;
        let mut unknown = Cookie::new("__Host-session", "A".repeat(64));
        unknown.set_path("/");
        unknown.set_secure(true);
        browser.add_cookie(unknown).await.unwrap();
        overtaken(&browser, &site, "/slow/look").await;
    })
    .await;
}

// T62 T63
#[tokio::test(flavor = "multi_thread")]
async fn a_late_write_of_a_guest_leaves_a_newer_sign_in_alone() {
    let site = Arc::new(Site::start(SameSite::Lax).await);
    browse(move |browser| async move {
        // Without any token.
        browser.goto(site.hold.url("/look")).await.unwrap();
        overtaken(&browser, &site, "/slow/keep").await;
        // Its guest cookie came late. It is not read.
        let both = ["__Host-session", "__Host-session-guest"];
        assert_eq!(cookies(&browser).await, both);
        assert_eq!(seen(&browser, &site, "/look", "#kept").await, "0");

        // With a guest session.
        forget_all(&browser, &site).await;
        assert_eq!(seen(&browser, &site, "/keep", "#kept").await, "1");
        overtaken(&browser, &site, "/slow/keep").await;
        assert_eq!(cookies(&browser).await, ["__Host-session"]);

        // With the dead token of a user.
        site.clock.advance(DAY);
        overtaken(&browser, &site, "/slow/keep").await;
    })
    .await;
}
