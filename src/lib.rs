//! Session middleware for axum, tonic and any tower service. Your users see where they are signed in, and sign each
//! device out.
//!
//! - **For your users**: a list of their devices, sign one out, sign all others out. It takes effect on the
//!   next request, on every node of your app.
//! - **For you**: data in the session, a limit per user that concurrent sign-ins cannot exceed, safe cookies,
//!   bearer tokens, step-up, audit events.
//! - **When a session ends**, its WebSockets, event streams and gRPC streams end too, with the layer `EndStreams`. One call
//!   signs out all users.
//! - **Where sessions live**: in memory ([`MemoryStore`]), in a file (`FileStore`), in PostgreSQL
//!   (`PostgresStore`), in Redis or Valkey (`RedisStore`), or in a database of your own. See [`store`].
//!
//! The [`guide`] explains each task. Start with [signing in and out](guide::sign_in).
//!
//! # Example
//!
//! In axum, handlers take the [`Session`] as an argument (feature `axum`, on by default):
//!
//! ```
//! # #[cfg(feature = "axum")] {
//! use axum::{Router, response::Redirect, routing::{get, post}};
//! use tower_user_sessions::{Limit, MemoryStore, Problem, Session, SessionError, SessionLayer, User};
//!
//! async fn log_in(session: Session) -> Result<Redirect, SessionError> {
//!     // Check the password first.
//!     session.log_in("alice")?;
//!     Ok(Redirect::to("/"))
//! }
//!
//! async fn index(session: Session) -> Result<String, SessionError> {
//!     let visits: u32 = session.get("visits")?.unwrap_or(0) + 1;
//!     session.insert("visits", &visits)?;
//!     Ok(format!("visit {visits}"))
//! }
//!
//! /// Guests get a 401 before this runs.
//! async fn account(user: User) -> String {
//!     format!("Hello {}", user.id())
//! }
//!
//! let app: Router = Router::new()
//!     .route("/", get(index))
//!     .route("/login", post(log_in))
//!     .route("/account", get(account))
//!     .layer(SessionLayer::new(MemoryStore::new()).limit(Limit::at_most(3)).reply(Problem));
//! # }
//! ```
//!
//! Any other service finds the session in the extensions of the request:
//!
//! ```
//! use std::convert::Infallible;
//!
//! use http::{Request, Response};
//! use tower::{ServiceBuilder, service_fn};
//! use tower_user_sessions::{MemoryStore, Session, SessionLayer};
//!
//! let service = ServiceBuilder::new()
//!     .layer(SessionLayer::new(MemoryStore::new()))
//!     .service(service_fn(async |request: Request<String>| {
//!         let name = match Session::of(request.extensions()) {
//!             Ok(session) => session.user_id().map_or("guest".to_owned(), |user| user.to_string()),
//!             Err(missing) => missing.to_string(),
//!         };
//!         Ok::<_, Infallible>(Response::new(name))
//!     }));
//! # fn is_service(_: impl tower_service::Service<Request<String>, Response = Response<String>>) {}
//! # is_service(service);
//! ```
//!
//! # What happens on a request
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
//! 1. **The layer finds the session.** One round trip verifies the token, records the activity and reads the
//!    data. A request without a token, or with a token that is malformed or unknown, has a *guest* session.
//!    Nothing is stored for a guest until something is inserted.
//! 2. **Your handler reads and changes it.** Changes are *staged*: nothing is sent to the store yet.
//! 3. **The layer stores the changes** when the response passes back through it, before the client gets it.
//!    Without changes there is no second round trip and no `Set-Cookie`.
//!
//! | response | data, sign-ins, new tokens | sign-outs ([`Session::log_out`]) |
//! |---|---|---|
//! | status below 500, except 408 | stored | stored |
//! | 408, or 500 and above | dropped | stored |
//! | the service returns `Err` | dropped | stored |
//! | the handler panics, or the request is dropped | dropped | dropped |
//!
//! In gRPC, six codes of the `grpc-status` in the head count as a 500, such as `INTERNAL` and `UNAVAILABLE`
//! ([all six](composing#under-tonic)). With any other code, changes are stored. [`Session::commit`] stores at once, for a
//! handler that must know the outcome. What is committed stays, whatever the response is. There is one
//! exception: a new session ends if its token cannot be sent, because the head of the response has gone or the client has left.
//! What [`UserSessions`] ends is not staged either: it ends at once.
//!
//! If the session ended while your handler ran, its changes are lost and the response does not change.
//!
//! # When the store does not answer
//!
//! An outage never looks like a sign-out. A request with a token gets 503 with `Retry-After`, its cookie is kept,
//! and your service is not called. Requests without a token go on. If changes cannot be stored, the response is
//! replaced by a 503, so a sign-in that was not stored never answers 200. Only a due rotation of the token
//! ([`SessionLayer::rotate_after`]) waits for a later request. [`OnOutage::Guest`] calls your
//! service with an unavailable session instead. [`SessionLayer::reply`] chooses the body of these responses:
//! [`Bare`], [`Problem`] or a function.
//!
//! # Where to read on
//!
//! | you want to | read |
//! |---|---|
//! | sign users in and out, redirect guests, ask for the password again | [`guide::sign_in`] |
//! | keep data: carts, flash messages, OAuth state | [`guide::keep_data`] |
//! | limit the number of sessions | [`guide::limits`] |
//! | show devices, explain why a session ended | [`guide::devices`] |
//! | end WebSockets, event streams and gRPC streams with their session | [`guide::streams`] |
//! | sign out all users | [`Everyone`] |
//! | answer requests without a trip to the store | [`guide::near_cache`] |
//! | run a gRPC service: deadlines, retries, gRPC-Web, pages on the same port | [`guide::grpc`] |
//! | test your handlers and your app | [`guide::testing`] |
//! | choose a store | [`store`] |
//! | run on Redis or Valkey | [`guide::deploying_on_redis`] |
//! | run on PostgreSQL | `PostgresStore`: connections, outages, upgrades. [`guide::operations`](guide::operations#postgresql): PgBouncer, TLS |
//! | stop the app: what to call, in which order | [`guide::new_versions`](guide::new_versions#shutdown) |
//! | deploy a new version, change a setting | [`guide::new_versions`] |
//! | know what an outage or a failover does, and what to alert on | [`guide::operations`] |
//! | use another database | [`guide::writing_a_store`] |
//! | port an app from tower-sessions or axum-login | [`guide::coming_from`] |
//! | put the layer among other layers; a service with tonic | [`composing`] |
//! | call your app from a page on another origin, a frame or a service worker | [`guide::another_origin`] |
//! | run behind nginx, haproxy, Caddy, Apache or Varnish | [`guide::behind_a_proxy`] |
//! | know what attackers may try | `threats` (features `api` and `page`) |
//! | get audit events and metrics | [`events`] |
//!
//! # Features
//!
//! - `api` (default): `DeviceApi`, to list devices and sign them out over HTTP.
//! - `axum` (default): [`Session`] and `User` as axum extractors, and errors as responses.
//! - `client-ip`: `ClientIp`, the address of the client from a header of a trusted proxy.
//! - `device`: [`SessionInfo::device`](SessionInfo), "Chrome 142 on Windows", from client hints and
//!   user agent. `DeviceApi` sends it too.
//! - `file`: `FileStore`, for one process whose sessions survive a restart.
//! - `geoip`: `Geo` and `GeoIp`, city and country of an address, for `DeviceApi` and `DevicePage`.
//! - `live`: open streams end with their session, see [`guide::streams`]. `store::Near`, see [`guide::near_cache`].
//!   Both need tokio.
//! - `metrics`: counters and histograms through the `metrics` facade, see [`events`].
//! - `page`: `DevicePage`, the page on which users see their devices and sign them out. Includes `api` and `device`.
//! - `postgres`: `PostgresStore`. deadpool-postgres 0.14 is re-exported as `deadpool_postgres`.
//! - `redis`: `RedisStore`. deadpool-redis 0.23 is re-exported as `deadpool_redis`, for apps that have a pool.
//! - `test`: sessions for unit tests of handlers, see [`guide::testing`].
//! - `tonic`: errors as `tonic::Status`, the peer's address under a tonic server, and `NamedService`.
//! - `conformance`: the test suites for stores of your own, see [`guide::writing_a_store`].
//! - `uuid`: [`UserId`] from `Uuid`.
//!
//! The minimum supported Rust version is 1.88. The feature `file` needs 1.90.
//!
//! # Types of other crates
//!
//! The API names types of bytes 1, http 1, http-body 1, serde 1, tower-layer 0.3 and tower-service 0.3. Features add
//! axum 0.8, tonic 0.14 and uuid 1. They also add deadpool-postgres 0.14 and deadpool-redis 0.23, which are re-exported
//! with their clients. Another major version of one of them is a breaking change here. Other dependencies are not part
//! of the API: which types an error has as its [`source`](std::error::Error::source) may change in any version.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod api;
mod layer;
mod model;
mod request;
mod session;
pub mod store;

