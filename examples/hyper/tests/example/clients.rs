//! Real clients: curl by both versions of HTTP.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;

use tempfile::NamedTempFile;

use crate::common::{
    app::App,
    curl::{Answer, Curl},
};

const HTTP1: &str = "--http1.1";
const HTTP2: &str = "--http2-prior-knowledge";

/// Sends a request over one version of HTTP, and checks that this version was used.
fn ask(curl: &Curl, version: &str, method: &str, url: &str) -> Answer {
    let answer = curl.run(&[version, "-X", method], url);
    let line = if version == HTTP2 {
        "HTTP/2 "
    } else {
        "HTTP/1.1 "
    };
    assert!(answer.head.starts_with(line), "{}", answer.head);
    answer
}

#[test]
fn curl_signs_in_lists_devices_and_signs_out_over_each_version_of_http() {
    let app = App::start(&[]);
    for version in [HTTP1, HTTP2] {
        let curl = Curl::with_agent("curl/8");

        let signed_in = ask(&curl, version, "POST", &app.url("/login?alice"));
        let greeting = ask(&curl, version, "GET", &app.url("/"));
        let list = ask(&curl, version, "GET", &app.url("/sessions")).json();
        let token = curl.token();
        let signed_out = ask(&curl, version, "POST", &app.url("/logout"));

        assert_eq!((signed_in.status, signed_out.status), (204, 204));
        assert_eq!(greeting.body, "Hello alice\n");
        assert_eq!(list["sessions"].as_array().unwrap().len(), 1, "{version}");
        assert_eq!(list["sessions"][0]["current"], true);
        assert!(token.is_some() && curl.token().is_none(), "{version}");
        let afterwards = ask(&curl, version, "GET", &app.url("/"));
        assert_eq!(afterwards.body, "Hello guest\n");
    }
}

// T10
#[test]
fn several_cookie_headers_of_curl_are_read_over_each_version_of_http() {
    let app = App::start(&[]);
    let browser = Curl::with_agent("curl/8");
    ask(&browser, HTTP1, "POST", &app.url("/login?alice"));
    let ours = format!("Cookie: __Host-session={}", browser.token().unwrap());
    for version in [HTTP1, HTTP2] {
        let sent = NamedTempFile::new().unwrap();
        let cookies = ["-H", "Cookie: a=1", "-H", &ours, "-H", "Cookie: b=2"];
        let trace = ["-v", "--stderr", sent.path().to_str().unwrap(), version];

        let greeting =
            Curl::with_agent("curl/8").run(&[&trace[..], &cookies].concat(), &app.url("/"));

        let sent = fs::read_to_string(sent.path()).unwrap().to_lowercase();
        let headers = sent.lines().filter(|line| line.starts_with("> cookie:"));
        assert_eq!(headers.count(), 3, "{sent}");
        assert_eq!(greeting.body, "Hello alice\n", "{version}");
    }
}
