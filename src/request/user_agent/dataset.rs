//! The user agents that woothee knows.

use woothee::{parser::Parser, woothee::VALUE_UNKNOWN};

use super::{in_app::APP, kind::DeviceKind, named::Named};

/// What woothee finds in a user agent.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) named: Option<Named>,
    pub(super) kind: DeviceKind,
}

/// Looks a user agent up.
pub(super) fn look_up(text: &str) -> Option<Entry> {
    let found = Parser::new().parse(text)?;
    let kind = match found.category {
        "crawler" => DeviceKind::Bot,
        "misc" => DeviceKind::Tool,
        "mobilephone" | "smartphone" => DeviceKind::Mobile,
        "pc" => DeviceKind::Desktop,
        _ => DeviceKind::Other,
    };
    let named = match found.name {
        VALUE_UNKNOWN => None,
        "misc crawler" => Some(Named::known("Bot", None)),
        "Webview" => Some(Named::known(APP, None)),
        name => Named::sent(name, Some(found.version)),
    };
    Some(Entry { named, kind })
}
