//! [`RequireFresh`]: asks users whose sign-in is old to prove again who they are.

use std::{
    fmt,
    task::{Context, Poll},
    time::Duration,
};

use http::{HeaderValue, Request, Response, uri::PathAndQuery};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    grpc::is_grpc,
    reject::{Bare, Rejection, Reply},
    require::{RequireUserFuture, is_navigation, user_of},
};
use crate::session::Session;

/// Lets through users who proved who they are not long ago, and asks others to do it again (step-up,
/// RFC 9470; ASVS 7.5.1, 7.5.3). It stands inside a [`SessionLayer`](super::SessionLayer).
///
/// What counts is the sign-in or the re-authentication ([`Session::reauthenticated`]), by the store's
/// clock. Activity does not, and rotation of the token does not either.
///
/// | request | answer |
/// |---|---|
/// | a user's, whose sign-in is young enough | the service's |
/// | a user's, whose sign-in is older | 401 with `WWW-Authenticate: Bearer error="insufficient_user_authentication"` and `max_age` |
/// | the same by gRPC | `UNAUTHENTICATED` |
/// | a browser's navigation, with [`redirect_to`](Self::redirect_to) | 303 to the page where they prove it |
/// | a guest's, or without a session | as of [`RequireUser`](super::RequireUser) |
///
/// ```
/// use std::time::Duration;
/// use tower_user_sessions::{Problem, RequireFresh};
///
/// let fresh = RequireFresh::within(Duration::from_secs(300)).reply(Problem);
/// # let _ = fresh;
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequireFresh<R = Bare> {
    within: Duration,
    prove: Option<HeaderValue>,
    reply: R,
}

impl RequireFresh {
    /// Users who proved who they are within this time.
    pub const fn within(age: Duration) -> Self {
        Self {
            within: age,
            prove: None,
            reply: Bare,
        }
    }
}

impl<R> RequireFresh<R> {
    /// Sends the navigations of users' browsers to this page of the same origin, where they prove again
    /// who they are. Guests are not: put a [`RequireUser`](super::RequireUser) around.
    ///
    /// Defaults to none: they are answered as all others.
    pub fn redirect_to(mut self, page: impl Into<PathAndQuery>) -> Self {
        self.prove = HeaderValue::from_bytes(page.into().as_str().as_bytes()).ok();
        self
    }

    /// Answers by [`Bare`], [`Problem`](super::Problem), or a [`Reply`] of yours.
    ///
    /// Defaults to [`Bare`]: status and headers, an empty body.
    pub fn reply<R2>(self, reply: R2) -> RequireFresh<R2> {
        RequireFresh {
            within: self.within,
            prove: self.prove,
            reply,
        }
    }

    /// Answers by a closure, for body types that are neither `Default` nor `From<Bytes>`.
    pub fn reply_with<F, B>(self, reply: F) -> RequireFresh<F>
    where
        F: Fn(Rejection) -> Response<B>,
    {
        self.reply(reply)
    }
}

impl<S, R: Clone> Layer<S> for RequireFresh<R> {
    type Service = RequireFreshService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireFreshService {
            inner,
            guard: self.clone(),
        }
    }
}

impl<R> fmt::Debug for RequireFresh<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFresh")
            .field("within", &self.within)
            .field("prove", &self.prove)
            .finish_non_exhaustive()
    }
}

/// Asks users whose sign-in is old to prove again who they are. See [`RequireFresh`] for an example.
#[derive(Clone)]
pub struct RequireFreshService<S, R> {
    inner: S,
    guard: RequireFresh<R>,
}

impl<S, R> RequireFreshService<S, R> {
    fn refusal<B>(&self, request: &Request<B>) -> Option<Rejection> {
        let session: Option<&Session> = request.extensions().get();
        if session.is_some_and(|session| session.is_fresh(self.guard.within)) {
            return None;
        }
        let (method, headers) = (request.method(), request.headers());
        if let Some(prove) = &self.guard.prove
            && session.is_some_and(|session| session.user_id().is_some())
            && is_navigation(method, headers)
        {
            return Some(Rejection::to_prove(prove.clone()));
        }
        let rejection = match user_of(session) {
            Ok(_user) => Rejection::stale(self.guard.within),
            Err(rejection) => rejection,
        };
        Some(rejection.for_grpc(is_grpc(method, headers)))
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for RequireFreshService<S, R>
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

impl<S: fmt::Debug, R> fmt::Debug for RequireFreshService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFreshService")
            .field("inner", &self.inner)
            .field("guard", &self.guard)
            .finish()
    }
}
