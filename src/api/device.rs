//! [`DeviceApi`]: users see their devices and sign them out.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use http::{Extensions, Request, Response};
use tower_http::csrf::{ConfigError, CsrfLayer, ProtectionError};
use tower_layer::Layer;
use tower_service::Service;

use super::{answer, body::DeviceBody, places::Places, route::Route};
use crate::session::Session;

type Refuse = fn(ProtectionError) -> Response<DeviceBody>;

/// A service over which users list their sessions and end them (ASVS 7.5.2).
///
/// Needs nothing but the [`Session`] of the layer around it.
///
/// | request | answer |
/// |---|---|
/// | `GET /sessions` | 200 `{"sessions":[{"id","device":{"label","browser","os","kind"},"location","ipAddress","createdAt","lastActivity","current"}]}`, and `"counts":false` of those that do not count against the limit; the current one first, then by last activity; times are RFC 3339 in UTC |
/// | `DELETE /sessions/{id}` | 200 `{"success":true}`, again while its end is remembered; 403 for any other id; ending the current one also removes the cookie |
/// | `POST /sessions/logout-all` | 200 `{"message":"All other sessions logged out","ended":n}` |
/// | without a user | 401; other methods 405 with `Allow`; other paths 404; 503 when the store does not answer |
///
/// Errors are `application/problem+json` (RFC 9457). Unsafe requests from other origins are refused
/// with 403 (ASVS 3.5.1), by [`tower_http::csrf`]; not where a bearer token says whose session it is,
/// for no browser adds that by itself.
///
/// The label is what people call the device ("Chrome 142 on Windows"), and `kind` is `desktop`,
/// `mobile`, `tablet`, `bot`, `tool` or `other`, with the feature `device`; without it the label is
/// the user agent, and `browser`, `os` and `kind` are null. `location` is `{"city","country"}` where
/// the feature `geoip` is on and a `Geo` was given; else it is null.
///
/// In axum, where the mount strips its prefix:
///
/// ```
/// use axum::Router;
/// use tower_user_sessions::{DeviceApi, MemoryStore, SessionLayer};
///
/// let app: Router = Router::new()
///     .nest_service("/sessions", DeviceApi::new())
///     .layer(SessionLayer::new(MemoryStore::new()));
/// ```
///
/// Elsewhere: `DeviceApi::at("/sessions")`.
#[derive(Clone)]
#[must_use]
pub struct DeviceApi {
    prefix: Option<Arc<str>>,
    csrf: CsrfLayer<Refuse>,
    pub(super) places: Places,
    fresh: Option<Duration>,
    spare_uncounted: bool,
}

impl DeviceApi {
    /// The API under a mount that strips its prefix, such as axum's `nest_service`.
    pub fn new() -> Self {
        Self {
            prefix: None,
            csrf: CsrfLayer::new()
                .with_rejection_response((|_| answer::foreign_origin()) as Refuse),
            places: Places::unknown(),
            fresh: None,
            spare_uncounted: false,
        }
    }

    /// The API at this path of the whole: `/sessions`.
    pub fn at(prefix: &str) -> Self {
        Self {
            prefix: Some(Arc::from(prefix.trim_end_matches('/'))),
            ..Self::new()
        }
    }

    /// Ends sessions only for whoever proved who they are within this time (ASVS 7.5.2), and answers
    /// others as [`RequireFresh`](crate::RequireFresh) does. Signing out oneself and the list are for
    /// all users.
    ///
    /// Defaults to no such rule.
    pub fn require_fresh(mut self, within: Duration) -> Self {
        self.fresh = Some(within);
        self
    }

    /// Whether sessions that do not count against the limit stay when all others are ended.
    ///
    /// Defaults to no.
    pub fn spare_uncounted(mut self, spare: bool) -> Self {
        self.spare_uncounted = spare;
        self
    }

