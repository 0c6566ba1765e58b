//! The device cookie reports the first sign-in on a device, once and without a fingerprint.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    DeviceCookie, MemoryStore, SameSite, SessionCookie, SessionLayer, TokenSource,
    events::EventKind, store::ManualClock,
};

use crate::common::{
    book::{Book, Reported},
    http::{Answer, Client, DAY, HOUR, ids, store, user},
};

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).device_cookie(DeviceCookie::new());
    (layer, store, clock)
}

/// Signs in on a browser that keeps its device cookie and drops its session cookie.
async fn signs_in(client: &mut Client, id: &'static str) -> (bool, Vec<String>) {
    client.cookie = None;
    let answer: Answer<bool> = client
        .request(move |session| async move {
            session.log_in(user(id)).unwrap();
            session.commit().await.unwrap().new_device
        })
        .await;
    let ours = answer
        .set_cookies()
        .into_iter()
        .filter(|line| line.starts_with("__Host-device="));
    let lines: Vec<String> = ours.map(str::to_owned).collect();
    if let Some(line) = lines.first() {
        let pair = line.split(';').next().unwrap();
        client.headers.insert("cookie", pair.parse().unwrap());
    }
    (answer.value(), lines)
}

// T43
#[tokio::test]
async fn only_the_first_sign_in_on_a_device_reports_it_as_new() {
    let (layer, _store, clock) = world();
    let mut client = Client::new(&layer);

    let (first, cookies) = signs_in(&mut client, "alice").await;
    clock.advance(DAY);
    let (second, none) = signs_in(&mut client, "alice").await;

    assert!(first);
    assert!(!second);
    assert_eq!(cookies.len(), 1);
    assert!(none.is_empty());
}

// T43
#[tokio::test]
async fn each_pair_of_user_and_device_is_new_once() {
    let (layer, _store, _clock) = world();
    let (mut one, mut other) = (Client::new(&layer), Client::new(&layer));
    signs_in(&mut one, "alice").await;

    assert!(signs_in(&mut one, "bob").await.0);
    assert!(signs_in(&mut other, "alice").await.0);
    assert!(!signs_in(&mut one, "alice").await.0);
}

#[tokio::test]
async fn a_sign_in_with_the_device_cookie_alone_ends_no_session() {
    let (layer, store, _clock) = world();
    let mut client = Client::new(&layer);

    for (id, alice, bob) in [("alice", 1, 0), ("alice", 2, 0), ("bob", 2, 1)] {
        signs_in(&mut client, id).await;

        let live = (
            ids(&store, "alice").await.len(),
            ids(&store, "bob").await.len(),
        );
        assert_eq!(live, (alice, bob));
    }
}

// T43
#[tokio::test]
async fn a_device_cookie_is_compared_with_the_session_cookie_that_was_set_last() {
    let (store, _clock) = store();
    let named = |name| SessionCookie::named(name).build().unwrap();
    let layer = SessionLayer::new(store).cookie(named("__Host-device"));
    let layer = layer.device_cookie(DeviceCookie::new());
    let mut client = Client::new(&layer.cookie(named("__Host-sid")));

    let (is_new, lines) = signs_in(&mut client, "alice").await;

    assert!(is_new);
    assert_eq!(lines.len(), 1, "{lines:?}");
}

// T43
#[tokio::test]
async fn a_device_cookie_that_a_sign_in_would_remove_is_off() {
    for (retired, on) in [("__Host-device", 0), ("__Host-old", 1)] {
        let (store, _clock) = store();
        let cookie = SessionCookie::named("__Host-sid").retired(retired, "/", None);
        let layer = SessionLayer::new(store).device_cookie(DeviceCookie::new());
        let layer = layer.cookie(cookie.build().unwrap());

        let mut client = Client::new(&layer);

        let (is_new, lines) = signs_in(&mut client, "alice").await;

        let kept = lines.iter().filter(|line| !line.contains("=; "));
        assert_eq!(kept.count(), on, "{retired}");
        assert_eq!(is_new, on == 1, "{retired}");
    }
}

// T8
#[tokio::test]
async fn the_device_cookie_is_secure_host_only_and_http_only() {
    let (layer, _store, _clock) = world();

    let (_, cookies) = signs_in(&mut Client::new(&layer), "alice").await;

    let (value, attributes) = cookies[0].split_once(';').unwrap();
    assert_eq!(value.len(), "__Host-device=".len() + 22);
    assert_eq!(
        attributes,
        " HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=34560000"
    );
}

// T43
#[tokio::test]
async fn the_device_cookie_goes_where_the_session_cookie_goes() {
    let session = SessionCookie::named("__Host-sid");
    let framed = session.clone().same_site(SameSite::None);
    for (cookie, expected) in [
        (framed.clone(), "; HttpOnly; SameSite=None; Secure;"),
        (
            framed.partitioned(true),
            "; HttpOnly; SameSite=None; Partitioned; Secure;",
        ),
        (
            session.same_site(SameSite::Strict),
            "; HttpOnly; SameSite=Lax; Secure;",
        ),
    ] {
        let cookie = cookie.build().unwrap();
        // Either may be set first.
        let before = SessionLayer::new(store().0).device_cookie(DeviceCookie::new());
        let after = SessionLayer::new(store().0).cookie(cookie.clone());
        for layer in [
            before.cookie(cookie),
            after.device_cookie(DeviceCookie::new()),
        ] {
            let (_, lines) = signs_in(&mut Client::new(&layer), "alice").await;

            let device = lines.iter().find(|line| line.starts_with("__Host-device="));
            assert!(device.unwrap().contains(expected), "{lines:?}");
        }
    }
}

