//! In headless Chromium: what a browser still has of a user's pages after the sign-out.
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
    response::{Html, Redirect, Response},
    routing::{get, post},
};
use thirtyfour::WebDriver;
use tokio::net::TcpListener;
use tower_user_sessions::{Caching, MemoryStore, Session, SessionLayer};

use crate::{
    common::{
        chromium::browse_whole,
        visit::{click, find},
    },
    site::text,
};

/// From the guide, word for word.
const AGAIN: &str = r#"
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
"#;

/// What was loaded ahead so far.
type Ahead = Arc<Mutex<Vec<String>>>;

async fn note(State(ahead): State<Ahead>, request: Request, next: Next) -> Response {
    let is_ahead = request.headers().contains_key("sec-purpose");
    let path = request.uri().path().to_owned();
    let response = next.run(request).await;
    if is_ahead {
        ahead.lock().unwrap().push(path);
    }
    response
}

async fn log_in(session: Session) -> Redirect {
    session.log_in("alice").unwrap();
    Redirect::to("/home")
}

async fn log_out(session: Session) -> Redirect {
    session.log_out().unwrap();
    Redirect::to("/bye")
}

/// Who the page is for, and a button that signs out.
async fn page(session: Session) -> Html<String> {
    let user = session.user_id().map(|user| user.to_string());
    Html(format!(
        "<!doctype html><title>t</title><p id=user>{}</p>
        <form method=post action=/logout><button>Sign out</button></form><script>{AGAIN}</script>",
        user.as_deref().unwrap_or("guest")
    ))
}

async fn serve(layer: SessionLayer, ahead: Ahead) -> String {
    let app = Router::new()
        .route(
            "/",
            get(async || {
                Html("<!doctype html><form method=post action=/login><button>in</button></form>")
            }),
        )
        .route("/login", post(log_in))
        .route("/home", get(page))
        .route("/prefetched", get(page))
        .route("/prerendered", get(page))
        .route("/logout", post(log_out))
        .route(
            "/bye",
            get(async || Html("<!doctype html><p id=bye>bye</p>")),
        )
        .layer(layer)
        .layer(middleware::from_fn_with_state(ahead, note));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    format!("http://localhost:{port}")
}

async fn sign_in(browser: &WebDriver, url: &str) {
    browser.goto(url).await.unwrap();
    click(browser, "button").await;
    assert_eq!(text(browser, "#user").await, "alice");
}

/// Waits until the page is for this user. A page that comes back is loaded again a moment later.
async fn until(browser: &WebDriver, user: &str) {
    for _ in 0..500 {
        if text(browser, "#user").await == user {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("not the page of {user}");
}

async fn until_ahead(ahead: &Ahead, path: &str) {
    for _ in 0..1_500 {
        if ahead.lock().unwrap().iter().any(|it| it == path) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{path} was not loaded ahead");
}

// T19
#[tokio::test(flavor = "multi_thread")]
async fn pages_that_were_loaded_ahead_are_not_shown_after_a_sign_out_that_clears_the_site() {
    let ahead = Ahead::default();
    let layer = SessionLayer::new(MemoryStore::new()).clear_site_data(true);
    let url = serve(layer, Arc::clone(&ahead)).await;
    browse_whole(move |browser| async move {
        for kind in ["prefetch", "prerender"] {
            sign_in(&browser, &url).await;
            let path = format!("/{kind}ed");
            let rules = format!(
                r#"const rules = document.createElement("script");
                rules.type = "speculationrules";
                rules.text = JSON.stringify({{ {kind}: [{{ urls: ["{path}"], eagerness: "immediate" }}] }});
                document.head.append(rules);"#
            );
            browser.execute(rules, Vec::new()).await.unwrap();
            until_ahead(&ahead, &path).await;

            // A sign-out without a navigation, so that the page keeps what it loaded ahead.
            let signs_out = r#"const done = arguments[0];
                fetch("/logout", { method: "POST" }).then((response) => done(response.url));"#;
            browser.execute_async(signs_out, Vec::new()).await.unwrap();
            let opens = format!(r"document.getElementById('user').remove(); location.href = '{path}';");
            browser.execute(opens, Vec::new()).await.unwrap();

            assert_eq!(text(&browser, "#user").await, "guest", "{kind}");
        }
    })
    .await;
}

// T65
#[tokio::test(flavor = "multi_thread")]
async fn a_page_with_the_script_of_the_guide_does_not_come_back_after_a_sign_out() {
    for caching in [Caching::Private, Caching::NoStore] {
        let layer = SessionLayer::new(MemoryStore::new()).caching(caching);
        let url = serve(layer, Ahead::default()).await;
        browse_whole(move |browser| async move {
            sign_in(&browser, &url).await;
            click(&browser, "button").await;
            find(&browser, "#bye").await;

            browser.back().await.unwrap();

            until(&browser, "guest").await;
        })
        .await;
    }
}
