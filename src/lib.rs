//! Tower middleware that gives every user a managed set of sessions.
//!
//! The layer finds the session of each request and records its activity. A user's sessions can be
//! listed as devices and ended: one, all others, all. How many there may be is limited, in the same
//! atomic step that creates one, so that concurrent sign-ins on many nodes do not get past it. It
//! works with any [`tower::Service`](tower_service::Service) over [`http`]: axum, tonic, plain hyper.
//!
//! ```text
//!  request ─▶ SessionService ──────────────▶ your service ──────────▶ response
//!              │ token from cookie or bearer   │ Session (extension)     ▲
//!              │ well formed?                  │  user_id, get, insert   │ Set-Cookie, only when the
//!              ▼                               │  log_in, log_out …      │ token changed or went away
//!           store.resolve ── one round trip    ▼ staged changes          │
//!           verify, touch, read             store.create / save / end ───┘
//!                                           one round trip, only if something is staged
//! ```
//!
//! # Examples
//!
//! Any service finds a [`Session`] in the request's extensions:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, service_fn};
//! use tower_user_sessions::{MemoryStore, Session, SessionError, SessionLayer};
//!
//! fn respond(request: &Request<String>) -> Result<StatusCode, SessionError> {
//!     let session: &Session = request.extensions().get().expect("the layer is there");
//!     match request.uri().path() {
//!         // After the password was checked.
//!         "/login" => session.log_in(42)?,
//!         "/logout" => session.log_out()?,
//!         _ if session.user_id().is_none() => return Ok(StatusCode::UNAUTHORIZED),
//!         _ => session.insert("last_page", request.uri().path())?,
//!     }
//!     Ok(StatusCode::OK)
//! }
//!
//! let service = ServiceBuilder::new()
//!     .layer(SessionLayer::new(MemoryStore::new()))
//!     .service(service_fn(async |request: Request<String>| {
//!         let mut response = Response::new(String::new());
//!         *response.status_mut() =
//!             respond(&request).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
//!         Ok::<_, Infallible>(response)
//!     }));
//! # fn is_service(_: impl tower_service::Service<Request<String>, Response = Response<String>>) {}
//! # is_service(service);
//! ```
//!
//! In axum, with settings; handlers take the [`Session`] as an argument (feature `axum`):
//!
//! ```
//! # #[cfg(all(feature = "api", feature = "axum", feature = "redis"))] {
//! use std::time::Duration;
//!
//! use axum::{Router, http::StatusCode, routing::get};
//! use deadpool_redis::{Config, Runtime};
//! use tower_user_sessions::{
//!     DeviceApi, Lifetime, Limit, Problem, RedisStore, SameSite, Session, SessionCookie, SessionLayer,
//! };
//!
//! async fn me(session: Session) -> Result<String, StatusCode> {
//!     let user = session.user_id().ok_or(StatusCode::UNAUTHORIZED)?;
//!     Ok(user.to_string())
//! }
//!
//! # fn build() -> Result<Router, Box<dyn std::error::Error>> {
//! let pool = Config::from_url("redis://localhost").create_pool(Some(Runtime::Tokio1))?;
//! let store = RedisStore::builder(pool).prefix("shop").build();
//! let cookie = SessionCookie::named("__Host-shop").same_site(SameSite::Strict).build()?;
//! let layer = SessionLayer::new(store)
//!     .cookie(cookie)
//!     .lifetime(Lifetime::AAL2)
//!     .limit(Limit::at_most(3))
//!     .guest_idle(Duration::from_secs(3_600))
//!     .resolve_if(|request| !request.uri.path().starts_with("/static/"))
//!     .counts_as_activity(|request| request.uri.path() != "/poll")
//!     .reply(Problem);
//! let app = Router::new()
//!     .route("/me", get(me))
//!     .nest_service("/sessions", DeviceApi::new())
//!     .layer(layer);
//! # Ok(app)
//! # }
//! # build().unwrap();
//! # }
//! ```
//!
//! # Tokens
//!
//! Browsers hold the token in a [cookie](SessionCookie). Apps and tools show it as `Authorization:
//! Bearer` where [`SessionLayer::token_source`] says so; the answer to their sign-in carries it once,
//! in the header [`x-session-token`](SessionLayer::token_header), and never sets a cookie.
//!
//! # Sessions
//!
//! A request without a token has a *guest* session, for which nothing is stored until something is
//! inserted. A malformed or unknown token is a guest's too, and is never adopted.
//!
//! Changes are staged on the [`Session`] and stored when the response head passes back through the
//! layer, if its status is below 500 and not 408. Ends are stored whatever the status. What a gRPC
//! head says in `grpc-status` counts the same. With nothing staged there is no second round trip and
//! no `Set-Cookie`. [`Session::commit`] stores at once, for handlers that must see the outcome.
//!
//! Data is merged key by key: parallel requests that change different keys lose nothing.
//! [`Session::update`] runs again on the newest value where they change the same one.
//!
//! # Sign-ins
//!
//! [`Session::log_in`] always makes a new token and a new id; what the client held before is dead at
//! once. A guest's data comes along only where [`Login::carry`] names it. [`Limit`] says how many
//! sessions a user may have and whether the least recently active one ends or the sign-in is refused
//! (409, or [`CommitError::LimitReached`]); [`Login::limit`] states one for this sign-in alone. Signing
//! in again from the same client replaces its session and never counts twice.
//!
//! A [`Lifetime`] has two parts: idle, renewed by activity, and absolute, renewed by signing in only.
//!
//! # Ends
//!
//! [`Session::log_out`], [`UserSessions::end`], [`UserSessions::end_others`],
//! [`UserSessions::end_all`], eviction and expiry hold from the very next request, on any node. A
//! request in flight does not bring its session back. "End all" and "end others" also void sign-ins
//! that were authenticated before them; one that the same handler stages afterwards counts, which is
//! what a password change needs. [`SessionLayer::not_before`] voids all users' earlier sessions.
//!
//! The owner of an ended session is told why, once, by [`Session::ended`]. [`UserSessions::new`] works
//! outside a request, for administrators and jobs. The feature `api` adds `DeviceApi`, over which users
//! do it themselves, and `page` adds `DevicePage`, on which they see where they are signed in.
//!
//! [`EndWords`] makes a sentence of it ("You were signed out because you signed in on Firefox 145 on
//! Windows."). [`UserSessions::disable_for`] also refuses later sign-ins for a while.
//!
//! # Tokens that change
//!
//! [`Session::rotate`] gives a session another token, and [`SessionLayer::rotate_after`] does by itself.
//! The previous one goes on until the new one was seen and for a grace after that, so that requests in
//! parallel and lost answers sign nobody out; then it is reuse, and ends the session.
//! [`Session::reauthenticated`] says that the user proved again who they are: the previous token is dead at
//! once. [`RequireFresh`] asks for that where a sign-in is old.
//!
//! # Plans, classes, exceptions
//!
//! [`SessionLayer::limit_of`] says how many sessions each user may have, [`Limit::of_class`] how many of a
//! class of clients ([`SessionLayer::class_of`]). [`Login::counts`] makes one that does not count. Where
//! the limit refuses, [`LimitReached::ticket`] lets the user end a session of their choice and go on
//! ([`Login::by_ticket`]).
//!
//! # Watch
//!
//! [`events`] tells what happened to whom, to a channel, to `tracing` and as metrics.
//! [`SessionLayer::device_cookie`] knows the first sight of a device. The page `threats` (with all
//! features) says what attackers may try and what holds there.
//!
//! # Stores
//!
//! [`MemoryStore`] keeps sessions in this process; they are gone when it ends. `RedisStore` (feature
//! `redis`) shares them among nodes: Redis 7.0 or newer, or Valkey 8.0 or newer, as one node, with
//! Sentinel or as a Cluster. Each operation is one round trip to one key. The store owns the time: no
//! wall clock of an app node takes part in any decision. The token itself is never stored.
//!
//! What is promised holds while Redis loses no write that it acknowledged. Asynchronous replication
//! can lose some in a failover: an ended session may come back then, and a new one be gone.
//!
//! For a store of your own see [`SessionStore`].
//!
//! # Outages
//!
//! A store that does not answer is never "no such session". A request with a token is answered with
//! 503 and `Retry-After`, its cookie stays, and the service is not called; requests without one go on.
//! [`OnOutage::Guest`] calls it with an unavailable session instead. What cannot be stored when the
//! response passes back is a 503 in its place, so that a sign-in that is not stored is never answered
//! with 200. [`SessionLayer::reply`] makes these answers: [`Bare`], [`Problem`] or yours.
//!
//! # Frameworks
//!
//! [`RequireUser`] answers for guests before a service is called; in axum the extractor `User` does so
//! per handler. Under tonic answers of our own are gRPC's; [`BearerLayer`] shows the token for a client.
//! The page [`composing`] says where the layer stands among others.
//!
//! # Features
//!
//! - `api` (default): `DeviceApi`, to list devices and sign them out over HTTP.
//! - `axum` (default): [`Session`] and `User` as axum extractors.
//! - `client-ip`: `ClientIp`, the address of the client from a header of a trusted proxy.
//! - `device`: [`SessionInfo::device`](SessionInfo), "Chrome 142 on Windows", from client hints and
//!   user agent; `DeviceApi` says it too.
//! - `metrics`: counters and histograms through the `metrics` facade, see [`events`].
//! - `geoip`: `Geo` and `GeoIp`, city and country of an address, for `DeviceApi` and `DevicePage`.
//! - `page`: `DevicePage`, the page on which users see their devices and sign them out.
//! - `tonic`: the peer's address under a tonic server, and `NamedService` of services in the layers.
//! - `redis`: `RedisStore`.
//! - `conformance`: the suite that every store has to pass.
//! - `test`: the module `test`, for tests of your app.
//! - `uuid`: [`UserId`] from `Uuid`.
//!
//! The minimum supported Rust version is 1.88.

