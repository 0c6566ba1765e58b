//! `cargo run -p example-axum` on the embedded store, driven by `curl`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use serde_json::json;

use crate::common::{
    app::App,
    curl::Curl,
    story::{self, labels},
};

/// Runs a story with one process as both nodes.
fn run_on_one_node(story: impl Fn(&App, &App)) {
    let app = App::start(&[]);
    story(&app, &app);
}

// T19 T25 T26
#[test]
fn the_fourth_sign_in_ends_the_least_recently_active_session_not_the_oldest() {
    run_on_one_node(
        story::the_fourth_sign_in_ends_the_least_recently_active_session_not_the_oldest,
    );
}

// T35
#[test]
fn the_list_has_three_with_the_current_one_marked() {
    run_on_one_node(story::the_list_has_three_with_the_current_one_marked);
}

// T19 T24
#[test]
fn deleting_another_device_signs_it_out() {
    run_on_one_node(story::deleting_another_device_signs_it_out);
}

// T24
#[test]
fn a_foreign_id_answers_403_and_its_user_stays_signed_in() {
    run_on_one_node(story::a_foreign_id_answers_403_and_its_user_stays_signed_in);
}

// T19 T53
#[test]
fn logout_all_leaves_one_session() {
    run_on_one_node(story::logout_all_leaves_one_session);
}

// T13 T19
#[test]
fn signing_out_ends_the_session_and_removes_the_cookie() {
    run_on_one_node(story::signing_out_ends_the_session_and_removes_the_cookie);
}

// T5 T32
#[test]
fn a_guest_who_signs_in_keeps_the_cart_and_gets_a_new_token() {
    run_on_one_node(story::a_guest_who_signs_in_keeps_the_cart_and_gets_a_new_token);
}

// T5 T21 T53
#[test]
fn a_new_password_ends_all_sessions_and_signs_in_again() {
    run_on_one_node(story::a_new_password_ends_all_sessions_and_signs_in_again);
}

// T3
#[test]
fn no_log_and_no_list_holds_a_token() {
    let app = App::start(&[("RUST_LOG", "trace")]);

    story::no_log_and_no_list_holds_a_token(&app, &app);
}

// T6 T7 T8 T9 T12
#[test]
fn the_cookie_of_a_sign_in_has_the_strict_defaults() {
    let app = App::start(&[("ABSOLUTE_SECS", "3600")]);
    let curl = Curl::with_agent("Desktop/1.0");

    let answer = curl.log_in(&app, "alice");

    let token = curl.token().unwrap();
    let cookie =
        format!("__Host-session={token}; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=3600");
    assert_eq!(answer.header("set-cookie"), Some(cookie.as_str()));
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Cookie"));
}

