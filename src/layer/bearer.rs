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
use crate::{
    model::{SessionId, Token},
    request::token_of,
};

/// Client-side layer: picks up the token from the response to a sign-in and sends it with every later
/// request.
///
/// For clients that are written in Rust and send `Authorization: Bearer`, such as a tonic client. Clones
/// share the token. A request that has an `Authorization` header already keeps it. If that is a session token, the
/// response to it changes the layer's token only if both are of the same session.
///
/// If requests overlap, the one that was sent last decides which session the layer has. These do not replace it:
///
/// - a late response to a request that was sent earlier;
/// - a response to a request from before [`set_token`](Self::set_token) or [`forget`](Self::forget);
/// - a new token of a session that the layer has left.
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
    held: Arc<Mutex<Held>>,
    header: HeaderName,
}

#[derive(Debug, Default)]
struct Held {
    token: Option<Token>,
    /// How many requests were sent, and tokens set and forgotten.
    sent: u64,
    /// Which of them decided on the session.
    decided: u64,
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
        self.held().token.clone()
    }

    /// Sends this token from now on, such as one that the client has saved.
    pub fn set_token(&self, token: Token) {
        self.held().decide(Some(token));
    }

    /// Sends no token from now on. Call it after a sign-out.
    ///
    /// The layer does not do that by itself, neither after a sign-out nor after a 401: it goes on sending the token.
    pub fn forget(&self) {
        self.held().decide(None);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        // A token is replaced as a whole.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the token with the request. Returns `None` if it sends a token of its own.
    fn authorize<B>(&self, request: &mut Request<B>) -> Option<Sent> {
        let (number, token) = {
            let mut held = self.held();
            (held.next(), held.token.clone())
        };
        match request.headers_mut().entry(AUTHORIZATION) {
            Entry::Occupied(own) => {
                let own = token_of(own.get().as_bytes());
                let is_token = own.is_some_and(|text| Token::parse(text).is_ok());
                let session = None;
                (!is_token).then_some(Sent { number, session })
            }
            Entry::Vacant(none) => {
                let session = token.as_ref().map(Token::session_id);
                // Base64url is always a header value.
                let line = token.map(|token| format!("Bearer {}", token.encode()));
                if let Some(Ok(mut line)) = line.map(HeaderValue::try_from) {
                    line.set_sensitive(true);
                    none.insert(line);
                }
                Some(Sent { number, session })
            }
        }
    }

    fn take<B>(&self, sent: Option<Sent>, response: &mut Response<B>) {
        let Some(value) = response.headers_mut().get_mut(&self.header) else {
            return;
        };
        value.set_sensitive(true);
        let Ok(token) = Token::parse(value.as_bytes()) else {
            return;
        };
        let mut held = self.held();
        let its = token.session_id();
        if held.token.as_ref().map(Token::session_id) == Some(its) {
            held.token = Some(token);
            return;
        }
        // A new token of the session that was sent decides nothing: the client has left that session.
        let decides = |sent: &Sent| sent.number > held.decided && sent.session != Some(its);
        if let Some(sent) = sent.filter(decides) {
            held.token = Some(token);
            held.decided = sent.number;
        }
    }
}

/// A request of the client.
#[derive(Clone, Copy, Debug)]
struct Sent {
    number: u64,
    /// The session whose token it has.
    session: Option<SessionId>,
}

impl Held {
    fn next(&mut self) -> u64 {
        self.sent += 1;
        self.sent
    }

    fn decide(&mut self, token: Option<Token>) {
        self.token = token;
        self.decided = self.next();
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
        sent: Option<Sent>,
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
