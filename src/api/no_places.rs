//! Without the feature `geoip` no place is known.

use super::location::Location;
use crate::session::SessionInfo;

/// Knows no place.
#[derive(Clone, Debug)]
pub(super) struct Places;

impl Places {
    pub(super) fn unknown() -> Self {
        Self
    }

    #[expect(clippy::unused_self, reason = "as with the feature")]
    pub(super) fn of(&self, _info: &SessionInfo) -> Option<Location> {
        None
    }
}