    /// Lets another origin call the unsafe methods too, written as browsers send it:
    /// `https://app.example.com`.
    ///
    /// Defaults to none but the own.
    ///
    /// # Errors
    ///
    /// If it is not an origin.
    pub fn add_trusted_origin(mut self, origin: &str) -> Result<Self, ConfigError> {
        self.csrf = self.csrf.add_trusted_origin(origin)?;
        Ok(self)
    }
}

impl Default for DeviceApi {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for DeviceApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceApi")
            .field("prefix", &self.prefix)
            .field("places", &self.places)
            .finish_non_exhaustive()
    }
}

impl<B> Service<Request<B>> for DeviceApi {
    type Response = Response<DeviceBody>;
    type Error = Infallible;
    type Future = DeviceFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> DeviceFuture {
        let route = Route::of(
            request.method(),
            request.uri().path(),
            self.prefix.as_deref(),
        );
        let mut routed = Routed {
            route,
            places: self.places.clone(),
            fresh: self.fresh,
            spare_uncounted: self.spare_uncounted,
        };
        let request = request.map(|_body| ());
        if session_of(request.extensions()).is_some_and(|session| session.is_by_bearer()) {
            return routed.call(request);
        }
        DeviceFuture::new(self.csrf.layer(routed).call(request))
    }
}

/// Answers of a [`DeviceApi`] or a `DevicePage`.
#[must_use = "futures do nothing unless polled"]
pub struct DeviceFuture(
    Pin<Box<dyn Future<Output = Result<Response<DeviceBody>, Infallible>> + Send>>,
);

impl DeviceFuture {
    pub(super) fn new(
        answer: impl Future<Output = Result<Response<DeviceBody>, Infallible>> + Send + 'static,
    ) -> Self {
        Self(Box::pin(answer))
    }
}

impl Future for DeviceFuture {
    type Output = Result<Response<DeviceBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl fmt::Debug for DeviceFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceFuture(..)")
    }
}

/// What is behind the check of the origin.
#[derive(Clone)]
struct Routed {
    route: Route,
    places: Places,
    fresh: Option<Duration>,
    spare_uncounted: bool,
}

impl Service<Request<()>> for Routed {
    type Response = Response<DeviceBody>;
    type Error = Infallible;
    type Future = DeviceFuture;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<()>) -> DeviceFuture {
        let (routed, session) = (self.clone(), session_of(request.extensions()));
        DeviceFuture::new(async move { Ok(routed.respond(session).await) })
    }
}

fn session_of(extensions: &Extensions) -> Option<Session> {
    extensions.get().cloned()
}

impl Routed {
    async fn respond(self, session: Option<Session>) -> Response<DeviceBody> {
        match self.route {
            Route::NotFound => return answer::not_found(),
            Route::Method(allow) => return answer::method_not_allowed(allow),
            Route::List | Route::End(_) | Route::EndOthers => {}
        }
        let Some(session) = session else {
            tracing::error!(
                "device api without a session: is it inside a SessionLayer that resolves its path?"
            );
            return answer::misconfigured();
        };
        if !session.is_available() {
            return answer::unavailable();
        }
        let Some(sessions) = session.user_sessions() else {
            return answer::not_signed_in();
        };
        let sessions = sessions.spare_uncounted(self.spare_uncounted);
        let stale = self.fresh.filter(|within| !session.is_fresh(*within));
        let done = match (self.route, stale) {
            (Route::End(id), stale) => match (id.parse(), stale) {
                (Err(_), _) => return answer::not_yours(),
                (Ok(id), Some(within)) if session.id() != Some(id) => return answer::stale(within),
                (Ok(id), _) => sessions.end(id).await.map(|()| answer::success()),
            },
            (Route::EndOthers, Some(within)) => return answer::stale(within),
            (Route::EndOthers, None) => sessions.end_others().await.map(answer::others_ended),
            _ => sessions
                .list()
                .await
                .map(|list| answer::list(&list, &self.places)),
        };
        done.unwrap_or_else(|error| answer::failed(&error))
    }
}
