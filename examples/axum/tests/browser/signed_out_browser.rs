//! In headless Chromium: what a browser still has of a user's pages after the sign-out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    response::{Html, Redirect},
    routing::{get, post},
};
use thirtyfour::WebDriver;
use tower_user_sessions::{Caching, MemoryStore, Session, SessionLayer};

use crate::{
    ahead::{self, Seen},
    common::{
        visit::{click, find},
        webdriver::browse_whole,
    },
    site::text,
};

/// From the guide, word for word.
const AGAIN: &str = r#"
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
"#;

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

fn app(layer: SessionLayer) -> Router {
    Router::new()
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

// T19
#[tokio::test(flavor = "multi_thread")]
async fn pages_that_were_loaded_ahead_are_not_shown_after_a_sign_out_that_clears_the_site() {
    let seen = Seen::default();
    let layer = SessionLayer::new(MemoryStore::new()).clear_site_data(true);
    let url = ahead::serve(app(layer), Arc::clone(&seen)).await;
    browse_whole(move |browser| async move {
        for (kind, purpose) in [
            ("prefetch", "prefetch"),
            ("prerender", "prefetch;prerender"),
        ] {
            sign_in(&browser, &url).await;
            let path = format!("/{kind}ed");
            ahead::load(&browser, kind, &path).await;
            ahead::until(&seen, &format!("GET {path} {purpose}")).await;

            // A sign-out without a navigation, so that the page keeps what it loaded ahead.
            let signs_out = r#"const done = arguments[0];
                fetch("/logout", { method: "POST" }).then((response) => done(response.url));"#;
            browser.execute_async(signs_out, Vec::new()).await.unwrap();
            let opens =
                format!(r"document.getElementById('user').remove(); location.href = '{path}';");
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
        let url = ahead::serve(app(layer), Seen::default()).await;
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
