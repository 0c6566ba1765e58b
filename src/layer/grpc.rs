//! gRPC requests, and the status of gRPC responses.

use http::{HeaderMap, HeaderName, Method, Response, StatusCode, header::CONTENT_TYPE};

use super::reject::RejectionKind;
use crate::session::Verdict;

/// Parsed once: the status of every response is looked at.
pub(super) static STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Cancelled, unknown, deadline exceeded, internal, unavailable, data loss.
const FAILED: [&str; 6] = ["1", "2", "4", "13", "14", "15"];

/// Whether the request is gRPC, which is always POST (not gRPC-Web, whose clients read HTTP statuses).
pub(super) fn is_grpc(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::POST
        && headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether sign-ins and data are stored after this response of the service.
pub(super) fn verdict<B>(response: &Response<B>) -> Verdict {
    // 408 is what a timeout inside the layer answers for a handler that it aborted.
    let failed = response.status().is_server_error()
        || response.status() == StatusCode::REQUEST_TIMEOUT
        || response
            .headers()
            .iter()
            // A response has few headers: to compare their names costs less than to hash this one.
            .find(|(name, _)| **name == STATUS)
            .is_some_and(|(_, code)| FAILED.iter().any(|failed| code == failed));
    if failed {
        Verdict::OnlyEnds
    } else {
        Verdict::Store
    }
}

/// The status code of a rejection.
pub(super) const fn code(kind: RejectionKind) -> i32 {
    match kind {
        // Permission denied, resource exhausted, internal, unavailable, unauthenticated.
        RejectionKind::Disabled | RejectionKind::NotYours => 7,
        RejectionKind::LimitReached => 8,
        RejectionKind::NoSession
        | RejectionKind::NotRead
        | RejectionKind::NotStored
        | RejectionKind::TooLarge => 13,
        RejectionKind::Unavailable => 14,
        RejectionKind::NoTicket
        | RejectionKind::NotSignedIn
        | RejectionKind::SignInRejected
        | RejectionKind::SignInTooOld
        | RejectionKind::StaleSignIn => 16,
    }
}
