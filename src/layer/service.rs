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
    form::Form,
    future::{Finish, ResponseFuture},
    reply::Reply,
    resolve::{Asked, Incoming},
};
use crate::{request::passed, session::Session};

/// The service that [`SessionLayer`](crate::SessionLayer) makes: looks the session up, calls your
/// service, and stores changes when the response leaves.
///
/// See the [crate docs](crate) for an example. It is ready when the wrapped service is, and does not
/// change the types of its errors and bodies. The instance that was polled ready serves the request;
/// its clone stays for the next one.
#[derive(Clone)]
pub struct SessionService<S, R> {
    pub(super) inner: S,
    pub(super) config: Arc<Config>,
    pub(super) reply: R,
}

impl<S, R: Clone> SessionService<S, R> {
    fn finish(&self, form: Form) -> Finish<R> {
        Finish {
            config: Arc::clone(&self.config),
            reply: self.reply.clone(),
            form,
            unkept: None,
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

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        self.config.compare();
        let (asks, near) = if self.config.has_predicates() {
            // Two moves cost less than to exchange the parts for empty ones and back.
            let (parts, body) = request.into_parts();
            let asks = self.config.asks(&parts);
            request = Request::from_parts(parts, body);
            asks
        } else {
            let asks = self.config.asks_anyway(request.method(), request.uri());
            (asks, false)
        };
        if asks == Asks::Nothing {
            // A layer further out may have put its own there, of another realm.
            request.extensions_mut().remove::<Session>();
            let call = passed::scope(|| self.inner.call(request));
            return ResponseFuture::passing(call, self.finish(Form::default()));
        }
        let mut finish = self.finish(Form::of(request.method(), request.headers()));
        let incoming = Incoming::read(&self.config, &mut request, asks == Asks::Activity);
        finish.unkept = incoming.unkept(&self.config, &request);
        match incoming.ask(&self.config, near) {
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
