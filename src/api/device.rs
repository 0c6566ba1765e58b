//! [`DeviceApi`]: users see their devices and sign them out, over JSON.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Extensions, Method, Request, Response};
use tower_http::csrf::{CsrfLayer, ProtectionError};
use tower_layer::Layer;
use tower_service::Service;

use super::{
    answer,
    body::DeviceBody,
    mount::Mount,
    origin::{OriginError, trust},
    places::Places,
    route::Route,
};
use crate::{
    layer::{mistake, require::verified_session_of},
    session::Session,
};

type Refuse = fn(ProtectionError) -> Response<DeviceBody>;

/// A JSON API with which users see where they are signed in and sign devices out (ASVS 7.5.2).
///
/// Mount it inside of a [`SessionLayer`](crate::SessionLayer):
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
/// axum's `nest_service` strips the prefix from the path. Where nothing strips it, use
/// `DeviceApi::at("/sessions")`.
///
/// | request | response |
/// |---|---|
/// | `GET /sessions` | 200 with the list of devices |
/// | `DELETE /sessions/{id}` | 200 `{"success":true}`. If the session has ended already, also 200 while its end notice is kept. If it is the current one, the cookie is removed. For an id of another user, or of no session, 403 `not_yours` |
/// | `POST /sessions/logout-others`, `POST /sessions/logout-all` | both end all but the current session: 200 `{"message":"All other sessions logged out","ended":n}` |
/// | `GET /sessions/current` | 200 with the times of the current session; this is not activity |
/// | `POST /sessions/current` | the same, after the session was prolonged: "stay signed in" |
/// | of a guest | 401 `not_signed_in`; if its session was ended, the `reason` says why, as [`Session::ended`] does |
/// | from another origin, with another method than GET, HEAD or OPTIONS | 403 `foreign_origin` (ASVS 3.5.1), see below |
/// | in an outage | 503 `unavailable` |
/// | without a session: no layer, or `resolve_if` let it pass | 500 `no_session`; the log says what to change |
/// | another method, another path | 405 with `Allow`, 404 |
///
/// Errors are problem documents (RFC 9457). `tower_http::csrf` recognizes requests from other origins.
/// A request with a bearer token may come from anywhere, because no browser adds one by itself.
///
/// # The list
///
/// The current session comes first, then the others by last activity. Times are RFC 3339 in UTC.
///
/// ```json
/// {"sessions": [{
///     "id": "mK3pVwQ8dYxT2rAz",
///     "device": {"label": "Chrome 142 on Windows", "browser": "Chrome", "os": "Windows", "kind": "desktop"},
///     "location": {"city": "Berlin", "country": "Germany"},
///     "ipAddress": "203.0.113.7",
///     "createdAt": "2025-11-24T16:00:00.000Z",
///     "lastActivity": "2025-11-24T16:20:00.000Z",
///     "expiresAt": "2025-12-24T16:00:00.000Z",
///     "lastSeen": null,
///     "current": true
/// }]}
/// ```
///
/// `lastSeen` is null while all requests come from the network, browser and system of the sign-in. Then it has `device`,
/// `location` and `ipAddress` of the client that was noted last, see [`last_address`](crate::SessionInfo::last_address).
///
/// `kind` is `desktop`, `mobile`, `tablet`, `bot`, `tool` or `other`. Without the feature `device` the
/// label is the user agent, and `browser`, `os` and `kind` are null. `location` is null without the
/// feature `geoip`, and without a `Geo`. A session that does not count against the limit has
/// `"counts":false`.
///
/// # A countdown
///
/// Warn users before they are signed out, and let them stay with one click (WCAG 2.2.1). The page asks
/// `GET /sessions/current` from time to time and counts down from `idleExpiresIn`. "Stay signed in"
/// sends `POST /sessions/current`. Seconds are counted by the store's clock, so that the page does not
/// need the right time.
///
/// ```json
/// {
///     "id": "mK3pVwQ8dYxT2rAz",
///     "createdAt": "2025-11-24T16:00:00.000Z",
///     "authenticatedAt": "2025-11-24T16:00:00.000Z",
///     "lastActivity": "2025-11-24T16:20:00.000Z",
///     "idleExpiresAt": "2025-11-24T16:35:00.000Z",
///     "expiresAt": "2025-11-25T04:00:00.000Z",
///     "idleExpiresIn": 870,
///     "expiresIn": 41970
/// }
/// ```
///
/// The layer records activity before your app routes the request, so it recognizes the countdown by its
/// path: GET and HEAD of any path that ends with `/sessions/current`. If the API is mounted elsewhere,
/// tell the layer with [`SessionLayer::countdown_path`](crate::SessionLayer::countdown_path).
///
/// A request from another origin that is answered with 403 counts as activity too, as any request with the session
/// cookie does. With the default `SameSite=Lax` a browser sends no cookie with a POST from another site.
#[derive(Clone)]
#[must_use]
pub struct DeviceApi {
    mount: Option<Mount>,
    csrf: CsrfLayer<Refuse>,
    pub(super) places: Places,
    fresh: Option<Duration>,
    spare_uncounted: bool,
}

impl DeviceApi {
    /// Makes the API for a mount that strips its prefix, such as axum's `nest_service`.
    pub fn new() -> Self {
        Self {
            mount: None,
            csrf: CsrfLayer::new()
                .with_rejection_response((|_| answer::foreign_origin()) as Refuse),
            places: Places::unknown(),
            fresh: None,
            spare_uncounted: false,
        }
    }

