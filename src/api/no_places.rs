//! Without the feature `geoip` no place is known.

use std::net::IpAddr;

use super::location::Location;

/// Knows no place.
#[derive(Clone, Debug)]
pub(super) struct Places;

impl Places {
    pub(super) fn unknown() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn of(&self, _address: Option<IpAddr>) -> Option<Location> {
        None
    }
}
