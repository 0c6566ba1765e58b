//! Two processes of the example share one PostgreSQL: each sees the changes of the other on its next request.

use crate::common::{app::App, postgres::Server, story};

/// Two processes with one PostgreSQL.
fn run_on_two_nodes(story: impl Fn(&App, &App)) {
    let server = Server::start();
    let url = server.url();
    let settings = [("DATABASE_URL", url.as_str())];
    story(&App::start(&settings), &App::start(&settings));
}

// T41 T42
#[test]
fn open_pages_say_at_once_why_their_session_ended() {
    run_on_two_nodes(story::open_pages_say_at_once_why_their_session_ended);
}

// T19 T24 T25 T26
#[test]
fn two_nodes_share_sessions_and_a_restart_of_both_keeps_them() {
    let server = Server::start();
    let url = server.url();
    let settings = [("DATABASE_URL", url.as_str())];
    let (one, two) = (App::start(&settings), App::start(&settings));

    story::the_fourth_sign_in_ends_the_least_recently_active_session_not_the_oldest(&one, &two);
    let phone = crate::common::curl::Curl::signed_in(&one, "bob", "Phone/1.0");
    drop((one, two));

    assert!(phone.is_in(&App::start(&settings)));
}
