//! Guest sessions have a cookie of their own, so they never sign a user out.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::header;
use tower_user_sessions::{
    Login, SessionCookie, SessionLayer,
    store::{Tag, Token},
};

use crate::common::{
    faulty::{self, FaultyStore},
    http::{Client, DAY, ids, store, user},
};

const GUEST: &str = "__Host-session-guest=";

async fn guest(layer: &SessionLayer) -> Client {
    let mut guest = Client::new(layer);
    guest.insert("cart", "apple").await;
    guest
}

/// A browser that sends the cookie of a user and that of a guest session.
async fn both(layer: &SessionLayer) -> Client {
    let mut client = Client::signed_in(layer, "alice").await;
    let mut guest = guest(layer).await;
    // An unused one lives for 15 minutes.
    guest.get("cart").await;
    client.guest = guest.guest;
    client
}

fn is_guest(name: &str) -> bool {
    name.starts_with(GUEST)
}

// T63
#[tokio::test]
async fn the_first_value_of_a_guest_sets_the_guest_cookie_with_the_same_attributes() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);

    let answer = Client::new(&layer)
        .request(|session| async move { session.insert("cart", "apple").unwrap() })
        .await;

    let [line] = answer.set_cookies()[..] else {
        panic!("not one cookie");
    };
    let (pair, attributes) = line.split_once("; ").unwrap();
    assert!(is_guest(pair), "{line}");
    let expected = "HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=2592000";
    assert_eq!(attributes, expected);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("vary"), Some("Cookie"));
    assert!(answer.headers[header::SET_COOKIE].is_sensitive());
}

// T63
#[tokio::test]
async fn the_guest_cookie_has_the_name_that_the_app_chose() {
    let (store, _clock) = store();
    let cookie = SessionCookie::named("sid").build().unwrap();
    let mut guest = Client::new(&SessionLayer::new(store).cookie(cookie));

    guest.insert("cart", "apple").await;

    assert!(guest.guest.as_ref().unwrap().starts_with("sid-guest="));
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
}

// T63
#[tokio::test]
async fn a_guest_write_of_a_browser_that_withheld_its_cookies_signs_no_user_out() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut client = Client::signed_in(&layer, "alice").await;

    let withheld = Client::new(&layer)
        .request(|session| async move { session.insert("cart", "apple").unwrap() })
        .await;
    client.keep(&withheld);

    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(client.get("cart").await, None);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T63
#[tokio::test]
async fn a_slow_guest_write_that_ends_after_a_sign_in_signs_no_user_out() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    for before in [Client::new(&layer), guest(&layer).await] {
        let mut client = before.clone();
        let slow = before
            .request(|session| async move { session.insert("cart", "pear").unwrap() })
            .await;
        client.log_in("alice").await;
        client.keep(&slow);

        assert_eq!(client.user().await.as_deref(), Some("alice"));
        assert_eq!(ids(&store, "alice").await.len(), 1);
        client
            .send(|session| async move { session.log_out().unwrap() })
            .await;
    }
}

// T63
#[tokio::test]
async fn the_guest_cookie_is_read_only_if_no_live_signed_in_token_was_sent() {
    let (memory, clock) = store();
    let store = FaultyStore::new(&memory);
    let layer = SessionLayer::new(store.clone()).guest_idle(3 * DAY);
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut guest = guest(&layer).await;
    // An unused guest session lives for 15 minutes.
    assert_eq!(guest.get("cart").await.as_deref(), Some("apple"));
    client.guest = guest.guest;
    let calls = || store.calls(faulty::Method::Resolve);

    let before = calls();
    assert_eq!(client.get("cart").await, None);
    let live = calls() - before;
    clock.advance(DAY);
    let before = calls();
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    let dead = calls() - before;
    let before = calls();
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    let remembered = calls() - before;

    assert_eq!((live, dead, remembered), (1, 2, 1));
}

// T63
#[tokio::test]
async fn a_dead_signed_in_cookie_stays_while_its_browser_keeps_a_guest_session() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(DAY);

    client.insert("cart", "apple").await;
    client.insert("note", "x").await;

    assert!(client.cookie.is_some() && client.guest.is_some());
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(client.get("note").await.as_deref(), Some("x"));
}

// T63
#[tokio::test]
async fn a_sign_in_ends_the_guest_session_carries_what_it_names_and_removes_the_guest_cookie() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut client = guest(&layer).await;
    client.insert("next", "/").await;
    let late = client.clone();

    let answer = client.send(|session| async move {
        let login = Login::new("alice").carry(["cart"]);
        session.log_in_with(login).unwrap();
    });
    let answer = answer.await;

    let mut lines = answer.set_cookies();
    lines.sort_unstable();
    assert_eq!(lines.len(), 2);
    assert!(is_guest(lines[0]) && lines[0].contains("Max-Age=0"));
    assert!(lines[1].starts_with("__Host-session=") && !lines[1].contains("Max-Age=0"));
    assert_eq!(answer.headers.get_all("vary").iter().count(), 1);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(client.get("next").await, None);
    let ended = late.request(|session| async move { (session.id(), session.ended().is_some()) });
    assert_eq!(ended.await.value(), (None, true));
}

