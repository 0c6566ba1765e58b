//! A gRPC service keeps its name inside of the layers, so that tonic's `Routes` and reflection find it.

use tonic::server::NamedService;

#[cfg(feature = "live")]
use super::streams::EndStreamsService;
use super::{fresh::RequireFreshService, require::RequireUserService, service::SessionService};

impl<S: NamedService, R> NamedService for SessionService<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S: NamedService, R> NamedService for RequireUserService<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S: NamedService, R> NamedService for RequireFreshService<S, R> {
    const NAME: &'static str = S::NAME;
}

#[cfg(feature = "live")]
impl<S: NamedService, R> NamedService for EndStreamsService<S, R> {
    const NAME: &'static str = S::NAME;
}
