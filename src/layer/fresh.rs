//! [`RequireFresh`]: asks users who signed in long ago to prove again who they are.

use std::{
    fmt, mem,
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    form::Form,
    fresh_future::RequireFreshFuture,
    opened::Opened,
    redirect::Page,
    reject::Rejection,
    reply::{Bare, Reply},
    require::{RequireUserFuture, user_of},
};
use crate::session::Session;

/// Lets a request through if its user signed in a short time ago, and asks for another proof otherwise
/// (step-up, RFC 9470; ASVS 7.5.1, 7.5.3). Put it inside of a [`SessionLayer`](super::SessionLayer).
///
/// Use it for what needs more care, such as a change of password or address. The age counts from the
/// sign-in or from [`Session::reauthenticated`], by the store's clock. Activity and token rotation do
/// not make it younger. Where a near cache answered, the store is asked first. What an outer middleware staged counts once it is
/// [committed](Session::commit): the store may still refuse it.
///
/// | request | response |
/// |---|---|
/// | of a user who signed in recently enough | your service's |
/// | of a user who signed in longer ago | 401 `insufficient_user_authentication`, with `WWW-Authenticate: Bearer …` and `max_age`, also for cookies |
/// | of a user whose client changed since then, if [`on_client_changed`](super::SessionLayer::on_client_changed) says [`RequireFresh`](crate::ClientVerdict::RequireFresh) | the same |
/// | the same, by gRPC | `UNAUTHENTICATED` |
/// | the same, a browser opens a page, with [`redirect_to`](Self::redirect_to) | 303 to the page that asks again |
/// | of a guest, or without a session | as of [`RequireUser`](super::RequireUser) |
/// | in an outage: with [`OnOutage::Guest`](super::OnOutage::Guest), or where a near cache answered | 503 `unavailable`, or `UNAVAILABLE` |
///
/// ```
/// use std::time::Duration;
/// use tower_user_sessions::{Problem, RequireFresh};
///
/// let fresh = RequireFresh::within(Duration::from_secs(300))
///     .redirect_to("/confirm-password")
///     .reply(Problem);
/// # let _ = fresh;
/// ```
#[derive(Clone)]
#[must_use]
pub struct RequireFresh<R = Bare> {
    within: Duration,
    prove: Option<Page>,
    pub(super) reply: R,
}

impl RequireFresh {
    /// Lets users through who proved who they are within this time.
    pub const fn within(age: Duration) -> Self {
        Self {
            within: age,
            prove: None,
            reply: Bare,
        }
    }
}

impl<R> RequireFresh<R> {
    /// Sends users who open a page in a browser to this page, on which they prove again who they are.
    ///
    /// Takes a path of this origin, as [`local_path`](crate::local_path) accepts it. For anything else
    /// an error is logged and there is no redirect. Guests are not redirected: put a
    /// [`RequireUser`](super::RequireUser) outside of this guard. The page itself must not be behind this guard, or it
    /// redirects to itself. The redirect does not say which page was asked for: `remember_target` is only on `RequireUser`.
    /// Where the guard has one page, name it in the path: `/confirm?next=/settings`.
    ///
    /// A form that is posted too late is not redirected. It gets the 401, and its fields are lost.
    ///
    /// Defaults to no redirect.
    pub fn redirect_to(mut self, page: &str) -> Self {
        self.prove = Page::at("RequireFresh::redirect_to", page);
        self
    }

    /// Answers with [`Bare`], [`Problem`](super::Problem), or a [`Reply`] of yours.
    ///
    /// Defaults to [`Bare`]: status and headers, an empty body.
    pub fn reply<R2>(self, reply: R2) -> RequireFresh<R2> {
        RequireFresh {
            within: self.within,
            prove: self.prove,
            reply,
        }
    }

    /// Answers with a closure, for body types that are neither `Default` nor `From<Bytes>`.
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

/// Asks users who signed in long ago for another proof. See [`RequireFresh`] for an example.
#[derive(Clone)]
pub struct RequireFreshService<S, R> {
    inner: S,
    guard: RequireFresh<R>,
}

impl<R> RequireFresh<R> {
    fn refusal<B>(&self, request: &Request<B>) -> Option<Rejection> {
        let session: Option<&Session> = request.extensions().get();
        if session.is_some_and(|session| session.is_stored_fresh(self.within)) {
            return None;
        }
        let (method, headers) = (request.method(), request.headers());
        if let Some(prove) = &self.prove
            && session.is_some_and(|session| session.stored_user().is_some())
            && Opened::read(headers).is_navigation(method)
        {
            return Some(Rejection::to_prove(prove.location()));
        }
        let rejection = match user_of("RequireFresh", request.extensions()) {
            Ok(_user) => Rejection::stale(self.within),
            Err(rejection) => rejection,
        };
        Some(rejection.of_form(Form::of(method, headers)))
    }

    /// Calls the service, or answers by itself.
    pub(super) fn decide<S, B, A>(
        &self,
        service: &mut S,
        request: Request<B>,
    ) -> RequireUserFuture<S::Future, A>
    where
        S: Service<Request<B>, Response = Response<A>>,
        R: Reply<A>,
    {
        match self.refusal(&request) {
            None => RequireUserFuture::calling(service.call(request)),
            Some(rejection) => RequireUserFuture::answering(self.reply.reply(rejection)),
        }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for RequireFreshService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: Reply<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = RequireFreshFuture<S, R, ReqBody, ResBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let session: Option<&Session> = request.extensions().get();
        if let Some(session) = session.filter(|session| session.is_near()).cloned() {
            let verify = Box::pin(async move { session.read_again().await });
            // The ready service goes with the request; its clone waits for its own `poll_ready`.
            let fresh = self.inner.clone();
            let service = mem::replace(&mut self.inner, fresh);
            let guard = self.guard.clone();
            return RequireFreshFuture::verifying(verify, service, guard, request);
        }
        RequireFreshFuture::decided(self.guard.decide(&mut self.inner, request))
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
