//! [`EndStreamsService`]: watches the session of a call.

use std::{
    fmt,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::{EndStreams, EndStreamsFuture, future::Open, kind};
use crate::{
    layer::{form::Form, reply::Reply},
    session::{BoxError, Session, UntilEnded},
};

/// Ends open streams with their session. See [`EndStreams`] for an example.
#[derive(Clone)]
pub struct EndStreamsService<S, R> {
    inner: S,
    layer: EndStreams<R>,
}

impl<S, R> EndStreamsService<S, R> {
    pub(super) const fn new(inner: S, layer: EndStreams<R>) -> Self {
        Self { inner, layer }
    }
}

impl<S, R, ReqBody, ResBody> Service<Request<ReqBody>> for EndStreamsService<S, R>
where
    S: Service<Request<UntilEnded<ReqBody>>, Response = Response<ResBody>>,
    R: Reply<UntilEnded<ResBody>> + Clone,
    ReqBody: Body + Send + 'static,
    ReqBody::Error: Into<BoxError>,
    ResBody: Body + Send + 'static,
    ResBody::Data: From<Bytes>,
    ResBody::Error: Into<BoxError>,
{
    type Response = Response<UntilEnded<ResBody>>;
    type Error = S::Error;
    type Future = EndStreamsFuture<S::Future, R>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<ReqBody>) -> Self::Future {
        let session = request.extensions().get::<Session>().cloned();
        let form = Form::of(request.method(), request.headers());
        let method = request.method().clone();
        let (head, body) = request.into_parts();
        let stream = session.as_ref().filter(|_| kind::is_stream(&body));
        let live = stream.and_then(|session| session.live_later().ok());
        let body = match (&session, &live) {
            (Some(call), Some(live)) => UntilEnded::of_call(body, live.clone(), call.clone()),
            _ => UntilEnded::whole(body),
        };
        // Before the call: it may find out at once that the session has ended.
        let open = Open::new(session, live, form, method);
        let call = self.inner.call(Request::from_parts(head, body));
        EndStreamsFuture::new(call, open, self.layer.clone())
    }
}

impl<S: fmt::Debug, R> fmt::Debug for EndStreamsService<S, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndStreamsService")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}
