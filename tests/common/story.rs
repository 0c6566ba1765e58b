//! What must hold through any two nodes of the example that share their sessions: one process used
//! twice, or two processes with one Redis.

use serde_json::{Value, json};

use super::{app::App, curl::Curl};

/// Alice on three devices, signed in one after the other through alternating nodes.
fn three_devices(one: &App, two: &App) -> [Curl; 3] {
    [
        Curl::signed_in(one, "alice", "Desktop/1.0"),
        Curl::signed_in(two, "alice", "Phone/2.0"),
        Curl::signed_in(one, "alice", "Tablet/3.0"),
    ]
}

/// The labels in a list, first to last, with a star at the current one.
pub fn labels(list: &Value) -> Vec<String> {
    let sessions = list["sessions"].as_array().unwrap();
    sessions
        .iter()
        .map(|session| {
            let label = session["device"]["label"].as_str().unwrap();
            let star = if session["current"] == json!(true) {
                "*"
            } else {
                ""
            };
            format!("{label}{star}")
        })
        .collect()
}

pub fn the_fourth_sign_in_ends_the_least_recently_active_session_not_the_oldest(
    one: &App,
    two: &App,
) {
    let [desktop, phone, tablet] = three_devices(one, two);
    assert!(desktop.is_in(two));

    let laptop = Curl::signed_in(two, "alice", "Laptop/4.0");

    let out = phone.get(one, "/me");
    assert_eq!((out.status, out.reason().as_str()), (401, "evicted"));
    assert_eq!(
        [&desktop, &tablet, &laptop].map(|device| device.is_in(one)),
        [true; 3]
    );
}

pub fn the_list_has_three_with_the_current_one_marked(one: &App, two: &App) {
    let [_desktop, phone, _tablet] = three_devices(one, two);

    let answer = phone.get(one, "/sessions");

    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(
        labels(&answer.json()),
        ["Phone 2*", "Tablet 3", "Desktop 1"]
    );
    assert_eq!(answer.json()["sessions"][0]["ipAddress"], "127.0.0.1");
    let slash = labels(&phone.get(two, "/sessions/").json());
    assert_eq!(slash, ["Phone 2*", "Tablet 3", "Desktop 1"]);
}

