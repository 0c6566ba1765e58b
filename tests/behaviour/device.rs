//! How devices are named for users: from client hints first, then from the user agent.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;
use tower_user_sessions::{Client, Device, DeviceKind, Hints};

const WINDOWS_CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 \
                              (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const ANDROID_CHROME: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like \
                              Gecko) Chrome/142.0.0.0 Mobile Safari/537.36";
const CHROME_BRANDS: &str = r#""Chromium";v="142", "Google Chrome";v="142", "Not_A Brand";v="99""#;

fn seen(user_agent: &[u8], hints: Hints) -> Device {
    let client = Client::new()
        .with_user_agent(Some(user_agent))
        .with_hints(hints);
    Device::of(&client)
}

fn hints(brands: &str, mobile: &str, platform: &str) -> Hints {
    Hints::new()
        .with_brands(Some(brands.as_bytes()))
        .with_mobile(Some(mobile.as_bytes()))
        .with_platform(Some(platform.as_bytes()))
}

fn text(field: &str) -> Option<&str> {
    (field != "-").then_some(field)
}

// T37
#[test]
fn each_user_agent_of_the_table_gets_the_name_a_person_would_use() {
    let mut wrong = Vec::new();
    let mut rows = 0;
    for line in include_str!("device/user_agents.tsv").lines() {
        if line.starts_with('#') {
            continue;
        }
        let [kind, browser, os, label, user_agent] =
            line.split('\t').collect::<Vec<_>>()[..].try_into().unwrap();

        let device = seen(user_agent.as_bytes(), Hints::new());

        rows += 1;
        let found = (
            device.kind().as_str(),
            device.browser(),
            device.os(),
            &*device.label(),
        );
        let expected = (kind, text(browser), text(os), label);
        if found != expected {
            wrong.push(format!("{user_agent}\n  {found:?}\n  {expected:?}"));
        }
    }
    assert!(rows >= 60, "{rows}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

// T37
#[test]
fn each_set_of_client_hints_gets_the_name_a_person_would_use() {
    let table = [
        (CHROME_BRANDS, "?0", "\"Windows\"", "Chrome 142 on Windows"),
        (CHROME_BRANDS, "?0", "\"macOS\"", "Chrome 142 on macOS"),
        (CHROME_BRANDS, "?0", "\"Linux\"", "Chrome 142 on Linux"),
        (
            CHROME_BRANDS,
            "?0",
            "\"Chrome OS\"",
            "Chrome 142 on ChromeOS",
        ),
        (CHROME_BRANDS, "?1", "\"Android\"", "Chrome on Android"),
        (
            CHROME_BRANDS,
            "?0",
            "\"Android\"",
            "Chrome on Android tablet",
        ),
        (
            r#""Not/A)Brand";v="8", "Chromium";v="126", "Microsoft Edge";v="126""#,
            "?0",
            "\"Windows\"",
            "Edge 126 on Windows",
        ),
        (
            r#""Brave";v="131", "Chromium";v="131", "Not_A Brand";v="24""#,
            "?0",
            "\"Linux\"",
            "Brave 131 on Linux",
        ),
        (
            r#""Chromium";v="130", "Opera";v="115", "Not?A_Brand";v="99""#,
            "?0",
            "\"Windows\"",
            "Opera 115 on Windows",
        ),
        (
            r#""Opera GX";v="114", "Chromium";v="128", "Not;A=Brand";v="24""#,
            "?0",
            "\"Windows\"",
            "Opera GX 114 on Windows",
        ),
        (
            r#""Chromium";v="128", "Not;A=Brand";v="24", "YaBrowser";v="24.10", "Yowser";v="2.5""#,
            "?0",
            "\"Windows\"",
            "Yandex Browser 24 on Windows",
        ),
        (
            r#""Samsung Internet";v="27.0", "Chromium";v="125", "Not.A/Brand";v="24""#,
            "?1",
            "\"Android\"",
            "Samsung Internet on Android",
        ),
        (
            r#""Google Chrome";v="131", "Chromium";v="131", "Vivaldi";v="7.0", "Not_A Brand";v="24""#,
            "?0",
            "\"macOS\"",
            "Vivaldi 7 on macOS",
        ),
        (
            r#""Chromium";v="142", "Not_A Brand";v="99""#,
            "?0",
            "\"Linux\"",
            "Chromium 142 on Linux",
        ),
        (
            r#""Android WebView";v="131", "Chromium";v="131", "Not_A Brand";v="24""#,
            "?1",
            "\"Android\"",
            "App on Android",
        ),
        (
            r#""Microsoft Edge WebView2";v="131", "Chromium";v="131", "Not_A Brand";v="24""#,
            "?0",
            "\"Windows\"",
            "App on Windows",
        ),
        (
            r#""HeadlessChrome";v="142", "Chromium";v="142", "Not_A Brand";v="99""#,
            "?0",
            "\"Linux\"",
            "Headless Chrome",
        ),
        (
            r#""\\Not\"A;Brand";v="99", "Chromium";v="90", "Google Chrome";v="90""#,
            "?0",
            "\"Windows\"",
            "Chrome 90 on Windows",
        ),
    ];
    for (brands, mobile, platform, label) in table {
        let device = seen(b"", hints(brands, mobile, platform));

        assert_eq!(device.label(), label, "{brands}");
    }
}

// T37
#[test]
fn client_hints_win_over_the_user_agent() {
    let brands = r#""Microsoft Edge";v="143", "Chromium";v="143", "Not A(Brand";v="24""#;

    let device = seen(ANDROID_CHROME.as_bytes(), hints(brands, "?0", "\"macOS\""));

    assert_eq!(device.label(), "Edge 143 on macOS");
    assert_eq!(device.kind(), DeviceKind::Desktop);
}

// T37
#[test]
fn the_user_agent_fills_in_what_the_client_hints_leave_out() {
    let only_brands = Hints::new().with_brands(Some(br#""Brave";v="142", "Chromium";v="142""#));
    let only_platform = Hints::new().with_platform(Some(b"\"Windows\""));
    let unknown = hints(r#""Not_A Brand";v="99""#, "?1", "\"Unknown\"");

    assert_eq!(
        seen(WINDOWS_CHROME.as_bytes(), only_brands).label(),
        "Brave 142 on Windows"
    );
    assert_eq!(
        seen(ANDROID_CHROME.as_bytes(), only_platform).label(),
        "Chrome 142 on Windows"
    );
    assert_eq!(
        seen(WINDOWS_CHROME.as_bytes(), unknown).label(),
        "Chrome 142 on Windows"
    );
}

#[test]
fn an_app_in_a_web_view_gets_its_own_name_despite_the_brands() {
    let view = "Mozilla/5.0 (Linux; Android 14; SM-S918B Build/UP1A.231005.007; wv) \
                AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/131.0.6778.81 Mobile \
                Safari/537.36 Instagram 361.0.0.46.88 Android (34/14; 450dpi; 1080x2115)";
    let brands = r#""Android WebView";v="131", "Chromium";v="131", "Not_A Brand";v="24""#;

    let device = seen(view.as_bytes(), hints(brands, "?1", "\"Android\""));

    assert_eq!(device.label(), "Instagram on Android");
}

#[test]
fn a_program_that_drives_a_browser_gets_its_own_name() {
    let bot = format!("{WINDOWS_CHROME} (compatible; AcmeBot/1.0)");

    let device = seen(bot.as_bytes(), hints(CHROME_BRANDS, "?0", "\"Windows\""));

    assert_eq!(device.label(), "AcmeBot");
    assert_eq!(device.kind(), DeviceKind::Bot);
}

#[test]
fn a_client_without_a_user_agent_is_an_unknown_device() {
    let device = Device::of(&Client::new());

    assert_eq!(device.label(), "Unknown device");
    assert_eq!(device.kind(), DeviceKind::Other);
    assert_eq!(
        (device.browser(), device.version(), device.os()),
        (None, None, None)
    );
}

// T37
#[test]
fn hostile_text_makes_a_short_label_of_visible_characters() {
    let long = "Ab/1.0 ".repeat(10_000);
    let one_word = "a".repeat(65_536);
    let hostile = [
        "\u{202e}evil/1.0",
        "ev\u{200b}il\u{2066}/1.0 (iPhone)",
        "a\r\nSet-Cookie: x=y/1",
        "\x1b[31mred/1.0",
        "((((((((((((((((((((((((((((((((/1.0",
        "))))))))))]]]]]]]]Mozilla/5.0",
        "/1.0",
        "//////////",
        "<script>alert(1)</script>/1.0",
        "Mozilla/5.0 (Windows NT 10.0) Chrome/999999999999999999999999999999999999 Safari/1",
        "Mozilla/5.0 (iPhone) ................bot",
        "bot",
        "\u{1f600}bot/1.0",
        "İbot/1.0 ẞbot",
        "%20%20%20/1.0 CFNetwork/1",
        &long,
        &one_word,
    ];
    for text in hostile {
        for brands in ["", text, &format!("\"{text}\";v=\"{text}\"")] {
            let device = seen(text.as_bytes(), hints(brands, text, text));

            assert_harmless(&device.label());
        }
    }
}

// T37
#[test]
fn a_malformed_list_of_brands_is_ignored() {
    for brands in [
        "\"",
        "\"\"",
        "\"a",
        "\"\\",
        "\"a\\\"",
        ";v=\"1\"",
        "Chrome;v=142",
        "\"\";v=\"\"",
        "\";\";v=\"1",
        "\"\u{202e}\";v=\"1\"",
    ] {
        let device = seen(
            WINDOWS_CHROME.as_bytes(),
            hints(brands, "?0", "\"Windows\""),
        );

        assert_eq!(device.label(), "Chrome 142 on Windows", "{brands}");
    }
}

fn assert_harmless(label: &str) {
    assert!(!label.is_empty());
    assert!(label.chars().count() <= 90, "{label}");
    assert!(!label.chars().any(is_hidden), "{label:?}");
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Pieces of user agents in any order, which reach more rules than random text.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(
            &[
                "Mozilla/5.0",
                "(",
                ")",
                "; ",
                " ",
                "/",
                "[",
                "]",
                "iPhone",
                "iPad",
                "Android",
                "Windows NT 10.0",
                "wv",
                "Safari/604.1",
                "Chrome/142.0.0.0",
                "Version/",
                "Firefox/1",
                "like Mac OS X) AppleWebKit/",
                "Electron/1",
                "bot",
                "Opera",
                "MSIE 9.0;",
                "Trident/7.0;",
                "DoCoMo/2.0 ",
                "KDDI-",
                "FBAN/",
                "Line/",
                "curl/",
                "PowerShell/",
                "CFNetwork/",
                "\"",
                "\\",
                ";v=\"",
                "Windows Phone",
                "PSP (PlayStation Portable); ",
                "BB10",
                "\u{202e}",
                "ü",
                "0",
                ".",
            ][..]
        )
        .prop_map(str::to_owned),
        any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    // T37
    #[test]
    fn any_user_agent_and_hints_make_a_harmless_label(
        user_agent in pieces(),
        brands in pieces(),
        platform in pieces(),
    ) {
        let device = seen(user_agent.as_bytes(), hints(&brands, "?1", &platform));

        assert_harmless(&device.label());
    }

    #[test]
    fn any_bytes_make_a_harmless_label(
        user_agent in prop::collection::vec(any::<u8>(), 0..700),
        brands in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let device = seen(&user_agent, Hints::new().with_brands(Some(&brands)));

        assert_harmless(&device.label());
    }
}
