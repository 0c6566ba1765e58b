//! Both apps give the same answers to the same requests.

use crate::browser::{Browser, Seen};

/// One browser at each app; what one sees the other has to see too.
struct Pair {
    before: Browser,
    after: Browser,
}

impl Pair {
    fn new() -> Self {
        Self {
            before: Browser::new(&example_coming_from_before::app()),
            after: Browser::new(&example_coming_from_after::app()),
        }
    }

    async fn send(&mut self, line: &str) -> Seen {
        let before = self.before.send(line).await;
        let after = self.after.send(line).await;
        assert_eq!(before, after, "{line}");
        after
    }

    async fn body(&mut self, line: &str) -> String {
        self.send(line).await.body
    }
}

#[tokio::test]
async fn a_counter_counts_the_visits_of_each_browser() {
    let mut pair = Pair::new();

    let first = pair.body("GET /").await;
    let second = pair.body("GET /").await;

    assert_eq!(first, "Hello guest, visits before this: 0");
    assert_eq!(second, "Hello guest, visits before this: 1");
}

#[tokio::test]
async fn a_sign_in_keeps_the_counter_and_welcomes_the_user_once() {
    let mut pair = Pair::new();
    pair.send("GET /").await;

    let signed_in = pair.send("POST /login name=alice&password=demo").await;
    let welcomed = pair.body("GET /").await;
    let later = pair.body("GET /").await;

    assert_eq!(signed_in.status, 303);
    assert_eq!(signed_in.location.unwrap(), "/");
    assert_eq!(
        welcomed,
        "Welcome, alice\nHello alice, visits before this: 1"
    );
    assert_eq!(later, "Hello alice, visits before this: 2");
}

#[tokio::test]
async fn a_wrong_password_is_a_message_and_no_sign_in() {
    let mut pair = Pair::new();

    pair.send("POST /login name=alice&password=guess").await;

    let home = pair.body("GET /").await;
    assert_eq!(
        home,
        "Wrong name or password\nHello guest, visits before this: 0"
    );
    assert_eq!(pair.send("GET /me").await.status, 401);
}

#[tokio::test]
async fn the_message_of_a_wrong_password_is_not_shown_after_the_right_one() {
    let mut pair = Pair::new();
    pair.send("POST /login name=alice&password=guess").await;

    pair.send("POST /login name=alice&password=demo").await;

    let home = pair.body("GET /").await;
    assert_eq!(home, "Welcome, alice\nHello alice, visits before this: 0");
}

#[tokio::test]
async fn the_state_of_a_sign_in_at_a_provider_is_kept_and_works_once() {
    let mut pair = Pair::new();
    let left = pair.send("GET /oauth").await;
    let back = "GET /oauth/callback?code=carol&state={state}";

    let came_back = pair.send(back).await;
    let me = pair.body("GET /me").await;
    let again = pair.send(back).await;

    let provider = "https://provider.example/authorize?state={state}";
    assert_eq!(left.location.unwrap(), provider);
    assert_ne!(pair.before.state, pair.after.state);
    assert_eq!(came_back.location.unwrap(), "/me");
    assert_eq!(me, "You are carol@provider.example");
    assert_eq!(again.body, "This sign-in was not begun here");
}

#[tokio::test]
async fn a_foreign_state_signs_nobody_in() {
    let mut pair = Pair::new();
    pair.send("GET /oauth").await;

    let forged = pair
        .send("GET /oauth/callback?code=mallory&state=forged")
        .await;

    assert_eq!(
        (forged.status, &*forged.body),
        (400, "The state does not match")
    );
    assert_eq!(pair.send("GET /me").await.status, 401);
}

#[tokio::test]
async fn a_sign_out_removes_user_data_and_cookie() {
    let mut pair = Pair::new();
    pair.send("GET /").await;
    pair.send("POST /login name=bob&password=demo").await;
    let stolen = (pair.before.clone(), pair.after.clone());

    pair.send("POST /logout").await;

    assert!(!pair.before.has_cookie());
    assert!(!pair.after.has_cookie());
    let home = pair.body("GET /").await;
    assert_eq!(home, "Hello guest, visits before this: 0");
    (pair.before, pair.after) = stolen;
    assert_eq!(pair.send("GET /me").await.status, 401);
}

#[tokio::test]
async fn only_users_can_forget_their_counter() {
    let mut pair = Pair::new();
    pair.send("GET /").await;

    let guest = pair.send("POST /forget").await;
    pair.send("POST /login name=bob&password=demo").await;
    let user = pair.send("POST /forget").await;

    assert_eq!((guest.status, &*guest.body), (401, "Sign in first"));
    assert_eq!(user.status, 303);
    let home = pair.body("GET /").await;
    assert_eq!(home, "Welcome, bob\nHello bob, visits before this: 0");
}

#[tokio::test]
async fn the_cookie_from_before_the_sign_in_is_not_the_users() {
    let mut pair = Pair::new();
    pair.send("GET /").await;
    let fixed = (pair.before.clone(), pair.after.clone());
    pair.send("POST /login name=alice&password=demo").await;

    (pair.before, pair.after) = fixed;

    assert_eq!(pair.send("GET /me").await.status, 401);
}

// T55
#[tokio::test]
async fn the_ported_app_refuses_a_sign_in_and_a_sign_out_from_another_origin() {
    let mut browser = Browser::new(&example_coming_from_after::app());
    let sign_in = "POST /login name=alice&password=demo";
    for foreign in ["https://evil.example", "null"] {
        browser.origin = Some(foreign);
        assert_eq!(browser.send(sign_in).await.status, 403);
        assert!(!browser.has_cookie());
    }
    browser.origin = None;
    browser.send(sign_in).await;

    browser.origin = Some("https://evil.example");
    let refused = browser.send("POST /logout").await;

    browser.origin = None;
    let me = browser.send("GET /me").await;
    assert_eq!((refused.status, &*me.body), (403, "You are alice"));
}
