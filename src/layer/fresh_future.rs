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

use super::{fresh::RequireFresh, grpc::is_grpc, reject::Rejection, reply::Reply};
use crate::session::SessionError;

type Verify = Pin<Box<dyn Future<Output = Result<(), SessionError>> + Send>>;

pin_project! {
    /// Response future of [`RequireFreshService`](crate::RequireFreshService).
    #[must_use = "futures do nothing unless polled"]
    pub struct RequireFreshFuture<S, R, ReqBody>
    where
        S: Service<Request<ReqBody>>,
    {
        #[pin]
        state: State<S, R, ReqBody, S::Response>,
    }
}

pin_project! {
    #[project = StateProj]
    enum State<S, R, ReqBody, A>
    where
        S: Service<Request<ReqBody>>,
    {
        /// Asking the store, because a near cache answered.
        Verify { verify: Verify, next: Option<(S, RequireFresh<R>, Request<ReqBody>)> },
        /// The wrapped service is at work.
        Call { #[pin] call: S::Future },
        /// Nothing to wait for: the guard answers by itself.
        Answer { answer: Option<A> },
    }
}

impl<S, R, ReqBody> RequireFreshFuture<S, R, ReqBody>
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

    pub(super) fn calling(call: S::Future) -> Self {
        Self {
            state: State::Call { call },
        }
    }

    pub(super) fn answering(answer: S::Response) -> Self {
        let answer = Some(answer);
        Self {
            state: State::Answer { answer },
        }
    }
}

impl<S, R, ReqBody, ResBody> Future for RequireFreshFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
    R: Reply<ResBody>,
{
    type Output = Result<Response<ResBody>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        loop {
            let next = match this.state.as_mut().project() {
                StateProj::Verify { verify, next } => {
                    let verified = ready!(verify.as_mut().poll(cx));
                    let Some((mut service, guard, request)) = next.take() else {
                        return Poll::Pending;
                    };
                    let refusal = match verified {
                        Ok(()) => guard.refusal(&request),
                        Err(_unavailable) => {
                            let grpc = is_grpc(request.method(), request.headers());
                            Some(Rejection::unavailable().for_grpc(grpc))
                        }
                    };
                    match refusal {
                        None => State::Call {
                            call: service.call(request),
                        },
                        Some(rejection) => State::Answer {
                            answer: Some(guard.reply.reply(rejection)),
                        },
                    }
                }
                StateProj::Call { call } => return call.poll(cx),
                StateProj::Answer { answer } => {
                    return match answer.take() {
                        Some(answer) => Poll::Ready(Ok(answer)),
                        None => Poll::Pending,
                    };
                }
            };
            this.state.set(next);
        }
    }
}

impl<S, R, ReqBody> fmt::Debug for RequireFreshFuture<S, R, ReqBody>
where
    S: Service<Request<ReqBody>>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireFreshFuture").finish_non_exhaustive()
    }
}