// T34
#[test]
fn a_wrong_password_signs_nobody_in_and_evicts_nobody() {
    let app = App::start(&[("MAX_SESSIONS", "1")]);
    let alice = Curl::signed_in(&app, "alice", "Desktop/1.0");
    let other = Curl::with_agent("Other/1.0");

    let wrong = other.run(&["-d", "username=alice&password=x"], &app.url("/login"));
    let nobody = other.run(&["-d", "username=nobody&password=demo"], &app.url("/login"));
    // The password check for unknown names must not let one in.
    let empty = other.run(&["-d", "username=nobody&password="], &app.url("/login"));

    for answer in [wrong, nobody, empty] {
        assert_eq!(
            (answer.status, answer.reason().as_str()),
            (401, "wrong_credentials")
        );
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert!(alice.is_in(&app));
}

#[test]
fn a_sign_in_can_be_sent_as_json() {
    let app = App::start(&[]);
    let curl = Curl::with_agent("Desktop/1.0");
    let json = json!({ "username": "bob", "password": "demo" }).to_string();

    let answer = curl.run(
        &["-H", "content-type: application/json", "-d", &json],
        &app.url("/login"),
    );

    assert_eq!(
        (answer.status, answer.json()),
        (200, json!({ "success": true }))
    );
    let me = curl.get(&app, "/me").json();
    let list = curl.get(&app, "/sessions").json();
    assert_eq!(
        me,
        json!({
            "user": "bob",
            "session": list["sessions"][0]["id"],
            "createdAt": list["sessions"][0]["createdAt"],
        })
    );
}

#[test]
fn a_malformed_sign_in_is_a_problem_that_quotes_nothing_of_it() {
    let app = App::start(&[]);
    let curl = Curl::with_agent("Desktop/1.0");
    let json = ["-H", "content-type: application/json", "-d", "{\"hunter2\""];

    let form = curl.run(&["-d", "password=hunter2"], &app.url("/login"));
    let json = curl.run(&json, &app.url("/login"));
    let text = ["-H", "content-type: text/plain", "-d", "hunter2"];
    let text = curl.run(&text, &app.url("/login"));

    assert_eq!([form.status, json.status, text.status], [422, 400, 415]);
    for answer in [form, json, text] {
        assert_eq!(answer.reason(), "unreadable");
        assert!(!answer.body.contains("hunter2"));
    }
}

#[test]
fn a_browser_signs_in_and_out_without_javascript() {
    let app = App::start(&[]);
    let browser = Curl::with_agent("Browser/1.0");
    let html = ["-H", "accept: text/html,*/*;q=0.8"];
    let page =
        |path: &str, form: &str| browser.run(&[html[0], html[1], "-d", form], &app.url(path));

    let wrong = page("/login", "username=alice&password=x");
    let right = page("/login", "username=alice&password=demo");

    assert_eq!(wrong.status, 401);
    assert!(
        wrong
            .body
            .contains("<p role=\"alert\">Wrong name or password</p>")
    );
    assert_eq!(
        (right.status, right.header("location")),
        (303, Some("/welcome"))
    );
    let welcome = browser.run(&html, &app.url("/welcome"));
    assert_eq!(
        (welcome.status, welcome.header("location")),
        (303, Some("/"))
    );
    let home = browser.run(&html, &app.url("/"));
    assert!(home.body.contains("<strong>alice</strong>"));
    let out = page("/logout", "");
    assert_eq!((out.status, out.header("location")), (303, Some("/")));
    let home = browser.run(&html, &app.url("/"));
    assert!(home.body.contains("action=\"/login\""));
}

#[test]
fn a_browser_refused_at_the_limit_gets_a_page() {
    let app = App::start(&[("MAX_SESSIONS", "1"), ("EXCESS", "refuse")]);
    let first = Curl::signed_in(&app, "alice", "Desktop/1.0");
    let browser = Curl::with_agent("Browser/1.0");
    let form = [
        "-H",
        "accept: text/html",
        "-d",
        "username=alice&password=demo",
    ];

    let refused = browser.run(&form, &app.url("/login"));

    assert_eq!(refused.status, 409);
    assert!(refused.body.contains("as many devices as you may be"));
    assert_eq!(browser.token(), None);
    assert!(first.is_in(&app));
}

#[test]
fn user_agents_and_items_are_escaped() {
    let app = App::start(&[]);
    let agent = r#"<script>alert("x")</script>'&"#;
    let browser = Curl::signed_in(&app, "alice", agent);
    browser.post(&app, "/cart/%3Cimg%20src%3Dx%3E");

    let home = browser.get(&app, "/");
    let devices = browser.get(&app, "/devices");

    assert!(home.body.contains("<li>&lt;img src=x&gt;</li>"));
    for page in [home, devices] {
        assert!(!page.body.contains("<script>") && !page.body.contains("<img"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none';"));
    }
}

// T53
#[test]
fn a_browser_without_javascript_signs_out_everywhere_else_on_the_devices_page() {
    let app = App::start(&[]);
    let phone = Curl::signed_in(&app, "alice", "Phone/2.0");
    let browser = Curl::signed_in(&app, "alice", "Browser/1.0");

    let page = browser.get(&app, "/devices");
    let asked = browser.get(&app, "/devices/end-others");
    let done = browser.post(&app, "/devices/end-others");
    let back = browser.get(&app, done.header("location").unwrap());

    assert!(page.body.contains("Phone 2") && page.body.contains("127.0.0.1"));
    assert!(
        asked
            .body
            .contains(r#"<form class="choice" method="post" action="/devices/end-others">"#)
    );
    assert_eq!(done.status, 303);
    assert!(back.body.contains("All other devices are signed out."));
    assert!(!phone.is_in(&app) && browser.is_in(&app));
}

#[test]
fn the_devices_page_redirects_a_guest_to_the_start_page() {
    let app = App::start(&[]);
    let guest = Curl::with_agent("Browser/1.0");

    let answer = guest.get(&app, "/devices");

    assert_eq!((answer.status, answer.header("location")), (303, Some("/")));
}

#[test]
fn the_start_page_says_why_a_session_ended_until_the_user_closes_the_message() {
    let app = App::start(&[("MAX_SESSIONS", "1")]);
    let evicted = Curl::signed_in(&app, "alice", "Desktop/1.0");
    let _newer = Curl::signed_in(&app, "alice", "Phone/2.0");

    let first = evicted.get(&app, "/");
    let second = evicted.get(&app, "/");
    let closed = evicted.post(&app, "/message/close");
    let third = evicted.get(&app, "/");

    let why = "You were signed out because you signed in on Phone 2 (1 device at most).";
    assert!(first.body.contains(why));
    assert!(second.body.contains(why) && second.body.contains(r#"action="/message/close""#));
    assert_eq!(closed.status, 200);
    assert!(!third.body.contains(why) && !third.body.contains("/message/close"));
    assert_eq!(evicted.token(), None);
}

// T42
#[test]
fn the_start_page_and_a_program_learn_that_the_session_expired() {
    let app = App::start(&[("IDLE_SECS", "1")]);
    let expired = Curl::signed_in(&app, "alice", "Desktop/1.0");
    // The example has no clock that a test could move.
    std::thread::sleep(std::time::Duration::from_millis(1_100));

    let page = expired.get(&app, "/");
    let me = expired.get(&app, "/me");

    let why = "You were signed out because your session expired. <time datetime=";
    assert!(page.body.contains(why), "{}", page.body);
    assert_eq!((me.status, &*me.reason()), (401, "expired"));
    let challenge = me.header("www-authenticate");
    assert_eq!(challenge, Some("Cookie cookie-name=\"__Host-session\""));
}

#[test]
fn style_and_script_are_served_without_a_session() {
    let app = App::start(&[]);
    let curl = Curl::with_agent("Desktop/1.0");
    let planted = ["-H", "cookie: __Host-session=malformed"];

    let style = curl.run(&planted, &app.url("/app.css"));
    let of_devices =
        ["/devices/page.css", "/devices/page.js"].map(|path| curl.run(&planted, &app.url(path)));

    assert_eq!(style.header("content-type"), Some("text/css"));
    for file in of_devices.into_iter().chain([style]) {
        assert_eq!(file.status, 200);
        assert_eq!(file.header("set-cookie"), None);
    }
}

// T40 T55
#[test]
fn a_page_of_another_origin_cannot_sign_a_user_in_or_out() {
    let app = App::start(&[]);
    let alice = Curl::signed_in(&app, "alice", "Desktop/1.0");
    let login = "username=bob&password=demo";
    for foreign in ["sec-fetch-site: cross-site", "origin: https://evil.example"] {
        let victim = Curl::with_agent("Victim/1.0");

        let signed_in = victim.run(&["-H", foreign, "-d", login], &app.url("/login"));

        assert_eq!(
            (signed_in.status, signed_in.reason().as_str()),
            (403, "foreign_origin")
        );
        assert_eq!(victim.token(), None);
        for path in ["/logout", "/password", "/cart/tea", "/sessions/logout-all"] {
            let refused = alice.run(&["-H", foreign, "-X", "POST"], &app.url(path));
            assert_eq!((path, refused.status), (path, 403));
        }
        assert_eq!(alice.get(&app, "/cart").json(), json!({ "cart": [] }));
        assert_eq!(labels(&alice.get(&app, "/sessions").json()), ["Desktop 1*"]);
    }
}

// T2
#[test]
fn a_made_up_token_makes_a_guest_and_is_never_adopted() {
    let app = App::start(&[]);
    let curl = Curl::with_agent("Desktop/1.0");
    let unknown = "A".repeat(64);
    let cookie = format!("cookie: __Host-session={unknown}");

    let answer = curl.run(&["-H", &cookie], &app.url("/me"));

    assert_eq!(
        (answer.status, answer.reason().as_str()),
        (401, "not_signed_in")
    );
    assert_eq!(answer.header("set-cookie"), None);
}
