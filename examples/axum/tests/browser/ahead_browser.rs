//! In headless Chromium: a prerendered page is no activity of its user, until the user opens it and the page
//! reports that with the script of the guide.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    middleware::{self, Next},
    response::{Html, Response},
    routing::get,
};
use thirtyfour::WebDriver;
use tokio::net::TcpListener;
use tower_user_sessions::{
    DeviceApi, MemoryStore, Session, SessionLayer, Timestamp, UserId, UserSessions,
};

use crate::common::{chromium::browse, http, visit::find};

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

/// The requests so far, as `GET /page prefetch;prerender`.
type Seen = Arc<Mutex<Vec<String>>>;

async fn note(State(seen): State<Seen>, request: Request, next: Next) -> Response {
    let purpose = request.headers().get("sec-purpose");
    let purpose = purpose.map_or("", |purpose| purpose.to_str().unwrap());
    let line = format!("{} {} {purpose}", request.method(), request.uri().path());
    let response = next.run(request).await;
    seen.lock().unwrap().push(line.trim_end().to_owned());
    response
}

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

async fn serve(layer: SessionLayer, seen: Seen) -> String {
    let app = Router::new()
        .route("/in", get(log_in))
        .route(
            "/",
            get(async || Html("<!doctype html><p id=home>home</p>")),
        )
        .route("/page", get(page))
        .nest_service("/sessions", DeviceApi::new())
        .layer(layer)
        .layer(middleware::from_fn_with_state(seen, note));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://localhost:{port}")
}

async fn until(seen: &Seen, line: &str) {
    for _ in 0..600 {
        if seen.lock().unwrap().iter().any(|it| it == line) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no {line} in {:?}", seen.lock().unwrap());
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
    let home = serve(SessionLayer::new(store.clone()), Arc::clone(&seen)).await;
    browse(move |browser| async move {
        open(&browser, format!("{home}/in"), "#in").await;
        open(&browser, format!("{home}/"), "#home").await;
        let before = last_activity(&store).await;

        clock.advance(Duration::from_secs(60));
        let rules = r#"const rules = document.createElement("script");
            rules.type = "speculationrules";
            rules.text = JSON.stringify({ prerender: [{ urls: ["/page"], eagerness: "immediate" }] });
            document.head.append(rules);"#;
        browser.execute(rules, Vec::new()).await.unwrap();
        until(&seen, "GET /page prefetch;prerender").await;
        assert_eq!(last_activity(&store).await, before);

        clock.advance(Duration::from_secs(60));
        let opens = r#"location.href = "/page";"#;
        browser.execute(opens, Vec::new()).await.unwrap();
        until(&seen, "POST /sessions/current").await;
        find(&browser, "#page").await;
        assert_eq!(last_activity(&store).await, before.plus(Duration::from_secs(120)));
        let lines = seen.lock().unwrap();
        assert!(!lines.iter().any(|line| line == "GET /page"), "{lines:?}");
    })
    .await;
}
