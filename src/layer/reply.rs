//! [`Reply`]: makes responses of rejections.

use std::any::Any;

use bytes::Bytes;
use http::{Response, StatusCode};

use super::reject::Rejection;

/// Makes responses of rejections, in the service's own body type.
///
/// Pass [`Bare`], [`Problem`] or a function to [`SessionLayer::reply`](super::SessionLayer::reply) and
/// to the `reply` of the guards. Every `Fn(Rejection) -> Response<B>` is a `Reply<B>`.
///
/// Status, headers and body are yours. The layer adds cookies, what caches need, and `WWW-Authenticate` to a 401. Each layer
/// and guard has a `reply` of its own: that of the `SessionLayer` does not see what `RequireUser`, `RequireFresh` and
/// `EndStreams` reject. `DeviceApi`,
/// `DevicePage` and the extractors take none. The response to a gRPC call has no body: with one, some clients report `UNKNOWN`
/// instead of its status. Nor has that to `HEAD`, because hyper would send it over HTTP/2:
/// [`into_problem`](Rejection::into_problem) leaves it out, and so does a `Router` of axum around the layer.
///
/// ```
/// use http::Response;
/// use tower_user_sessions::{MemoryStore, Rejection, SessionLayer};
///
/// fn as_text(rejection: Rejection) -> Response<String> {
///     let mut response: Response<String> = rejection.clone().into_response();
///     if !rejection.is_grpc() && !rejection.is_head() {
///         *response.body_mut() = rejection.reason().to_owned();
///     }
///     response
/// }
///
/// let layer = SessionLayer::new(MemoryStore::new()).reply(as_text);
/// # let _ = layer;
/// ```
///
/// A page for users in an outage, in axum. It is generic over the body, because that of `EndStreams` is
/// `UntilEnded`, and not the one of axum:
///
/// ```
/// # #[cfg(all(feature = "axum", feature = "live"))] {
/// use axum::{Router, routing::get};
/// use bytes::Bytes;
/// use http::{HeaderValue, Response, header::CONTENT_TYPE};
/// use tower_user_sessions::{EndStreams, MemoryStore, Rejection, RejectionKind, RequireUser, SessionLayer};
///
/// fn page<B: From<Bytes>>(rejection: Rejection) -> Response<B> {
///     if rejection.kind() != RejectionKind::Unavailable || rejection.is_grpc() {
///         return rejection.into_problem(B::from);
///     }
///     let html = if rejection.is_head() { "" } else { "<h1>We are back in a moment</h1>" };
///     let response = rejection.into_response::<()>(); // with `Retry-After`
///     let mut response = response.map(|()| Bytes::from_static(html.as_bytes()).into());
///     response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
///     response
/// }
///
/// let app: Router = Router::new()
///     .route("/orders", get(async || "for users"))
///     .route_layer(RequireUser::new().redirect_to("/login").reply(page))
///     .layer(EndStreams::new().reply(page))
///     .layer(SessionLayer::new(MemoryStore::new()).reply(page));
/// # let _ = app;
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` makes no responses with a body of the type `{B}`",
    label = "not a `Reply<{B}>`",
    note = "`Bare` needs a body type that is `Default`, `Problem` one that is `From<Bytes>`",
    note = "around layers that change the type of bodies, such as compression, `MapResponseBodyLayer::new(Body::new)` of tower-http makes it axum's again",
    note = "for any other body: `reply_with(|rejection| rejection.into_problem(|bytes| …))`"
)]
pub trait Reply<B> {
    /// Returns the response.
    fn reply(&self, rejection: Rejection) -> Response<B>;
}

/// Answers with status and headers and an empty body. This is the default.
///
/// In debug builds a 500 is a problem document instead, whose `detail` says what to change in the app: no layer, or the layer
/// in the wrong place. The document needs a body that is axum's (feature `axum`), a `String` or a `Bytes`.
///
/// Works with every body type that is [`Default`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "named in the place where it is used"
)]
pub struct Bare;

#[diagnostic::do_not_recommend]
impl<B: Default + 'static> Reply<B> for Bare {
    fn reply(&self, rejection: Rejection) -> Response<B> {
        explained(&rejection).unwrap_or_else(|| rejection.into_response())
    }
}

/// A mistake in the app, in words, where the body can hold them. `None` in release builds: they have no `detail`.
fn explained<B: Default + 'static>(rejection: &Rejection) -> Option<Response<B>> {
    if rejection.status() != StatusCode::INTERNAL_SERVER_ERROR || rejection.is_grpc() {
        return None;
    }
    rejection.detail()?;
    let (head, text) = rejection.clone().into_problem(|text| text).into_parts();
    Some(Response::from_parts(head, body_of(text)?))
}

/// Body types have nothing in common that takes a text, so this knows a few.
fn body_of<B: Default + 'static>(text: Bytes) -> Option<B> {
    let mut body = B::default();
    let any: &mut dyn Any = &mut body;
    #[cfg(feature = "axum")]
    if let Some(axum) = any.downcast_mut::<axum_core::body::Body>() {
        *axum = text.into();
        return Some(body);
    }
    if let Some(bytes) = any.downcast_mut::<Bytes>() {
        *bytes = text;
        return Some(body);
    }
    let string = any.downcast_mut::<String>()?;
    *string = String::from_utf8_lossy(&text).into_owned();
    Some(body)
}

/// Answers with a problem document (`application/problem+json`, RFC 9457).
///
/// The body has `type`, `title`, `status` and `reason`. [`Rejection`] has the list of reasons. Some have more:
///
/// | field | when |
/// |---|---|
/// | `endedAt`, `by`, `byDevice` | the session ended: when, the id of the session that ended it, and its device. The last two only if known |
/// | `maxAge` | `insufficient_user_authentication`: how old a sign-in may be, in seconds |
/// | `ticket`, `sessions` | `limit_reached`. Each session has `id`, `createdAt` and `lastActivity`, and `device` with the feature `device` |
/// | `detail` | debug builds: what to change in the app |
///
/// Works with every body type that is made `From<Bytes>`, such as axum's.
#[derive(Clone, Copy, Debug, Default)]
#[expect(
    clippy::exhaustive_structs,
    reason = "named in the place where it is used"
)]
pub struct Problem;

#[diagnostic::do_not_recommend]
impl<B: From<Bytes>> Reply<B> for Problem {
    fn reply(&self, rejection: Rejection) -> Response<B> {
        rejection.into_problem(B::from)
    }
}

impl<F, B> Reply<B> for F
where
    F: Fn(Rejection) -> Response<B>,
{
    fn reply(&self, rejection: Rejection) -> Response<B> {
        self(rejection)
    }
}
