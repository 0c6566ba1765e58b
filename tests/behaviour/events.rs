//! Events say who, what, when, where, which session, why and on whose behalf.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{
    DeviceCookie, EndReason, Lifetime, Limit, SessionLayer, UserSessions,
    events::{EventKind, Initiator, Refusal},
};

use crate::common::{
    book::{Book, world},
    http::{Client, HOUR, store, user},
};

fn alice() -> Option<String> {
    Some("alice".to_owned())
}

// T44
#[tokio::test]
async fn a_sign_in_is_an_event_with_its_client() {
    let (layer, book, _store, clock) = world(Limit::default());
    let mut client = Client::new(&layer);
    client.user_agent = "Firefox";
    client.peer = Some([192, 0, 2, 1].into());

    let id = client.log_in("alice").await;

    let event = book.0.lock().unwrap()[0].clone();
    assert_eq!(event.client().unwrap().user_agent(), Some("Firefox"));
    assert_eq!(
        event.client().unwrap().address(),
        Some([192, 0, 2, 1].into())
    );
    let created = (
        EventKind::Created,
        clock.now(),
        alice(),
        Some(id),
        None,
        Initiator::User,
        None,
    );
    assert_eq!(book.news(), [created]);
}

// T44
#[tokio::test]
async fn an_eviction_names_the_session_that_signed_in() {
    let (layer, book, _store, clock) = world(Limit::at_most(1));
    let first = Client::new(&layer).log_in("alice").await;
    clock.advance(HOUR);
    book.news();

    let second = Client::new(&layer).log_in("alice").await;

    let now = clock.now();
    assert_eq!(
        book.news(),
        [
            (
                EventKind::Created,
                now,
                alice(),
                Some(second),
                None,
                Initiator::User,
                None
            ),
            (
                EventKind::Ended,
                now,
                alice(),
                Some(first),
                Some(EndReason::Evicted),
                Initiator::Policy,
                Some(second)
            ),
        ]
    );
}

// T44
#[tokio::test]
async fn signing_in_again_raises_an_event_for_the_replaced_session() {
    let (layer, book, _store, clock) = world(Limit::default());
    let mut client = Client::new(&layer);
    let first = client.log_in("alice").await;
    book.news();

    let second = client.log_in("alice").await;
    let other = client.log_in("bob").await;

    let now = clock.now();
    let replaced = |old, new| {
        (
            EventKind::Ended,
            now,
            alice(),
            Some(old),
            Some(EndReason::Replaced),
            Initiator::User,
            Some(new),
        )
    };
    assert_eq!(
        book.news(),
        [
            (
                EventKind::Created,
                now,
                alice(),
                Some(second),
                None,
                Initiator::User,
                None
            ),
            replaced(first, second),
            (
                EventKind::Created,
                now,
                Some("bob".to_owned()),
                Some(other),
                None,
                Initiator::User,
                None
            ),
            replaced(second, other),
        ]
    );
}

// T44
#[tokio::test]
async fn a_refused_sign_in_is_an_event_that_names_its_user() {
    let (layer, book, store, _clock) = world(Limit::at_most(1).refuse());
    Client::new(&layer).log_in("alice").await;
    UserSessions::new(store, user("bob"))
        .disable_for(HOUR)
        .await
        .unwrap();
    book.news();

    for id in ["alice", "bob"] {
        let refused = Client::new(&layer)
            .request(move |session| async move { session.log_in(user(id)).unwrap() });
        assert_ne!(refused.await.status, StatusCode::OK);
    }

    let news: Vec<_> = book
        .news()
        .into_iter()
        .map(|it| (it.0, it.2, it.3, it.5))
        .collect();
    assert_eq!(
        news,
        [
            (
                EventKind::Refused(Refusal::LimitReached),
                alice(),
                None,
                Initiator::Policy
            ),
            (
                EventKind::Refused(Refusal::Disabled),
                Some("bob".to_owned()),
                None,
                Initiator::Policy
            ),
        ]
    );
}

