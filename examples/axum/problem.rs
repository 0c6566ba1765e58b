//! Errors as `application/problem+json` (RFC 9457), in the same form as the layer's own responses.

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    reason: &'a str,
}

pub(crate) fn problem(status: StatusCode, title: &str, reason: &str) -> Response {
    let body = Body {
        kind: "about:blank",
        title,
        status: status.as_u16(),
        reason,
    };
    let mut response = (status, Json(body)).into_response();
    let headers = response.headers_mut();
    let json = HeaderValue::from_static("application/problem+json");
    headers.insert(CONTENT_TYPE, json);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

pub(crate) fn not_signed_in(reason: &str) -> Response {
    problem(StatusCode::UNAUTHORIZED, "Not signed in", reason)
}
