//! The smaller examples run and do what they say: hyper, composing and tonic. The one in axum has
//! its own test files.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::process::Command;

use crate::common::{
    app::{App, example},
    curl::Curl,
};

// T10
#[test]
fn hyper_serves_one_cookie_jar_over_http1_and_http2() {
    let app = App::start_example("hyper");
    let curl = Curl::with_agent("curl/8");
    assert_eq!(curl.get(&app, "/").body, "Hello guest\n");

    let signed_in = curl.post(&app, "/login?alice");
    let prior = ["--http2-prior-knowledge"];
    let greeting = curl.run(&prior, &app.url("/"));
    let list = curl.run(&prior, &app.url("/sessions")).json();

    assert_eq!(signed_in.status, 204);
    assert!(greeting.head.starts_with("HTTP/2 200"), "{}", greeting.head);
    assert_eq!(greeting.body, "Hello alice\n");
    assert_eq!(list["sessions"][0]["ipAddress"], "127.0.0.1");
    assert_eq!(curl.post(&app, "/logout").status, 204);
    assert_eq!(
        (curl.token(), curl.get(&app, "/").body),
        (None, "Hello guest\n".to_owned())
    );
}

// T55
#[test]
fn hyper_refuses_a_sign_in_from_another_origin() {
    let app = App::start_example("hyper");
    let curl = Curl::with_agent("curl/8");
    let foreign = ["-X", "POST", "-H", "Origin: https://evil.test"];

    let refused = curl.run(&foreign, &app.url("/login?alice"));

    assert_eq!((refused.status, curl.token()), (403, None));
}

#[test]
fn composing_serves_users_and_sends_guests_to_sign_in() {
    let app = App::start_example("composing");
    let curl = Curl::with_agent("curl/8");
    let navigation = ["-H", "Sec-Fetch-Mode: navigate"];

    let guest = curl.run(&navigation, &app.url("/account"));
    let refused = curl.get(&app, "/account");
    let signed_in = curl.post(&app, "/login");
    let account = curl.get(&app, "/account");

    assert_eq!((guest.status, guest.header("location")), (303, Some("/")));
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (401, "not_signed_in")
    );
    assert!(signed_in.header("x-request-id").is_some());
    assert_eq!(account.body, "Hello 1\n");
    assert_eq!(curl.get(&app, "/health").body, "ok\n");
    assert_eq!(curl.get(&app, "/sessions").status, 200);
}

#[test]
fn the_tonic_client_runs_through_every_call_of_the_tonic_server() {
    let app = App::start_example("tonic");

    let walk = Command::new(example("tonic"))
        .arg("client")
        .env("LISTEN", format!("127.0.0.1:{}", app.port()))
        .output()
        .unwrap();

    let said = String::from_utf8(walk.stdout).unwrap();
    let lines: Vec<&str> = said.lines().collect();
    assert!(walk.status.success(), "{said}");
    assert_eq!(lines[0], "signed in twice as alice");
    assert!(lines[1].starts_with("  laptop/1.0 ") && lines[1].ends_with("this device"));
    assert!(lines[2].starts_with("  phone/1.0 ") && lines[2].contains("at 127.0.0.1"));
    assert_eq!(
        lines[3..],
        ["the phone is out: revoked", "signed out: true"]
    );
}