mod api;
mod layer;
mod model;
mod request;
mod session;
pub mod store;

#[cfg(feature = "axum")]
pub use self::api::User;
#[cfg(feature = "api")]
pub use self::api::{DeviceApi, DeviceBody};
#[cfg(feature = "page")]
pub use self::api::{DevicePage, Words};
#[cfg(feature = "client-ip")]
pub use self::request::ClientIp;
#[cfg(feature = "device")]
pub use self::request::{Device, DeviceKind};
#[cfg(feature = "geoip")]
pub use self::request::{Geo, GeoIp, GeoIpError, GeoIpErrorKind, Place};
#[cfg(feature = "redis")]
pub use self::store::RedisStore;
pub use self::{
    layer::{
        Bare, BearerLayer, BearerService, CookieClash, CookieError, DeviceCookie, OnOutage,
        Problem, Rejection, RejectionKind, Reply, RequireFresh, RequireFreshService, RequireUser,
        RequireUserService, SameSite, SessionCookie, SessionCookieBuilder, SessionLayer,
        SessionService,
    },
    model::{
        CertainUserId, Client, ClientClass, EndNotice, EndReason, Excess, Hints, IntoUserId,
        Lifetime, Limit, Proof, SessionId, Timestamp, UserId,
    },
    request::{EndWords, PeerAddr, TokenSource, local_path},
    session::{
        CommitError, Committed, LimitReached, Login, MissingSession, ParseTicketError, Session,
        SessionError, SessionErrorKind, SessionInfo, Ticket, UserSessions, UserSessionsError,
    },
    store::{MemoryStore, SessionStore},
};

