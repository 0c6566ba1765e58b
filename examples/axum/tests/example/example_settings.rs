//! How the example starts and stops: bad settings give one clear line, and it stops cleanly.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common::{app::App, curl::Curl};

#[test]
fn bad_settings_stop_the_example_with_one_clear_line_and_code_2() {
    for (name, value, line) in [
        (
            "LISTEN",
            "nowhere",
            "error: LISTEN must be an address and port such as 127.0.0.1:3000, not \"nowhere\"\n",
        ),
        (
            "MAX_SESSIONS",
            "0",
            "error: MAX_SESSIONS must be a whole number from 1 to 1000, not \"0\"\n",
        ),
        (
            "MAX_SESSIONS",
            "1001",
            "error: MAX_SESSIONS must be a whole number from 1 to 1000, not \"1001\"\n",
        ),
        (
            "EXCESS",
            "drop\nall",
            "error: EXCESS must be evict or refuse, not \"drop\\nall\"\n",
        ),
        (
            "IDLE_SECS",
            "-1",
            "error: IDLE_SECS must be a whole number from 1 to 34560000, not \"-1\"\n",
        ),
        (
            "ABSOLUTE_SECS",
            "34560001",
            "error: ABSOLUTE_SECS must be a whole number from 1 to 34560000, not \"34560001\"\n",
        ),
        (
            "LOOK_EVERY_SECS",
            "0",
            "error: LOOK_EVERY_SECS must be a whole number from 1 to 3600, not \"0\"\n",
        ),
        (
            "COOKIE",
            "plain",
            "error: COOKIE must be secure or insecure, not \"plain\"\n",
        ),
        (
            "PASSWORD_KIB",
            "7",
            "error: PASSWORD_KIB must be a whole number from 8 to 1048576, not \"7\"\n",
        ),
    ] {
        let refused = App::refused(&[(name, value)]);

        assert_eq!(refused.stderr, line);
        assert_eq!(refused.status.code(), Some(2));
    }
}

#[test]
fn an_idle_lifetime_longer_than_the_absolute_one_is_a_bad_setting() {
    let refused = App::refused(&[("IDLE_SECS", "60"), ("ABSOLUTE_SECS", "30")]);

    let line = "error: IDLE_SECS (60) must not be more than ABSOLUTE_SECS (30)\n";
    assert_eq!(refused.stderr, line);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_malformed_log_filter_is_a_bad_setting() {
    let refused = App::refused(&[("RUST_LOG", "axum=loud")]);

    assert_eq!(refused.stderr.lines().count(), 1);
    assert!(refused.stderr.starts_with("error: RUST_LOG: "));
    assert_eq!(refused.status.code(), Some(2));
}

// T3
#[test]
fn a_bad_redis_url_is_refused_without_showing_its_password() {
    for url in [
        "redis://:hunter2@localhost:port",
        "http://:hunter2@localhost",
        "redis://:hunter2@localhost/?protocol=hunter2",
        "redis://:hunter2@localhost,redis://:hunter3@127.0.0.1",
        "redis://:hunter2@localhost,",
        "hunter2",
    ] {
        let refused = App::refused(&[("REDIS_URL", url), ("RUST_LOG", "trace")]);

        assert_eq!(refused.stderr.lines().count(), 1, "{}", refused.stderr);
        assert!(
            refused
                .stderr
                .starts_with("error: REDIS_URL must be redis://")
        );
        assert!(!refused.stderr.contains("hunter"), "{}", refused.stderr);
        assert_eq!(refused.status.code(), Some(2));
    }
}

#[test]
fn an_unreadable_geoip_database_is_a_bad_setting() {
    let refused = App::refused(&[("GEOIP_DB", "no/such.mmdb")]);

    let line =
        "error: GEOIP_DB (no/such.mmdb): the file cannot be read: check its path and permissions\n";
    assert_eq!(refused.stderr, line);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn an_address_in_use_stops_the_example_with_one_clear_line_and_code_1() {
    let first = App::start(&[]);
    let address = format!("127.0.0.1:{}", first.port());

    let second = App::refused(&[("LISTEN", &address)]);

    let line = format!("error: cannot serve on {address}: Address already in use");
    assert!(second.stderr.starts_with(&line), "{}", second.stderr);
    assert_eq!(second.stderr.lines().count(), 1);
    assert_eq!(second.status.code(), Some(1));
}

#[test]
fn sigint_and_sigterm_stop_the_example_cleanly() {
    for signal in ["INT", "TERM"] {
        let app = App::start(&[]);
        assert_eq!(Curl::with_agent("Desktop/1.0").get(&app, "/me").status, 401);

        let stopped = app.stopped_by(signal);

        assert_eq!((signal, stopped.status.code()), (signal, Some(0)));
    }
}