#[cfg(feature = "postgres")]
pub use deadpool_postgres;
#[cfg(feature = "redis")]
pub use deadpool_redis;

#[cfg(feature = "axum")]
pub use self::api::User;
#[cfg(feature = "api")]
pub use self::api::{DeviceApi, DeviceBody, OriginError};
#[cfg(feature = "page")]
pub use self::api::{DevicePage, Words};
#[cfg(feature = "client-ip")]
pub use self::request::ClientIp;
#[cfg(feature = "device")]
pub use self::request::{Device, DeviceKind};
#[cfg(feature = "geoip")]
pub use self::request::{Geo, GeoIp, GeoIpError, GeoIpErrorKind, Place};
#[cfg(feature = "file")]
pub use self::store::FileStore;
#[cfg(feature = "postgres")]
pub use self::store::PostgresStore;
#[cfg(feature = "redis")]
pub use self::store::RedisStore;
pub use self::{
    layer::{
        Bare, BearerLayer, BearerService, Caching, CookieError, CookieErrorKind, DeviceCookie,
        OnOutage, Problem, Rejection, RejectionKind, Reply, RequireFresh, RequireFreshService,
        RequireUser, RequireUserService, SameSite, SessionCookie, SessionCookieBuilder,
        SessionLayer, SessionService,
    },
    model::{
        CertainUserId, Client, ClientClass, EndNotice, EndReason, Excess, Hints, IntoUserId,
        Lifetime, Limit, ParseSessionIdError, ParseUserIdError, Proof, SessionId, Timestamp,
        UserId,
    },
    request::{EndWords, PeerAddr, TokenSource, local_path},
    session::{
        ClientChange, ClientVerdict, CommitError, Committed, Everyone, EveryonePage, LimitReached,
        Login, MissingSession, ParseTicketError, Peek, Session, SessionError, SessionErrorKind,
        SessionInfo, Ticket, UserOnPage, UserSessions, UserSessionsError,
    },
    store::{MemoryStore, SessionStore},
};
#[cfg(feature = "live")]
pub use self::{
    layer::{EndStreams, EndStreamsService},
    session::{LiveEnd, LiveSession, StreamError, UntilEnded},
};

