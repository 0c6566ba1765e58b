//! What people call a client.

use super::Device;
use crate::model::Client;

/// "Firefox 145 on Windows", if anything is known of it.
pub(crate) fn label(client: &Client) -> Option<String> {
    let known = client.user_agent().is_some() || client.hints().is_some();
    known.then(|| Device::of(client).label())
}
