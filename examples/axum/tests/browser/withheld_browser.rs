//! In headless Chromium: what a guest session stores where the browser withheld the cookies signs no user
//! out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Arc;

use tower_user_sessions::SameSite;

use crate::{
    common::{visit::click, webdriver::browse},
    site::{Site, cookies, foreign, seen, sign_in, text},
};

/// Follows the link, or sends the form, of another site to a page that keeps something for guests.
async fn comes_from_elsewhere(same_site: SameSite, css: &'static str, withheld: bool) {
    let site = Arc::new(Site::start(same_site).await);
    let elsewhere = foreign(site.hold.url("/keep")).await;
    browse(move |browser| async move {
        sign_in(&browser, &site).await;

        for _ in 0..2 {
            browser.goto(&elsewhere).await.unwrap();
            click(&browser, css).await;

            let user = if withheld { "guest" } else { "alice" };
            assert_eq!(text(&browser, "#user").await, user);
            assert_eq!(seen(&browser, &site, "/look", "#user").await, "alice");
            assert_eq!(site.rows().await, 1);
        }
        let guest = ["__Host-session", "__Host-session-guest"];
        let expected = &guest[..1 + usize::from(withheld)];
        assert_eq!(cookies(&browser).await, expected);
    })
    .await;
}

// T63
#[tokio::test(flavor = "multi_thread")]
async fn a_link_on_another_site_to_a_page_that_keeps_something_signs_no_strict_user_out() {
    comes_from_elsewhere(SameSite::Strict, "a", true).await;
}

// T63
#[tokio::test(flavor = "multi_thread")]
async fn a_form_on_another_site_to_a_page_that_keeps_something_signs_no_lax_user_out() {
    comes_from_elsewhere(SameSite::Lax, "button", true).await;
}

// T63
#[tokio::test(flavor = "multi_thread")]
async fn a_link_on_another_site_is_followed_as_the_lax_user() {
    comes_from_elsewhere(SameSite::Lax, "a", false).await;
}