#[doc = include_str!("guide/mod.md")]
pub mod guide {
    #[doc = include_str!("guide/sign_in.md")]
    pub mod sign_in {}

    #[doc = include_str!("guide/keep_data.md")]
    pub mod keep_data {}

    #[doc = include_str!("guide/limits.md")]
    pub mod limits {}

    #[doc = include_str!("guide/devices.md")]
    pub mod devices {}

    #[doc = include_str!("guide/streams.md")]
    pub mod streams {}

    #[doc = include_str!("guide/grpc.md")]
    pub mod grpc {}

    #[doc = include_str!("guide/testing.md")]
    pub mod testing {}

    #[doc = include_str!("guide/deploying_on_redis.md")]
    pub mod deploying_on_redis {}

    #[doc = include_str!("guide/near_cache.md")]
    pub mod near_cache {}

    #[doc = include_str!("guide/operations.md")]
    pub mod operations {}

    #[doc = include_str!("guide/new_versions.md")]
    pub mod new_versions {}

    #[doc = include_str!("guide/behind_a_proxy.md")]
    pub mod behind_a_proxy {}

    #[doc = include_str!("guide/another_origin.md")]
    pub mod another_origin {}

    #[doc = include_str!("guide/writing_a_store.md")]
    pub mod writing_a_store {}

    #[doc = include_str!("guide/coming_from.md")]
    #[doc = "```diff"]
    #[doc = include_str!("guide/coming_from.diff")]
    #[doc = "```"]
    pub mod coming_from {}
}

#[doc = include_str!("layer/composing.md")]
pub mod composing {}

#[cfg(all(feature = "api", feature = "page"))]
#[doc = include_str!("threats.md")]
pub mod threats {}

