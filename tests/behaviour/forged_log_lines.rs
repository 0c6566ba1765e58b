//! No text that a client or a setting sends forges a line of the log.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::{HeaderName, HeaderValue};
use tower_user_sessions::{ClientIp, RequireUser, SessionLayer};

use crate::{
    common::{
        hostile::STRINGS,
        http::{Client, store},
        log::Log,
    },
    hostile::READ,
};

// T68
#[tokio::test]
async fn a_user_id_with_a_line_break_and_an_escape_forges_none() {
    let log = Log::start();
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let name = "eve\n2026-01-01T00:00:00Z ERROR forged\r\u{1b}[31m\u{202e}\"";

    Client::signed_in(&layer, name).await;

    let text = log.text();
    assert!(
        !text
            .lines()
            .any(|line| line.starts_with("2026-01-01T00:00:00Z")),
        "{text}"
    );
    assert!(!text.contains(['\r', '\u{1b}', '\u{202e}']), "{text:?}");
    let lines = log.at("tower_user_sessions::audit");
    let escaped = "user=eve\\n2026-01-01T00:00:00Z ERROR forged\\r\\u{1b}[31m\\u{202e}\\\"";
    assert!(lines[0].contains(escaped), "{text}");
}

// T68
#[tokio::test]
async fn no_header_and_no_text_of_a_setting_forges_one() {
    let log = Log::start();
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let layer = layer.client_ip(ClientIp::RightmostXForwardedFor);
    // A header can have no line break, but what some programs take for one.
    let breaks = "next\u{85}2026-01-01T00:00:00Z ERROR forged\u{2028}\u{202e}";
    for text in STRINGS.iter().copied().chain([breaks]) {
        let mut client = Client::new(&layer);
        for name in READ {
            let value = HeaderValue::from_bytes(text.as_bytes()).unwrap();
            client.headers.insert(HeaderName::from_static(name), value);
        }
        for end in ["1", "2"] {
            let cookie = format!("__Host-session={text}{end}");
            let cookie = HeaderValue::from_bytes(cookie.as_bytes()).unwrap();
            client.headers.append("cookie", cookie);
            client.log_in("alice").await;
        }
        client.user().await;
    }
    for text in STRINGS
        .iter()
        .copied()
        .chain(["next\n2026-01-01T00:00:00Z ERROR forged\r"])
    {
        let _guard = RequireUser::new()
            .redirect_to("/login")
            .remember_target(text);
        let _layer = layer.clone().countdown_path(text);
    }

    let text = log.text();
    assert!(!log.at("WARN").is_empty() && log.at("ERROR").len() > STRINGS.len());
    let whole = |line: &str| line.starts_with("20") && line.contains(" tower_user_sessions::");
    let forged: Vec<&str> = text.lines().filter(|line| !whole(line)).collect();
    assert_eq!(forged, [""; 0]);
    assert!(!text.contains(['\r', '\u{85}', '\u{2028}', '\u{202e}']));
}
