//! Errors as `application/problem+json` (RFC 9457), in the same form as the layer's own responses.

use std::error::Error;

use axum::{
    Json,
    http::{
        HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
};
use serde::Serialize;
use tower_user_sessions::{CommitError, SessionError, SessionErrorKind, UserSessionsError};

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

/// Why a handler could not do something with its session.
#[derive(Debug)]
pub(crate) enum Failure {
    Commit(CommitError),
    Session(SessionError),
    Sessions(UserSessionsError),
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        match &self {
            Self::Commit(CommitError::Rejected)
            | Self::Sessions(UserSessionsError::CallerEnded) => not_signed_in("not_signed_in"),
            Self::Session(error) if error.kind() == SessionErrorKind::TooLarge => {
                let status = StatusCode::PAYLOAD_TOO_LARGE;
                problem(status, "The session is full", "too_large")
            }
            Self::Commit(CommitError::Store(error))
            | Self::Sessions(UserSessionsError::Store(error)) => {
                tracing::warn!(error = error as &dyn Error, "no store");
                let status = StatusCode::SERVICE_UNAVAILABLE;
                problem(status, "Sessions are unavailable", "unavailable")
            }
            Self::Commit(error) => internal(error),
            Self::Session(error) => internal(error),
            Self::Sessions(error) => internal(error),
        }
    }
}

fn internal(error: &(dyn Error + 'static)) -> Response {
    tracing::error!(error, "request failed");
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    problem(status, "Internal server error", "internal")
}

impl From<CommitError> for Failure {
    fn from(error: CommitError) -> Self {
        Self::Commit(error)
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Self {
        Self::Session(error)
    }
}

impl From<UserSessionsError> for Failure {
    fn from(error: UserSessionsError) -> Self {
        Self::Sessions(error)
    }
}
