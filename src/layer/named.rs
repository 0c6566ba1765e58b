//! A gRPC service keeps its name inside of the layers, so that tonic's `Routes` and reflection find it.

use tonic::server::NamedService;

use super::{require::RequireUserService, service::SessionService};

impl<S: NamedService, R> NamedService for SessionService<S, R> {
    const NAME: &'static str = S::NAME;
}

impl<S: NamedService, R> NamedService for RequireUserService<S, R> {
    const NAME: &'static str = S::NAME;
}
