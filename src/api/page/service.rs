//! [`DevicePage`]: users see their devices on a page and sign them out.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use http_body::Body;
use tower_http::csrf::{ConfigError, CsrfLayer};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    answer::{Answer, html, see},
    asset::Asset,
    form,
    route::Route,
    setup::{STYLE, Setup, escaped},
    view::{self, Done},
    words::Words,
};
use crate::{
    api::{body::DeviceBody, device::DeviceFuture},
    session::{Session, UserSessions, UserSessionsError},
};

/// The page "Where you're signed in": users see their devices and sign them out (ASVS 7.5.2).
///
/// One page of HTML that works without JavaScript, and with a little of it asks in a dialog and keeps
/// "2 minutes ago" true. It takes nothing from elsewhere, and its Content-Security-Policy allows
/// nothing inline. Light and dark, from 320 pixels up. All that comes from clients is shown as text.
/// Needs nothing but the [`Session`] of the layer around it.
///
/// | request | answer |
/// |---|---|
/// | `GET /devices` | the list: icon, "Chrome 142 on Windows", place, address, last activity, "this device"; the current one first, then by last activity |
/// | `POST /devices/end` | signs out the session of the form's `id`, and goes back by 303; 403 for any other id |
/// | `GET /devices/end-others` | asks whether all others shall be signed out |
/// | `POST /devices/end-others` | signs them out, and goes back by 303 |
/// | `GET /devices/page.css`, `GET /devices/page.js` | what the page refers to; they need no session |
/// | without a user | 303 to [`login`](Self::login), else 401; other methods 405 with `Allow`; other paths 404; 503 when the store does not answer |
///
/// Forms of other origins are refused with 403 (ASVS 3.5.1), by [`tower_http::csrf`].
///
/// In axum:
///
/// ```
/// use axum::Router;
/// use tower_user_sessions::{DevicePage, MemoryStore, SessionLayer};
///
/// let app: Router = Router::new()
///     .nest_service("/devices", DevicePage::at("/devices").login("/login"))
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
///
/// With other colours:
///
/// ```
/// use tower_user_sessions::DevicePage;
///
/// let mine = ":root { --accent: #7b2d8b; }";
/// let page = DevicePage::at("/devices").style(format!("{}{mine}", DevicePage::STYLE));
/// # let _ = page;
/// ```
#[derive(Clone)]
#[must_use]
pub struct DevicePage {
    setup: Arc<Setup>,
    csrf: CsrfLayer,
}

impl DevicePage {
    /// The style sheet that the page has unless it is given another one. Colours are custom
    /// properties at its beginning.
    pub const STYLE: &str = STYLE;

    /// The page at this path, as browsers see it: `/devices`.
    ///
    /// A mount that strips its prefix, such as axum's `nest_service`, may be around it or not.
    pub fn at(prefix: &str) -> Self {
        Self {
            setup: Arc::new(Setup::at(prefix)),
            csrf: CsrfLayer::new(),
        }
    }

    /// Where people sign in, of the same origin: whoever is not signed in is sent there.
    ///
    /// Defaults to nowhere: they get a page with status 401.
    pub fn login(mut self, path: &str) -> Self {
        self.setup().login = Some(escaped(path));
        self
    }

    /// Ends sessions only for whoever proved who they are within this time (ASVS 7.5.2); others are sent
    /// to this page of the same origin to prove it again. Signing out oneself and the list are for all
    /// users.
    ///
    /// Defaults to no such rule.
    pub fn require_fresh(mut self, within: Duration, path: &str) -> Self {
        self.setup().fresh = Some((within, escaped(path)));
        self
    }

    /// Whether sessions that do not count against the limit stay when all others are ended.
    ///
    /// Defaults to no.
    pub fn spare_uncounted(mut self, spare: bool) -> Self {
        self.setup().spare_uncounted = spare;
        self
    }

    /// Another style sheet. Its classes are those of [`STYLE`](Self::STYLE).
    pub fn style(mut self, css: impl Into<String>) -> Self {
        self.setup().style = Asset::style(css.into());
        self
    }

    /// Other words.
    ///
    /// Defaults to English.
    pub fn words(mut self, words: Words) -> Self {
        self.setup().words = words;
        self
    }

