//! [`RequireFreshFuture`]: asks the store first where a near cache answered.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::{
    form::Form, fresh::RequireFresh, reject::Rejection, reply::Reply, require::RequireUserFuture,
};
use crate::session::SessionError;

type Verify = Pin<Box<dyn Future<Output = Result<(), SessionError>> + Send>>;

pin_project! {
    /// Response future of [`RequireFreshService`](crate::RequireFreshService).
    #[must_use = "futures do nothing unless polled"]
    pub struct RequireFreshFuture<S, R, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, R, ReqBody, ResBody>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, ReqBody, ResBody>
    where
        S: Service<Request<ReqBody>>,
    {
        /// Asking the store, because a near cache answered.
        Verify { verify: Verify, next: Option<(S, RequireFresh<R>, Request<ReqBody>)> },
        /// The guard has decided.
        Decided { #[pin] decided: RequireUserFuture<S::Future, ResBody> },
    }
}

impl<S, R, ReqBody, ResBody> RequireFreshFuture<S, R, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    pub(super) fn verifying(
        verify: Verify,
        service: S,
        guard: RequireFresh<R>,
        request: Request<ReqBody>,
    ) -> Self {
        let next = Some((service, guard, request));
        Self {
            state: State::Verify { verify, next },
        }
    }

    pub(super) fn decided(decided: RequireUserFuture<S::Future, ResBody>) -> Self {
        Self {
            state: State::Decided { decided },
        }
    }
}

impl<S, R, ReqBody, ResBody> Future for RequireFreshFuture<S, R, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Reply<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let decided = match this.state.as_mut().project() {
                StateProj::Verify { verify, next } => {
                    let verified = ready!(verify.as_mut().poll(cx));
                    let Some((mut service, guard, request)) = next.take() else {
                        return Poll::Pending;
                    };
                    match verified {
                        Ok(()) => guard.decide(&mut service, request),
                        Err(_unavailable) => {
                            let form = Form::of(request.method(), request.headers());
                            let rejection = Rejection::unavailable().of_form(form);
                            RequireUserFuture::answering(guard.reply.reply(rejection))
                        }
                    }
                }
                StateProj::Decided { decided } => return decided.poll(cx),
            };
            this.state.set(State::Decided { decided });
        }
    }
}

impl<S, R, ReqBody, ResBody> fmt::Debug for RequireFreshFuture<S, R, ReqBody, ResBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFreshFuture").finish_non_exhaustive()
    }
}
