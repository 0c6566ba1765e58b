//! Two processes of the example share one Redis: what one does the other sees on its next request.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common::{app::App, redis::Server, story};

/// Tells a story with two processes and one Redis.
fn tell(story: impl Fn(&App, &App)) {
    let redis = Server::start();
    let url = redis.url();
    let settings = [("REDIS_URL", url.as_str()), ("RUST_LOG", "trace")];
    story(&App::start(&settings), &App::start(&settings));
}

// T19 T25 T26
#[test]
fn the_fourth_sign_in_ends_the_least_recently_active_and_not_the_oldest() {
    tell(story::the_fourth_sign_in_ends_the_least_recently_active_and_not_the_oldest);
}

// T35
#[test]
fn the_list_has_three_with_the_current_one_marked() {
    tell(story::the_list_has_three_with_the_current_one_marked);
}

// T19 T24
#[test]
fn deleting_another_device_signs_it_out() {
    tell(story::deleting_another_device_signs_it_out);
}

// T24
#[test]
fn a_foreign_id_answers_403_and_its_owner_stays_in() {
    tell(story::a_foreign_id_answers_403_and_its_owner_stays_in);
}

// T19 T53
#[test]
fn logout_all_leaves_one() {
    tell(story::logout_all_leaves_one);
}

// T13 T19
#[test]
fn signing_out_ends_the_session_and_removes_the_cookie() {
    tell(story::signing_out_ends_the_session_and_removes_the_cookie);
}

// T5 T32
#[test]
fn a_guest_takes_the_cart_along_and_gets_a_new_token() {
    tell(story::a_guest_takes_the_cart_along_and_gets_a_new_token);
}

// T5 T21 T53
#[test]
fn a_new_password_ends_all_sessions_and_signs_in_again() {
    tell(story::a_new_password_ends_all_sessions_and_signs_in_again);
}

// T3
#[test]
fn no_log_and_no_list_holds_a_token() {
    tell(story::no_log_and_no_list_holds_a_token);
}
