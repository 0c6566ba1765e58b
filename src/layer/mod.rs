//! The middleware: finds the session of each request and commits it with the response.

mod config;
mod cookie;
mod future;
#[expect(
    clippy::module_inception,
    reason = "the tower quartet: mod, layer, service, future"
)]
mod layer;
pub(crate) mod passed;
pub(crate) mod problem;
mod reject;
mod resolve;
mod service;

pub use self::{
    config::OnOutage,
    cookie::{CookieClash, CookieError, SameSite, SessionCookie, SessionCookieBuilder},
    future::ResponseFuture,
    layer::SessionLayer,
    reject::{Bare, Problem, Rejection, RejectionKind, Reply},
    service::SessionService,
};
