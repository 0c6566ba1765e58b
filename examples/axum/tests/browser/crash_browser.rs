//! Chromium with a real profile is killed after a rotation, before it has written its cookies to disk.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    middleware::{self, Next},
    response::{Html, Response},
    routing::{get, post},
};
use tempfile::TempDir;
use thirtyfour::WebDriver;
use tokio::net::TcpListener;
use tower_user_sessions::{
    PeerAddr, Session, SessionLayer,
    store::{ManualClock, MemoryStore},
};

use crate::{
    common::{
        http,
        visit::click,
        webdriver::{browse_with, kill},
    },
    site::text,
};

/// Rotates the token on each view of `/rotate`. Keeps the peer, as apps do.
async fn serve() -> (String, MemoryStore, ManualClock) {
    let (store, clock) = http::store();
    let app = Router::new()
        .route("/", get(look))
        .route("/login", post(log_in))
        .route("/rotate", get(rotate))
        .layer(SessionLayer::new(store.clone()))
        .layer(middleware::from_fn(note_peer));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    (url, store, clock)
}

async fn note_peer(peer: ConnectInfo<SocketAddr>, mut request: Request, next: Next) -> Response {
    request.extensions_mut().insert(PeerAddr::from(peer.0));
    next.run(request).await
}

fn page(session: &Session) -> Html<String> {
    let user = session.user_id().map(|user| user.to_string());
    let reason = session.ended().map(|notice| notice.reason.as_str());
    Html(format!(
        "<!doctype html><p id=user>{}</p><p id=reason>{}</p>\
         <form method=post action=/login><button>Sign in</button></form>",
        user.as_deref().unwrap_or("guest"),
        reason.unwrap_or("none"),
    ))
}

async fn look(session: Session) -> Html<String> {
    page(&session)
}

async fn log_in(session: Session) -> Html<String> {
    session.log_in("alice").unwrap();
    page(&session)
}

async fn rotate(session: Session) -> Html<String> {
    session.rotate().unwrap();
    page(&session)
}

async fn open(browser: &WebDriver, url: String, css: &str) -> String {
    browser.goto(url).await.unwrap();
    text(browser, css).await
}

async fn token(browser: &WebDriver) -> String {
    let cookie = browser.get_named_cookie("__Host-session").await.unwrap();
    cookie.value
}

/// Signs in and closes the browser, which writes its cookies to disk. Opens it again, rotates, uses the new
/// token and kills it. Returns the token before the rotation and after it.
async fn crash_after_a_rotation(profile: &TempDir, url: &str) -> (String, String) {
    let (page, path) = (url.to_owned(), profile.path().to_owned());
    let before = browse_with(profile.path(), move |browser| async move {
        browser.goto(format!("{page}/")).await.unwrap();
        click(&browser, "button").await;
        assert_eq!(text(&browser, "#user").await, "alice");
        token(&browser).await
    })
    .await;
    let url = url.to_owned();
    let after = browse_with(profile.path(), move |browser| async move {
        assert_eq!(
            open(&browser, format!("{url}/rotate"), "#user").await,
            "alice"
        );
        assert_eq!(open(&browser, format!("{url}/"), "#user").await, "alice");
        let after = token(&browser).await;
        kill(&path);
        after
    })
    .await;
    assert_ne!(before, after);
    (before, after)
}

// T47 T48
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_crashes_within_half_a_minute_of_a_rotation_stays_signed_in() {
    let ((url, _store, clock), profile) = (serve().await, TempDir::new().unwrap());
    let (_before, after) = crash_after_a_rotation(&profile, &url).await;
    // The browser did lose it: see the other test. The crash came 30 s after the rotation, and the user started the browser again 89 s later.
    clock.advance(Duration::from_secs(119));

    browse_with(profile.path(), move |browser| async move {
        assert_eq!(open(&browser, format!("{url}/"), "#user").await, "alice");
        assert_eq!(token(&browser).await, after);

        clock.advance(Duration::from_secs(3_600));
        assert_eq!(open(&browser, format!("{url}/"), "#user").await, "alice");
    })
    .await;
}

// T47
#[tokio::test(flavor = "multi_thread")]
async fn a_browser_that_is_started_again_later_learns_that_its_token_was_reused() {
    let ((url, _store, clock), profile) = (serve().await, TempDir::new().unwrap());
    crash_after_a_rotation(&profile, &url).await;
    clock.advance(Duration::from_secs(121));

    browse_with(profile.path(), move |browser| async move {
        for _ in 0..2 {
            let why = open(&browser, format!("{url}/"), "#reason").await;
            assert_eq!(why, "token_reuse");
        }
        assert_eq!(text(&browser, "#user").await, "guest");
    })
    .await;
}
