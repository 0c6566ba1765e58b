//! Clients of other projects work with the sessions: curl over both versions of HTTP, Python's
//! cookie jar, Python's grpcio with reflection. Browsers have their own test files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::{fs, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::NamedTempFile;

use self::common::{
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

/// The output of a Python script of this folder, run against the example.
fn python(script: &str, address: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/clients")
        .join(script);
    let output = Command::new("python3")
        .arg(script)
        .arg(address)
        .output()
        .unwrap_or_else(|error| panic!("python3: {error} (apt-get install python3)"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        !errors.contains("ModuleNotFoundError"),
        "{errors}\ntests/run installs it; or `pip install grpcio grpcio-reflection protobuf`, \
         and let PYTHONPATH name the folder if you chose one"
    );
    assert!(output.status.success(), "{errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn curl_signs_in_lists_devices_and_signs_out_over_each_version_of_http() {
    let app = App::start_example("hyper");
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
    let app = App::start_example("hyper");
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

#[test]
fn a_cookie_jar_of_python_keeps_an_insecure_cookie_from_sign_in_to_sign_out() {
    let app = App::start(&[("COOKIE", "insecure")]);

    let seen = python("cookiejar.py", &app.url(""));

    assert_eq!(seen["login"], json!([200, {"success": true}]));
    assert_eq!(seen["cookies"], json!(["session"]));
    assert_eq!(seen["me"][0], 200);
    assert_eq!(seen["me"][1]["user"], "alice");
    assert_eq!(seen["logout"], json!([200, {"success": true}]));
    assert_eq!(seen["cookies_afterwards"], json!([]));
    assert_eq!(seen["me_afterwards"][0], 401);
    assert_eq!(seen["me_afterwards"][1]["reason"], "not_signed_in");
}

#[test]
fn a_cart_that_a_cookie_jar_of_python_filled_as_a_guest_is_kept_at_sign_in() {
    let app = App::start(&[("COOKIE", "insecure")]);

    let seen = python("cookiejar.py", &app.url(""));

    assert_eq!(seen["cart_of_a_guest"], json!([200, {"cart": ["apple"]}]));
    assert_eq!(seen["cart"], json!([200, {"cart": ["apple"]}]));
}

// T6
#[test]
fn a_cookie_jar_of_python_sends_no_secure_cookie_over_http() {
    let app = App::start(&[]);

    let seen = python("cookiejar.py", &app.url(""));

    assert_eq!(seen["cookies"], json!(["__Host-session"]));
    assert_eq!(seen["me"][0], 401);
}

#[test]
fn grpcio_finds_the_services_through_both_versions_of_reflection() {
    let app = App::start_example("tonic");

    let seen = python("grpcio.py", &format!("127.0.0.1:{}", app.port()));

    for version in ["v1alpha", "v1"] {
        let services = seen["services"][version].as_array().unwrap();
        for name in ["devices.v1.Devices", "devices.v1.SignIn"] {
            assert!(services.contains(&json!(name)), "{version}: {services:?}");
        }
    }
}

#[test]
fn grpcio_signs_in_lists_its_devices_and_ends_one() {
    let app = App::start_example("tonic");

    let seen = python("grpcio.py", &format!("127.0.0.1:{}", app.port()));

    let alice = json!({"user": "alice"});
    assert_eq!(seen["guest"], json!(["UNAUTHENTICATED", "not_signed_in"]));
    assert_eq!(seen["wrong"][0], "UNAUTHENTICATED");
    assert_eq!(seen["tokens"][0].as_str().unwrap().len(), 64);
    assert_ne!(seen["tokens"][0], seen["tokens"][1]);
    assert_eq!(seen["who"], json!([alice, alice]));
    let devices = seen["list"]["devices"].as_array().unwrap();
    assert_eq!(devices.len(), 2);
    for (name, current) in [
        ("laptop/1.0 grpc-python/", true),
        ("phone/1.0 grpc-python/", false),
    ] {
        let device = devices.iter().find(|device| {
            let agent = device["user_agent"].as_str().unwrap();
            agent.starts_with(name)
        });
        let device = device.unwrap_or_else(|| panic!("no {name} in {devices:?}"));
        assert_eq!(device["current"].as_bool().unwrap_or_default(), current);
        assert_eq!(device["address"], "127.0.0.1");
    }
    assert_eq!(seen["end"], json!({}));
    assert_eq!(
        seen["phone_afterwards"],
        json!(["UNAUTHENTICATED", "revoked"])
    );
    assert_eq!(seen["laptop_afterwards"], alice);
    assert_eq!(seen["logout"], json!({}));
    assert_eq!(seen["nobody"][0], "UNAUTHENTICATED");
}
