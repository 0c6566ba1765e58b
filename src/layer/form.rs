//! [`Form`]: what the layer's own response to a request may have.

use http::{HeaderMap, Method};

use super::grpc::is_grpc;

/// What a response may have, by its request. One of gRPC is never `HEAD`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) enum Form {
    #[default]
    Whole,
    /// No content: the request is `HEAD`.
    Head,
    /// Trailers: the request is gRPC.
    Grpc,
}

impl Form {
    pub(crate) fn of(method: &Method, headers: &HeaderMap) -> Self {
        if *method == Method::HEAD {
            Self::Head
        } else if is_grpc(method, headers) {
            Self::Grpc
        } else {
            Self::Whole
        }
    }
}
