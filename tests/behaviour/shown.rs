//! Cookies of the session's name: which ones are read, and what happens to invalid ones.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    Session, SessionLayer,
    store::{Tag, Token},
};

use crate::common::{
    faulty::FaultyStore,
    http::{Client, store},
};

async fn signed_in() -> (SessionLayer, String) {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let token = Client::signed_in(&layer, "alice").await.token();
    (layer, token)
}

fn unknown_token() -> String {
    Token::random(Tag::random().unwrap()).unwrap().encode()
}

async fn whose(session: Session) -> Option<String> {
    session.user_id().map(|user| user.to_string())
}

#[tokio::test]
async fn without_a_cookie_there_is_a_guest_no_store_call_and_no_set_cookie() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let client = Client::new(&SessionLayer::new(faulty.clone()));

    let answer = client.request(whose).await;

    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), None);
    assert_eq!(faulty.all_calls(), 0);
}

// T2
#[tokio::test]
async fn a_malformed_token_makes_a_guest_costs_no_store_call_and_its_cookie_stays() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    let token = unknown_token();
    let malformed = [
        String::new(),
        "x".to_owned(),
        token[1..].to_owned(),
        format!("{token}A"),
        "=".repeat(64),
        format!("\"{}\"", &token[2..]),
        "A".repeat(8_000),
    ];

    for value in malformed {
        let cookie = format!("__Host-session={value}");
        let answer = Client::with_cookies(&layer, [cookie.as_bytes()])
            .request(whose)
            .await;

        assert!(answer.sets_no_cookie(), "{value}");
        assert_eq!(answer.value(), None);
    }
    assert_eq!(faulty.all_calls(), 0);
}

// T2
#[tokio::test]
async fn an_unknown_token_makes_a_guest_and_its_cookie_stays() {
    let (store, _clock) = store();
    let cookie = format!("__Host-session={}", unknown_token());

    let answer = Client::with_cookies(&SessionLayer::new(store), [cookie.as_bytes()])
        .request(whose)
        .await;

    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), None);
}

// T2
#[tokio::test]
async fn an_unknown_token_is_never_adopted() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let planted = unknown_token();
    let mut client = Client::new(&layer);

    client.cookie = Some(format!("__Host-session={planted}"));
    client.insert("cart", "apple").await;
    let guest = client.guest.clone().unwrap();
    client.cookie = Some(format!("__Host-session={planted}"));
    client.log_in("alice").await;

    assert!(!guest.contains(&planted));
    assert_ne!(client.token(), planted);
    let cookie = format!("__Host-session={planted}");
    let thief = Client::with_cookies(&layer, [cookie.as_bytes()])
        .request(whose)
        .await;
    assert_eq!(thief.value(), None);
}

// T2
#[tokio::test]
async fn a_token_with_a_wrong_secret_is_unknown() {
    let (layer, token) = signed_in().await;
    // The last character of the secret.
    let other = if token.ends_with('A') { 'B' } else { 'A' };
    let cookie = format!("__Host-session={}{other}", &token[..63]);

    let answer = Client::with_cookies(&layer, [cookie.as_bytes()])
        .request(whose)
        .await;

    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), None);
}

// T10
#[tokio::test]
async fn a_cookie_name_that_only_looks_like_ours_is_ignored() {
    let (layer, token) = signed_in().await;
    let others = [
        "\u{2000}__Host-session",
        "\u{a0}__Host-session",
        "\u{85}__Host-session",
        "__Host-session\u{a0}",
        "__host-session",
        "__HOST-SESSION",
        "__Host-session2",
        "x__Host-session",
    ];

    for name in others {
        let cookie = format!("{name}={token}");
        let answer = Client::with_cookies(&layer, [cookie.as_bytes()])
            .request(whose)
            .await;

        assert!(answer.sets_no_cookie(), "{name:?}");
        assert_eq!(answer.value(), None, "{name:?}");
    }
}

// T10
#[tokio::test]
async fn only_space_and_tab_around_name_and_value_are_trimmed() {
    let (layer, token) = signed_in().await;
    let cookie = format!("a=b;\t __Host-session\t = {token}\t ;c=d");

    let answer = Client::with_cookies(&layer, [cookie.as_bytes()])
        .request(whose)
        .await;

    assert_eq!(answer.value().as_deref(), Some("alice"));
}

// T10
#[tokio::test]
async fn another_cookie_in_odd_bytes_does_not_hide_the_session_cookie() {
    let (layer, token) = signed_in().await;
    let ours = format!("__Host-session={token}");
    let foreign: [&[u8]; 4] = [b"a=\xff\xfe", b"\xe9t\xe9=1", b"no-equals-sign", b"=\x80"];

    for odd in foreign {
        let before = [odd, b"; ", ours.as_bytes()].concat();
        let after = [ours.as_bytes(), b"; ", odd].concat();
        let apart = Client::with_cookies(&layer, [odd, ours.as_bytes()]);

        for client in [
            Client::with_cookies(&layer, [&before]),
            Client::with_cookies(&layer, [&after]),
            apart,
        ] {
            let answer = client.request(whose).await;

            assert!(answer.sets_no_cookie());
            assert_eq!(answer.value().as_deref(), Some("alice"));
        }
    }
}

// T10
#[tokio::test]
async fn all_cookie_headers_are_read() {
    let (layer, token) = signed_in().await;
    let ours = format!("__Host-session={token}");

    for cookies in [
        [b"a=b", ours.as_bytes(), b"c=d"],
        [ours.as_bytes(), b"a=b", b"c=d"],
    ] {
        let answer = Client::with_cookies(&layer, cookies).request(whose).await;

        assert_eq!(answer.value().as_deref(), Some("alice"));
    }
}

// T2 T10
#[tokio::test]
async fn of_two_differing_cookies_neither_is_used_or_removed() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let ours = Client::signed_in(&SessionLayer::new(store), "alice").await;
    let ours = format!("__Host-session={}", ours.token());
    let layer = SessionLayer::new(faulty.clone());

    for planted in [
        format!("__Host-session={}", unknown_token()),
        "__Host-session=x".to_owned(),
    ] {
        let joined = format!("{planted}; {ours}");
        let clients = [
            Client::with_cookies(&layer, [joined.as_bytes()]),
            Client::with_cookies(&layer, [planted.as_bytes(), ours.as_bytes()]),
            Client::with_cookies(&layer, [ours.as_bytes(), planted.as_bytes()]),
        ];

        for client in clients {
            let answer = client.request(whose).await;

            assert!(answer.sets_no_cookie());
            assert_eq!(answer.value(), None);
        }
    }
    assert_eq!(faulty.all_calls(), 0);
}

// T10
#[tokio::test]
async fn two_equal_cookies_count_as_one() {
    let (layer, token) = signed_in().await;
    let cookie = format!("__Host-session={token}; __Host-session={token}");

    let answer = Client::with_cookies(&layer, [cookie.as_bytes()])
        .request(whose)
        .await;

    assert_eq!(answer.value().as_deref(), Some("alice"));
}