// T63
#[tokio::test]
async fn a_sign_in_beside_a_live_session_ends_the_guest_session_that_was_not_read() {
    let (memory, _clock) = store();
    for name in ["alice", "bob"] {
        let store = FaultyStore::new(&memory);
        let layer = SessionLayer::new(store.clone());
        let mut client = both(&layer).await;
        let mut guest = client.clone();
        guest.cookie = None;
        let before = store.all_calls();

        let answer = client.send(move |session| async move {
            let login = Login::new(name).carry(["cart"]);
            session.log_in_with(login).unwrap();
        });
        answer.await;

        // Resolve twice, create, end the guest session, and that of the other user.
        let calls = if name == "alice" { 4 } else { 5 };
        assert_eq!(store.all_calls() - before, calls, "{name}");
        assert_eq!(client.guest, None);
        assert_eq!(client.user().await.as_deref(), Some(name));
        assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
        assert_eq!(guest.get("cart").await, None);
        assert_eq!(ids(&memory, name).await.len(), 1);
    }
}

// T63
#[tokio::test]
async fn what_the_users_session_has_already_is_not_replaced_by_what_the_guest_session_had() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = both(&layer).await;
    let guest = client.guest.take();
    client.insert("cart", "pear").await;
    client.guest = guest;

    let answer = client.send(|session| async move {
        let login = Login::new("alice").carry(["cart"]);
        session.log_in_with(login).unwrap();
    });
    answer.await;

    assert_eq!(client.get("cart").await.as_deref(), Some("pear"));
}

// T63
#[tokio::test]
async fn a_refused_store_call_for_the_guest_session_leaves_the_sign_in_for_the_next_try() {
    let (memory, _clock) = store();
    let store = FaultyStore::new(&memory);
    let layer = SessionLayer::new(store.clone());
    let mut client = both(&layer).await;
    store.nth(faulty::Method::Resolve, 2, faulty::Fault::Fail);

    let answer = client.send(|session| async move {
        session.log_in(user("bob")).unwrap();
        let failed = session.commit().await.is_err();
        session.commit().await.unwrap();
        failed
    });

    assert!(answer.await.value());
    assert_eq!(client.user().await.as_deref(), Some("bob"));
    assert_eq!(client.guest, None);
}

// T63
#[tokio::test]
async fn a_sign_out_of_a_guest_removes_only_the_guest_cookie() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(DAY);
    client.insert("cart", "apple").await;
    let mut copy = client.clone();

    let answer = client
        .send(|session| async move { session.log_out().unwrap() })
        .await;

    assert!(answer.removes_cookie());
    assert!(is_guest(answer.set_cookies()[0]));
    assert_eq!(copy.get("cart").await, None);
}

// T63
#[tokio::test]
async fn a_sign_out_ends_the_guest_session_beside_that_of_the_user_too() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut client = both(&layer).await;
    let mut copy = client.clone();

    client
        .send(|session| async move { session.log_out().unwrap() })
        .await;

    assert_eq!((&client.cookie, &client.guest), (&None, &None));
    assert_eq!(copy.get("cart").await, None);
    assert_eq!(ids(&store, "alice").await, []);
}

// T63
#[tokio::test]
async fn values_inserted_after_a_sign_out_set_the_guest_cookie_and_remove_the_signed_in_one() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::signed_in(&layer, "alice").await;

    client
        .send(|session| async move {
            session.log_out().unwrap();
            session.insert("flash", "bye").unwrap();
        })
        .await;

    assert!(client.cookie.is_none() && client.guest.is_some());
    assert_eq!(client.get("flash").await.as_deref(), Some("bye"));
}

// T2 T63
#[tokio::test]
async fn of_two_differing_guest_cookies_neither_is_used_or_removed() {
    let (memory, _clock) = store();
    let store = FaultyStore::new(&memory);
    let layer = SessionLayer::new(store.clone());
    let (one, other) = (guest(&layer).await, guest(&layer).await);
    let cookie = [one.guest.unwrap(), other.guest.unwrap()].join("; ");
    let client = Client::with_cookies(&layer, [cookie.as_bytes()]);
    let before = store.all_calls();

    let looked = client
        .request(|session| async move { session.get::<String>("cart").unwrap() })
        .await;
    let calls = store.all_calls() - before;
    let signed_in = client
        .request(|session| async move { session.log_in("alice").unwrap() })
        .await;

    assert!(looked.sets_no_cookie());
    assert_eq!((looked.value(), calls), (None, 0));
    let lines = signed_in.set_cookies();
    assert!(lines.len() == 1 && !is_guest(lines[0]), "{lines:?}");
}

// T2 T63
#[tokio::test]
async fn a_malformed_or_unknown_guest_cookie_is_no_session_and_stays() {
    let (memory, _clock) = store();
    let store = FaultyStore::new(&memory);
    let layer = SessionLayer::new(store.clone());
    let unknown = Token::random(Tag::random().unwrap()).unwrap().encode();

    for (value, calls) in [("", 0), ("x", 0), (&unknown, 1)] {
        let cookie = format!("{GUEST}{value}");
        let client = Client::with_cookies(&layer, [cookie.as_bytes()]);
        let before = store.all_calls();

        let answer = client.request(|session| async move { session.id() }).await;

        assert!(answer.sets_no_cookie());
        assert_eq!(answer.value(), None);
        assert_eq!(store.all_calls() - before, calls);
    }
}

// T63
#[tokio::test]
async fn the_token_of_a_user_in_the_guest_cookie_signs_nobody_in() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut moved = Client::signed_in(&layer, "alice").await;
    moved.guest = Some(format!("{GUEST}{}", moved.token()));
    moved.cookie = None;

    assert_eq!(moved.user().await, None);
}
