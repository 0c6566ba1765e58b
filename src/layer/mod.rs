//! The middleware: finds the session of each request and commits it with the response.

mod bearer;
mod config;
mod cookie;
mod device_cookie;
mod fresh;
mod future;
pub(crate) mod grpc;
#[expect(
    clippy::module_inception,
    reason = "the tower quartet: mod, layer, service, future"
)]
mod layer;
#[cfg(feature = "tonic")]
mod named;
pub(crate) mod problem;
mod reject;
pub(crate) mod require;
mod resolve;
mod service;

pub use self::{
    bearer::{BearerFuture, BearerLayer, BearerService},
    config::OnOutage,
    cookie::{CookieClash, CookieError, SameSite, SessionCookie, SessionCookieBuilder},
    device_cookie::DeviceCookie,
    fresh::{RequireFresh, RequireFreshService},
    future::ResponseFuture,
    layer::SessionLayer,
    reject::{Bare, Problem, Rejection, RejectionKind, Reply},
    require::{RequireUser, RequireUserFuture, RequireUserService},
    service::SessionService,
};
