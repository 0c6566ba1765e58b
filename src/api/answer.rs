//! The device API's answers.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE},
};
use serde::Serialize;

use super::{body::DeviceBody, entry::Entry, places::Places};
use crate::{
    layer::{Rejection, problem},
    session::{SessionInfo, UserSessionsError},
};

type Answer = Response<DeviceBody>;

#[derive(Serialize)]
struct List {
    sessions: Vec<Entry>,
}

#[derive(Serialize)]
struct Success {
    success: bool,
}

#[derive(Serialize)]
struct OthersEnded {
    message: &'static str,
    ended: usize,
}

pub(super) fn list(sessions: &[SessionInfo], places: &Places) -> Answer {
    let entry = |info| Entry::new(info, places);
    json(&List {
        sessions: sessions.iter().map(entry).collect(),
    })
}

pub(super) fn success() -> Answer {
    json(&Success { success: true })
}

pub(super) fn others_ended(ended: usize) -> Answer {
    json(&OthersEnded {
        message: "All other sessions logged out",
        ended,
    })
}

pub(super) fn method_not_allowed(allow: &'static str) -> Answer {
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let mut answer = refuse(status, "Method not allowed", "method_not_allowed");
    let allow = HeaderValue::from_static(allow);
    answer.headers_mut().insert(ALLOW, allow);
    answer
}

pub(super) fn not_found() -> Answer {
    refuse(StatusCode::NOT_FOUND, "Not found", "not_found")
}

/// Without the reason of a session that ended: a request in the background would take it away from the
/// page that shows it.
pub(super) fn not_signed_in() -> Answer {
    Rejection::not_signed_in(None).into_problem(DeviceBody::new)
}

/// A session ends only for whoever proved who they are not long ago.
pub(super) fn stale(within: Duration) -> Answer {
    Rejection::stale(within).into_problem(DeviceBody::new)
}

pub(super) fn foreign_origin() -> Answer {
    let title = "Request from another origin";
    refuse(StatusCode::FORBIDDEN, title, "foreign_origin")
}

/// Somebody else's session and none at all are the same.
pub(super) fn not_yours() -> Answer {
    refuse(StatusCode::FORBIDDEN, "Not your session", "not_yours")
}

pub(super) fn unavailable() -> Answer {
    Rejection::unavailable().into_problem(DeviceBody::new)
}

pub(super) fn misconfigured() -> Answer {
    let status = StatusCode::INTERNAL_SERVER_ERROR;
    refuse(status, "Internal server error", "no_session_layer")
}

pub(super) fn failed(error: &UserSessionsError) -> Answer {
    match error {
        UserSessionsError::CallerEnded => not_signed_in(),
        UserSessionsError::Store(error) => {
            tracing::warn!(
                error = error as &dyn std::error::Error,
                kind = ?error.kind(),
                "device api without its store"
            );
            unavailable()
        }
        UserSessionsError::Unknown => not_yours(),
    }
}

fn refuse(status: StatusCode, title: &str, reason: &str) -> Answer {
    let body = problem::body(status, title, reason, problem::Details::default());
    answer(status, problem::CONTENT_TYPE, DeviceBody::new(body))
}

fn json<T: Serialize>(value: &T) -> Answer {
    // Text, numbers and flags are always JSON.
    let body = serde_json::to_vec(value).unwrap_or_default();
    answer(StatusCode::OK, "application/json", DeviceBody::new(body))
}

fn answer(status: StatusCode, content_type: &'static str, body: DeviceBody) -> Answer {
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
