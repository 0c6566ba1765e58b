//! `local_path`: a path of this origin, and nothing else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use tower_user_sessions::local_path;
use url::Url;

const ACCEPTED: [&str; 20] = [
    "/",
    "/orders",
    "/orders/",
    "/orders?page=2",
    "/orders?page=2&sort=date#last",
    "/#top",
    "/?",
    "/a//b",
    "/a/.hidden/..b/c.",
    "/caf%C3%A9",
    "/files/a%2Fb",
    "/100%25",
    "/search?q=a%20b+c",
    "/search?q=50%",
    "/go?to=https://other.example/",
    "/go?to=//other.example/",
    "/go#//other.example/",
    "/@evil.example",
    "/a:b@c",
    "/;//evil.example",
];

const REFUSED: [&str; 60] = [
    // Not a path.
    "",
    "orders",
    "?next=/",
    "#top",
    ".",
    "./orders",
    "../orders",
    " /orders",
    "/orders ",
    "evil.example",
    "@evil.example",
    // Another origin, or another scheme.
    "http://evil.example",
    "https://evil.example/orders",
    "HTTPS:evil.example",
    "https:/evil.example",
    "https:evil.example",
    "ftp://evil.example",
    "javascript:alert(1)",
    "data:text/html,x",
    "//evil.example",
    "///evil.example",
    "////evil.example",
    "//evil.example/..",
    // Browsers read `\` as `/`.
    r"/\evil.example",
    r"\/evil.example",
    r"\\evil.example",
    r"/\/evil.example",
    r"/orders\..\..",
    r"/orders?q=\",
    // Browsers drop tabs and line breaks.
    "/\t/evil.example",
    "/\n/evil.example",
    "/\r/evil.example",
    "\t//evil.example",
    "\n//evil.example",
    "/\0/evil.example",
    "/orders\r\nSet-Cookie: a=b",
    "/orders\u{7f}",
    // The same, percent-encoded, once and twice.
    "/%2f/evil.example",
    "/%2F/evil.example",
    "/orders%250d%250aSet-Cookie:a=b",
    "/%2fevil.example",
    "/%5cevil.example",
    "/%5Cevil.example",
    "/%09/evil.example",
    "/orders%0d%0aSet-Cookie:%20a=b",
    "/orders?a=%0D%0Ab",
    "/%00",
    "/%252fevil.example",
    "/%255cevil.example",
    // Most programs leave a `%` that encodes nothing as it is, and decode the rest.
    "/%255cevil.example/%25",
    "/%252f/evil.example%25zz",
    "/a/%252e%252e/%25",
    "/%zz",
    "/100%",
    // Segments that a program further in may resolve to `//evil.example`.
    "/.//evil.example",
    "/..//evil.example",
    "/a/..//evil.example",
    "/%2e%2e//evil.example",
    "/orders/./x",
    // Browsers send these percent-encoded.
    "/caf\u{e9}",
];

/// The host that a browser goes to from a page of the app.
fn host_of(text: &str) -> Option<String> {
    let page = Url::parse("https://app.example/login").unwrap();
    let url = page.join(text).ok()?;
    (url.scheme() == "https").then(|| url.host_str().unwrap().to_owned())
}

#[test]
fn a_path_of_this_origin_comes_back_and_a_browser_stays_on_the_host() {
    for path in ACCEPTED {
        assert_eq!(local_path(path), Some(path), "{path}");
        assert_eq!(host_of(path).as_deref(), Some("app.example"), "{path}");
    }
}

#[test]
fn everything_else_is_refused() {
    for text in REFUSED {
        assert_eq!(local_path(text), None, "{text:?}");
    }
}

/// Of what is refused, these are not merely odd: a browser would leave.
#[test]
fn what_a_browser_would_leave_the_host_for_is_among_the_refused() {
    let leaves = |text: &&&str| host_of(text).as_deref() != Some("app.example");

    let leaving: Vec<&&str> = REFUSED.iter().filter(leaves).collect();
    assert!(leaving.len() >= 15, "{leaving:?}");
}

/// Every short text of the characters that matter: what is accepted keeps the host, also after one
/// more decoding, and when a program takes the URL apart and puts the path together again.
#[test]
fn no_short_text_that_is_accepted_leads_to_another_host() {
    let pieces = [
        "/", "\\", ".", "e", ":", "@", "?", "#", "\t", " ", "%2f", "%5c", "%2e", "%09", "%252f",
    ];
    let mut texts = vec![String::new()];
    let mut accepted = 0;
    for _length in 0..5 {
        texts = texts
            .iter()
            .flat_map(|text| pieces.map(|piece| format!("{text}{piece}")))
            .collect();
        for text in &texts {
            let Some(path) = local_path(text) else {
                continue;
            };
            accepted += 1;
            let only_path = path.split(['?', '#']).next().unwrap();
            let decoded = only_path
                .replace("%2f", "/")
                .replace("%5c", "\\")
                .replace("%2e", ".")
                .replace("%25", "%");
            let joined = Url::parse("https://app.example")
                .unwrap()
                .join(path)
                .unwrap();
            for again in [path, &decoded, joined.path()] {
                assert_eq!(host_of(again).as_deref(), Some("app.example"), "{text:?}");
            }
        }
    }
    assert!(accepted > 1_000, "{accepted}");
}
