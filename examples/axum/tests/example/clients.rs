//! Real clients: the cookie jar of Python.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::json;

use crate::common::{app::App, python::python};

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

    assert_eq!(
        seen["cookies"],
        json!(["__Host-session-guest", "__Host-session"])
    );
    assert_eq!(seen["me"][0], 401);
}
