//! Real clients: the cookie jar of Python.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{path::Path, process::Command};

use serde_json::{Value, json};

use crate::common::app::App;

/// The output of a Python script of this folder, run against the example.
fn python(script: &str, address: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/example")
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
