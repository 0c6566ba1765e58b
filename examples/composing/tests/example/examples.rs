//! The example runs and does what it says.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use crate::common::{app::App, curl::Curl};

#[test]
fn composing_serves_users_and_sends_guests_to_sign_in() {
    let app = App::start(&[]);
    let curl = Curl::with_agent("curl/8");
    let navigation = ["-H", "Sec-Fetch-Mode: navigate"];

    let guest = curl.run(&navigation, &app.url("/account"));
    let refused = curl.get(&app, "/account");
    let signed_in = curl.post(&app, "/login");
    let account = curl.get(&app, "/account");

    assert_eq!((guest.status, guest.header("location")), (303, Some("/")));
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (401, "not_signed_in")
    );
    assert!(signed_in.header("x-request-id").is_some());
    assert_eq!(account.body, "Hello 1\n");
    assert_eq!(curl.get(&app, "/health").body, "ok\n");
    assert_eq!(curl.get(&app, "/sessions").status, 200);
}

const FRONT_END: &str = "http://localhost:5173";

// T55
#[test]
fn composing_lets_the_scripts_of_one_other_origin_sign_in_and_no_other() {
    let app = App::start(&[]);
    let cross = ["-H", "Sec-Fetch-Site: same-site", "-X", "POST", "-H"];
    for (origin, status) in [(FRONT_END, 200), ("http://localhost:5174", 403)] {
        let header = format!("Origin: {origin}");
        let asks = ["-H", "Access-Control-Request-Method: POST", "-X", "OPTIONS"];
        let asked = [&asks[..], &["-H", &header]].concat();
        let curl = Curl::with_agent("curl/8");

        let preflight = curl.run(&asked, &app.url("/login"));
        let signed_in = curl.run(&[&cross[..], &[&header]].concat(), &app.url("/login"));

        for answer in [&preflight, &signed_in] {
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some(FRONT_END)
            );
            let credentials = answer.header("access-control-allow-credentials");
            assert_eq!(credentials, Some("true"));
        }
        assert_eq!(
            (preflight.status, signed_in.status),
            (200, status),
            "{origin}"
        );
        assert_eq!(curl.token().is_some(), status == 200);
    }
}

#[test]
fn composing_answers_401_to_a_forged_or_used_ticket() {
    let app = App::start(&[]);
    let json = ["-H", "content-type: application/json", "-d"];
    let pick = |ticket: &str, ends: &str| {
        let body = format!("[{ticket:?},{ends:?}]");
        let arguments = [&json[..], &[&body]].concat();
        Curl::with_agent("curl/8").run(&arguments, &app.url("/login/pick"))
    };
    for _ in 0..3 {
        let signed_in = Curl::with_agent("curl/8").post(&app, "/login");
        assert_eq!(signed_in.status, 200);
    }
    let refused = Curl::with_agent("curl/8").post(&app, "/login");
    assert_eq!(
        (refused.status, refused.reason().as_str()),
        (409, "limit_reached")
    );
    let refused = refused.json();
    let ticket = refused["ticket"].as_str().unwrap();
    let ends = refused["sessions"][0]["id"].as_str().unwrap();
    let (secret, user) = ticket.split_once('.').unwrap();
    let forged = format!("{}{}.{user}", &secret[..16], "A".repeat(secret.len() - 16));

    assert_eq!(pick("x", ends).status, 401);
    assert_eq!(pick(&forged, ends).reason(), "no_ticket");
    assert_eq!(pick(&format!("{secret}.Mg"), ends).reason(), "no_ticket");
    assert_eq!(pick(ticket, ends).status, 200);
    let used = pick(ticket, ends);
    assert_eq!((used.status, used.reason().as_str()), (401, "no_ticket"));
}
