//! The example runs and does what it says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    io::{Read, Write},
    net::TcpStream,
};

use crate::common::{app::App, curl::Curl};

// T10
#[test]
fn hyper_serves_one_cookie_jar_over_http1_and_http2() {
    let app = App::start(&[]);
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
fn hyper_refuses_a_sign_in_and_a_sign_out_from_another_origin() {
    let app = App::start(&[]);
    let curl = Curl::with_agent("curl/8");
    let foreign = ["-X", "POST", "-H", "Origin: https://evil.test"];

    let refused = curl.run(&foreign, &app.url("/login?alice"));
    assert_eq!((refused.status, curl.token()), (403, None));
    curl.post(&app, "/login?alice");
    let refused = curl.run(&foreign, &app.url("/logout"));

    assert_eq!(refused.status, 403);
    assert_eq!(curl.get(&app, "/").body, "Hello alice\n");
}

#[test]
fn hyper_stops_in_order_at_ctrl_c_although_a_client_keeps_its_connection() {
    let app = App::start(&[]);
    let mut client = TcpStream::connect(("127.0.0.1", app.port())).unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: app.test\r\n\r\n")
        .unwrap();
    let mut head = [0; 12];
    client.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 200");

    let stopped = app.stopped_by("INT");

    assert_eq!(stopped.status.code(), Some(0), "{}", stopped.stderr);
}
