//! Headers of hostile size and bytes: nothing panics, a malformed token costs no store call, and
//! stored client descriptions stay short.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::{HeaderMap, HeaderName, HeaderValue};
use tower_user_sessions::{ClientIp, SessionLayer, TokenSource, UserSessions};

use crate::common::{
    faulty::FaultyStore,
    http::{Client, store, user},
};

/// Every header that the layer reads.
pub(crate) const READ: [&str; 9] = [
    "authorization",
    "content-type",
    "cookie",
    "sec-ch-ua",
    "sec-ch-ua-mobile",
    "sec-ch-ua-platform",
    "user-agent",
    "x-forwarded-for",
    "x-real-ip",
];

/// Bytes that no client should send in any of them.
fn odd() -> Vec<Vec<u8>> {
    vec![
        Vec::new(),
        vec![0xff; 64],
        b"\xc3\x28\xa0\xa1 bearer \xf0\x28\x8c\x28".to_vec(),
        b"__Host-session=\xff\xfe; Bearer \x80".to_vec(),
        "\u{2000}__Host-session=\u{202e}".into(),
        vec![b'"'; 64 * 1024],
        vec![b';'; 64 * 1024],
        vec![b'A'; 64 * 1024],
    ]
}

// T2 T10 T37 T38
#[tokio::test]
async fn odd_bytes_in_any_header_make_a_guest_and_cost_no_store_call() {
    for source in [
        TokenSource::Cookie,
        TokenSource::Bearer,
        TokenSource::CookieThenBearer,
    ] {
        let (store, _clock) = store();
        let faulty = FaultyStore::new(&store);
        let layer = SessionLayer::new(faulty.clone())
            .token_source(source)
            .client_ip(ClientIp::RightmostXForwardedFor);
        for name in READ {
            for value in odd() {
                let mut client = Client::new(&layer);
                let value = HeaderValue::from_bytes(&value).unwrap();
                client.headers.append(HeaderName::from_static(name), value);

                let answer = client.request(|session| async move { session.user_id() });

                assert_eq!(answer.await.value(), None, "{name}");
            }
        }
        assert_eq!(faulty.all_calls(), 0, "{source:?}");
    }
}

// T2 T10
#[tokio::test]
async fn two_hundred_cookie_headers_and_one_of_a_mebibyte_are_read_in_one_pass() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    let mut headers = HeaderMap::new();
    for number in 0..200 {
        let line = format!("c{number}=x; __Host-sessio={number}");
        headers.append("cookie", line.parse().unwrap());
    }
    let long = format!("__Host-session={}", "A".repeat(1 << 20));
    headers.append("cookie", long.parse().unwrap());
    let mut client = Client::new(&layer);
    client.headers = headers;

    let answer = client.request(|session| async move { session.user_id() });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), None);
    assert_eq!(faulty.all_calls(), 0);
}

// T2 T10
#[tokio::test]
async fn the_token_is_found_behind_two_hundred_cookie_headers() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store);
    let mut client = Client::new(&layer);
    for number in 0..200 {
        let line = format!("c{number}=\u{fc}").into_bytes();
        let value = HeaderValue::from_bytes(&line).unwrap();
        client.headers.append("cookie", value);
    }
    client.log_in("alice").await;

    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T37
#[tokio::test]
async fn a_user_agent_of_64_kib_is_stored_in_512_bytes() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut client = Client::new(&layer);
    let agent = "Mozilla/5.0 ".repeat(64 * 1024 / 12);
    client.headers.insert("user-agent", agent.parse().unwrap());

    client.log_in("alice").await;

    let sessions = UserSessions::new(store, user("alice"))
        .list()
        .await
        .unwrap();
    let kept = sessions[0].user_agent().unwrap().len();
    assert!((500..=512).contains(&kept), "{kept}");
    assert!(sessions[0].device().label().len() <= 512);
}
