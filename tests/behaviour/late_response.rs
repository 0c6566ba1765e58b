//! A response that acts on a dead token leaves the cookie of a newer sign-in alone.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::Method;
use tower_user_sessions::{
    EndReason, Limit, MemoryStore, Session, SessionErrorKind, SessionLayer, UserSessions,
    store::{ManualClock, Tag, Token},
};

use crate::common::{
    faulty::{self, FaultyStore},
    http::{Client, DAY, ids, store, user},
};

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

fn unknown() -> String {
    let token = Token::random(Tag::random().unwrap()).unwrap();
    format!("__Host-session={}", token.encode())
}

/// A browser with a token of each kind that opens no session.
async fn dead_clients() -> Vec<(&'static str, Client)> {
    let (layer, store, clock) = world();
    let layer = layer.limit(Limit::at_most(1));
    let expired = Client::signed_in(&layer, "carol").await;
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    clock.advance(DAY);
    let evicted = Client::signed_in(&layer, "alice").await;
    Client::signed_in(&layer, "alice").await;
    let ended = Client::signed_in(&layer, "bob").await;
    UserSessions::new(store, user("bob"))
        .end_all()
        .await
        .unwrap();
    let mut replaced = Client::signed_in(&layer, "dora").await;
    let before = replaced.clone();
    replaced.log_in("dora").await;
    let cookie = |cookie: String| {
        let mut client = Client::new(&layer);
        client.cookie = Some(cookie);
        client
    };
    vec![
        ("expired", expired),
        ("an expired guest session", guest),
        ("evicted", evicted),
        ("ended", ended),
        ("replaced", before),
        ("unknown", cookie(unknown())),
        ("malformed", cookie("__Host-session=x".to_owned())),
        ("empty", cookie("__Host-session=".to_owned())),
    ]
}

// T62
#[tokio::test]
async fn whatever_became_of_the_token_a_page_view_changes_no_cookie() {
    for (kind, client) in dead_clients().await {
        for _ in 0..2 {
            let answer = client.request(|session: Session| async move {
                let _ = (session.user_id(), session.ended(), session.keys());
            });

            assert!(answer.await.sets_no_cookie(), "{kind}");
        }
    }
}

// T62 T63
#[tokio::test]
async fn whatever_became_of_the_token_a_sign_out_or_an_insert_leaves_the_signed_in_cookie_alone() {
    for (kind, mut client) in dead_clients().await {
        client.method = Method::POST;
        let signed_out = client
            .request(|session| async move { session.log_out().unwrap() })
            .await;
        let kept = client
            .request(|session| async move { session.insert("cart", "pear").unwrap() })
            .await;

        assert!(signed_out.sets_no_cookie(), "{kind}");
        let touched = kept.set_cookies();
        let only_guest = |line: &&str| line.starts_with("__Host-session-guest=");
        assert!(touched.iter().all(only_guest), "{kind}: {touched:?}");
    }
}

// T62
#[tokio::test]
async fn the_handler_of_a_button_removes_the_cookie_of_a_dead_token() {
    for (kind, mut client) in dead_clients().await {
        client.method = Method::POST;

        let answer = client
            .request(|session| async move { session.forget().unwrap() })
            .await;

        // After a sign-in the browser may have the newer cookie already.
        assert_eq!(answer.removes_cookie(), kind != "replaced", "{kind}");
        assert_eq!(answer.set_cookies().len(), usize::from(kind != "replaced"));
        let guest = kind == "an expired guest session";
        let lines = answer.set_cookies();
        let is_guest = |line: &str| line.starts_with("__Host-session-guest=;");
        assert!(lines.iter().all(|line| is_guest(line) == guest), "{kind}");
    }
}

// T62
#[tokio::test]
async fn forget_on_a_page_view_is_an_error_and_changes_no_cookie() {
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        for (kind, mut client) in dead_clients().await {
            client.method = method.clone();

            let answer =
                client.request(|session| async move { session.forget().unwrap_err().kind() });
            let answer = answer.await;

            assert!(answer.sets_no_cookie(), "{kind}");
            assert_eq!(answer.value(), SessionErrorKind::SafeMethod, "{kind}");
        }
    }
}

