//! The responses of the device API.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS},
};
use serde::Serialize;

use super::{body::DeviceBody, current::CurrentSession, entry::Entry, places::Places};
use crate::{
    layer::{Rejection, mistake, problem},
    session::{Session, SessionInfo, UserSessionsError},
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

/// The session's times; a session that is not stored has no user either.
pub(super) fn current(session: &Session) -> Answer {
    CurrentSession::of(session).map_or_else(|| not_signed_in(session), |current| json(&current))
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

/// With why the session ended, if it did.
pub(super) fn not_signed_in(session: &Session) -> Answer {
    rejected(Rejection::not_signed_in(session.ended()))
}

/// The user has to prove again who they are before they end sessions.
pub(super) fn stale(within: Duration) -> Answer {
    rejected(Rejection::stale(within))
}

pub(super) fn foreign_origin() -> Answer {
    mistake::foreign_origin("DeviceApi");
    let title = "Request from another origin";
    refuse(StatusCode::FORBIDDEN, title, "foreign_origin")
}

/// Another user's session and an unknown one get the same answer.
pub(super) fn not_yours() -> Answer {
    failed(UserSessionsError::Unknown)
}

pub(super) fn failed(error: UserSessionsError) -> Answer {
    rejected(error.into())
}

pub(super) fn rejected(rejection: Rejection) -> Answer {
    rejection.into_problem(DeviceBody::new)
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
    headers.insert(X_CONTENT_TYPE_OPTIONS, problem::NOSNIFF);
    answer
}