// T43
#[tokio::test]
async fn devices_are_forgotten_after_the_set_time() {
    let (store, clock) = store();
    let cookie = DeviceCookie::new().remembered_for(2 * DAY);
    let layer = SessionLayer::new(store).device_cookie(cookie);
    let mut client = Client::new(&layer);
    signs_in(&mut client, "alice").await;
    clock.advance(2 * DAY - Duration::from_millis(1));
    assert!(!signs_in(&mut client, "alice").await.0);
    clock.advance(2 * DAY);

    assert!(signs_in(&mut client, "alice").await.0);
}

// T43
#[tokio::test]
async fn a_device_stays_known_longer_than_the_sessions_that_were_made_on_it() {
    let (store, clock) = store();
    let cookie = DeviceCookie::new().remembered_for(90 * DAY);
    let layer = SessionLayer::new(store.clone()).device_cookie(cookie);
    let mut client = Client::new(&layer);
    assert!(signs_in(&mut client, "alice").await.0);

    clock.advance(80 * DAY);

    // After this call the store deletes what it no longer needs.
    assert_eq!(ids(&store, "alice").await, []);
    assert!(!signs_in(&mut client, "alice").await.0);
}

#[tokio::test]
async fn an_invalid_device_cookie_counts_as_a_new_device() {
    let (layer, _store, _clock) = world();
    for odd in [
        "__Host-device=",
        "__Host-device=short",
        "__Host-device=!!!!!!!!!!!!!!!!!!!!!!",
    ] {
        let mut client = Client::new(&layer);
        client.headers.insert("cookie", odd.parse().unwrap());

        let (first, cookies) = signs_in(&mut client, "alice").await;

        assert!(first);
        assert_eq!(cookies.len(), 1);
    }
}

#[tokio::test]
async fn without_the_option_or_with_bearer_tokens_there_is_no_device_cookie() {
    let (store, clock) = store();
    let plain = SessionLayer::new(store.clone());
    let bearer = SessionLayer::new(store)
        .device_cookie(DeviceCookie::new())
        .token_source(TokenSource::Bearer);

    for layer in [plain, bearer] {
        let (_, cookies) = signs_in(&mut Client::new(&layer), "alice").await;
        assert!(cookies.is_empty());
        clock.advance(HOUR);
    }
}

// T43
#[tokio::test]
async fn bearer_sign_ins_make_no_devices_and_push_no_known_device_out() {
    let (layer, store, _clock) = world();
    let mut browser = Client::new(&layer);
    assert!(signs_in(&mut browser, "alice").await.0);
    let book = Book::default();
    let mobile = SessionLayer::new(store)
        .device_cookie(DeviceCookie::new())
        .events(book.sink());
    for source in [TokenSource::Bearer, TokenSource::BearerThenCookie] {
        let mobile = mobile.clone().token_source(source);

        for _ in 0..33 {
            let (first, cookies) = signs_in(&mut Client::new(&mobile), "alice").await;
            assert!(!first && cookies.is_empty());
        }
    }

    let new = |event: &Reported| event.0 == EventKind::NewDevice;
    assert!(!book.news().iter().any(new));
    assert!(!signs_in(&mut browser, "alice").await.0);
}

// T43
#[tokio::test]
async fn a_bearer_header_without_a_token_hides_no_sign_in() {
    let ((store, _clock), book) = (store(), Book::default());
    let layer = SessionLayer::new(store)
        .device_cookie(DeviceCookie::new())
        .token_source(TokenSource::CookieThenBearer)
        .events(book.sink());
    for line in ["Bearer x", "Bearer"] {
        let mut client = Client::new(&layer);
        client
            .headers
            .insert("authorization", line.parse().unwrap());

        let (first, cookies) = signs_in(&mut client, "alice").await;

        assert!(first && cookies.len() == 1, "{line}");
        let news = book.news();
        let new = news.iter().filter(|event| event.0 == EventKind::NewDevice);
        assert_eq!(new.count(), 1, "{line}");
        client.log_in("alice").await;
        assert!(client.cookie.is_some(), "{line}");
    }
}

// T43
#[tokio::test]
async fn a_browser_with_a_device_cookie_that_signs_in_for_a_bearer_token_is_known() {
    let (layer, store, _clock) = world();
    let mut browser = Client::new(&layer);
    signs_in(&mut browser, "alice").await;
    let bearer = SessionLayer::new(store)
        .device_cookie(DeviceCookie::new())
        .token_source(TokenSource::Bearer);

    let mut script = browser.before(&bearer);

    assert!(!signs_in(&mut script, "alice").await.0);
    assert!(signs_in(&mut script, "bob").await.0);
}

#[tokio::test]
async fn a_refused_sign_in_leaves_no_device_behind() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store)
        .device_cookie(DeviceCookie::new())
        .limit(tower_user_sessions::Limit::at_most(1).refuse());
    Client::signed_in(&layer, "alice").await;
    let mut client = Client::new(&layer);
    let refused = client.send(|session| async move { session.log_in(user("alice")).unwrap() });

    assert!(refused.await.sets_no_cookie());
}

// T43
#[tokio::test]
async fn of_two_device_cookies_that_differ_neither_is_used() {
    let (layer, _store, _clock) = world();
    let mut client = Client::new(&layer);
    signs_in(&mut client, "alice").await;
    let known = client.headers["cookie"].to_str().unwrap().to_owned();
    let planted = format!("{known}; __Host-device={}", "A".repeat(known.len() - 14));

    client.headers.insert("cookie", planted.parse().unwrap());

    assert!(signs_in(&mut client, "alice").await.0);
}
