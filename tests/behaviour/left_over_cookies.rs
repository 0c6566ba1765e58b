//! Cookies that other settings left in browsers: a sign-out ends their sessions, and they can be removed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    CookieErrorKind, SameSite, SessionCookie, SessionLayer, TokenSource, UserSessions,
};

use crate::common::http::{Answer, Client, ids, store, user};

fn removal(line: &str) -> bool {
    line.contains("=; ") && line.contains("Max-Age=0")
}

// T62
#[tokio::test]
async fn a_sign_out_ends_every_session_whose_token_the_request_sent() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let one = Client::signed_in(&layer, "alice").await.cookie.unwrap();
    let other = Client::signed_in(&layer, "alice").await.cookie.unwrap();
    let kept = Client::new(&layer).log_in("alice").await;
    let cookie = format!("{one}; {other}; __Host-session=x");
    let client = Client::with_cookies(&layer, [cookie.as_bytes()]);

    let looked = client
        .request(|session| async move { session.user_id() })
        .await;
    let answer = client.request(|session| async move { session.log_out().unwrap() });
    let answer = answer.await;

    assert!(looked.sets_no_cookie());
    assert_eq!(looked.value(), None);
    assert!(answer.removes_cookie());
    assert_eq!(ids(&store, "alice").await, [kept]);
}

// T62
#[tokio::test]
async fn a_sign_out_with_two_dead_cookies_removes_neither() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let cookie = format!("__Host-session={}; __Host-session=x", "A".repeat(64));

    let answer = Client::with_cookies(&layer, [cookie.as_bytes()])
        .request(|session| async move { session.log_out().unwrap() })
        .await;

    assert!(answer.sets_no_cookie());
}

// T62
#[tokio::test]
async fn a_forged_token_of_a_live_session_ends_nothing() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let token = Client::signed_in(&layer, "alice").await.token();
    let cookie = format!(
        "__Host-session={}{:A<32}; __Host-session=x",
        &token[..32],
        ""
    );

    Client::with_cookies(&layer, [cookie.as_bytes()])
        .request(|session| async move { session.log_out().unwrap() })
        .await;

    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T62
#[tokio::test]
async fn a_sign_out_with_a_cookie_and_another_bearer_token_ends_both_sessions() {
    for source in [TokenSource::BearerThenCookie, TokenSource::CookieThenBearer] {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store.clone()).token_source(source);
        let one = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
        let mut client = Client::signed_in(&SessionLayer::new(store.clone()), "bob")
            .await
            .before(&layer);
        let bearer = format!("Bearer {}", one.token()).parse().unwrap();
        client.headers.insert("authorization", bearer);

        let answer = client
            .send(|session| async move { session.log_out().unwrap() })
            .await;

        assert!(answer.removes_cookie(), "{source:?}");
        for name in ["alice", "bob"] {
            assert_eq!(ids(&store, name).await, [], "{source:?}");
        }
    }
}

// T62
#[tokio::test]
async fn a_sign_out_that_the_store_cannot_finish_is_finished_by_the_next_try() {
    use crate::common::faulty::{Fault, FaultyStore, Method};

    let (memory, _clock) = store();
    let faulty = FaultyStore::new(&memory);
    let layer = SessionLayer::new(faulty.clone());
    let one = Client::signed_in(&layer, "alice").await.cookie.unwrap();
    let other = Client::signed_in(&layer, "bob").await.cookie.unwrap();
    let cookie = format!("{one}; {other}");
    let client = Client::with_cookies(&layer, [cookie.as_bytes()]);
    faulty.nth(Method::End, 2, Fault::Fail);

    let answer = client.request(|session| async move {
        session.log_out().unwrap();
        let failed = session.commit().await.is_err();
        session.commit().await.unwrap();
        failed
    });
    let answer = answer.await;

    assert!(answer.removes_cookie());
    assert!(answer.value());
    for name in ["alice", "bob"] {
        let live = UserSessions::new(memory.clone(), user(name)).count().await;
        assert_eq!(live.unwrap(), 0);
    }
}

/// A layer whose cookie was Partitioned, had a Domain, and another name.
fn layer() -> SessionLayer {
    let (store, _clock) = store();
    let cookie = SessionCookie::named("sid")
        .retired("sid", "/", None)
        .retired("__Secure-old", "/app", Some("a.test"))
        .build()
        .unwrap();
    SessionLayer::new(store).cookie(cookie)
}

