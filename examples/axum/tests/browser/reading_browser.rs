//! In headless Chromium: pages that no user sees take no message away and sign no user out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use thirtyfour::WebDriver;
use tower_user_sessions::SameSite;

use crate::{
    common::webdriver::browse_whole,
    site::{Site, cookies, seen, sign_in},
};

/// What a browser loads beside the page: speculation rules, a link, an image, scripts, the icon.
const BESIDE: [&str; 7] = [
    "GET /prefetched prefetch",
    "GET /prerendered prerender",
    "GET /link-prefetched prefetch",
    "GET /private.png",
    "HEAD /",
    "GET /look",
    "GET /favicon.ico",
];

async fn load_teasers(browser: &WebDriver, site: &Site, user: &str) {
    let before = BESIDE.map(|line| site.times(line));
    assert_eq!(seen(browser, site, "/teasers", "#user").await, user);
    for (line, before) in BESIDE.into_iter().zip(before) {
        // The icon is loaded once.
        let times = if line.contains("favicon") {
            1
        } else {
            before + 1
        };
        site.until(line, times).await;
    }
}

// T64
#[tokio::test(flavor = "multi_thread")]
async fn after_prefetch_prerender_images_head_and_polls_the_reason_is_still_shown() {
    let site = Arc::new(Site::start(SameSite::Lax).await);
    browse_whole(move |browser| async move {
        sign_in(&browser, &site).await;
        load_teasers(&browser, &site, "alice").await;
        assert_eq!(seen(&browser, &site, "/", "#user").await, "alice");
        site.evict().await;

        load_teasers(&browser, &site, "guest").await;

        for _ in 0..2 {
            assert_eq!(seen(&browser, &site, "/", "#reason").await, "evicted");
        }
        assert_eq!(cookies(&browser).await, ["__Host-session"]);
        sign_in(&browser, &site).await;
        assert_eq!(seen(&browser, &site, "/", "#reason").await, "none");
        assert_eq!(site.rows().await, 1);
    })
    .await;
}
