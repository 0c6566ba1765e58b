//! [`RequireUser`]: answers for guests, so that the service sees users only.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, header::ACCEPT,
    uri::PathAndQuery,
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::{
    grpc::is_grpc,
    reject::{Bare, Rejection, Reply},
};
use crate::{model::UserId, session::Session};

static SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Answers for guests, so that the service sees users only. It stands inside a
/// [`SessionLayer`](super::SessionLayer).
///
/// | request | answer |
/// |---|---|
/// | a user's | the service's |
/// | a guest's | 401; where the guest's session ended, the reason says why, and the cookie is removed |
/// | a guest's by gRPC | `UNAUTHENTICATED` |
/// | a browser's navigation, with [`redirect_to`](Self::redirect_to) | 303 to the sign-in page |
/// | with an unavailable session (`OnOutage::Guest`) | 503, or `UNAVAILABLE` |
/// | with no session at all | 500, or `INTERNAL`: there is no layer around, or it let the request pass |
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, http::uri::PathAndQuery, routing::get};
/// use tower_user_sessions::{MemoryStore, Problem, RequireUser, SessionLayer};
///
/// let users_only = RequireUser::new()
///     .redirect_to(PathAndQuery::from_static("/login"))
///     .reply(Problem);
/// let app: Router = Router::new()
///     .route("/account", get(|| async { "yours" }))
///     .route_layer(users_only)
///     .route("/login", get(|| async { "sign in here" }))
///     .layer(SessionLayer::new(MemoryStore::new()).reply(Problem));
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequireUser<R = Bare> {
    login: Option<HeaderValue>,
    reply: R,
}

impl RequireUser {
    /// Lets users through and answers guests with 401.
    pub const fn new() -> Self {
        Self {
            login: None,
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
    /// Sends the navigations of browsers to this page of the same origin: GET and HEAD requests that
    /// say so in `Sec-Fetch-Mode`, or from browsers without that, those that accept HTML.
    ///
    /// The page itself has to be outside. It is told nothing of where the guest wanted to go: an
    /// address that comes back from the client is an open redirect. It finds the reason of an ended
    /// session in [`Session::ended`].
    ///
    /// Defaults to none: they are answered as all others.
    pub fn redirect_to(mut self, login: impl Into<PathAndQuery>) -> Self {
        self.login = HeaderValue::from_bytes(login.into().as_str().as_bytes()).ok();
        self
    }

    /// Answers by [`Bare`], [`Problem`](super::Problem), or a [`Reply`] of yours.
    ///
    /// Defaults to [`Bare`]: status and headers, an empty body.
    pub fn reply<R2>(self, reply: R2) -> RequireUser<R2> {
        RequireUser {
            login: self.login,
            reply,
        }
    }

    /// Answers by a closure, for body types that are neither `Default` nor `From<Bytes>`.
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

/// Answers for guests. See [`RequireUser`] for an example.
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
            && is_navigation(method, headers)
        {
            return Some(Rejection::to_sign_in(login.clone()));
        }
        let rejection = user_of(session).err()?;
        Some(rejection.for_grpc(is_grpc(method, headers)))
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
    /// Response future of [`RequireUserService`](crate::RequireUserService) and
    /// [`RequireFreshService`](crate::RequireFreshService).
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
        /// Nothing to wait for: the request is not a user's.
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

/// Whose request it is, or what to answer. Takes note of a session that ended.
pub(crate) fn user_of(session: Option<&Session>) -> Result<UserId, Rejection> {
    let Some(session) = session else {
        tracing::error!(
            "no session: is there a SessionLayer around, and does its `resolve_if` name this path?"
        );
        return Err(Rejection::no_session());
    };
    if !session.is_available() {
        return Err(Rejection::unavailable());
    }
    session
        .user_id()
        .ok_or_else(|| Rejection::not_signed_in(session.ended()))
}

fn is_guest(session: &Session) -> bool {
    session.is_available() && session.user_id().is_none()
}

/// Whether a browser asks for a page. Older ones do not say what for.
pub(super) fn is_navigation(method: &Method, headers: &HeaderMap) -> bool {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return false;
    }
    match headers.get(&SEC_FETCH_MODE) {
        Some(mode) => mode == "navigate",
        None => headers
            .get_all(ACCEPT)
            .iter()
            .any(|accept| memchr::memmem::find(accept.as_bytes(), b"text/html").is_some()),
    }
}
