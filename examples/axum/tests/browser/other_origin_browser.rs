//! In headless Chromium: a page on another origin calls the app, as the guide's page `another_origin` says. Of hosts such as
//! `app.site.localhost` the browser takes the last two names for the site.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use axum::{
    Router,
    http::{HeaderValue, Method, header::CONTENT_TYPE},
    response::Html,
    routing::{get, post},
};
use thirtyfour::WebDriver;
use tower_http::{cors::CorsLayer, csrf::CsrfLayer};
use tower_user_sessions::{
    Caching, DeviceApi, MemoryStore, Problem, RequireUser, SameSite, Session, SessionCookie,
    SessionLayer,
};

use crate::{common::webdriver::browse, serve::serve};

async fn who(session: Session) -> Html<String> {
    let user = session.user_id().map(|user| user.to_string());
    Html(user.unwrap_or_else(|| "guest".to_owned()))
}

async fn log_in(session: Session) {
    session.log_in("alice").unwrap();
}

async fn log_out(session: Session) {
    session.log_out().unwrap();
}

/// A port where each host has an empty page.
async fn pages() -> u16 {
    serve(Router::new().fallback(async || Html("<!doctype html><title>t</title>"))).await
}

/// The app, at `api.site.localhost`, for a page with this origin.
async fn api(layer: SessionLayer, page: &str) -> String {
    let cors = CorsLayer::new()
        .allow_origin(page.parse::<HeaderValue>().unwrap())
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::POST, Method::DELETE]);
    let devices = DeviceApi::new().add_trusted_origin(page).unwrap();
    let app = Router::new()
        .route("/", get(who))
        .route("/login", post(log_in))
        .nest_service("/sessions", devices)
        .layer(layer.reply(Problem))
        .layer(CsrfLayer::new().add_trusted_origin(page).unwrap())
        .layer(cors);
    format!("http://api.site.localhost:{}", serve(app).await)
}

/// Runs this script in the page. What it returns is text.
async fn run(browser: &WebDriver, script: &str) -> String {
    let script = format!(
        "const done = arguments[0];
        const ask = async (method, url) => {{
            try {{
                const response = await fetch(url, {{ method, credentials: 'include' }});
                return `${{response.status}} ${{await response.text()}}`.trim();
            }} catch (failed) {{ return failed.name; }}
        }};
        (async () => {{ {script} }})().then(done, (failed) => done(`${{failed}}`));"
    );
    let returned = browser.execute_async(script, Vec::new()).await.unwrap();
    returned.convert().unwrap()
}

async fn ask(browser: &WebDriver, method: &str, url: String) -> String {
    run(browser, &format!("return ask('{method}', '{url}')")).await
}

/// What the browser shows at this address.
async fn shown(browser: &WebDriver, url: String) -> String {
    browser.goto(url).await.unwrap();
    run(browser, "return document.body.textContent").await
}

