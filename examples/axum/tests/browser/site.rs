//! A small site of the test itself, on a store whose clock the test moves.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
    middleware::{self, Next},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use thirtyfour::WebDriver;
use tower_user_sessions::{
    Limit, MemoryStore, RequireUser, SameSite, Session, SessionCookie, SessionLayer, UserId,
    UserSessions, store::ManualClock,
};

use crate::{
    common::{
        hold::Hold,
        http::{self, Client, DAY},
        visit::{click, find},
    },
    serve::serve,
};

/// How often each line was requested: `GET /slow/look`, with `prefetch` or `prerender` after it where the
/// browser says so.
type Seen = Arc<Mutex<HashMap<String, u32>>>;

pub(crate) struct Site {
    pub(crate) layer: SessionLayer,
    pub(crate) store: MemoryStore,
    pub(crate) clock: ManualClock,
    pub(crate) hold: Hold,
    seen: Seen,
}

impl Site {
    /// A user has at most one session.
    pub(crate) async fn start(same_site: SameSite) -> Self {
        let (store, clock) = http::store();
        let cookie = SessionCookie::named("__Host-session").same_site(same_site);
        let layer = SessionLayer::new(store.clone())
            .cookie(cookie.build().unwrap())
            .guest_idle(10 * DAY)
            .limit(Limit::at_most(1));
        let seen = Seen::default();
        let app = Router::new()
            .route("/private.png", get(private))
            .route_layer(RequireUser::new())
            .route("/", get(home).head(home))
            .route("/login", post(log_in))
            .route("/look", get(look))
            .route("/slow/look", get(look))
            .route("/slow/keep", get(keep))
            .route("/keep", get(keep).post(keep))
            .route("/teasers", get(teasers))
            .route("/prefetched", get(look))
            .route("/prerendered", get(look))
            .route("/link-prefetched", get(look))
            .route("/favicon.ico", get(look))
            .layer(layer.clone())
            .layer(middleware::from_fn_with_state(Arc::clone(&seen), note));
        let port = serve(app).await;
        Self {
            layer,
            store,
            clock,
            hold: Hold::before(port).await,
            seen,
        }
    }

    /// The user's live sessions.
    pub(crate) async fn rows(&self) -> usize {
        let user = UserId::new("alice").unwrap();
        let live = UserSessions::new(self.store.clone(), user).count().await;
        live.unwrap()
    }

    /// The user signs in elsewhere, which ends the session of the browser.
    pub(crate) async fn evict(&self) {
        self.clock.advance(Duration::from_secs(60));
        Client::signed_in(&self.layer, "alice").await;
    }

    pub(crate) fn times(&self, line: &str) -> u32 {
        self.seen.lock().unwrap().get(line).copied().unwrap_or(0)
    }

    /// Waits until the server has answered this request.
    pub(crate) async fn until(&self, line: &str, times: u32) {
        for _ in 0..600 {
            if self.times(line) >= times {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{line} was not requested: {:?}", self.seen.lock().unwrap());
    }
}

/// Counts a request once it is answered.
async fn note(State(seen): State<Seen>, request: Request, next: Next) -> Response {
    let purpose = request.headers().get("sec-purpose");
    let purpose = purpose.map_or("", |purpose| purpose.to_str().unwrap());
    let suffix = if purpose.contains("prerender") {
        " prerender"
    } else if purpose.contains("prefetch") {
        " prefetch"
    } else {
        ""
    };
    let line = format!("{} {}{suffix}", request.method(), request.uri().path());
    let response = next.run(request).await;
    *seen.lock().unwrap().entry(line).or_default() += 1;
    response
}

/// What a handler sees: the user, and why the session ended.
fn sight(session: &Session) -> String {
    let user = session.user_id().map(|user| user.to_string());
    let reason = session.ended().map(|notice| notice.reason.as_str());
    let kept: Option<u32> = session.get("kept").unwrap();
    format!(
        "<p id=user>{}</p><p id=reason>{}</p><p id=kept>{}</p>",
        user.as_deref().unwrap_or("guest"),
        reason.unwrap_or("none"),
        kept.unwrap_or(0),
    )
}

async fn look(session: Session) -> Html<String> {
    Html(sight(&session))
}

async fn home(session: Session) -> Html<String> {
    let form = "<form method=post action=/login><button>Sign in</button></form>";
    Html(format!("<!doctype html>{}{form}", sight(&session)))
}

async fn log_in(session: Session) -> Redirect {
    session.log_in("alice").unwrap();
    Redirect::to("/")
}

/// Keeps something for guests, and nothing for users.
async fn keep(session: Session) -> Html<String> {
    if session.user_id().is_none() {
        session
            .update("kept", |kept: Option<u32>| kept.unwrap_or(0) + 1)
            .unwrap();
    }
    Html(sight(&session))
}

async fn private() -> impl IntoResponse {
    (StatusCode::OK, [(CONTENT_TYPE, "image/png")], "")
}

/// A page that makes browsers load others.
async fn teasers(session: Session) -> Html<String> {
    let rules = r#"<script type="speculationrules">{
        "prefetch": [{"urls": ["/prefetched"], "eagerness": "immediate"}],
        "prerender": [{"urls": ["/prerendered"], "eagerness": "immediate"}]
    }</script>"#;
    let links = r#"<link rel="prefetch" href="/link-prefetched"><img src="/private.png" alt="">
        <script>fetch("/", { method: "HEAD" }); fetch("/look");</script>"#;
    let user = session
        .user_id()
        .map_or_else(|| "guest".to_owned(), |user| user.to_string());
    Html(format!(
        "<!doctype html><title>t</title>{rules}{links}<p id=user>{user}</p>"
    ))
}

/// Signs in on the start page, in this tab.
pub(crate) async fn sign_in(browser: &WebDriver, site: &Site) {
    browser.goto(site.hold.url("/")).await.unwrap();
    let before = site.times("POST /login");
    click(browser, "button").await;
    site.until("POST /login", before + 1).await;
    assert_eq!(text(browser, "#user").await, "alice");
}

/// Opens this page, and returns the text of this element.
pub(crate) async fn seen(browser: &WebDriver, site: &Site, path: &str, css: &str) -> String {
    browser.goto(site.hold.url(path)).await.unwrap();
    text(browser, css).await
}

pub(crate) async fn text(browser: &WebDriver, css: &str) -> String {
    for _ in 0..100 {
        // The page may change while it is read.
        if let Ok(text) = find(browser, css).await.text().await
            && !text.is_empty()
        {
            return text;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no text in {css}");
}

/// The names of the cookies that the browser keeps for the site, sorted.
pub(crate) async fn cookies(browser: &WebDriver) -> Vec<String> {
    let all = browser.get_all_cookies().await.unwrap();
    let mut names: Vec<String> = all.into_iter().map(|cookie| cookie.name).collect();
    names.sort();
    names
}

/// The path of each page that a link or a form of another site leads to.
pub(crate) async fn foreign(target: String) -> String {
    let page = format!(
        "<!doctype html><a href='{target}'>link</a>\
         <form method=post action='{target}'><button>post</button></form>"
    );
    let app = Router::new().route("/", get(move || async move { Html(page) }));
    let port = serve(app).await;
    // Another site than `localhost`.
    format!("http://127.0.0.1:{port}/")
}
