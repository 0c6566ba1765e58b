//! The example in headless Chromium: an open page says why its session ended.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use thirtyfour::By;

use crate::common::{
    app::App,
    curl::Curl,
    visit::{at, find, sign_in},
    webdriver::{browse, without_javascript},
};

const FIREFOX: &str =
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0";

const ALERT: &str = r#"[role="alert"]"#;

const WHY: &str = "You were signed out because you signed in on Firefox 145 on Windows \
                   (1 device at most).";

// T41 T42
#[tokio::test(flavor = "multi_thread")]
async fn an_open_page_says_without_a_reload_that_another_device_signed_in() {
    let app = Arc::new(App::start(&[("MAX_SESSIONS", "1")]));
    browse(move |browser| async move {
        sign_in(&browser, &app).await;
        find(&browser, "main[data-events]").await;
        let mark = "window.sameDocument = true; return new Promise((done) => setTimeout(() => done(true), 500))";
        browser.execute(mark, Vec::new()).await.unwrap();

        Curl::signed_in(&app, "alice", FIREFOX);

        let said = find(&browser, ALERT).await.text().await.unwrap();
        assert_eq!(said, WHY);
        let same = browser.execute("return window.sameDocument", Vec::new());
        assert_eq!(same.await.unwrap().json(), &true);
        // What the page had of the user is gone (ASVS 14.3.1).
        let page = find(&browser, "main").await.text().await.unwrap();
        assert_eq!(page, format!("Sessions\n{WHY}\nSign in again"));
        // The reason is still there for the next page.
        browser.goto(at(&app, "/")).await.unwrap();
        let again = find(&browser, ALERT).await.text().await.unwrap();
        assert!(again.starts_with(WHY), "{again}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_javascript_the_next_page_says_it() {
    let app = Arc::new(App::start(&[("MAX_SESSIONS", "1")]));
    browse(move |browser| async move {
        without_javascript(&browser).await;
        sign_in(&browser, &app).await;
        Curl::signed_in(&app, "alice", FIREFOX);
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(browser.find_all(By::Css(ALERT)).await.unwrap().is_empty());

        browser.goto(at(&app, "/")).await.unwrap();

        let said = find(&browser, ALERT).await.text().await.unwrap();
        assert!(said.starts_with(WHY), "{said}");
    })
    .await;
}
