//! Two processes of the example share one Redis: each sees the changes of the other on its next
//! request.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{thread, time::Duration};

use crate::common::{
    app::{App, TRIES},
    redis::Server,
    story,
};

/// Runs a story with two processes and one Redis.
fn run_on_two_nodes(story: impl Fn(&App, &App)) {
    let redis = Server::start();
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("RUST_LOG", "trace")];
    story(&App::start(&settings), &App::start(&settings));
}

// T19 T25 T26
#[test]
fn the_fourth_sign_in_ends_the_least_recently_active_session_not_the_oldest() {
    run_on_two_nodes(
        story::the_fourth_sign_in_ends_the_least_recently_active_session_not_the_oldest,
    );
}

// T35
#[test]
fn the_list_has_three_with_the_current_one_marked() {
    run_on_two_nodes(story::the_list_has_three_with_the_current_one_marked);
}

// T19 T24
#[test]
fn deleting_another_device_signs_it_out() {
    run_on_two_nodes(story::deleting_another_device_signs_it_out);
}

// T24
#[test]
fn a_foreign_id_answers_403_and_its_user_stays_signed_in() {
    run_on_two_nodes(story::a_foreign_id_answers_403_and_its_user_stays_signed_in);
}

// T41 T42
#[test]
fn open_pages_say_at_once_why_their_session_ended() {
    run_on_two_nodes(story::open_pages_say_at_once_why_their_session_ended);
}

// T70
#[test]
fn what_is_wrong_with_redis_is_logged_at_the_start() {
    let redis = Server::start_with(&["--maxmemory-policy", "allkeys-lru"]);
    let app = App::start(&[("REDIS_URL", redis.url().as_str())]);
    let is_logged = || app.log().contains("maxmemory-policy is allkeys-lru");

    for _ in 0..TRIES {
        if is_logged() {
            break;
        }
        thread::sleep(Duration::from_millis(20));
    }

    assert!(is_logged(), "{}", app.log());
}

// T19 T53
#[test]
fn logout_all_leaves_one_session() {
    run_on_two_nodes(story::logout_all_leaves_one_session);
}

// T13 T19
#[test]
fn signing_out_ends_the_session_and_removes_the_cookie() {
    run_on_two_nodes(story::signing_out_ends_the_session_and_removes_the_cookie);
}

// T5 T32
#[test]
fn a_guest_who_signs_in_keeps_the_cart_and_gets_a_new_token() {
    run_on_two_nodes(story::a_guest_who_signs_in_keeps_the_cart_and_gets_a_new_token);
}

// T5 T21 T53
#[test]
fn a_new_password_ends_all_sessions_and_signs_in_again() {
    run_on_two_nodes(story::a_new_password_ends_all_sessions_and_signs_in_again);
}

// T3
#[test]
fn no_log_and_no_list_holds_a_token() {
    run_on_two_nodes(story::no_log_and_no_list_holds_a_token);
}
