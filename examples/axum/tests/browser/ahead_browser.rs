//! In headless Chromium: a prerendered page is no activity of its user, until the user opens it and the page
//! reports that with the script of the guide.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use axum::{Router, response::Html, routing::get};
use thirtyfour::WebDriver;
use tower_user_sessions::{
    DeviceApi, MemoryStore, Session, SessionLayer, Timestamp, UserId, UserSessions,
};

use crate::{
    ahead::{self, Seen, until},
    common::{http, visit::find, webdriver::browse},
};

/// From the guide, word for word.
const PING: &str = r#"
const seen = () => fetch("/sessions/current", { method: "POST" });
const [visit] = performance.getEntriesByType("navigation");
if (document.prerendering) {
  document.addEventListener("prerenderingchange", seen, { once: true });
} else if (visit?.deliveryType === "navigational-prefetch") {
  seen();
}
"#;

async fn log_in(session: Session) -> Html<&'static str> {
    session.log_in("alice").unwrap();
    Html("<p id=in>in</p>")
}

async fn page(session: Session) -> Html<String> {
    let user = session.user_id().unwrap();
    Html(format!(
        "<!doctype html><p id=page>{user}</p><script>{PING}</script>"
    ))
}

fn app(layer: SessionLayer) -> Router {
    Router::new()
        .route("/in", get(log_in))
        .route(
            "/",
            get(async || Html("<!doctype html><p id=home>home</p>")),
        )
        .route("/page", get(page))
        .nest_service("/sessions", DeviceApi::new())
        .layer(layer)
}

async fn last_activity(store: &MemoryStore) -> Timestamp {
    let sessions = UserSessions::new(store.clone(), UserId::new("alice").unwrap());
    sessions.list().await.unwrap()[0].last_activity()
}

async fn open(browser: &WebDriver, url: String, css: &str) {
    browser.goto(url).await.unwrap();
    find(browser, css).await;
}

// T64
#[tokio::test(flavor = "multi_thread")]
async fn a_prerendered_page_counts_as_activity_once_its_user_opens_it() {
    let (store, clock) = http::store();
    let seen = Seen::default();
    let home = ahead::serve(app(SessionLayer::new(store.clone())), Arc::clone(&seen)).await;
    browse(move |browser| async move {
        open(&browser, format!("{home}/in"), "#in").await;
        open(&browser, format!("{home}/"), "#home").await;
        let before = last_activity(&store).await;

        clock.advance(Duration::from_secs(60));
        ahead::load(&browser, "prerender", "/page").await;
        until(&seen, "GET /page prefetch;prerender").await;
        assert_eq!(last_activity(&store).await, before);

        clock.advance(Duration::from_secs(60));
        let opens = r#"location.href = "/page";"#;
        browser.execute(opens, Vec::new()).await.unwrap();
        until(&seen, "POST /sessions/current").await;
        find(&browser, "#page").await;
        assert_eq!(
            last_activity(&store).await,
            before.plus(Duration::from_secs(120))
        );
        let lines = seen.lock().unwrap();
        assert!(!lines.iter().any(|line| line == "GET /page"), "{lines:?}");
    })
    .await;
}
