//! [`ResponseFuture`]: from the request to the response head.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response, StatusCode};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    config::Config, form::Form, grpc::verdict, reject::Rejection, reply::Reply, resolve::Opened,
    unkept::Unkept,
};
use crate::{
    request::passed,
    session::{CommitError, OpenSession, Verdict},
    store::boxed::boxed,
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// What is needed to finish a response.
pub(super) struct Finish<R> {
    pub(super) config: Arc<Config>,
    pub(super) reply: R,
    pub(super) form: Form,
    /// The browser will not keep a cookie of the response.
    pub(super) unkept: Option<Unkept>,
}

impl<R> Finish<R> {
    /// The layer's own response.
    fn reject<B>(&self, rejection: Rejection) -> Response<B>
    where
        R: Reply<B>,
    {
        self.reply.reply(rejection.of_form(self.form))
    }

    /// The response with the change of the token.
    fn deliver<B>(&self, open: &mut OpenSession, mut response: Response<B>) -> Response<B> {
        let headers = response.headers_mut();
        open.deliver(|delivery| {
            let is_set = self.config.write(delivery, headers);
            if let Some(unkept) = self.unkept.filter(|_| is_set) {
                unkept.warn();
            }
        });
        if open.was_read() && self.form != Form::Grpc {
            let headers = response.headers_mut();
            self.config.caching.mark(self.config.source, headers);
        }
        if self.form != Form::Grpc && response.status() == StatusCode::UNAUTHORIZED {
            self.config.challenge(response.headers_mut());
        }
        response
    }
}

pin_project! {
    /// Response future of [`SessionService`](crate::SessionService).
    ///
    /// ```text
    /// Resolve ──▶ Call ──▶ Commit ──▶ response
    ///    │        ▲   └─ nothing staged ──▲
    ///    │        └─ no token, or the store answers at once: starts here
    ///    └─ outage: Reject ───────────────▲        Pass: `resolve_if` said no
    /// ```
    ///
    /// # Cancel safety
    ///
    /// Dropped before the commit began, nothing that is staged is stored. What the handler committed itself
    /// stays. A session whose token was not delivered ends as undelivered.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, R, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, ReqBody, S::Response, S::Error>,
        finish: Finish<R>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, ReqBody, A, E>
    where
        S: Service<Request<ReqBody>>,
    {
        /// `resolve_if` let the request pass.
        Pass { #[pin] call: S::Future },
        /// Nothing to wait for: the store did not answer.
        Reject { rejection: Option<Rejection> },
        /// Asking the store whose token this is.
        Resolve { resolve: BoxFuture<Opened>, next: Option<(S, Request<ReqBody>)> },
        /// The wrapped service is at work.
        Call { #[pin] call: S::Future, open: Option<OpenSession> },
        /// The response waits until the staged changes are stored.
        Commit {
            commit: BoxFuture<Result<(), CommitError>>,
            answer: Option<Result<A, E>>,
            open: OpenSession,
        },
    }
}

impl<S, R, ReqBody> ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn passing(call: S::Future, finish: Finish<R>) -> Self {
        Self {
            state: State::Pass { call },
            finish,
        }
    }

    pub(super) fn rejecting(rejection: Rejection, finish: Finish<R>) -> Self {
        let rejection = Some(rejection);
        Self {
            state: State::Reject { rejection },
            finish,
        }
    }

    pub(super) fn resolving(
        resolve: BoxFuture<Opened>,
        ready: S,
        request: Request<ReqBody>,
        finish: Finish<R>,
    ) -> Self {
        let next = Some((ready, request));
        Self {
            state: State::Resolve { resolve, next },
            finish,
        }
    }

    pub(super) fn calling(call: S::Future, open: OpenSession, finish: Finish<R>) -> Self {
        let open = Some(open);
        Self {
            state: State::Call { call, open },
            finish,
        }
    }
}

impl<S, R, ReqBody, ResBody> Future for ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Reply<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Pass { call } => return passed::scope(|| call.poll(cx)),
                StateProj::Reject { rejection } => match rejection.take() {
                    Some(rejection) => return Poll::Ready(Ok(this.finish.reject(rejection))),
                    None => return Poll::Pending,
                },
                StateProj::Resolve { resolve, next } => {
                    match (ready!(resolve.as_mut().poll(cx)), next.take()) {
                        (Ok(open), Some((mut service, mut request))) => {
                            request.extensions_mut().insert(open.session().clone());
                            State::Call {
                                call: service.call(request),
                                open: Some(open),
                            }
                        }
                        // An outage must not look like a sign-out: stop here, keep the cookie.
                        (Err(rejection), _) => State::Reject {
                            rejection: Some(rejection),
                        },
                        (Ok(_), None) => return Poll::Pending,
                    }
                }
                StateProj::Call { call, open } => {
                    let answer = ready!(call.poll(cx));
                    let Some(mut open) = open.take() else {
                        return Poll::Pending;
                    };
                    let verdict = answer.as_ref().map_or(Verdict::OnlyEnds, verdict);
                    if !open.close(verdict) {
                        return Poll::Ready(
                            answer.map(|head| this.finish.deliver(&mut open, head)),
                        );
                    }
                    State::Commit {
                        commit: boxed(|| OpenSession::commit(open.session().clone())),
                        answer: Some(answer),
                        open,
                    }
                }
                StateProj::Commit {
                    commit,
                    answer,
                    open,
                } => {
                    let committed = ready!(commit.as_mut().poll(cx));
                    let Some(answer) = answer.take() else {
                        return Poll::Pending;
                    };
                    let rejection = committed.err().and_then(rejection);
                    return Poll::Ready(answer.map(|head| {
                        let head = match rejection {
                            Some(rejection) => this.finish.reject(rejection),
                            None => head,
                        };
                        this.finish.deliver(open, head)
                    }));
                }
            };
            this.state.set(next);
        }
    }
}

/// The layer's own response where the changes could not be committed; `None` keeps the service's.
fn rejection(error: CommitError) -> Option<Rejection> {
    match error {
        // The session ended meanwhile: its changes are lost as all of its data is, the response is valid. An event
        // says so, and `commit` does to a handler that asks. Or nobody has opened the page yet.
        CommitError::Closed | CommitError::Ended | CommitError::Speculative => None,
        error => Some(error.into()),
    }
}

impl<S, R, ReqBody> fmt::Debug for ResponseFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
