//! Pages that an app displays.

use super::{agent::Agent, named::Named, platform::is_ipad};

/// An app that does not send its name.
pub(super) const APP: &str = "App";

/// Apps by a word in their user agent; of two, the upper row is the more exact.
const APPS: &[(&str, &str)] = &[
    ("Instagram", "Instagram"),
    ("Barcelona", "Threads"),
    ("BytedanceWebview", "TikTok"),
    ("TikTok", "TikTok"),
    ("WhatsApp", "WhatsApp"),
    ("MicroMessenger", "WeChat"),
    ("Line", "LINE"),
    ("KAKAOTALK", "KakaoTalk"),
    ("NAVER", "Naver"),
    ("Snapchat", "Snapchat"),
    ("LinkedInApp", "LinkedIn"),
    ("Pinterest", "Pinterest"),
    ("Telegram-Android", "Telegram"),
    ("TwitterAndroid", "X"),
    ("Twitter", "X"),
    ("AlipayClient", "Alipay"),
    ("BingSapphire", "Bing"),
    ("baiduboxapp", "Baidu"),
    ("discord", "Discord"),
    ("GSA", "Google app"),
    ("FB_IAB", "Facebook"),
    ("FBAN", "Facebook"),
    ("FBAV", "Facebook"),
];

/// How `TikTok` names itself, with its version in the same word.
const TIKTOK: [&str; 2] = ["musical_ly_", "trill_"];

/// What distinguishes Messenger from Facebook.
const MESSENGER: [&str; 3] = ["FBAN/Messenger", "FB_IAB/MESSENGER", "FB_IAB/Orca"];

/// The app that displays the page.
pub(super) fn find(agent: &Agent<'_>) -> Option<Named> {
    if agent.has_any(&TIKTOK) {
        return Some(Named::known("TikTok", None));
    }
    if agent.has_any(&MESSENGER) {
        return Some(Named::known("Messenger", None));
    }
    agent.listed(APPS)
}

/// An unknown app, if this is an embedded browser.
pub(super) fn view(agent: &Agent<'_>) -> Option<Named> {
    let android = agent.has("; wv)");
    let electron = agent.has(" Electron/");
    // Safari itself ends in `Safari/`; other views on iPhones and iPads do not.
    let ios = (agent.has("like Mac OS X) AppleWebKit/") || is_ipad(agent)) && !agent.has("Safari/");
    if !(android || electron || ios) {
        return None;
    }
    agent
        .own_product()
        .or_else(|| Some(Named::known(APP, None)))
}
