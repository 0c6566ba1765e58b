//! The example runs and does what it says: its client walks through its server.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::process::Command;

use crate::common::{EXAMPLE, app::App};

#[test]
fn the_tonic_client_runs_through_every_call_of_the_tonic_server() {
    let app = App::start(&[]);

    let walk = Command::new(EXAMPLE)
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
        [
            "the phone's stream ended: revoked",
            "the phone is out: revoked",
            "signed out: true"
        ]
    );
}
