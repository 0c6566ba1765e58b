//! `SESSIONS_FILE=sessions.db cargo run -p example-axum --features file`: sessions survive its restart.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use crate::common::{
    app::App,
    browser::{get, log_in, patient, post},
};

// T75
#[tokio::test]
async fn users_stay_signed_in_when_the_app_is_restarted_or_killed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("sessions.db");
    let settings = [("SESSIONS_FILE", file.to_str().unwrap())];
    let client = patient(Duration::from_secs(10));

    let app = App::start(&settings);
    let phone = log_in(&client, app.url("/login"), "phone").await.token();
    let second = App::refused(&settings);
    assert_eq!(second.status.code(), Some(2));
    assert!(
        second.stderr.contains("open in another process"),
        "{}",
        second.stderr
    );
    assert!(app.stopped_by("TERM").status.success());

    let app = App::start(&settings);
    let answer = get(&client, app.url("/me"), Some(&phone)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let laptop = log_in(&client, app.url("/login"), "laptop").await.token();
    let answer = post(&client, app.url("/logout"), Some(&phone)).await;
    assert!(answer.status < 400, "{answer:?}");
    app.stopped_by("KILL");

    let app = App::start(&settings);
    let answer = get(&client, app.url("/me"), Some(&laptop)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = get(&client, app.url("/me"), Some(&phone)).await;
    assert_eq!(answer.status, 401, "{answer:?}");
}

#[test]
fn two_places_for_sessions_are_refused() {
    let both = [
        ("SESSIONS_FILE", "sessions.db"),
        ("REDIS_URL", "redis://127.0.0.1"),
    ];

    let finished = App::refused(&both);

    assert_eq!(finished.status.code(), Some(2));
    assert!(
        finished.stderr.contains("unset the others"),
        "{}",
        finished.stderr
    );
}
