//! The browsers that a test can run in.

use std::{env, path::Path};

use serde_json::json;
use thirtyfour::{Capabilities, ChromeCapabilities, ChromiumLikeCapabilities, DesiredCapabilities};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Engine {
    Chromium,
    Firefox,
}

impl Engine {
    /// That of `TEST_BROWSER`, which `scripts/firefox` sets.
    pub(super) fn from_env() -> Self {
        match env::var("TEST_BROWSER").as_deref() {
            Err(_) | Ok("chromium") => Self::Chromium,
            Ok("firefox") => Self::Firefox,
            Ok(other) => panic!("TEST_BROWSER is chromium or firefox, and not {other}"),
        }
    }

    /// A browser as users have it, but without windows.
    pub(super) fn capabilities(self, profile: &Path) -> Capabilities {
        match self {
            Self::Chromium => {
                let mut chrome = chromium();
                let switch = format!("--user-data-dir={}", profile.display());
                chrome.add_arg(&switch).unwrap();
                chrome.into()
            }
            Self::Firefox => firefox(profile),
        }
    }
}

/// Chromium without windows: the same engine, network and cookies, for a third of the CPU. It does not prefetch what a
/// page's rules ask for.
const SHELL: &str = "/usr/lib/chromium/chromium-headless-shell";

pub(super) fn shell() -> Option<Capabilities> {
    (Engine::from_env() == Engine::Chromium && Path::new(SHELL).exists()).then(|| {
        let mut chrome = chromium();
        chrome.set_binary(SHELL).unwrap();
        chrome.into()
    })
}

fn chromium() -> ChromeCapabilities {
    let mut chrome = DesiredCapabilities::chrome();
    for switch in [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--hide-scrollbars",
        "--no-proxy-server",
    ] {
        chrome.add_arg(switch).unwrap();
    }
    chrome
}

fn firefox(profile: &Path) -> Capabilities {
    let options = json!({
        "args": ["-headless", "-profile", profile],
        "prefs": { "network.proxy.type": 0 },
    });
    let mut all = Capabilities::new();
    all.set("browserName", "firefox").unwrap();
    all.set("moz:firefoxOptions", options).unwrap();
    all
}