// T40
#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_one_subdomain_uses_the_app_on_another_and_one_on_a_third_cannot() {
    let port = pages().await;
    let page = format!("http://app.site.localhost:{port}");
    let api = api(SessionLayer::new(MemoryStore::new()), &page).await;
    browse(move |browser| async move {
        browser.goto(&page).await.unwrap();
        let guest = ask(&browser, "GET", format!("{api}/sessions")).await;
        assert!(guest.contains(r#""reason":"not_signed_in""#), "{guest}");

        assert_eq!(ask(&browser, "POST", format!("{api}/login")).await, "200");

        assert_eq!(ask(&browser, "GET", api.clone()).await, "200 alice");
        let others = format!("{api}/sessions/logout-others");
        assert!(ask(&browser, "POST", others.clone()).await.contains(r#""ended":0"#));

        // It has the cookie, as it is on the same site.
        let third = format!("http://user.site.localhost:{port}");
        browser.goto(third).await.unwrap();
        assert_eq!(ask(&browser, "GET", api.clone()).await, "TypeError");
        assert_eq!(ask(&browser, "POST", others).await, "TypeError");
        let opaque = format!(
            "const asked = await fetch('{api}/login', {{ method: 'POST', mode: 'no-cors', credentials: 'include' }});
            return asked.type"
        );
        assert_eq!(run(&browser, &opaque).await, "opaque");
        browser.goto(&page).await.unwrap();
        let list = ask(&browser, "GET", format!("{api}/sessions")).await;
        assert_eq!(list.matches(r#""id""#).count(), 1, "{list}");
    })
    .await;
}

// T7
#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_another_site_keeps_no_lax_cookie_and_a_partitioned_one_for_itself() {
    let port = pages().await;
    let page = format!("http://app.other.localhost:{port}");
    let cookie = SessionCookie::named("__Host-app").same_site(SameSite::None);
    for (cookie, then) in [
        (SessionCookie::default(), "200 guest"),
        (cookie.partitioned(true).build().unwrap(), "200 alice"),
    ] {
        let layer = SessionLayer::new(MemoryStore::new()).cookie(cookie);
        let (page, api) = (page.clone(), api(layer, &page).await);
        browse(move |browser| async move {
            browser.goto(&page).await.unwrap();

            assert_eq!(ask(&browser, "POST", format!("{api}/login")).await, "200");

            assert_eq!(ask(&browser, "GET", api.clone()).await, then);
            assert_eq!(shown(&browser, api).await, "guest");
        })
        .await;
    }
}

/// Keeps `/kept`, hands `/passed` on as it is, and asks for `/asked` itself.
const WORKER: &str = r#"
addEventListener("install", () => skipWaiting());
addEventListener("activate", (event) => event.waitUntil(clients.claim()));
addEventListener("fetch", (event) => {
  const path = new URL(event.request.url).pathname;
  if (path === "/passed") event.respondWith(fetch(event.request));
  if (path === "/asked") event.respondWith(fetch(event.request.url));
  if (path === "/kept") event.respondWith(keep(event.request));
});
async function keep(request) {
  const cache = await caches.open("kept");
  const kept = await cache.match(request.url);
  if (kept) return kept;
  const response = await fetch(request);
  await cache.put(request.url, response.clone());
  return response;
}
"#;

const REGISTER: &str = r#"
await navigator.serviceWorker.register("/worker.js");
await new Promise((done) => {
  if (navigator.serviceWorker.controller) return done();
  navigator.serviceWorker.addEventListener("controllerchange", done);
});
return "";
"#;

/// A site with that service worker.
async fn worked(clear: bool) -> String {
    let sessions = SessionLayer::new(MemoryStore::new())
        .caching(Caching::NoStore)
        .clear_site_data(clear);
    let guarded = RequireUser::new().redirect_to("/sign-in").reply(Problem);
    let app = Router::new()
        .route("/passed", get(who))
        .route("/asked", get(who))
        .route_layer(guarded)
        .route("/", get(async || Html("home")))
        .route("/kept", get(who))
        .route("/sign-in", get(async || Html("sign in")))
        .route("/login", post(log_in))
        .route("/logout", post(log_out))
        .route(
            "/worker.js",
            get(async || ([(CONTENT_TYPE, "text/javascript")], WORKER)),
        )
        .layer(sessions);
    format!("http://localhost:{}", serve(app).await)
}

// T65
#[tokio::test(flavor = "multi_thread")]
async fn what_a_service_worker_keeps_is_shown_after_a_sign_out_unless_that_clears_the_site() {
    for (clear, then) in [(false, "alice"), (true, "guest")] {
        let site = worked(clear).await;
        browse(move |browser| async move {
            browser.goto(&site).await.unwrap();
            assert_eq!(run(&browser, REGISTER).await, "");
            assert_eq!(ask(&browser, "POST", format!("{site}/login")).await, "200");
            let kept = format!("{site}/kept");
            assert_eq!(shown(&browser, kept.clone()).await, "alice");

            browser.goto(&site).await.unwrap();
            assert_eq!(ask(&browser, "POST", format!("{site}/logout")).await, "200");

            assert_eq!(shown(&browser, kept).await, then, "{clear}");
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_is_redirected_through_a_service_worker_that_hands_the_request_on_as_it_is() {
    let site = worked(false).await;
    browse(move |browser| async move {
        browser.goto(&site).await.unwrap();
        assert_eq!(run(&browser, REGISTER).await, "");

        assert_eq!(shown(&browser, format!("{site}/passed")).await, "sign in");

        let asked = shown(&browser, format!("{site}/asked")).await;
        assert!(asked.contains(r#""reason":"not_signed_in""#), "{asked}");
    })
    .await;
}
