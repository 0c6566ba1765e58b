//! [`SessionService`]: what happens when a request comes in.

use std::{
    fmt, mem,
    sync::Arc,
    task::{Context, Poll},
};

use http::{Request, Response};
use tower_service::Service;

use super::{
    config::{Asks, Config},
    future::{Finish, ResponseFuture},
    grpc::is_grpc,
    reject::Reply,
    resolve::{Asked, Incoming},
};
use crate::request::passed;

/// Gives every request its [`Session`](crate::Session).
///
/// See the [crate docs](crate) for an example. Readiness is the wrapped service's; its error and body
/// types stay as they are. The instance that was polled ready goes with the request, its clone stays.
#[derive(Clone)]
pub struct SessionService<S, R> {
    pub(super) inner: S,
    pub(super) config: Arc<Config>,
    pub(super) reply: R,
}

impl<S, R: Clone> SessionService<S, R> {
    fn finish(&self, grpc: bool) -> Finish<R> {
        Finish {
            config: Arc::clone(&self.config),
            reply: self.reply.clone(),
            grpc,
        }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for SessionService<S, R>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>> + Clone,
    R: Reply<ResBody> + Clone,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = ResponseFuture<S, R, ReqBody>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let (mut request, asks) = self.config.asks(request);
        if asks == Asks::Nothing {
            let call = passed::scope(|| self.inner.call(request));
            return ResponseFuture::passing(call, self.finish(false));
        }
        let finish = self.finish(is_grpc(request.method(), request.headers()));
        let incoming = Incoming::read(&self.config, &mut request);
        match incoming.ask(&self.config, asks == Asks::Activity) {
            Asked::Answered(Ok(open)) => {
                request.extensions_mut().insert(open.session().clone());
                let call = self.inner.call(request);
                ResponseFuture::calling(call, open, finish)
            }
            Asked::Answered(Err(rejection)) => ResponseFuture::rejecting(rejection, finish),
            Asked::Waiting(resolve) => {
                // The ready service goes with the request; its clone waits for its own `poll_ready`.
                let fresh = self.inner.clone();
                let ready = mem::replace(&mut self.inner, fresh);
                ResponseFuture::resolving(resolve, ready, request, finish)
            }
        }
    }
}

impl<S: fmt::Debug, R> fmt::Debug for SessionService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionService")
            .field("inner", &self.inner)
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
