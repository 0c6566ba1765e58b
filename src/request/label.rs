//! The label of a client.

use super::Device;
use crate::model::Client;

/// "Firefox 145 on Windows" in the words of this text, if anything is known of it.
pub(crate) fn label(client: &Client, text: &str) -> Option<String> {
    Device::of(client).label_as(text)
}

/// Browser and system, without their versions.
pub(crate) fn product(client: &Client) -> String {
    // Hints are left out: the same browser sends them to https only.
    let agent = client.user_agent().map(str::as_bytes);
    let device = Device::of(&Client::new().with_user_agent(agent));
    match (device.browser(), device.os()) {
        (None, None) => client.user_agent().unwrap_or_default().to_owned(),
        (browser, os) => format!("{browser:?} {os:?}"),
    }
}