// T62
#[tokio::test]
async fn forget_changes_nothing_for_a_user_or_without_a_token() {
    let (layer, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;

    for mut client in [
        Client::signed_in(&layer, "alice").await,
        guest,
        Client::new(&layer),
    ] {
        client.method = Method::POST;

        let answer = client
            .send(|session| async move { session.forget().unwrap() })
            .await;

        assert!(answer.sets_no_cookie());
    }
}

// T62
#[tokio::test]
async fn a_response_that_signed_its_own_session_out_removes_the_cookie() {
    let (layer, _store, _clock) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let answer = client.request(|session| async move { session.log_out().unwrap() });

    assert!(answer.await.removes_cookie());
}

// T62
#[tokio::test]
async fn a_late_sign_out_of_a_session_that_was_replaced_leaves_the_newer_cookie_alone() {
    for by_id in [false, true] {
        let (layer, store, _clock) = world();
        let client = Client::signed_in(&layer.clear_site_data(true), "alice").await;
        let browser = client.clone();

        let answer = client.request(move |session: Session| {
            let mut newer = browser.clone();
            async move {
                // The browser signs in again while the sign-out runs.
                newer.log_in("alice").await;
                if by_id {
                    let own = session.id().unwrap();
                    session.user_sessions().unwrap().end(own).await.unwrap();
                } else {
                    session.log_out().unwrap();
                }
                session.commit().await.unwrap();
                assert_eq!(session.user_id(), None);
                newer
            }
        });
        let answer = answer.await;

        assert!(answer.sets_no_cookie(), "{:?}", answer.set_cookies());
        assert_eq!(answer.header("clear-site-data"), None);
        assert_eq!(answer.value().user().await.as_deref(), Some("alice"));
        assert_eq!(ids(&store, "alice").await.len(), 1);
    }
}

// T62
#[tokio::test]
async fn a_sign_in_goes_on_with_a_dead_token_and_sets_its_cookie() {
    for (kind, mut client) in dead_clients().await {
        client.method = Method::POST;

        let answer = client.send(|session| async move {
            session.forget().unwrap();
            session.log_in("eve").unwrap();
        });
        answer.await;

        assert_eq!(client.user().await.as_deref(), Some("eve"), "{kind}");
        assert_eq!(client.guest, None, "{kind}");
    }
}

// T62
#[tokio::test]
async fn an_unknown_token_costs_no_second_store_call_for_five_seconds() {
    let (memory, _clock) = store();
    let store = FaultyStore::new(&memory);
    let layer = SessionLayer::new(store.clone());
    let mut client = Client::new(&layer);
    client.cookie = Some(unknown());

    for _ in 0..50 {
        assert_eq!(client.user().await, None);
    }

    assert_eq!(store.calls(faulty::Method::Resolve), 1);
}

// T62
#[tokio::test]
async fn an_expired_token_costs_no_second_store_call_and_an_ended_one_keeps_its_reason() {
    let (memory, clock) = store();
    let store = FaultyStore::new(&memory);
    let layer = SessionLayer::new(store.clone());
    let mut expired = Client::signed_in(&layer, "alice").await;
    clock.advance(DAY);
    let mut ended = Client::signed_in(&layer, "bob").await;
    let admin = UserSessions::new(memory, user("bob"));
    admin.end_all().await.unwrap();

    for client in [&mut expired, &mut ended] {
        for _ in 0..5 {
            let seen = client.send(|session| async move { session.ended().map(|it| it.reason) });
            let reason = seen.await.value();
            let reasons = [EndReason::Expired, EndReason::Administrator];
            assert!(reason.is_some_and(|it| reasons.contains(&it)));
        }
    }

    assert_eq!(store.calls(faulty::Method::Resolve), 1 + 5);
}

// T62
#[tokio::test]
async fn a_layer_with_other_settings_does_not_know_which_tokens_are_dead() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let strict = layer.clone().not_before(clock.now().plus(DAY));
    let mut client = Client::signed_in(&layer, "alice").await;
    let refused = client.before(&strict).user().await;

    assert_eq!(refused, None);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T62
#[tokio::test]
async fn sessions_made_while_many_dead_tokens_are_sent_are_live_at_once() {
    let (layer, _store, _clock) = world();
    for number in 0..300 {
        let mut stranger = Client::new(&layer);
        stranger.cookie = Some(unknown());
        assert_eq!(stranger.user().await, None);

        stranger.log_in(&number.to_string()).await;

        assert_eq!(stranger.user().await, Some(number.to_string()));
    }
}