    /// Lets the forms of another origin through too, written as browsers send it:
    /// `https://app.example.com`.
    ///
    /// Defaults to none but the own.
    ///
    /// # Errors
    ///
    /// If it is not an origin.
    pub fn add_trusted_origin(mut self, origin: &str) -> Result<Self, ConfigError> {
        self.csrf = self.csrf.add_trusted_origin(origin)?;
        Ok(self)
    }

    pub(super) fn setup(&mut self) -> &mut Setup {
        Arc::make_mut(&mut self.setup)
    }
}

impl fmt::Debug for DevicePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevicePage")
            .field("prefix", &self.setup.prefix)
            .field("login", &self.setup.login)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for DevicePage
where
    B: Body + Send + 'static,
{
    type Response = Response<DeviceBody>;
    type Error = Infallible;
    type Future = DeviceFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> DeviceFuture {
        let setup = Arc::clone(&self.setup);
        let csrf = self.csrf.clone();
        let guard = csrf.with_rejection_response(move |_| setup.foreign_origin());
        let mut guarded = guard.layer(Guarded(Arc::clone(&self.setup)));
        DeviceFuture::new(guarded.call(request))
    }
}

/// What is behind the check of the origin.
struct Guarded(Arc<Setup>);

impl<B> Service<Request<B>> for Guarded
where
    B: Body + Send + 'static,
{
    type Response = Response<DeviceBody>;
    type Error = Infallible;
    type Future = DeviceFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> DeviceFuture {
        let setup = Arc::clone(&self.0);
        let (head, body) = request.into_parts();
        let route = Route::of(&head.method, head.uri.path(), &setup.prefix);
        let query = head.uri.query().unwrap_or_default().to_owned();
        // A link from elsewhere must not make the page say that something was signed out.
        let done = match head.headers.get("sec-fetch-site") {
            Some(site) if site != "same-origin" => Done::Nothing,
            _ => Done::read(&query),
        };
        let session = head.extensions.get().cloned();
        DeviceFuture::new(
            async move { Ok(respond(&setup, (route, done), &query, session, body).await) },
        )
    }
}

async fn respond(
    setup: &Setup,
    (route, said): (Route, Done),
    query: &str,
    session: Option<Session>,
    body: impl Body,
) -> Answer {
    match route {
        Route::Style => return setup.style.answer(query),
        Route::Script => return setup.script.answer(query),
        Route::NotFound => return setup.not_found(),
        Route::Method(allow) => return setup.method_not_allowed(allow),
        Route::List | Route::End | Route::AskOthers | Route::EndOthers => {}
    }
    let Some(session) = session else {
        tracing::error!(
            "device page without a session: is it inside a SessionLayer that resolves its path?"
        );
        return setup.misconfigured();
    };
    if !session.is_available() {
        return setup.unavailable();
    }
    let Some(sessions) = session.user_sessions() else {
        return setup.not_signed_in();
    };
    let sessions = sessions.spare_uncounted(setup.spare_uncounted);
    if let (Route::AskOthers | Route::EndOthers, Some(prove)) = (&route, setup.stale(&session)) {
        return see(prove);
    }
    let done = match route {
        Route::End => end(setup, &session, &sessions, body).await,
        Route::AskOthers => Ok(html(StatusCode::OK, view::ask_others(setup))),
        Route::EndOthers => sessions
            .end_others()
            .await
            .map(|_count| back(setup, Done::Others)),
        _ => list(setup, &session, &sessions, said).await,
    };
    done.unwrap_or_else(|error| setup.failed(&error))
}

async fn list(
    setup: &Setup,
    session: &Session,
    sessions: &UserSessions,
    done: Done,
) -> Result<Answer, UserSessionsError> {
    let list = sessions.list().await?;
    let (user, now) = (sessions.user_id(), session.seen_at().unwrap_or_default());
    let page = view::list(setup, user, &list, now, done);
    Ok(html(StatusCode::OK, page))
}

async fn end(
    setup: &Setup,
    session: &Session,
    sessions: &UserSessions,
    body: impl Body,
) -> Result<Answer, UserSessionsError> {
    let Some(id) = form::session_id(body).await else {
        return Ok(setup.not_yours());
    };
    if let Some(prove) = setup.stale(session).filter(|_| session.id() != Some(id)) {
        return Ok(see(prove));
    }
    sessions.end(id).await?;
    Ok(back(setup, Done::Device))
}

/// To the list, which says what was done.
fn back(setup: &Setup, done: Done) -> Answer {
    see(&format!("{}?done={}", setup.home(), done.as_str()))
}