/// What happened to users' sessions: for audit logs, alerts and metrics.
///
/// Give [`SessionLayer::events`] a sink. [`channel`](events::channel) makes one that never slows a request, and
/// a function of an [`Event`](events::Event) is one too.
///
/// ```
/// use tower_user_sessions::{MemoryStore, SessionLayer, events};
///
/// let (sender, mut receiver) = events::channel(1_024);
/// let layer = SessionLayer::new(MemoryStore::new()).events(sender);
/// # let _ = layer;
///
/// # let watch =
/// async move {
///     while let Some(event) = receiver.recv().await {
///         println!("{} user={:?}", event.kind.as_str(), event.user());
///     }
/// };
/// # drop(watch);
/// ```
///
/// | event | raised when |
/// |---|---|
/// | `created` | a user signed in |
/// | `refused` | a sign-in was refused: `limit_reached`, `void`, `disabled`, `no_ticket`, `too_old` |
/// | `ended` | a session ended, for an [`EndReason`]: evicted, replaced, revoked, logged out … |
/// | `everyone_ended` | [`Everyone`] ended the sessions of all users that began before this moment |
/// | `expired` | a request sent the token of an expired session, the first time, and the store still had it |
/// | `rotated` | a session got another token |
/// | `reauthenticated` | a user entered the password (or another factor) again |
/// | `token_reuse` | a request sent one of the last two previous tokens after its time: there is a copy of it |
/// | `write_lost` | a session ended during a request, whose changes of data were lost; the response was sent |
/// | `token_shared` | a new token was given to a second client with another address or agent: one may be a thief |
/// | `client_changed` | a session is used from another address or agent than before |
/// | `new_device` | a user signed in on a device that the store does not remember ([`SessionLayer::device_cookie`]) |
///
/// `void` is the reason of a rejected sign-in: the user was signed out everywhere while it was in progress. `no_ticket` is
/// raised only if another request used the ticket meanwhile: a ticket that does not work from the beginning may be made up.
///
/// Guest sessions raise no events. [`Everyone::end_all`] raises no event for each session. Each
/// event is delivered at most once. What ends outside of a request is reported only to [`UserSessions::events`] and
/// [`Everyone::events`]. If another request ends a session whose token was not sent yet, and then the sign-in's own request is
/// dropped, there are two `ended` events: the second one has the reason `undelivered`.
///
/// If a store's reply to a sign-in or an end is lost, the same [`Session`] or [`UserSessions`] can make the call again, and
/// raises the same events. A later request cannot: the sessions have ended already. So the event is lost where a user
/// presses a button of the device page again, or a client of `DeviceApi` repeats its request. `expired`, `token_reuse`,
/// the end of [`ClientVerdict::End`] and those of [`UserSessions::end_external`] may be lost with a reply, too.
///
/// A session that expires without being used again raises no event. Nor does one that the store removed
/// before its token is sent again. Any sign-in or list of the same user removes it. If the user has nothing
/// else in the store, `RedisStore` removes it within a sixteenth of the idle time, and at once at the
/// absolute deadline. The other stores remove it an hour later, in their next sweep.
///
/// The same events go to `tracing`, at debug level, under the target `tower_user_sessions::audit`. They name
/// users and sessions. A log at `info` does not have them. The filter `tower_user_sessions=debug` includes them: add
/// `tower_user_sessions::audit=off` to leave them out.
///
/// For a `session-revoked` event of `OpenID` CAEP, use an `ended` event: `event_timestamp` is
/// [`at`](events::Event::at), `initiating_entity` is [`initiator`](events::Event::initiator),
/// `reason_admin` is [`reason`](events::Event::reason), and the subject is [`user`](events::Event::user)
/// with [`session`](events::Event::session).
///
#[doc = include_str!("metrics.md")]
pub mod events {
    pub use crate::{
        model::{Event, EventKind, Initiator, Refusal},
        session::{EventReceiver, EventSender, EventSink, channel},
    };
}

/// Tests of your app (feature `test`): requests that are signed in without a sign-in page, and outages.
///
/// | you test | take |
/// |---|---|
/// | a handler, by calling it | [`Session::for_test`], [`Session::for_test_guest`] |
/// | a router, signed in | [`test::signed_in_as`] |
/// | a router, as a guest | [`SessionLayer::new`] with a [`MemoryStore`] |
/// | a router, in an outage of the store | [`SessionLayer::new`] with an [`OutageStore`](test::OutageStore) |
///
/// Put the feature into `[dev-dependencies]` only: it makes sessions without a password.
#[cfg(feature = "test")]
pub mod test {
    pub use crate::{
        layer::{SignedIn, SignedInFuture, SignedInService, signed_in_as},
        store::outage_store::OutageStore,
    };
}

/// The futures of the services.
pub mod future {
    #[cfg(feature = "api")]
    pub use crate::api::DeviceFuture;
    #[cfg(feature = "live")]
    pub use crate::layer::EndStreamsFuture;
    pub use crate::layer::{BearerFuture, RequireFreshFuture, RequireUserFuture, ResponseFuture};
}

/// The examples of the README compile, with the features that they name.
#[cfg(all(
    doctest,
    feature = "client-ip",
    feature = "live",
    feature = "page",
    feature = "redis",
    feature = "test",
    feature = "tonic"
))]
#[doc = include_str!("../README.md")]
pub struct Readme;
