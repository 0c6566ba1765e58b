//! Problem documents (RFC 9457), for the layer's own responses.

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use serde::Serialize;

use crate::{
    model::EndNotice,
    request::{NAMED, label},
    session::SessionInfo,
};

/// The media type of a problem.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// Browsers take a problem for nothing but its media type.
pub(crate) const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");

/// What a problem says besides its status.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Details {
    /// What to change in the app, in debug builds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    #[serde(flatten)]
    pub(crate) ended: Option<EndDetails>,
    /// How old a sign-in may be, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_age: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ticket: Option<String>,
    /// The sessions of which the user ends one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) sessions: Vec<Chosen>,
}

/// When, by which session and on which device a session was ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct EndDetails {
    ended_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_device: Option<String>,
}

/// A session that may be chosen to end.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Chosen {
    id: String,
    created_at: String,
    last_activity: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    device: Option<String>,
}

impl From<&EndNotice> for EndDetails {
    fn from(notice: &EndNotice) -> Self {
        Self {
            ended_at: notice.ended_at.to_string(),
            by: notice.by.map(|by| by.to_string()),
            by_device: notice.by_client().and_then(|by| label(by, NAMED)),
        }
    }
}

impl From<&SessionInfo> for Chosen {
    fn from(info: &SessionInfo) -> Self {
        Self {
            id: info.id().to_string(),
            created_at: info.created_at().to_string(),
            last_activity: info.last_activity().to_string(),
            device: label(info.client(), NAMED),
        }
    }
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    reason: &'a str,
    #[serde(flatten)]
    details: Details,
}

/// Writes `{"type":"about:blank","title":…,"status":…,"reason":…}` and the details.
pub(crate) fn body(status: StatusCode, title: &str, reason: &str, details: Details) -> Bytes {
    let body = Body {
        kind: "about:blank",
        title,
        status: status.as_u16(),
        reason,
        details,
    };
    // Text and numbers are always JSON.
    serde_json::to_vec(&body).unwrap_or_default().into()
}
