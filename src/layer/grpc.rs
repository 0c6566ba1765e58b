//! What gRPC means by a request and by an answer.

use http::{HeaderMap, HeaderName, Method, Response, StatusCode, header::CONTENT_TYPE};

use crate::session::Verdict;

/// Parsed once: the status of every response is looked at.
pub(super) static STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// Cancelled, unknown, deadline exceeded, internal, unavailable, data loss.
const FAILED: [&str; 6] = ["1", "2", "4", "13", "14", "15"];

/// Whether the request is gRPC, which is always POST (not gRPC-Web, whose clients read HTTP statuses).
pub(crate) fn is_grpc(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::POST
        && headers
            .get(CONTENT_TYPE)
            .and_then(|value| value.as_bytes().strip_prefix(b"application/grpc"))
            .is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// Whether the service's answer lets sign-ins and data be stored.
pub(super) fn verdict<B>(response: &Response<B>) -> Verdict {
    // 408 is what a timeout inside the layer answers for a handler that it aborted.
    let failed = response.status().is_server_error()
        || response.status() == StatusCode::REQUEST_TIMEOUT
        || response
            .headers()
            .get(&STATUS)
            .is_some_and(|code| FAILED.iter().any(|failed| code == failed));
    if failed {
        Verdict::OnlyEnds
    } else {
        Verdict::Store
    }
}
