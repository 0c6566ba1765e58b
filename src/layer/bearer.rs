//! [`BearerLayer`]: the client's side of bearer tokens.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use http::{
    HeaderName, HeaderValue, Request, Response,
    header::{AUTHORIZATION, Entry},
};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::config::TOKEN_HEADER;
use crate::model::{SessionId, Token};

/// Client-side layer: picks up the token from the response to a sign-in and sends it with every later
/// request.
///
/// For clients that are written in Rust and send `Authorization: Bearer`, such as a tonic client. Clones
/// share the token. A request that has an `Authorization` header already keeps it. A late response of an earlier
/// session does not replace the token of a newer one.
///
/// Put it around a client that talks to one server over TLS. Every server that the client talks to gets
/// the token.
///
/// ```no_run
/// use tonic::transport::{Channel, Error};
/// use tower::ServiceBuilder;
/// use tower_user_sessions::{BearerLayer, BearerService};
///
/// # async fn connect() -> Result<BearerService<Channel>, Error> {
/// let channel = Channel::from_static("https://api.example.com").connect().await?;
/// let bearer = BearerLayer::new();
/// let signed_in_or_not = ServiceBuilder::new().layer(bearer.clone()).service(channel);
/// # Ok(signed_in_or_not)
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct BearerLayer {
    held: Arc<Mutex<Option<Token>>>,
    header: HeaderName,
}

impl BearerLayer {
    /// Makes a layer that has no token yet.
    pub fn new() -> Self {
        Self {
            held: Arc::default(),
            header: TOKEN_HEADER,
        }
    }

    /// Names the response header in which the server sends a new token.
    ///
    /// Defaults to `x-session-token`.
    pub fn token_header(mut self, name: HeaderName) -> Self {
        self.header = name;
        self
    }

    /// Returns the token that is sent, so that the client can save it for its next run.
    #[must_use]
    pub fn token(&self) -> Option<Token> {
        self.held().clone()
    }

    /// Sends this token from now on, such as one that the client has saved.
    pub fn set_token(&self, token: Token) {
        *self.held() = Some(token);
    }

    /// Sends no token from now on. Call it after a sign-out.
    pub fn forget(&self) {
        *self.held() = None;
    }

    fn held(&self) -> MutexGuard<'_, Option<Token>> {
        // A token is replaced as a whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the session whose token the request sends.
    fn authorize<B>(&self, request: &mut Request<B>) -> Option<SessionId> {
        let token = self.token()?;
        // Base64url is always a header value.
        let mut line = HeaderValue::try_from(format!("Bearer {}", token.encode())).ok()?;
        line.set_sensitive(true);
        let Entry::Vacant(none) = request.headers_mut().entry(AUTHORIZATION) else {
            return None;
        };
        none.insert(line);
        Some(token.session_id())
    }

    fn take<B>(&self, sent: Option<SessionId>, response: &mut Response<B>) {
        let Some(value) = response.headers_mut().get_mut(&self.header) else {
            return;
        };
        value.set_sensitive(true);
        let Ok(token) = Token::parse(value.as_bytes()) else {
            return;
        };
        let mut held = self.held();
        let goes_on = sent == Some(token.session_id());
        // The client has signed in again since the request, or has forgotten its token.
        let is_late = goes_on && sent != held.as_ref().map(Token::session_id);
        if !is_late {
            *held = Some(token);
        }
    }
}

impl Default for BearerLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for BearerLayer {
    type Service = BearerService<S>;

    fn layer(&self, inner: S) -> BearerService<S> {
        BearerService {
            inner,
            bearer: self.clone(),
        }
    }
}

/// Sends a token with each request. See [`BearerLayer`] for an example.
#[derive(Clone, Debug)]
pub struct BearerService<S> {
    inner: S,
    bearer: BearerLayer,
}

impl<S, ReqBody, ResBody> Service<Request<ReqBody>> for BearerService<S>
where
    S: Service<Request<ReqBody>, Response = Response<ResBody>>,
{
    type Response = Response<ResBody>;
    type Error = S::Error;
    type Future = BearerFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<ReqBody>) -> Self::Future {
        let sent = self.bearer.authorize(&mut request);
        BearerFuture {
            answer: self.inner.call(request),
            bearer: self.bearer.clone(),
            sent,
        }
    }
}

pin_project! {
    /// Response future of [`BearerService`](crate::BearerService).
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct BearerFuture<F> {
        #[pin]
        answer: F,
        bearer: BearerLayer,
        sent: Option<SessionId>,
    }
}

impl<F, B, E> Future for BearerFuture<F>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut answer = ready!(this.answer.poll(cx));
        if let Ok(response) = &mut answer {
            this.bearer.take(*this.sent, response);
        }
        Poll::Ready(answer)
    }
}
