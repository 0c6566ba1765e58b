//! Who gets a guest session, and what a browser sees that keeps no cookie.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use reqwest::{Client, Method};

use crate::common::{app::App, curl::Curl, redis::Server};

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) \
                      Chrome/142.0.0.0 Safari/537.36";
const GOOGLE: &str = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)";

/// Loads the start page so often, without cookies, and returns how many keys Redis has then.
async fn keys_after(
    (app, redis): (&App, &Server),
    times: usize,
    method: Method,
    agent: &str,
    purpose: &str,
) -> usize {
    let client = Client::builder().no_proxy().build().unwrap();
    for _ in 0..times {
        let visit = client
            .request(method.clone(), app.url("/"))
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("user-agent", agent)
            .header("sec-purpose", purpose);
        assert_eq!(visit.send().await.unwrap().status(), 200);
    }
    redis.ask("DBSIZE").await
}

// T60 T64
#[tokio::test]
async fn two_hundred_page_views_each_of_a_bot_of_head_and_of_prefetch_leave_no_key() {
    let redis = Server::start();
    let app = App::start(&[("REDIS_URL", &redis.url())]);
    let both = (&app, &redis);

    assert_eq!(keys_after(both, 200, Method::GET, GOOGLE, "").await, 0);
    assert_eq!(keys_after(both, 200, Method::HEAD, CHROME, "").await, 0);
    assert_eq!(
        keys_after(both, 200, Method::GET, CHROME, "prefetch").await,
        0
    );
    // A person, for whom the form of the page needs one.
    assert_eq!(keys_after(both, 1, Method::GET, CHROME, "").await, 1);
}

#[test]
fn a_browser_that_kept_no_cookie_shows_why_nobody_is_signed_in() {
    let app = App::start(&[]);
    let html = ["-H", "accept: text/html"];
    let form = [&html[..], &["-d", "username=alice&password=demo"]].concat();
    let signed_in = Curl::with_agent("Safari").run(&form, &app.url("/login"));
    let next = signed_in.header("location").unwrap();

    let welcome = Curl::with_agent("Safari").run(&html, &app.url(next));

    assert_eq!((signed_in.status, welcome.status), (303, 401));
    assert!(welcome.body.contains("did not keep the cookie"));
    assert!(!welcome.body.contains("action=\"/login\""));
}

#[test]
fn the_present_password_is_needed_to_change_it() {
    let app = App::start(&[]);
    let phone = Curl::signed_in(&app, "alice", "Phone/2.0");
    let thief = Curl::signed_in(&app, "alice", "Desktop/1.0");
    let before = thief.token();
    let url = app.url("/password");

    let wrong = thief.run(&["-d", "password=guess"], &url);
    let missing = thief.run(&["-d", ""], &url);
    let page = thief.run(&["-H", "accept: text/html", "-d", "password=guess"], &url);

    assert_eq!(
        (wrong.status, wrong.reason().as_str()),
        (403, "wrong_password")
    );
    assert_eq!(missing.status, 422);
    assert_eq!(page.status, 403);
    assert!(page.body.contains("<p role=\"alert\">Wrong password</p>"));
    assert_eq!(thief.token(), before);
    assert!(phone.is_in(&app));
    assert_eq!(thief.change_password(&app).status, 200);
    assert!(!phone.is_in(&app));
}

#[test]
fn a_forged_ticket_is_401_and_says_that_it_took_too_long() {
    let app = App::start(&[("MAX_SESSIONS", "1"), ("EXCESS", "refuse")]);
    let phone = Curl::signed_in(&app, "alice", "Phone/2.0");
    let refused = Curl::with_agent("Desktop/1.0").log_in(&app, "alice").json();
    let ticket = refused["ticket"].as_str().unwrap();
    let (secret, _user) = ticket.split_once('.').unwrap();
    let session = refused["sessions"][0]["id"].as_str().unwrap();
    for forged in [
        "x".to_owned(),
        // Of another user, and of one that the store does not know.
        format!("{secret}.Ym9i"),
        format!("{}{}.YWxpY2U", &secret[..16], "A".repeat(secret.len() - 16)),
    ] {
        let form = format!("ticket={forged}&session={session}");

        let answer = Curl::with_agent("Desktop/1.0").run(&["-d", &form], &app.url("/login/pick"));

        assert_eq!(answer.status, 401, "{forged}: {}", answer.body);
        assert!(answer.body.contains("took too long"), "{forged}");
        assert_eq!(answer.header("set-cookie"), None);
    }
    assert!(phone.is_in(&app));
}
