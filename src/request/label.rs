//! The label of a client.

use super::Device;
use crate::model::Client;

/// "Firefox 145 on Windows", if anything is known of it.
pub(crate) fn label(client: &Client) -> Option<String> {
    let device = Device::of(client);
    let known = device.browser().is_some() || device.os().is_some();
    known.then(|| device.label())
}
