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
    current: bool,
    /// Only for sessions that do not count against the limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<bool>,
}

impl Entry {
    pub(super) fn new(info: &SessionInfo, places: &Places) -> Self {
        Self {
            id: info.id().to_string(),
            device: Described::of(info),
            location: places.of(info),
            ip_address: info.address().map(|address| address.to_string()),
            created_at: info.created_at().to_string(),
            last_activity: info.last_activity().to_string(),
            current: info.is_current(),
            counts: (!info.counts()).then_some(false),
        }
    }
}
