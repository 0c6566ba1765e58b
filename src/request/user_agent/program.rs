//! Programs that name themselves: `acme-backup/2.1`.

use super::{agent::Agent, in_app::APP, named::Named};

/// The program at the start of a user agent that is none of a browser's.
pub(super) fn find(agent: &Agent<'_>) -> Option<Named> {
    if agent.is_browser_like() {
        return None;
    }
    let first = agent.words().next()?;
    // What Android's own library says for any app.
    if first.name == "Dalvik" {
        return Some(Named::known(APP, None));
    }
    if !(first.is_product() && first.name.bytes().all(is_product_byte)) {
        return None;
    }
    first.named()
}

/// The bytes of a token (RFC 9110 §5.6.2) that names are made of.
fn is_product_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!+-._%".contains(&byte)
}
