//! Browsers that woothee does not know or names in another way.

use super::{agent::Agent, named::Named};

/// Browsers by a word in their user agent; of two, the upper row is the more exact.
const BROWSERS: &[(&str, &str)] = &[
    ("EdgA", "Edge"),
    ("EdgiOS", "Edge"),
    ("Edg", "Edge"),
    ("Edge", "Edge"),
    ("OPR", "Opera"),
    ("OPT", "Opera"),
    ("OPX", "Opera GX"),
    ("OPiOS", "Opera Mini"),
    ("SamsungBrowser", "Samsung Internet"),
    ("YaBrowser", "Yandex Browser"),
    ("Vivaldi", "Vivaldi"),
    ("DuckDuckGo", "DuckDuckGo"),
    ("Ddg", "DuckDuckGo"),
    ("Brave", "Brave"),
    ("UCBrowser", "UC Browser"),
    ("XiaoMi", "Mi Browser"),
    ("HuaweiBrowser", "Huawei Browser"),
    ("HeyTapBrowser", "HeyTap Browser"),
    ("VivoBrowser", "Vivo Browser"),
    ("MQQBrowser", "QQ Browser"),
    ("QQBrowser", "QQ Browser"),
    ("OculusBrowser", "Meta Quest Browser"),
    ("Silk", "Silk"),
    ("Whale", "Whale"),
    ("coc_coc_browser", "Cốc Cốc"),
    ("Ecosia", "Ecosia"),
    ("AlohaBrowser", "Aloha"),
    ("Puffin", "Puffin"),
    ("Maxthon", "Maxthon"),
    ("Klar", "Firefox Klar"),
    ("Focus", "Firefox Focus"),
    ("FxiOS", "Firefox"),
    ("SeaMonkey", "SeaMonkey"),
    ("PaleMoon", "Pale Moon"),
    ("Waterfox", "Waterfox"),
    ("LibreWolf", "LibreWolf"),
    ("Epiphany", "GNOME Web"),
    ("Falkon", "Falkon"),
    ("CriOS", "Chrome"),
];

/// The browser that this is.
pub(super) fn find(agent: &Agent<'_>) -> Option<Named> {
    if agent.has("Opera Mini/") {
        return Some(Named::known("Opera Mini", None));
    }
    let named = agent.listed(BROWSERS)?;
    if named.name == "DuckDuckGo" {
        // It sends the version of the engine.
        return Some(named.unversioned());
    }
    Some(named)
}
