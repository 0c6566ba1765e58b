//! [`DevicePage`]: users see their devices on a page and sign them out.

use std::{
    convert::Infallible,
    fmt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Extensions, Request, Response, StatusCode};
use http_body::Body;
use maud::PreEscaped;
use tower_http::csrf::CsrfLayer;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    answer::Answer,
    asset::Asset,
    form,
    route::Route,
    setup::{Fresh, STYLE, Setup},
    view::{self, Done},
    words::Words,
};
use crate::{
    api::{
        body::DeviceBody,
        device::DeviceFuture,
        origin::{self, OriginError},
    },
    layer::{redirect::Page, require::verified_session_of},
    model::Hidden,
    session::{Session, UserSessions, UserSessionsError},
};

/// A ready-made HTML page, "Where you're signed in": users see their devices and sign them out (ASVS
/// 7.5.2).
///
/// Mount it inside of a [`SessionLayer`](crate::SessionLayer):
///
/// ```
/// use axum::Router;
/// use tower_user_sessions::{DevicePage, MemoryStore, SessionLayer};
///
/// let page = DevicePage::at("/devices")
///     .login("/login")
///     .app_name("Acme Shop")
///     .back_link("/account", "Back to your account");
/// let app: Router = Router::new()
///     .nest_service("/devices", page)
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
///
/// The page works without JavaScript. With it, a dialog asks before a device is signed out, and "2
/// minutes ago" stays true. It has a light and a dark look and fits screens from 320 pixels up. Nothing
/// is loaded from other sites, and its Content-Security-Policy forbids inline scripts and styles. All
/// text of clients is escaped.
///
/// | request | response |
/// |---|---|
/// | `GET /devices` | the list, the current device first: icon, "Chrome 142 on Windows", place, address, last activity |
/// | `POST /devices/end` | signs out the session of the form's `id` and goes back with 303; 403 for any other id |
/// | `GET /devices/end-others` | asks whether to sign out all other devices |
/// | `POST /devices/end-others` | signs them out and goes back with 303 |
/// | `GET /devices/page.css`, `GET /devices/page.js` | style and script; they need no session |
/// | `GET /devices` of a guest | 303 to [`login`](Self::login), or a page with 401 if it is not set |
/// | a form or `GET /devices/end-others` of a guest | a page with 200 and `Refresh` to `login`, see below. If it is not set, a page with 401 |
/// | any of these of a user who has to [prove again who they are](Self::require_fresh) | as for a guest, but it leads to the page of `require_fresh` |
/// | a form of another origin | 403 (ASVS 3.5.1), recognized by `tower_http::csrf` |
/// | in an outage | 503. Pressing the button again is harmless. If the first press had ended the session, no event reports that |
/// | without a session: no layer, or `resolve_if` let it pass | 500; the log says what to change, in debug builds the page too |
/// | another method, another path | 405 with `Allow`, 404 |
///
/// Why a form of a guest is not answered with 303: `form-action` in the Content-Security-Policy allows only this origin,
/// and browsers apply it to redirects after a form too. If your sign-in page redirects to an identity provider, the browser
/// would stay where it is. A page with `Refresh` is no such redirect.
///
/// Change the colours with a few lines of CSS:
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
    /// The default style sheet. Colours are custom properties at its beginning.
    pub const STYLE: &str = STYLE;

    /// Makes the page for this path, as browsers see it: `/devices`.
    ///
    /// It works in a mount that strips the prefix, such as axum's `nest_service`, and in one that does
    /// not. Slashes around the prefix do not matter, and `/` is a page at the root.
    pub fn at(prefix: &str) -> Self {
        Self {
            setup: Arc::new(Setup::at(prefix)),
            csrf: CsrfLayer::new(),
        }
    }

    /// Sends guests to this sign-in page.
    ///
    /// Takes a path of this origin, as [`local_path`](crate::local_path) accepts it. For anything else
    /// an error is logged and guests are not redirected.
    ///
    /// Defaults to no redirect: guests get a page with status 401.
    pub fn login(mut self, path: &str) -> Self {
        self.setup().login = Page::at("DevicePage::login", path);
        self
    }

    /// Names your app in the page's title and above its heading. The name is escaped.
    ///
    /// Defaults to no name.
    pub fn app_name(mut self, name: impl Into<String>) -> Self {
        self.setup().app_name = Some(name.into());
        self
    }

    /// Says what the page calls the user, after "Signed in as". The name is escaped.
    ///
    /// `None` displays the id. The function runs for each view of the list, so read the name from the session, where the
    /// sign-in put it.
    ///
    /// Defaults to the id: "Signed in as 42".
    ///
    /// ```
    /// use tower_user_sessions::{DevicePage, Session};
    ///
    /// let page = DevicePage::at("/devices")
    ///     .user_name(|session: &Session| session.get("name").ok().flatten());
    /// # let _ = page;
    /// ```
    pub fn user_name(
        mut self,
        name: impl Fn(&Session) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.setup().user_name = Some(Hidden(Arc::new(name)));
        self
    }

    /// Adds a link back into your app, above the heading. The text is escaped.
    ///
    /// Takes a path of this origin, as [`local_path`](crate::local_path) accepts it. For anything else
    /// an error is logged and there is no link.
    ///
    /// Defaults to no link.
    pub fn back_link(mut self, path: &str, text: impl Into<String>) -> Self {
        let page = Page::at("DevicePage::back_link", path);
        self.setup().back = page.map(|_page| (path.to_owned(), text.into()));
        self
    }

    /// Puts your app's own header at the top of the page, as HTML.
    ///
    /// **The HTML is not escaped.** Pass only what you wrote yourself, or what your template engine has
    /// escaped. It is the same for all users, so it cannot greet one by name.
    ///
    /// The page's Content-Security-Policy applies: no inline scripts and styles, and nothing of other
    /// sites. Images of your own site are allowed. Classes for your header go into
    /// [`style`](Self::style).
    ///
    /// Defaults to no header.
    ///
    /// ```
    /// use tower_user_sessions::DevicePage;
    ///
    /// let page = DevicePage::at("/devices")
    ///     .header_html(r#"<header class="bar"><img src="/logo.svg" alt="Acme Shop"></header>"#)
    ///     .style(format!("{}.bar {{ padding: 1rem; }}", DevicePage::STYLE));
    /// # let _ = page;
    /// ```
    pub fn header_html(mut self, html: impl Into<String>) -> Self {
        self.setup().header = Some(PreEscaped(html.into()));
        self
    }

    /// Lets users end other sessions only if they proved who they are within this time (ASVS 7.5.2).
    ///
    /// The others are sent to the page at `path`, on which they prove it again. Every user can read the
    /// list and end the current session. Takes a path of this origin, as
    /// [`local_path`](crate::local_path) accepts it. For anything else an error is logged, and the
    /// others get a page with status 401. It may have a query that says where to go afterwards: `/confirm?next=/devices`.
    ///
    /// Defaults to no such rule.
    pub fn require_fresh(mut self, within: Duration, path: &str) -> Self {
        let prove = Page::at("DevicePage::require_fresh", path);
        self.setup().fresh = Some(Fresh { within, prove });
        self
    }

    /// Whether "sign out all other devices" spares sessions that do not count against the limit, such as
    /// those of your support staff. They are in the list all the same, with a button that ends one.
    ///
    /// Defaults to no.
    pub fn spare_uncounted(mut self, spare: bool) -> Self {
        self.setup().spare_uncounted = spare;
        self
    }

    /// Replaces the style sheet. The page's classes are those of [`STYLE`](Self::STYLE).
    ///
    /// Defaults to [`STYLE`](Self::STYLE).
    pub fn style(mut self, css: impl Into<String>) -> Self {
        self.setup().style = Asset::style(css.into());
        self
    }

    /// Replaces all texts, for another language or tone.
    ///
    /// Defaults to English.
    pub fn words(mut self, words: Words) -> Self {
        self.setup().words = words;
        self
    }

    /// Accepts the forms of another origin too. Write the origin as browsers send it:
    /// `https://app.example.com`.
    ///
    /// Defaults to no other origin.
    ///
    /// # Errors
    ///
    /// If the text is not an origin: it has another scheme than `http` or `https`, a path or a slash at the end, or characters
    /// outside of ASCII. An origin that browsers write in another way, with `:443` or capital letters, is accepted and never
    /// matches.
    pub fn add_trusted_origin(mut self, origin: &str) -> Result<Self, OriginError> {
        self.csrf = origin::trust(self.csrf, origin)?;
        Ok(self)
    }

    pub(super) fn setup(&mut self) -> &mut Setup {
        Arc::make_mut(&mut self.setup)
    }
}