    /// Makes the API for a mount that does not strip this prefix. Slashes around it do not matter.
    ///
    /// ```
    /// use tower::Layer;
    /// use tower_user_sessions::{DeviceApi, MemoryStore, SessionLayer};
    ///
    /// // A hyper service of its own, which answers `GET /account/devices`.
    /// let service = SessionLayer::new(MemoryStore::new()).layer(DeviceApi::at("/account/devices"));
    /// # let _ = service;
    /// ```
    pub fn at(prefix: &str) -> Self {
        Self {
            mount: Some(Mount::at(prefix)),
            ..Self::new()
        }
    }

    /// Lets users end other sessions only if they proved who they are within this time (ASVS 7.5.2).
    ///
    /// The others get 401 `insufficient_user_authentication`, as of
    /// [`RequireFresh`](crate::RequireFresh). Every user can read the list and end the current session.
    ///
    /// Defaults to no such rule.
    pub fn require_fresh(mut self, within: Duration) -> Self {
        self.fresh = Some(within);
        self
    }

    /// Whether `logout-others` and `logout-all` spare sessions that do not count against the limit, such as those of
    /// your support staff. They are in the list all the same, and `DELETE` with the id ends one.
    ///
    /// Defaults to no.
    pub fn spare_uncounted(mut self, spare: bool) -> Self {
        self.spare_uncounted = spare;
        self
    }

    /// Lets pages of another origin send DELETE and POST too. Write the origin as browsers send it:
    /// `https://app.example.com`.
    ///
    /// Defaults to no other origin.
    ///
    /// # Errors
    ///
    /// If the text is not an origin: it has another scheme than `http` or `https`, a path or a slash at the end, or characters
    /// outside of ASCII. An origin that browsers write in another way, with `:443` or capital letters, is accepted and never
    /// matches.
    pub fn add_trusted_origin(mut self, origin: &str) -> Result<Self, OriginError> {
        self.csrf = trust(self.csrf, origin)?;
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
            .field("mount", &self.mount)
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
        let method = request.method().clone();
        let route = Route::of(&method, request.uri().path(), self.mount.as_ref());
        let mut routed = Routed {
            route,
            places: self.places.clone(),
            fresh: self.fresh,
            spare_uncounted: self.spare_uncounted,
        };
        let request = request.map(|_body| ());
        let session: Option<&Session> = request.extensions().get();
        let answer = if session.is_some_and(Session::is_by_bearer) {
            routed.call(request)
        } else {
            DeviceFuture::new(self.csrf.layer(routed).call(request))
        };
        answer.to(&method)
    }
}

/// Response future of [`DeviceApi`] and `DevicePage`.
#[must_use = "futures do nothing unless polled"]
pub struct DeviceFuture {
    answer: Pin<Box<dyn Future<Output = Result<Response<DeviceBody>, Infallible>> + Send>>,
    /// The request is `HEAD`.
    head: bool,
}

impl DeviceFuture {
    pub(super) fn new(
        answer: impl Future<Output = Result<Response<DeviceBody>, Infallible>> + Send + 'static,
    ) -> Self {
        Self {
            answer: Box::pin(answer),
            head: false,
        }
    }

    /// The response to a request with this method.
    pub(super) fn to(mut self, method: &Method) -> Self {
        self.head = *method == Method::HEAD;
        self
    }
}

impl Future for DeviceFuture {
    type Output = Result<Response<DeviceBody>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = ready!(self.answer.as_mut().poll(cx));
        Poll::Ready(if self.head {
            answer.map(DeviceBody::left_out)
        } else {
            answer
        })
    }
}

impl fmt::Debug for DeviceFuture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DeviceFuture(..)")
    }
}

/// What answers once the origin was checked.
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
        let (routed, extensions) = (self.clone(), request.into_parts().0.extensions);
        DeviceFuture::new(async move { Ok(routed.respond(extensions).await) })
    }
}

impl Routed {
    async fn respond(self, extensions: Extensions) -> Response<DeviceBody> {
        match self.route {
            Route::NotFound => return answer::not_found(),
            Route::Method(allow) => return answer::method_not_allowed(allow),
            _ => {}
        }
        let session = match verified_session_of("DeviceApi", &extensions).await {
            Ok(session) => session,
            Err(rejection) => return answer::rejected(rejection),
        };
        let user = session.stored_user();
        let Some(sessions) = user.and_then(|_| session.user_sessions()) else {
            return answer::not_signed_in(&session);
        };
        let sessions = sessions.spare_uncounted(self.spare_uncounted);
        let stale = self
            .fresh
            .filter(|within| !session.is_stored_fresh(*within));
        let done = match (self.route, stale) {
            (Route::End(id), stale) => match (id.parse(), stale) {
                (Err(_), _) => return answer::not_yours(),
                (Ok(id), Some(within)) if session.id() != Some(id) => return answer::stale(within),
                (Ok(id), _) => sessions.end(id).await.map(|()| answer::success()),
            },
            (Route::EndOthers, Some(within)) => return answer::stale(within),
            (Route::EndOthers, None) => sessions.end_others().await.map(answer::others_ended),
            // The layer has recorded the activity of a POST already.
            (Route::Current, _) => {
                if session.is_activity() {
                    mistake::countdown_is_activity();
                }
                Ok(answer::current(&session))
            }
            (Route::Prolong, _) => Ok(answer::current(&session)),
            _ => sessions
                .list()
                .await
                .map(|list| answer::list(&list, &self.places)),
        };
        done.unwrap_or_else(answer::failed)
    }
}
