//! Re-authentication: a new token, the previous one dead at once, and both lifetimes restarted.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::{Response, StatusCode};
use tower_user_sessions::{
    EndReason, Lifetime, Login, MemoryStore, SessionErrorKind, SessionLayer, events::EventKind,
    store::ManualClock,
};

use crate::common::{
    book::Book,
    faulty::{Fault, FaultyStore, Method, poll_once, until_asked},
    http::{Client, DAY, HOUR, ids, store, user},
};

const GRACE: Duration = Duration::from_secs(120);
const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);

fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()), store, clock)
}

async fn reauthenticates(client: &mut Client) {
    let answer = client.send(|session| async move { session.reauthenticated().unwrap() });
    assert_eq!(answer.await.status, StatusCode::OK);
}

// T5
#[tokio::test]
async fn the_previous_token_is_dead_at_once_and_its_late_requests_touch_no_cookie() {
    let (layer, store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let (previous, id) = (client.clone(), ids(&store, "alice").await);

    reauthenticates(&mut client).await;

    let late = previous.request(|session| async move {
        (
            session.user_id(),
            session.ended().map(|notice| notice.reason),
        )
    });
    let late = late.await;
    assert!(late.sets_no_cookie());
    assert_eq!(late.value(), (None, Some(EndReason::Replaced)));
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    assert_eq!(ids(&store, "alice").await, id);
}

// T5 T47
#[tokio::test]
async fn an_invalid_token_raises_one_event_with_both_clients_and_never_ends_the_session() {
    let ((store, clock), book) = (store(), Book::default());
    let layer = SessionLayer::new(store.clone()).events(book.sink());
    let mut client = Client::new(&layer);
    client.user_agent = "Firefox";
    client.log_in("alice").await;
    let mut thief = client.clone();
    thief.user_agent = "curl";
    let id = ids(&store, "alice").await;
    reauthenticates(&mut client).await;
    book.news();
    clock.advance(GRACE - MS);
    assert_eq!(thief.user().await, None);
    assert_eq!(book.news(), []);
    clock.advance(MS);

    for _ in 0..3 {
        let polled = thief.request(|session| async move { session.user_id() });
        assert_eq!(polled.await.value(), None);
    }

    let event = {
        let events = book.0.lock().unwrap();
        assert_eq!(events.len(), 1, "{events:?}");
        events[0].clone()
    };
    assert_eq!(
        (event.kind, event.session),
        (EventKind::TokenReuse, Some(id[0]))
    );
    assert_eq!(event.user(), Some(&user("alice")));
    let agents = [event.client(), event.session_client()].map(|it| it.unwrap().user_agent());
    assert_eq!(agents, [Some("curl"), Some("Firefox")]);
    assert_eq!(ids(&store, "alice").await, id);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T47
#[tokio::test]
async fn an_invalid_token_does_not_keep_the_session_from_rotating() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut thief = client.clone();
    reauthenticates(&mut client).await;
    clock.advance(GRACE);
    thief.user().await;
    let before = client.token();

    let rotates = client.send(|session| async move { session.rotate().unwrap() });
    rotates.await;

    assert_ne!(client.token(), before);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    clock.advance(HOUR);
    let mut copy = client.clone();
    copy.cookie = Some(format!("__Host-session={before}"));
    assert_eq!(copy.user().await, None);
    assert_eq!(
        client.user().await,
        None,
        "reuse of a rotated token still ends the session"
    );
}

// T5
#[tokio::test]
async fn re_authentication_kills_the_previous_tokens_of_a_rotation_too() {
    let (layer, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut previous = client.clone();
    let rotation = client.send(|session| async move { session.rotate().unwrap() });
    rotation.await;
    let mut rotated = client.clone();

    reauthenticates(&mut client).await;

    assert_eq!(previous.user().await, None);
    assert_eq!(rotated.user().await, None);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T16
#[tokio::test]
async fn re_authentication_restarts_both_lifetimes_as_the_sign_in_set_them() {
    let (layer, _store, clock) = world();
    let mut client = Client::new(&layer);
    let login = client.send(|session| async move {
        let lifetime = Lifetime::new(DAY, 2 * DAY);
        session
            .log_in_with(Login::new(user("alice")).lifetime(lifetime))
            .unwrap();
    });
    login.await;
    clock.advance(DAY - MINUTE);
    reauthenticates(&mut client).await;

    clock.advance(DAY - MINUTE);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    clock.advance(DAY - MINUTE);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    clock.advance(2 * MINUTE);
    assert_eq!(client.user().await, None);
}

// T39
#[tokio::test]
async fn authenticated_at_is_when_the_request_arrived() {
    let (layer, _store, clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);

    reauthenticates(&mut client).await;

    let age = client.request(|session| async move {
        session
            .seen_at()
            .unwrap()
            .since(session.authenticated_at().unwrap())
    });
    assert!(age.await.value() < HOUR);
}

#[tokio::test]
async fn a_guest_cannot_re_authenticate() {
    let (layer, _store, _clock) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;

    for client in [Client::new(&layer), guest] {
        let kind =
            client.request(|session| async move { session.reauthenticated().unwrap_err().kind() });
        assert_eq!(kind.await.value(), SessionErrorKind::NotSignedIn);
    }
}

#[tokio::test]
async fn a_request_that_failed_changes_nothing() {
    let (layer, _store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let failed = client.answered(|session| async move {
        session.reauthenticated().unwrap();
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
        (response, ())
    });

    assert!(failed.await.sets_no_cookie());
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T57
#[tokio::test]
async fn a_session_whose_new_token_was_never_delivered_ends() {
    let memory = MemoryStore::new();
    let faulty = FaultyStore::new(&memory);
    let layer = SessionLayer::new(faulty.clone());
    let client = Client::signed_in(&layer, "alice").await;
    faulty.nth(Method::Rotate, 1, Fault::HangAfter);

    let request = client.request(|session| async move { session.reauthenticated().unwrap() });
    let mut request = Box::pin(request);
    until_asked(&faulty, Method::Rotate, 1, request.as_mut()).await;
    assert!(poll_once(request.as_mut()).await.is_none());
    drop(request);

    assert!(ids(&memory, "alice").await.is_empty());
}

// T33
#[tokio::test]
async fn an_outage_is_a_503_and_the_session_does_not_change() {
    let faulty = FaultyStore::new(&MemoryStore::new());
    let layer = SessionLayer::new(faulty.clone());
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.always([Method::Rotate], Fault::Fail);

    let answer = client.send(|session| async move { session.reauthenticated().unwrap() });

    assert_eq!(answer.await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T57
#[tokio::test]
async fn a_re_authentication_whose_reply_was_lost_once_succeeds() {
    for fault in [Fault::Lose, Fault::Unsure] {
        let memory = MemoryStore::new();
        let faulty = FaultyStore::new(&memory);
        let layer = SessionLayer::new(faulty.clone());
        let mut client = Client::signed_in(&layer, "alice").await;
        faulty.next(Method::Rotate, fault);

        let answer = client.send(|session| async move { session.reauthenticated().unwrap() });

        assert_eq!(answer.await.status, StatusCode::OK);
        assert_eq!(client.user().await.as_deref(), Some("alice"));
        assert_eq!(ids(&memory, "alice").await.len(), 1);
    }
}

// T57
#[tokio::test]
async fn a_re_authentication_that_may_have_happened_before_an_outage_leaves_no_session() {
    // In the one commit that there is, or in the first of two.
    for lost in [1, 2] {
        let memory = MemoryStore::new();
        let faulty = FaultyStore::new(&memory);
        let layer = SessionLayer::new(faulty.clone());
        let mut client = Client::signed_in(&layer, "alice").await;
        faulty.always([Method::Rotate], Fault::Fail);
        for call in 1..=lost {
            faulty.nth(Method::Rotate, call, Fault::Lose);
        }

        let answer = client.send(move |session| async move {
            session.reauthenticated().unwrap();
            if lost == 2 {
                session.commit().await.unwrap_err();
            }
        });

        assert_eq!(answer.await.status, StatusCode::SERVICE_UNAVAILABLE);
        assert!(ids(&memory, "alice").await.is_empty(), "{lost} lost");
    }
}

// T57
#[tokio::test]
async fn a_re_authentication_of_unknown_outcome_takes_back_the_sign_in_of_its_own_request() {
    let memory = MemoryStore::new();
    let faulty = FaultyStore::new(&memory);
    faulty.always([Method::Rotate], Fault::Lose);

    let answer = Client::new(&SessionLayer::new(faulty)).request(|session| async move {
        session.log_in("alice").unwrap();
        session.commit().await.unwrap();
        session.reauthenticated().unwrap();
        session.commit().await.unwrap_err();
    });

    let answer = answer.await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.sets_no_cookie());
    assert!(ids(&memory, "alice").await.is_empty());
}

// T47 T57
#[tokio::test]
async fn a_re_authentication_of_unknown_outcome_leaves_no_session_and_no_reuse() {
    for fault in [Fault::Lose, Fault::Unsure] {
        for own_commit in [false, true] {
            let (memory, clock) = store();
            let faulty = FaultyStore::new(&memory);
            let (sender, mut receiver) = tower_user_sessions::events::channel(100);
            let layer = SessionLayer::new(faulty.clone()).events(sender);
            let mut client = Client::signed_in(&layer, "alice").await;
            faulty.always([Method::Rotate], fault);

            let answer = client.send(move |session| async move {
                session.reauthenticated().unwrap();
                if own_commit {
                    session.commit().await.unwrap_err();
                }
            });
            assert_eq!(answer.await.status, StatusCode::SERVICE_UNAVAILABLE);
            faulty.mend();

            assert!(ids(&memory, "alice").await.is_empty());
            clock.advance(GRACE + MS);
            assert_eq!(client.user().await, None);
            let kinds = std::iter::from_fn(|| receiver.try_recv());
            let kinds: Vec<_> = kinds
                .map(|event| (event.kind.as_str(), event.reason))
                .collect();
            let ended = ("ended", Some(EndReason::Undelivered));
            assert_eq!(kinds, [("created", None), ended]);
        }
    }
}

#[tokio::test]
async fn two_commits_of_one_request_re_authenticate_once() {
    let faulty = FaultyStore::new(&MemoryStore::new());
    let layer = SessionLayer::new(faulty.clone());
    let mut client = Client::signed_in(&layer, "alice").await;
    faulty.nth(Method::Rotate, 1, Fault::Lose);
    faulty.nth(Method::Rotate, 2, Fault::Lose);

    let answer = client.send(|session| async move {
        session.reauthenticated().unwrap();
        assert!(session.commit().await.is_err());
        session.commit().await.unwrap();
    });

    assert_eq!(answer.await.set_cookies().len(), 1);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T53
#[tokio::test]
async fn a_password_change_ends_the_other_sessions_and_gives_this_one_a_new_token() {
    let (layer, store, _clock) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut other = Client::signed_in(&layer, "alice").await;
    let previous = client.token();

    let change = client.send(|session| async move {
        let sessions = session.user_sessions().unwrap();
        let sessions = sessions.because(EndReason::CredentialsChanged);
        sessions.end_others().await.unwrap();
        session.reauthenticated().unwrap();
    });
    change.await;

    assert_ne!(client.token(), previous);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
    let reason = other.send(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(reason.await.value(), Some(EndReason::CredentialsChanged));
    assert_eq!(ids(&store, "alice").await.len(), 1);
}