impl fmt::Debug for DevicePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevicePage")
            .field("prefix", &self.setup.mount.prefix())
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
        let method = request.method().clone();
        DeviceFuture::new(guarded.call(request)).to(&method)
    }
}

/// What answers once the origin was checked.
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
        let route = Route::of(&head.method, head.uri.path(), &setup.mount);
        let query = head.uri.query().unwrap_or_default().to_owned();
        // A link on another site must not make the page say that something was signed out.
        let done = match head.headers.get("sec-fetch-site") {
            Some(site) if site != "same-origin" => Done::Nothing,
            _ => Done::read(&query),
        };
        let extensions = head.extensions;
        DeviceFuture::new(async move {
            Ok(respond(&setup, (route, done), &query, &extensions, body).await)
        })
    }
}

async fn respond(
    setup: &Setup,
    (route, said): (Route, Done),
    query: &str,
    extensions: &Extensions,
    body: impl Body,
) -> Answer {
    match route {
        Route::Style => setup.style.answer(query),
        Route::Script => setup.script.answer(query),
        Route::NotFound => setup.not_found(),
        Route::Method(allow) => setup.method_not_allowed(allow),
        Route::List => with_session(setup, (route, said), extensions, body).await,
        Route::End | Route::AskOthers | Route::EndOthers => {
            setup.after_form(with_session(setup, (route, said), extensions, body).await)
        }
    }
}

