//! The example while its Redis is stopped, killed, restarted empty or refuses the password.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use reqwest::Client;
use serde_json::json;

use crate::common::{
    app::{App, TRIES},
    browser::{self, Answer},
    curl::Curl,
    redis::{Server, free_port},
    story::labels,
};

/// A response that takes longer than two seconds, as promised, fails the test.
fn impatient() -> Client {
    browser::patient(Duration::from_secs(2))
}

/// For sign-ins, where the password check may take long on a busy machine.
fn patient() -> Client {
    browser::patient(Duration::from_secs(60))
}

fn with_redis(redis: &Server) -> App {
    App::start(&[("REDIS_URL", &redis.url())])
}

async fn sign_in(app: &App, agent: &str) -> String {
    let answer = browser::log_in(&patient(), app.url("/login"), agent).await;
    assert_eq!(answer.status, 200);
    answer.token()
}

/// When this returns, the server has run all that was sent before. It accepts a waiting connection
/// in one round of its loop and reads it in the next.
async fn let_it_catch_up(redis: &Server) {
    for _ in 0..3 {
        let pong: String = redis.ask("PING").await;
        assert_eq!(pong, "PONG");
    }
}

fn assert_unavailable(answer: &Answer) {
    assert_eq!(answer.status, 503);
    assert_eq!(answer.retry_after.as_deref(), Some("1"));
    assert_eq!(answer.cookie, None);
    assert_eq!(answer.json()["reason"], "unavailable");
}

// T33 T57
#[tokio::test]
async fn with_redis_stopped_requests_get_503_within_two_seconds_and_the_cookies_work_afterwards() {
    let redis = Server::start();
    let app = with_redis(&redis);
    let token = sign_in(&app, "Desktop/1.0").await;
    redis.suspend();

    // More than the two timeouts after which the store drops its connection.
    for _ in 0..4 {
        let signed_in = browser::get(&impatient(), app.url("/me"), Some(&token)).await;
        assert_unavailable(&signed_in);
    }
    let guest = browser::get(&impatient(), app.url("/me"), None).await;
    let page = browser::get(&impatient(), app.url("/"), None).await;
    let cart = browser::post(&impatient(), app.url("/cart/tea"), None).await;

    assert_eq!((guest.status, guest.cookie), (401, None));
    assert_eq!((page.status, page.cookie), (200, None));
    assert_unavailable(&cart);
    redis.resume();
    let again = until_it_answers(&app, &token).await;
    assert_eq!(
        (again.status, &again.json()["user"]),
        (200, &json!("alice"))
    );
}

// T33 T57
#[tokio::test]
async fn sign_ins_answered_with_503_leave_no_session_and_evict_none() {
    let redis = Server::start();
    let app = with_redis(&redis);
    let mut tokens = Vec::new();
    for agent in ["Desktop/1.0", "Phone/2.0", "Tablet/3.0"] {
        tokens.push(sign_in(&app, agent).await);
    }
    redis.suspend();

    for _ in 0..3 {
        let refused = browser::log_in(&patient(), app.url("/login"), "Late/4.0").await;
        assert_unavailable(&refused);
    }

    redis.resume();
    let_it_catch_up(&redis).await;
    // A question about the end of all sessions that got no answer is shared for 0.3 s.
    let answer = until_it_answers(&app, &tokens[0]).await;
    assert_eq!(answer.status, 200, "evicted: {}", answer.body);
    let list = browser::get(&impatient(), app.url("/sessions"), Some(&tokens[0])).await;
    assert_eq!(labels(&list.json()), ["Desktop 1*", "Tablet 3", "Phone 2"]);
    for token in &tokens {
        let me = browser::get(&impatient(), app.url("/me"), Some(token)).await;
        assert_eq!(me.status, 200);
    }
}

// T33
#[tokio::test]
async fn at_shutdown_the_log_says_how_many_sign_ins_that_were_given_up_did_not_end() {
    let redis = Server::start();
    let app = with_redis(&redis);
    sign_in(&app, "Desktop/1.0").await;
    redis.suspend();
    let refused = browser::log_in(&patient(), app.url("/login"), "Late/2.0").await;
    assert_unavailable(&refused);

    let stopped = app.stopped_by("TERM");

    let left = "sign-ins that answered 503 were not ended; they expire unused left=1";
    assert!(stopped.stderr.contains(left), "{}", stopped.stderr);
    assert_eq!(stopped.status.code(), Some(0));
}

// T2 T33
#[tokio::test]
async fn after_redis_restarts_empty_users_are_guests_and_can_sign_in_again() {
    let mut redis = Server::start();
    let app = with_redis(&redis);
    let token = sign_in(&app, "Desktop/1.0").await;

    redis.kill();
    let down = browser::get(&impatient(), app.url("/me"), Some(&token)).await;
    redis.restart();

    assert_unavailable(&down);
    let up = until_it_answers(&app, &token).await;
    assert_eq!(
        (up.status, &up.json()["reason"]),
        (401, &json!("not_signed_in"))
    );
    let again = sign_in(&app, "Desktop/1.0").await;
    let me = browser::get(&impatient(), app.url("/me"), Some(&again)).await;
    assert_eq!(me.status, 200);
    assert!(!app.log().contains("panicked"), "{}", app.log());
}

async fn until_it_answers(app: &App, token: &str) -> Answer {
    for _ in 0..TRIES {
        let answer = browser::get(&impatient(), app.url("/me"), Some(token)).await;
        if answer.status != 503 {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it does not come back: {}", app.log());
}

/// A request that needs the store, and what is logged about it.
async fn log_of_a_failure(url: &str) -> String {
    let app = App::start(&[("REDIS_URL", url), ("RUST_LOG", "trace")]);
    let token = "A".repeat(64);
    let answer = browser::get(&impatient(), app.url("/me"), Some(&token)).await;
    assert_unavailable(&answer);
    app.log()
}

// T3
#[tokio::test]
async fn a_refused_redis_password_is_logged_as_the_cause_without_the_password() {
    let redis = Server::start_with(&["--requirepass", "right-hunter2"]);
    let url = format!("redis://:wrong-hunter2@127.0.0.1:{}", redis.port);

    let log = log_of_a_failure(&url).await;

    assert!(log.contains("the store refused access"), "{log}");
    assert!(log.contains("Password authentication failed"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

// T3
#[tokio::test]
async fn an_unreachable_redis_is_logged_as_the_cause_without_its_password() {
    let url = format!("redis://:hunter2@127.0.0.1:{}", free_port());

    let log = log_of_a_failure(&url).await;

    assert!(log.contains("the store is unavailable"), "{log}");
    assert!(log.contains("Connection refused"), "{log}");
    assert!(!log.contains("hunter2"), "{log}");
}

// T3
#[test]
fn the_right_password_is_in_no_log() {
    let redis = Server::start_with(&["--requirepass", "hunter2"]);
    let url = format!("redis://:hunter2@127.0.0.1:{}", redis.port);
    let app = App::start(&[("REDIS_URL", &url), ("RUST_LOG", "trace")]);

    let alice = Curl::signed_in(&app, "alice", "Desktop/1.0");

    assert!(alice.is_in(&app));
    assert!(!app.log().contains("hunter2"), "{}", app.log());
}
