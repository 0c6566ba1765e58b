//! Without the feature `device`, clients have no label.

use crate::model::Client;

pub(crate) fn label(_client: &Client, _text: &str) -> Option<String> {
    None
}

/// The user agent without the digits of its versions.
pub(crate) fn product(client: &Client) -> String {
    let agent = client.user_agent().unwrap_or_default();
    let version = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '_');
    agent.replace(version, "")
}