async fn with_session(
    setup: &Setup,
    (route, said): (Route, Done),
    extensions: &Extensions,
    body: impl Body,
) -> Answer {
    let session = match verified_session_of("DevicePage", extensions).await {
        Ok(session) => session,
        Err(rejection) => return setup.rejected(&rejection),
    };
    let user = session.stored_user();
    let Some(sessions) = user.and_then(|_| session.user_sessions()) else {
        // Behind the redirect the sign-in page says it.
        let ended = setup.login.is_none().then(|| session.ended()).flatten();
        return setup.not_signed_in(ended.as_ref());
    };
    let sessions = sessions.spare_uncounted(setup.spare_uncounted);
    if let (Route::AskOthers | Route::EndOthers, Some(fresh)) = (&route, setup.stale(&session)) {
        return setup.stale_sign_in(fresh);
    }
    let done = match route {
        Route::End => end(setup, &session, &sessions, body).await,
        Route::AskOthers => Ok(setup.html(StatusCode::OK, view::ask_others(setup))),
        Route::EndOthers => sessions
            .end_others()
            .await
            .map(|_count| back(setup, Done::Others)),
        _ => list(setup, &session, &sessions, said).await,
    };
    done.unwrap_or_else(|error| setup.failed(error))
}

async fn list(
    setup: &Setup,
    session: &Session,
    sessions: &UserSessions,
    done: Done,
) -> Result<Answer, UserSessionsError> {
    let list = sessions.list().await?;
    let now = session.seen_at().unwrap_or_default();
    let name = setup.user_name.as_ref().and_then(|name| name(session));
    let name = name
        .as_deref()
        .unwrap_or_else(|| sessions.user_id().as_str());
    let page = view::list(setup, name, &list, now, done);
    Ok(setup.html(StatusCode::OK, page))
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
    if let Some(fresh) = setup.stale(session).filter(|_| session.id() != Some(id)) {
        return Ok(setup.stale_sign_in(fresh));
    }
    sessions.end(id).await?;
    Ok(back(setup, Done::Device))
}

/// Goes back to the list, which says what was done.
fn back(setup: &Setup, done: Done) -> Answer {
    setup.see(&format!("{}?done={}", setup.mount.home(), done.as_str()))
}
