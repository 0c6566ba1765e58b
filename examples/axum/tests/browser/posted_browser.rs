//! In headless Chromium: a sign-in whose form another site posts. It replaces the session of the browser if the
//! app answers with a page that posts the form again, as the guide shows.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use axum::{
    Form, Router,
    http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY},
    response::{Html, IntoResponse, Redirect},
    routing::{get, post},
};
use tower_http::csrf::CsrfLayer;
use tower_user_sessions::{
    Limit, MemoryStore, SameSite, Session, SessionCookie, SessionLayer, UserId, UserSessions,
    store::ManualClock,
};

use crate::{
    common::{
        http::{self, Client},
        visit::click,
        webdriver::browse,
    },
    serve::serve,
    site::text,
};

const ASSERTION: &str = r#"PD94 bWwg+/='"<&amp;>"#;

type Fields = Vec<(String, String)>;

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('"', "&quot;")
        .replace('<', "&lt;")
}

/// A form with these fields.
fn form(action: &str, fields: &Fields, script: &str) -> Html<String> {
    let inputs: String = fields
        .iter()
        .map(|(name, value)| {
            let (name, value) = (escaped(name), escaped(value));
            format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">")
        })
        .collect();
    Html(format!(
        "<!doctype html><form method=\"post\" action=\"{action}\">{inputs}\
         <button>Continue</button></form>{script}"
    ))
}

async fn post_again(Form(fields): Form<Fields>) -> impl IntoResponse {
    let policy =
        "default-src 'none'; script-src 'self'; form-action 'self'; frame-ancestors 'none'";
    let headers = [
        (CONTENT_SECURITY_POLICY, policy),
        (REFERRER_POLICY, "same-origin"),
    ];
    let script = r#"<script src="/saml.js"></script>"#;
    (headers, form("/saml/again", &fields, script))
}

async fn script() -> impl IntoResponse {
    let submit = "document.forms[0].submit();";
    ([(CONTENT_TYPE, "text/javascript")], submit)
}

async fn log_in(session: Session, Form(fields): Form<Fields>) -> Redirect {
    assert_eq!(fields[0], ("SAMLResponse".to_owned(), ASSERTION.to_owned()));
    session.log_in("alice").unwrap();
    Redirect::to("/")
}

async fn home(session: Session) -> Html<String> {
    let user = session.user_id().map(|user| user.to_string());
    Html(format!("<p id=user>{}</p>", user.unwrap_or_default()))
}

/// The site, and the page of an identity provider on another one that posts to this path.
async fn site(layer: SessionLayer, path: &str) -> (String, String) {
    let csrf = CsrfLayer::new()
        .with_insecure_bypass(|_method, uri| matches!(uri.path(), "/saml" | "/direct"));
    let app = Router::new()
        .route("/", get(home))
        .route("/saml", post(post_again))
        .route("/saml.js", get(script))
        .route("/saml/again", post(log_in))
        .route("/direct", post(log_in))
        .layer(layer)
        .layer(csrf);
    let home = format!("http://localhost:{}", serve(app).await);
    let target = format!("{home}{path}");
    let provider = Router::new().route(
        "/",
        get(async move || {
            let fields = vec![("SAMLResponse".to_owned(), ASSERTION.to_owned())];
            form(&target, &fields, "")
        }),
    );
    (home, format!("http://127.0.0.1:{}/", serve(provider).await))
}

async fn rows(store: &MemoryStore) -> usize {
    let user = UserId::new("alice").unwrap();
    let live = UserSessions::new(store.clone(), user).count().await;
    live.unwrap()
}

/// A phone is signed in, and one browser signs in three times through the provider, at a limit of 3.
/// Returns how many sessions there are then, and whether the phone still has its own.
async fn three_sign_ins(same_site: SameSite, path: &'static str) -> (usize, bool) {
    let (store, clock): (MemoryStore, ManualClock) = http::store();
    let cookie = SessionCookie::named("__Host-session").same_site(same_site);
    let layer = SessionLayer::new(store.clone())
        .cookie(cookie.build().unwrap())
        .limit(Limit::at_most(3));
    let mut phone = Client::signed_in(&layer, "alice").await;
    assert_eq!(phone.user().await.as_deref(), Some("alice"));
    let (home, provider) = site(layer, path).await;
    browse(move |browser| async move {
        for _ in 0..3 {
            clock.advance(Duration::from_secs(60));
            browser.goto(&provider).await.unwrap();
            click(&browser, "button").await;
            assert_eq!(text(&browser, "#user").await, "alice");
            // So that the session is a used one, whichever site the page came from.
            browser.goto(&home).await.unwrap();
            assert_eq!(text(&browser, "#user").await, "alice");
        }
    })
    .await;
    (rows(&store).await, phone.user().await.is_some())
}

// T63
#[tokio::test(flavor = "multi_thread")]
async fn three_posted_sign_ins_that_a_page_posts_again_are_one_session_of_a_lax_browser() {
    assert_eq!(three_sign_ins(SameSite::Lax, "/saml").await, (2, true));
}

// T63
#[tokio::test(flavor = "multi_thread")]
async fn three_posted_sign_ins_that_a_page_posts_again_are_one_session_of_a_strict_browser() {
    assert_eq!(three_sign_ins(SameSite::Strict, "/saml").await, (2, true));
}

/// What the page is for.
#[tokio::test(flavor = "multi_thread")]
async fn three_posted_sign_ins_without_that_page_sign_the_phone_out() {
    assert_eq!(three_sign_ins(SameSite::Lax, "/direct").await, (3, false));
}
