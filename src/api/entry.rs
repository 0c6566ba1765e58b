//! One session in the device API's list.

use serde::Serialize;

use super::{described::Described, location::Location, places::Places};
use crate::session::SessionInfo;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Entry {
    id: String,
    device: Described,
    location: Option<Location>,
    ip_address: Option<String>,
    created_at: String,
    last_activity: String,
    /// When it ends at the latest.
    expires_at: String,
    /// The client of the last request, if it is another one.
    last_seen: Option<LastSeen>,
    current: bool,
    /// Only for sessions that do not count against the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<bool>,
}

/// Another client than the one that signed in.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LastSeen {
    device: Described,
    location: Option<Location>,
    ip_address: Option<String>,
}

impl Entry {
    pub(super) fn new(info: &SessionInfo, places: &Places) -> Self {
        Self {
            id: info.id().to_string(),
            device: Described::of(info),
            location: places.of(info.address()),
            ip_address: info.address().map(|address| address.to_string()),
            created_at: info.created_at().to_string(),
            last_activity: info.last_activity().to_string(),
            expires_at: info.expires_at().to_string(),
            last_seen: info.is_elsewhere().then(|| LastSeen {
                device: Described::last(info),
                location: places.of(info.last_address()),
                ip_address: info.last_address().map(|address| address.to_string()),
            }),
            current: info.is_current(),
            counts: (!info.counts()).then_some(false),
        }
    }
}
