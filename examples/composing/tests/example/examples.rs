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
