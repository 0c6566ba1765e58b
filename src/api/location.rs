//! Where a device is, as the device API writes it.

use serde::Serialize;

/// City and country of an address, if they are known.
#[derive(Serialize)]
pub(super) struct Location {
    pub(super) city: Option<String>,
    pub(super) country: Option<String>,
}
