//! The operating system, and the kind of machine that runs it.

use super::{agent::Agent, kind::DeviceKind};
use crate::model::Hints;

/// The operating system, and the kind of machine that runs it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Platform {
    pub(super) os: &'static str,
    /// What a browser runs on, in the label.
    pub(super) on: &'static str,
    pub(super) kind: DeviceKind,
}

const fn desktop(os: &'static str) -> Platform {
    Platform {
        os,
        on: os,
        kind: DeviceKind::Desktop,
    }
}

const fn mobile(os: &'static str, on: &'static str) -> Platform {
    Platform {
        os,
        on,
        kind: DeviceKind::Mobile,
    }
}

const fn tablet(os: &'static str, on: &'static str) -> Platform {
    Platform {
        os,
        on,
        kind: DeviceKind::Tablet,
    }
}

const fn other(os: &'static str, on: &'static str) -> Platform {
    Platform {
        os,
        on,
        kind: DeviceKind::Other,
    }
}

const IPAD: Platform = tablet("iPadOS", "iPad");
const MAC: Platform = desktop("macOS");
const IPHONE: Platform = mobile("iOS", "iPhone");
const ANDROID: Platform = mobile("Android", "Android");
const ANDROID_TABLET: Platform = tablet("Android", "Android tablet");
const ANDROID_TV: Platform = other("Android", "Android TV");

/// Platforms by a part of the user agent. Those above also name those below.
const PLATFORMS: &[(&str, Platform)] = &[
    ("Windows Phone", mobile("Windows Phone", "Windows Phone")),
    ("Xbox", other("Windows", "Xbox")),
    ("PlayStation 5", other("PlayStation", "PlayStation 5")),
    ("PlayStation 4", other("PlayStation", "PlayStation 4")),
    (
        "Nintendo Switch",
        other("Nintendo Switch", "Nintendo Switch"),
    ),
    ("CrKey", other("Chromecast", "Chromecast")),
    ("OculusBrowser", other("Android", "Meta Quest")),
    ("Web0S", other("webOS", "LG TV")),
    ("SMART-TV", other("Tizen", "Samsung TV")),
    ("AppleTV", other("tvOS", "Apple TV")),
    ("Apple TV", other("tvOS", "Apple TV")),
    ("Roku", other("Roku", "Roku")),
    ("iPad", IPAD),
    ("iPhone", IPHONE),
    ("iPod", mobile("iOS", "iPod")),
    ("Android", ANDROID),
    ("Windows", desktop("Windows")),
    ("CrOS", desktop("ChromeOS")),
    ("Macintosh", MAC),
    ("Mac OS X", MAC),
    ("macOS", MAC),
    ("iOS ", mobile("iOS", "iOS")),
    ("CFNetwork/", mobile("iOS", "iOS")),
    ("OpenHarmony", mobile("HarmonyOS", "HarmonyOS")),
    ("HarmonyOS", mobile("HarmonyOS", "HarmonyOS")),
    ("KAIOS", mobile("KaiOS", "KaiOS")),
    ("Tizen", mobile("Tizen", "Tizen")),
    ("FreeBSD", desktop("FreeBSD")),
    ("OpenBSD", desktop("OpenBSD")),
    ("NetBSD", desktop("NetBSD")),
    ("Linux", desktop("Linux")),
    ("linux", desktop("Linux")),
    ("X11", desktop("Linux")),
];

/// What distinguishes a television that runs Android.
const ANDROID_TVS: [&str; 5] = ["Android TV", "GoogleTV", "BRAVIA", "; AFT", " TV "];

/// Products of iPhones and iPads only. An iPad that asks for the sites of computers calls itself `Macintosh`
/// beside them.
const MOBILE_APPLE: [&str; 7] = ["CriOS", "EdgiOS", "FxiOS", "GSA", "Mobile", "OPT", "OPiOS"];

impl Platform {
    /// The platform that the user agent names.
    pub(super) fn of(agent: &Agent<'_>) -> Option<Self> {
        let Some((_, platform)) = PLATFORMS.iter().find(|(part, _)| agent.has(part)) else {
            return whatsapp(agent);
        };
        Some(match *platform {
            ANDROID => android(agent, None),
            MAC if is_ipad(agent) => IPAD,
            platform => platform,
        })
    }

    /// The platform that the hints name.
    pub(super) fn hinted(hints: &Hints, agent: &Agent<'_>) -> Option<Self> {
        let is_mobile = hints.mobile().and_then(|flag| match flag {
            "?1" => Some(true),
            "?0" => Some(false),
            _ => None,
        });
        Some(match hints.platform()?.trim_matches('"') {
            "Android" => android(agent, is_mobile),
            "Chrome OS" | "Chromium OS" => desktop("ChromeOS"),
            "iOS" if is_mobile == Some(false) => IPAD,
            "iOS" => IPHONE,
            "Linux" => desktop("Linux"),
            "macOS" | "Mac OS X" => desktop("macOS"),
            "Windows" => desktop("Windows"),
            _ => return None,
        })
    }
}

/// Whether a program on an iPad sent the user agent of a Mac. Safari itself adds nothing, so it looks
/// like a Mac.
pub(super) fn is_ipad(agent: &Agent<'_>) -> bool {
    agent.has("Macintosh")
        && agent.words().any(|word| {
            !word.comment && word.version.is_some() && MOBILE_APPLE.contains(&word.name)
        })
}

/// A phone, tablet or television; a browser on a phone says `Mobile`, on a tablet it does not.
fn android(agent: &Agent<'_>, is_mobile: Option<bool>) -> Platform {
    if agent.has_any(&ANDROID_TVS) {
        return ANDROID_TV;
    }
    let says_mobile = || {
        // An app's own words have no `Mobile`, and Opera Mini is on phones.
        !agent.text().starts_with("Mozilla/") || agent.has("Mobile") || agent.has("Opera Mini/")
    };
    if is_mobile.unwrap_or_else(says_mobile) {
        ANDROID
    } else {
        ANDROID_TABLET
    }
}

/// `WhatsApp/2.24.20.89 A`: one letter for the platform.
fn whatsapp(agent: &Agent<'_>) -> Option<Platform> {
    let (_, letter) = agent.text().strip_prefix("WhatsApp/")?.split_once(' ')?;
    match letter {
        "A" => Some(ANDROID),
        "i" => Some(IPHONE),
        "W" => Some(desktop("Windows")),
        _ => None,
    }
}
