//! [`RequireUser`]: answers guests, so that only users reach the service.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{Extensions, Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    form::Form,
    mistake,
    opened::Opened,
    redirect::{Page, Remember},
    reject::Rejection,
    reply::{Bare, Reply},
};
use crate::{model::UserId, session::Session};

/// Answers guests, so that only users reach your service. Put it inside of a
/// [`SessionLayer`](super::SessionLayer).
///
/// | request | response |
/// |---|---|
/// | of a user | your service's |
/// | of a guest | 401 `not_signed_in`; if its session was ended, the `reason` says why, as [`Session::ended`](crate::Session::ended) does |
/// | of a guest, by gRPC | `UNAUTHENTICATED` |
/// | of a guest whose browser opens a page, with [`redirect_to`](Self::redirect_to) | 303 to the sign-in page |
/// | in an outage, with [`OnOutage::Guest`](super::OnOutage::Guest) | 503 `unavailable`, or `UNAVAILABLE` |
/// | whose sign-in is staged and not [committed](crate::Session::commit) | as of a guest: the store may still refuse the sign-in |
/// | without a session: no layer, or `resolve_if` let it pass | 500 `no_session`, or `INTERNAL`; the log says what to change, in debug builds the body too |
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, routing::get};
/// use tower_user_sessions::{MemoryStore, Problem, RequireUser, SessionLayer};
///
/// let users_only = RequireUser::new().redirect_to("/login").reply(Problem);
/// let app: Router = Router::new()
///     .route("/account", get(|| async { "for users" }))
///     .route_layer(users_only)
///     .route("/login", get(|| async { "sign in here" }))
///     .layer(SessionLayer::new(MemoryStore::new()).reply(Problem));
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequireUser<R = Bare> {
    login: Option<Page>,
    remember: Option<Remember>,
    reply: R,
}

impl RequireUser {
    /// Lets users through and answers guests with 401.
    pub const fn new() -> Self {
        Self {
            login: None,
            remember: None,
            reply: Bare,
        }
    }
}

impl Default for RequireUser {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> RequireUser<R> {
    /// Sends guests who open a page in a browser to this sign-in page, with 303.
    ///
    /// These are GET and HEAD requests with `Sec-Fetch-Mode: navigate`. From older browsers, which do
    /// not send that header, they are those that accept HTML. All other requests get 401.
    ///
    /// Takes a path of this origin, as [`local_path`](crate::local_path) accepts it. For anything else
    /// an error is logged and there is no redirect.
    ///
    /// Do not put the sign-in page behind `RequireUser`, or it redirects to itself. The page can ask
    /// [`Session::ended`] why the client's previous session ended.
    ///
    /// Defaults to no redirect.
    pub fn redirect_to(mut self, page: &str) -> Self {
        self.login = Page::at("RequireUser::redirect_to", page);
        self
    }

    /// Adds the page that the guest wanted to the redirect: `/login?next=/orders%3Fpage%3D2`.
    ///
    /// Takes the name of the query parameter: letters, digits, `-`, `_` and `.`. For any other name an
    /// error is logged and nothing is added. Only GET requests are remembered. Under axum's `nest` a
    /// guard inside of the nested router sees the path without the prefix: put the guard outside.
    ///
    /// Check the parameter with [`local_path`](crate::local_path) before you redirect to it, because
    /// anyone can write a link to your sign-in page.
    ///
    /// A long target is left out: with it the location would have more than 2 KiB, which some proxies do not forward.
    ///
    /// Defaults to nothing.
    ///
    /// ```
    /// # #[cfg(feature = "axum")] {
    /// use axum::{Router, extract::Query, response::Redirect, routing::{get, post}};
    /// use serde::Deserialize;
    /// use tower_user_sessions::{
    ///     MemoryStore, RequireUser, Session, SessionError, SessionLayer, local_path,
    /// };
    ///
    /// #[derive(Deserialize)]
    /// struct Target {
    ///     next: Option<String>,
    /// }
    ///
    /// /// `POST /login?next=/orders`, after the password was checked.
    /// async fn sign_in(session: Session, target: Query<Target>) -> Result<Redirect, SessionError> {
    ///     session.log_in(42)?;
    ///     let next = target.next.as_deref().and_then(local_path);
    ///     Ok(Redirect::to(next.unwrap_or("/")))
    /// }
    ///
    /// let app: Router = Router::new()
    ///     .route("/orders", get(|| async { "for users" }))
    ///     .route_layer(RequireUser::new().redirect_to("/login").remember_target("next"))
    ///     .route("/login", post(sign_in))
    ///     .layer(SessionLayer::new(MemoryStore::new()));
    /// # }
    /// ```
    pub fn remember_target(mut self, name: &str) -> Self {
        self.remember = Remember::named(name);
        self
    }

