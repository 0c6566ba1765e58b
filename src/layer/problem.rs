//! Problem details (RFC 9457), for answers of our own.

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

/// The media type of a problem.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    reason: &'a str,
}

/// `{"type":"about:blank","title":…,"status":…,"reason":…}`
pub(crate) fn body(status: StatusCode, title: &str, reason: &str) -> Bytes {
    let body = Body {
        kind: "about:blank",
        title,
        status: status.as_u16(),
        reason,
    };
    // Text and a number are always JSON.
    serde_json::to_vec(&body).unwrap_or_default().into()
}