#[doc = include_str!("layer/composing.md")]
pub mod composing {}

#[cfg(all(feature = "api", feature = "page"))]
#[doc = include_str!("threats.md")]
pub mod threats {}

/// What happens to users' sessions, for audits and alerts.
///
/// [`SessionLayer::events`] takes a sink; [`channel`](events::channel) is one that never slows a request.
/// The same is told to `tracing`, under the target `tower_user_sessions::audit` at debug level, for it
/// names users and sessions.
///
/// | event | raised when |
/// |---|---|
/// | `created` | a user signed in |
/// | `refused` | a sign-in was refused: `limit_reached`, `void`, `disabled`, `no_ticket` |
/// | `ended` | a session ended, for an [`EndReason`]: evicted, replaced, revoked, logged out … |
/// | `expired` | a session past its deadline was seen, the first time |
/// | `rotated` | a session has another token |
/// | `reauthenticated` | a user proved again who they are |
/// | `token_reuse` | a previous token was shown after its time |
/// | `new_device` | a user signed in on a device for the first time ([`SessionLayer::device_cookie`]) |
///
/// Guests raise none. Each is told at most once: where a store's answer was lost, what the repetition finds
/// done is not told. What expired and nobody asked for is not told either. A `session-revoked` event of `OpenID` CAEP is an `ended` one: `event_timestamp` is
/// [`at`](events::Event::at), `initiating_entity` is [`initiator`](events::Event::initiator),
/// `reason_admin` is [`reason`](events::Event::reason), and the subject is
/// [`user`](events::Event::user) with [`session`](events::Event::session).
///
/// # Metrics
///
/// With the feature `metrics`, the facade of that name is told:
///
/// | metric | kind | labels |
/// |---|---|---|
/// | `tower_user_sessions_resolves_total` | counter | `outcome`: live, ended, expired, reused, unknown, error |
/// | `tower_user_sessions_store_seconds` | histogram, seconds | `operation`: resolve, create, save, rotate, list, end; not of what a store answers at once |
/// | `tower_user_sessions_logins_total` | counter | |
/// | `tower_user_sessions_refusals_total` | counter | `reason` |
/// | `tower_user_sessions_ends_total` | counter | `reason` |
/// | `tower_user_sessions_evictions_total` | counter | |
/// | `tower_user_sessions_notices_shown_total` | counter | |
/// | `tower_user_sessions_token_reuse_total` | counter | |
/// | `tower_user_sessions_dropped_events_total` | counter | |
pub mod events {
    pub use crate::{
        model::{Event, EventKind, Initiator, Refusal},
        session::{EventReceiver, EventSender, EventSink, channel},
    };
}

/// Tests of your app (feature `test`): requests that are signed in, without a sign-in page.
///
/// | you test | take |
/// |---|---|
/// | a handler, by calling it | [`Session::for_test`], [`Session::for_test_guest`] |
/// | a router, signed in | [`test::signed_in_as`](signed_in_as) |
/// | a router, as a guest | [`SessionLayer::new`] with a [`MemoryStore`] |
///
/// Put the feature into `[dev-dependencies]` only: it makes sessions without a password.
#[cfg(feature = "test")]
pub mod test {
    pub use crate::layer::{SignedIn, SignedInFuture, SignedInService, signed_in_as};
}

/// The futures of the services.
pub mod future {
    #[cfg(feature = "api")]
    pub use crate::api::DeviceFuture;
    pub use crate::layer::{BearerFuture, RequireUserFuture, ResponseFuture};
}

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