/// All lines without the value of the token.
fn lines(answer: &Answer<()>) -> String {
    let lines = answer.set_cookies().into_iter();
    let short = lines.map(|line| {
        let (pair, attributes) = line.split_once("; ").unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        let attributes = attributes.replace("; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "");
        format!("{name}=<{}>; {attributes}", value.len())
    });
    short.collect::<Vec<_>>().join("\n")
}

// T13
#[tokio::test]
async fn a_sign_in_and_a_sign_out_remove_the_cookies_that_other_settings_left_over() {
    let mut client = Client::new(&layer());

    let signed_in = client
        .request(|session| async move { session.log_in("alice").unwrap() })
        .await;
    client.keep(&signed_in);
    client.cookie = signed_in.set_cookies()[0]
        .split(';')
        .next()
        .map(str::to_owned);
    let looked = client.request(|_session| async {}).await;
    let signed_out = client
        .request(|session| async move { session.log_out().unwrap() })
        .await;

    insta::assert_snapshot!(lines(&signed_in), @"
    sid=<64>; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=2592000
    sid=<0>; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/; Max-Age=0
    sid-guest=<0>; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/; Max-Age=0
    __Secure-old=<0>; HttpOnly; SameSite=Lax; Secure; Path=/app; Domain=a.test; Max-Age=0
    __Secure-old-guest=<0>; HttpOnly; SameSite=Lax; Secure; Path=/app; Domain=a.test; Max-Age=0
    __Secure-old=<0>; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/app; Domain=a.test; Max-Age=0
    __Secure-old-guest=<0>; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/app; Domain=a.test; Max-Age=0
    ");
    assert!(looked.sets_no_cookie());
    let removals = |answer: &Answer<()>| -> Vec<String> {
        let lines = answer.set_cookies().into_iter().skip(1);
        lines.map(str::to_owned).collect()
    };
    assert_eq!(removals(&signed_in), removals(&signed_out));
    assert!(removals(&signed_out).iter().all(|line| removal(line)));
}

// T13
#[tokio::test]
async fn a_cookie_of_the_same_name_and_path_with_a_domain_is_another_one() {
    let (store, _clock) = store();
    let cookie = SessionCookie::named("sid").retired("sid", "/", Some("a.test"));
    let layer = SessionLayer::new(store).cookie(cookie.build().unwrap());

    let signed_in = Client::new(&layer)
        .request(|session| async move { session.log_in("alice").unwrap() })
        .await;

    insta::assert_snapshot!(lines(&signed_in), @"
    sid=<64>; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=2592000
    sid=<0>; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=a.test; Max-Age=0
    sid-guest=<0>; HttpOnly; SameSite=Lax; Secure; Path=/; Domain=a.test; Max-Age=0
    sid=<0>; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/; Domain=a.test; Max-Age=0
    sid-guest=<0>; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/; Domain=a.test; Max-Age=0
    ");
}

// T7 T13
#[tokio::test]
async fn without_secure_there_is_no_partitioned_cookie_to_remove() {
    let (store, _clock) = store();
    let cookie = SessionCookie::named("sid").secure(false);
    let cookie = cookie.retired("old", "/", None).build().unwrap();

    let signed_in = Client::new(&SessionLayer::new(store).cookie(cookie))
        .request(|session| async move { session.log_in("alice").unwrap() })
        .await;

    insta::assert_snapshot!(lines(&signed_in), @"
    sid=<64>; HttpOnly; SameSite=Lax; Path=/; Max-Age=2592000
    old=<0>; HttpOnly; SameSite=Lax; Path=/; Max-Age=0
    old-guest=<0>; HttpOnly; SameSite=Lax; Path=/; Max-Age=0
    ");
}

// T13 T63
#[tokio::test]
async fn the_first_value_of_a_guest_removes_left_over_guest_cookies_only() {
    let answer = Client::new(&layer())
        .request(|session| async move { session.insert("cart", "apple").unwrap() })
        .await;

    insta::assert_snapshot!(lines(&answer), @"
    sid-guest=<64>; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=2592000
    sid-guest=<0>; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/; Max-Age=0
    __Secure-old-guest=<0>; HttpOnly; SameSite=Lax; Secure; Path=/app; Domain=a.test; Max-Age=0
    __Secure-old-guest=<0>; HttpOnly; SameSite=Lax; Partitioned; Secure; Path=/app; Domain=a.test; Max-Age=0
    ");
}

// T13 T63
#[tokio::test]
async fn a_change_of_both_cookies_removes_all_that_other_settings_left_over() {
    let layer = layer();
    let mut guest = Client::new(&layer);
    let first = |answer: &Answer<()>| {
        let pair = answer.set_cookies()[0].split(';').next();
        pair.map(str::to_owned)
    };
    let begins = guest.request(|session| async move { session.insert("cart", "apple").unwrap() });
    guest.guest = first(&begins.await);
    let signs_in = guest.request(|session| async move { session.log_in("alice").unwrap() });
    let signs_in = signs_in.await;
    let mut client = Client::new(&layer);
    client.cookie = first(&signs_in);
    let signs_out = client.request(|session| async move {
        session.log_out().unwrap();
        session.insert("cart", "pear").unwrap();
    });

    for (answer, guest_is) in [(signs_in, 0), (signs_out.await, 64)] {
        let lines = lines(&answer);
        assert!(lines.contains(&format!(
            "sid-guest=<{guest_is}>; HttpOnly; SameSite=Lax; Secure"
        )));
        for left_over in [
            "sid=<0>",
            "sid-guest=<0>",
            "__Secure-old=<0>",
            "__Secure-old-guest=<0>",
        ] {
            let partitioned = format!("{left_over}; HttpOnly; SameSite=Lax; Partitioned");
            assert_eq!(lines.matches(&partitioned).count(), 1, "{lines}");
        }
        assert_eq!(lines.matches("-guest=").count(), 4, "{lines}");
    }
}

// T13
#[tokio::test]
async fn a_retired_cookie_does_not_remove_the_new_one_whose_domain_is_written_another_way() {
    for (present, retired) in [
        ("example.com", ".example.com"),
        ("example.com", "Example.COM"),
        (".Example.com", "example.com"),
    ] {
        let (store, _clock) = store();
        let cookie = SessionCookie::named("sid").domain(present);
        let cookie = cookie.retired("sid", "/", Some(retired)).build().unwrap();
        let client = Client::new(&SessionLayer::new(store).cookie(cookie));

        let answer = client
            .request(|session| async move { session.log_in("alice").unwrap() })
            .await;

        let removals = answer.set_cookies().into_iter();
        let removals = removals.filter(|line| line.starts_with("sid=; "));
        // The partitioned one is another cookie.
        let own = removals.filter(|line| !line.contains("Partitioned"));
        assert_eq!(own.count(), 0, "{present} {retired}");
    }
}

// T13 T63
#[test]
fn a_retired_cookie_that_is_the_present_guest_cookie_does_not_build() {
    let named = || SessionCookie::named("sid").domain("example.com");
    for (name, path, domain) in [
        ("sid-guest", "/", Some("example.com")),
        ("sid-guest", "/", Some(".Example.com")),
    ] {
        let clash = named().retired(name, path, domain).build().unwrap_err();
        assert_eq!(clash.kind(), CookieErrorKind::RetiredGuest, "{domain:?}");
    }

    // The guest cookie of the retired cookie goes with it.
    let other = named().retired("sid-guest", "/app", Some("example.com"));
    assert!(other.build().is_ok());
}

// T9
#[test]
fn retired_cookies_that_no_browser_can_have_and_partitioned_ones_without_same_site_none_do_not_build()
 {
    let named = SessionCookie::named;
    let broken = [
        (named("s").retired("", "/", None), CookieErrorKind::Retired),
        (
            named("s").retired("a=b", "/", None),
            CookieErrorKind::Retired,
        ),
        (named("s").retired("a", "x", None), CookieErrorKind::Retired),
        (
            named("s").retired("a", "/", Some("")),
            CookieErrorKind::Retired,
        ),
        (
            named("s").retired("__Host-a", "/x", None),
            CookieErrorKind::Retired,
        ),
        (
            named("s").retired("__Host-a", "/", Some("a.test")),
            CookieErrorKind::Retired,
        ),
        (
            named("s").secure(false).retired("__Secure-a", "/", None),
            CookieErrorKind::Retired,
        ),
        (
            named("s").partitioned(true),
            CookieErrorKind::PartitionedAndSameSite,
        ),
        (
            named("s").partitioned(true).same_site(SameSite::Strict),
            CookieErrorKind::PartitionedAndSameSite,
        ),
    ];

    for (settings, clash) in broken {
        let error = settings.clone().build().unwrap_err();
        assert_eq!(error.kind(), clash, "{settings:?}");
    }
    let error = named("s").partitioned(true).build().unwrap_err();
    assert!(error.to_string().contains("SameSite=None"), "{error}");
}
