//! [`EndStreams`]: ends the open streams of a service with their session.

mod future;
mod kind;
mod service;

use std::{fmt, sync::Arc};

use http::Response;
use tower_layer::Layer;

pub use self::{future::EndStreamsFuture, service::EndStreamsService};
use super::{reject::Rejection, reply::Bare};
use crate::session::LiveEnd;

/// Ends the open streams of a service with their session. Put it inside of a
/// [`SessionLayer`](super::SessionLayer).
///
/// | what is open when the session ends | what happens |
/// |---|---|
/// | a response of gRPC | ends with `UNAUTHENTICATED`; the message is the [reason](LiveEnd::reason). After a long outage of the store it is `UNAVAILABLE` |
/// | `text/event-stream`, not compressed | one more event, `session-ended`, then a clean end. See [`last_event`](Self::last_event) |
/// | any other response body | fails: the connection is closed, or the stream is reset. So a part of a file does not look whole |
/// | the body of the request | fails: the service reads no more of what a signed-out client sends. What it answers then is replaced as in the next row |
/// | the call itself, before its response head | is dropped. The response is 401 with the reason, or `UNAUTHENTICATED`. After a long outage of the store it is 503 or `UNAVAILABLE` |
/// | a WebSocket | nothing: it is no body. Wait for [`LiveSession::ended`](crate::LiveSession::ended) in its loop |
///
/// What a stream came from is dropped at once, also if the client does not read.
///
/// Over HTTP/1.0 a body of unknown size ends with its connection, so a part of it looks whole: let proxies speak HTTP/1.1.
///
/// These are treated in another way:
///
/// | what is open | what happens |
/// |---|---|
/// | a body that is complete, or of a known size below 64 KiB; a response to `HEAD` | is sent as it is, unless the body of the request was cut off |
/// | the response to a request that stages a sign-in or a sign-out | is sent as it is |
/// | the response to a sign-in that the handler stored with `commit` | ends with the new session |
/// | a call that ends or replaces its own session, and the body of its request | goes on |
/// | the response of a handler that ignored [`CommitError::Ended`](crate::CommitError::Ended) | ends |
///
/// A stream of a guest ends too, if something is stored of the guest session. [`guide::streams`](crate::guide::streams)
/// says how fast a stream ends.
///
/// The type of bodies becomes [`UntilEnded`](crate::UntilEnded). In axum add the layer with a `Router::layer` call of
/// its own, which converts the body type back. Other layers of the same `ServiceBuilder` may answer with another type.
///
/// ```
/// # #[cfg(feature = "axum")] {
/// use axum::{Router, routing::get};
/// use tower_user_sessions::{EndStreams, MemoryStore, SessionLayer};
///
/// let app: Router = Router::new()
///     .route("/prices", get(async || "an event stream"))
///     .layer(EndStreams::new())
///     .layer(SessionLayer::new(MemoryStore::new()));
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct EndStreams<R = Bare> {
    last_event: Arc<LastEvent>,
    reply: R,
}

type LastEvent = dyn Fn(&LiveEnd) -> String + Send + Sync;

impl EndStreams {
    /// Ends open streams with their session.
    pub fn new() -> Self {
        Self {
            last_event: Arc::new(|end| end.reason().to_owned()),
            reply: Bare,
        }
    }
}

impl Default for EndStreams {
    fn default() -> Self {
        Self::new()
    }
}

impl<R> EndStreams<R> {
    /// What the last event of an event stream says.
    ///
    /// The event has the type `session-ended`. A page listens for it, closes its `EventSource` and shows the text. If it
    /// does not, the browser connects again, and gets a 401 from a route for users. Other bodies do not use this text.
    ///
    /// Defaults to the [reason](LiveEnd::reason), such as `evicted`.
    ///
    /// ```
    /// use tower_user_sessions::{EndStreams, EndWords};
    ///
    /// let streams = EndStreams::new().last_event(|end| end.message(&EndWords::default()));
    /// # let _ = streams;
    /// ```
    pub fn last_event(mut self, text: impl Fn(&LiveEnd) -> String + Send + Sync + 'static) -> Self {
        self.last_event = Arc::new(text);
        self
    }

    /// How a call is answered whose session ends before its response head: [`Bare`],
    /// [`Problem`](super::Problem), or a [`Reply`](super::Reply) of yours.
    ///
    /// Its body is an [`UntilEnded`](crate::UntilEnded). A function that serves the `SessionLayer` too is generic:
    /// `fn page<B: From<Bytes>>(rejection: Rejection) -> Response<B>`, see [`Reply`](super::Reply).
    ///
    /// Defaults to [`Bare`]: status and headers, an empty body.
    pub fn reply<R2>(self, reply: R2) -> EndStreams<R2> {
        EndStreams {
            last_event: self.last_event,
            reply,
        }
    }

    /// Answers such a call with a closure, for body types that are neither `Default` nor `From<Bytes>`.
    pub fn reply_with<F, B>(self, reply: F) -> EndStreams<F>
    where
        F: Fn(Rejection) -> Response<B>,
    {
        self.reply(reply)
    }
}

impl<S, R: Clone> Layer<S> for EndStreams<R> {
    type Service = EndStreamsService<S, R>;

    fn layer(&self, inner: S) -> Self::Service {
        EndStreamsService::new(inner, self.clone())
    }
}

impl<R> fmt::Debug for EndStreams<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndStreams").finish_non_exhaustive()
    }
}