    /// Answers guests with [`Bare`], [`Problem`](super::Problem), or a [`Reply`] of yours.
    ///
    /// Defaults to [`Bare`]: status and headers, an empty body.
    pub fn reply<R2>(self, reply: R2) -> RequireUser<R2> {
        RequireUser {
            login: self.login,
            remember: self.remember,
            reply,
        }
    }

    /// Answers guests with a closure, for body types that are neither `Default` nor `From<Bytes>`.
    pub fn reply_with<F, B>(self, reply: F) -> RequireUser<F>
    where
        F: Fn(Rejection) -> Response<B>,
    {
        self.reply(reply)
    }
}

impl<S, R: Clone> Layer<S> for RequireUser<R> {
    type Service = RequireUserService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireUserService {
            inner,
            guard: self.clone(),
        }
    }
}

impl<R> fmt::Debug for RequireUser<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireUser")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// Answers guests. See [`RequireUser`] for an example.
#[derive(Clone)]
pub struct RequireUserService<S, R> {
    inner: S,
    guard: RequireUser<R>,
}

impl<S, R> RequireUserService<S, R> {
    fn refusal<B>(&self, request: &Request<B>) -> Option<Rejection> {
        let session = request.extensions().get();
        let (method, headers) = (request.method(), request.headers());
        if let Some(login) = &self.guard.login
            && session.is_some_and(is_guest)
            && Opened::read(headers).is_navigation(method)
        {
            let location = match &self.guard.remember {
                Some(remember) => remember.added_to(login, method, request.uri()),
                None => login.location(),
            };
            return Some(Rejection::to_sign_in(location));
        }
        let rejection = user_of("RequireUser", request.extensions()).err()?;
        Some(rejection.of_form(Form::of(method, headers)))
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for RequireUserService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Reply<ResBody>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = RequireUserFuture<S::Future, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        match self.refusal(&request) {
            None => RequireUserFuture::calling(self.inner.call(request)),
            Some(rejection) => RequireUserFuture::answering(self.guard.reply.reply(rejection)),
        }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for RequireUserService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireUserService")
            .field("inner", &self.inner)
            .field("guard", &self.guard)
            .finish()
    }
}

pin_project! {
    /// Response future of [`RequireUserService`](crate::RequireUserService).
    #[must_use = "futures do nothing unless polled"]
    pub struct RequireUserFuture<F, B> {
        #[pin]
        state: State<F, B>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<F, B> {
        /// The wrapped service is at work.
        Call { #[pin] call: F },
        /// Nothing to wait for: the guard answers by itself.
        Answer { answer: Option<Response<B>> },
    }
}

impl<F, B> RequireUserFuture<F, B> {
    pub(super) fn calling(call: F) -> Self {
        let state = State::Call { call };
        Self { state }
    }

    pub(super) fn answering(answer: Response<B>) -> Self {
        let answer = Some(answer);
        Self {
            state: State::Answer { answer },
        }
    }
}

impl<F, B, E> Future for RequireUserFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            StateProj::Call { call } => call.poll(cx),
            StateProj::Answer { answer } => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
        }
    }
}

impl<F, B> fmt::Debug for RequireUserFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireUserFuture").finish_non_exhaustive()
    }
}

/// Whose request it is, or what to answer. `asker` is what needs the user.
pub(crate) fn user_of(asker: &'static str, extensions: &Extensions) -> Result<UserId, Rejection> {
    let session = session_of(asker, extensions)?;
    session
        .stored_user()
        .ok_or_else(|| Rejection::not_signed_in(session.ended()))
}

/// The session of a request, or what to answer where it is missing or unavailable.
pub(crate) fn session_of(
    asker: &'static str,
    extensions: &Extensions,
) -> Result<Session, Rejection> {
    let session =
        Session::of(extensions).map_err(|missing| mistake::missing_session(asker, missing))?;
    if session.peek().is_available() {
        Ok(session)
    } else {
        Err(Rejection::unavailable())
    }
}

/// The same, read from the store where a near cache answered.
#[cfg(feature = "api")]
pub(crate) async fn verified_session_of(
    asker: &'static str,
    extensions: &Extensions,
) -> Result<Session, Rejection> {
    let session = session_of(asker, extensions)?;
    match session.read_again().await {
        Ok(()) => Ok(session),
        Err(_unavailable) => Err(Rejection::unavailable()),
    }
}

fn is_guest(session: &Session) -> bool {
    session.peek().is_available() && session.stored_user().is_none()
}
