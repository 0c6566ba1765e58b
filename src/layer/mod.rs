//! The middleware: finds the session of each request and commits it with the response.

mod bearer;
mod caching;
mod config;
mod cookie;
mod cookie_error;
mod dead;
mod device_cookie;
pub(crate) mod failure;
pub(crate) mod form;
mod fresh;
mod fresh_future;
mod future;
mod grpc;
mod guests;
mod inquiry;
#[expect(
    clippy::module_inception,
    reason = "the tower quartet: mod, layer, service, future"
)]
mod layer;
pub(crate) mod mistake;
#[cfg(feature = "tonic")]
mod named;
mod near;
mod on_client_changed;
mod opened;
pub(crate) mod problem;
mod realm;
pub(crate) mod redirect;
mod reject;
mod reply;
mod requests;
pub(crate) mod require;
mod resolve;
mod retired;
mod rotation;
mod service;
#[cfg(feature = "test")]
mod signed_in;
#[cfg(feature = "tonic")]
mod status;
#[cfg(feature = "live")]
mod streams;
mod unkept;

#[cfg(feature = "test")]
pub use self::signed_in::{SignedIn, SignedInFuture, SignedInService, signed_in_as};
#[cfg(feature = "live")]
pub use self::streams::{EndStreams, EndStreamsFuture, EndStreamsService};
pub use self::{
    bearer::{BearerFuture, BearerLayer, BearerService},
    caching::Caching,
    config::OnOutage,
    cookie::{SameSite, SessionCookie, SessionCookieBuilder},
    cookie_error::{CookieError, CookieErrorKind},
    device_cookie::DeviceCookie,
    fresh::{RequireFresh, RequireFreshService},
    fresh_future::RequireFreshFuture,
    future::ResponseFuture,
    layer::SessionLayer,
    reject::{Rejection, RejectionKind},
    reply::{Bare, Problem, Reply},
    require::{RequireUser, RequireUserFuture, RequireUserService},
    service::SessionService,
};