pub fn deleting_another_device_signs_it_out(one: &App, two: &App) {
    let [desktop, phone, tablet] = three_devices(one, two);
    let path = format!("/sessions/{}", phone.session(one));

    let deleted = desktop.delete(two, &path);
    let again = desktop.delete(one, &path);

    assert_eq!(
        (deleted.status, deleted.body.as_str()),
        (200, r#"{"success":true}"#)
    );
    assert_eq!((again.status, again.body), (200, deleted.body));
    let out = phone.get(one, "/me");
    assert_eq!((out.status, out.reason().as_str()), (401, "revoked"));
    let again = phone.get(two, "/me");
    assert_eq!((again.status, again.reason().as_str()), (401, "revoked"));
    assert_eq!([desktop.is_in(one), tablet.is_in(two)], [true, true]);
}

/// Without reports the store is asked about all pages of a user: a second after one was opened, and about a minute later. So
/// the second of these would have to wait, and its connection ends before that.
pub fn open_pages_say_at_once_why_their_session_ended(one: &App, two: &App) {
    let [desktop, phone, tablet] = three_devices(one, two);
    let pages = [&phone, &tablet].map(|device| {
        let path = format!("/sessions/{}", device.session(one));
        (path, device.opens(one, "/events"))
    });
    for (path, mut page) in pages {
        assert_eq!(desktop.delete(two, &path).status, 200);

        assert_eq!(page.line("event: "), "session-ended");
        assert_eq!(page.line("data: "), "You were signed out from Desktop 1.");
    }
}

pub fn a_foreign_id_answers_403_and_its_user_stays_signed_in(one: &App, two: &App) {
    let alice = Curl::signed_in(one, "alice", "Desktop/1.0");
    let bob = Curl::signed_in(two, "bob", "Phone/2.0");
    let of_bob = format!("/sessions/{}", bob.session(two));

    let refused = alice.delete(one, &of_bob);
    let unknown = alice.delete(two, "/sessions/AAAAAAAAAAAAAAAA");

    assert_eq!(refused.status, 403);
    assert_eq!((unknown.status, &unknown.body), (403, &refused.body));
    assert!(bob.is_in(one));
}

pub fn logout_all_leaves_one_session(one: &App, two: &App) {
    let [desktop, phone, tablet] = three_devices(one, two);

    let answer = tablet.post(two, "/sessions/logout-all");

    assert_eq!(
        (answer.status, answer.json()),
        (
            200,
            json!({ "message": "All other sessions logged out", "ended": 2 })
        )
    );
    assert_eq!(
        [&desktop, &phone, &tablet].map(|device| device.is_in(one)),
        [false, false, true]
    );
    assert_eq!(labels(&tablet.get(one, "/sessions").json()), ["Tablet 3*"]);
}

pub fn signing_out_ends_the_session_and_removes_the_cookie(one: &App, two: &App) {
    let desktop = Curl::signed_in(one, "alice", "Desktop/1.0");
    let token = desktop.token().unwrap();

    let answer = desktop.post(two, "/logout");

    assert_eq!(answer.status, 200);
    assert_eq!(desktop.token(), None);
    let thief = Curl::with_agent("Thief/1.0");
    let cookie = format!("cookie: __Host-session={token}");
    let out = thief.run(&["-H", &cookie], &one.url("/me"));
    assert_eq!((out.status, out.reason().as_str()), (401, "logged_out"));
}

pub fn a_guest_who_signs_in_keeps_the_cart_and_gets_a_new_token(one: &App, two: &App) {
    let desktop = Curl::with_agent("Desktop/1.0");
    assert_eq!(desktop.post(one, "/cart/tea").status, 200);
    let of_guest = desktop.guest_token().unwrap();

    assert_eq!(desktop.log_in(two, "alice").status, 200);

    let cart = desktop.get(one, "/cart").json();
    assert_eq!(cart, json!({ "cart": ["tea"] }));
    assert_ne!(desktop.token(), Some(of_guest.clone()));
    assert_eq!(desktop.guest_token(), None);
    let cookie = format!("cookie: __Host-session-guest={of_guest}");
    let planted = Curl::with_agent("Thief/1.0").run(&["-H", &cookie], &two.url("/cart"));
    assert_eq!(planted.json(), json!({ "cart": [] }));
}

pub fn a_new_password_ends_all_sessions_and_signs_in_again(one: &App, two: &App) {
    let [desktop, phone, tablet] = three_devices(one, two);
    assert_eq!(desktop.post(one, "/cart/tea").status, 200);
    let before = desktop.token().unwrap();

    let changed = desktop.change_password(two);

    assert_eq!(changed.status, 200);
    assert_ne!(desktop.token(), Some(before));
    assert_eq!(
        [&desktop, &phone, &tablet].map(|device| device.is_in(one)),
        [true, false, false]
    );
    assert_eq!(desktop.get(one, "/cart").json(), json!({ "cart": ["tea"] }));
}

pub fn no_log_and_no_list_holds_a_token(one: &App, two: &App) {
    let guest = Curl::with_agent("Guest/1.0");
    guest.post(one, "/cart/tea");
    let mut tokens = vec![guest.guest_token().unwrap()];
    let devices = three_devices(one, two);
    tokens.extend(devices.iter().map(|device| device.token().unwrap()));
    guest.log_in(two, "alice");
    tokens.push(guest.token().unwrap());
    let [_, phone, tablet] = devices;

    let mut bodies = String::new();
    for path in ["/sessions", "/me", "/", "/cart"] {
        bodies += &tablet.get(one, path).body;
        bodies += &phone.get(two, path).body;
    }
    tablet.change_password(two);
    tokens.push(tablet.token().unwrap());
    tablet.post(one, "/sessions/logout-all");
    tablet.post(one, "/logout");

    let logs = one.log() + two.log().as_str();
    // An empty log would hold no token either.
    assert!(logs.contains("TRACE"), "{logs}");
    assert_eq!(tokens.len(), 6);
    for token in tokens {
        let secret = &token[32..];
        assert!(!logs.contains(secret), "the secret is in a log");
        assert!(!bodies.contains(secret), "the secret is in an answer");
    }
}