// T44
#[tokio::test]
async fn each_session_that_a_user_ends_is_an_event_that_names_the_session_that_asked() {
    let (layer, book, _store, clock) = world(Limit::default());
    let other = Client::new(&layer).log_in("alice").await;
    let mut client = Client::new(&layer);
    let own = client.log_in("alice").await;
    book.news();

    let ends = client.send(|session| async move {
        session.user_sessions().unwrap().end_others().await.unwrap();
        session.log_out().unwrap();
    });
    ends.await;

    let now = clock.now();
    assert_eq!(
        book.news(),
        [
            (
                EventKind::Ended,
                now,
                alice(),
                Some(other),
                Some(EndReason::Revoked),
                Initiator::User,
                Some(own)
            ),
            (
                EventKind::Ended,
                now,
                alice(),
                Some(own),
                Some(EndReason::LoggedOut),
                Initiator::User,
                Some(own)
            ),
        ]
    );
}

// T44
#[tokio::test]
async fn an_administrators_changes_go_to_their_own_sink() {
    let (layer, _book, store, clock) = world(Limit::default());
    let id = Client::new(&layer).log_in("alice").await;
    let book = Book::default();

    let sessions = UserSessions::new(store, user("alice")).events(book.sink());
    sessions.end_all().await.unwrap();

    let ended = (
        EventKind::Ended,
        clock.now(),
        alice(),
        Some(id),
        Some(EndReason::Administrator),
        Initiator::Admin,
        None,
    );
    assert_eq!(book.news(), [ended]);
}

// T44
#[tokio::test]
async fn rotation_re_authentication_and_reuse_are_events() {
    let (layer, book, _store, clock) = world(Limit::default());
    let mut client = Client::new(&layer);
    let id = client.log_in("alice").await;
    book.news();

    client
        .send(|session| async move { session.reauthenticated().unwrap() })
        .await;
    clock.advance(HOUR);
    let previous = client.clone();
    client
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    client.user().await;
    clock.advance(HOUR);
    previous.request(|_session| async {}).await;

    let (now, then) = (clock.now(), clock.now().minus(HOUR));
    assert_eq!(
        book.news(),
        [
            (
                EventKind::Reauthenticated,
                then.minus(HOUR),
                alice(),
                Some(id),
                None,
                Initiator::User,
                None
            ),
            (
                EventKind::Rotated,
                then,
                alice(),
                Some(id),
                None,
                Initiator::System,
                None
            ),
            (
                EventKind::TokenReuse,
                now,
                alice(),
                Some(id),
                None,
                Initiator::Policy,
                None
            ),
            (
                EventKind::Ended,
                now,
                alice(),
                Some(id),
                Some(EndReason::TokenReuse),
                Initiator::Policy,
                None
            ),
        ]
    );
}

// T44
#[tokio::test]
async fn an_expired_session_raises_one_event_when_it_is_found() {
    let ((store, clock), book) = (store(), Book::default());
    let layer = SessionLayer::new(store)
        .lifetime(Lifetime::new(HOUR, 2 * HOUR))
        .events(book.sink());
    let mut client = Client::new(&layer);
    let id = client.log_in("alice").await;
    let expired = clock.now().plus(HOUR);
    book.news();
    clock.advance(2 * HOUR);

    client.clone().user().await;
    client.user().await;

    let event = (
        EventKind::Expired,
        expired,
        alice(),
        Some(id),
        Some(EndReason::Expired),
        Initiator::Policy,
        None,
    );
    assert_eq!(book.news(), [event]);
}

// T43
#[tokio::test]
async fn a_new_device_raises_one_event() {
    let ((store, _clock), book) = (store(), Book::default());
    let layer = SessionLayer::new(store)
        .device_cookie(DeviceCookie::new())
        .events(book.sink());
    let mut client = Client::new(&layer);
    let answer = client
        .send(|session| async move { session.log_in(user("alice")).unwrap() })
        .await;
    let lines = answer.set_cookies();
    let device = lines
        .iter()
        .find(|line| line.starts_with("__Host-device="))
        .unwrap();
    let pair = device.split(';').next().unwrap();

    client.cookie = None;
    client.headers.insert("cookie", pair.parse().unwrap());
    client.log_in("alice").await;

    let new = book
        .news()
        .into_iter()
        .filter(|event| event.0 == EventKind::NewDevice);
    assert_eq!(new.count(), 1);
}
