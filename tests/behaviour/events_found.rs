//! What a request finds out about a session later than at its beginning is an event as at the beginning.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    EndReason, Lifetime, SessionId, SessionLayer, UserSessions,
    events::{EventKind, Initiator},
    store::ManualClock,
};

use crate::common::{
    book::Book,
    faulty::{Fault, FaultyStore, Method},
    http::{Client, DAY, HOUR, store, user},
};

const QUARTER: Duration = Duration::from_secs(15 * 60);

fn world() -> (SessionLayer, FaultyStore, ManualClock, Book) {
    let ((memory, clock), book) = (store(), Book::default());
    let faulty = FaultyStore::new(&memory);
    let layer = SessionLayer::new(faulty.clone())
        .rotate_after(QUARTER)
        .events(book.sink());
    (layer, faulty, clock, book)
}

/// A browser with the cookies of both, so that the layer uses neither.
fn with_both(layer: &SessionLayer, one: &Client, other: &Client) -> Client {
    let cookies = [one, other].map(|client| client.cookie.clone().unwrap());
    Client::with_cookies(layer, [cookies.join("; ").as_bytes()])
}

fn news(book: &Book) -> Vec<(EventKind, Option<SessionId>, Option<EndReason>)> {
    let news = book.news().into_iter();
    news.map(|event| (event.0, event.3, event.4)).collect()
}

// T44 T62
#[tokio::test]
async fn a_sign_out_raises_the_events_of_the_sessions_that_it_finds_expired_or_stolen() {
    let (layer, _faulty, clock, book) = world();
    let short = layer.clone().lifetime(Lifetime::new(HOUR, HOUR));
    let (mut expired, mut owner) = (Client::new(&short), Client::new(&layer));
    let ids = [expired.log_in("alice").await, owner.log_in("bob").await];
    owner.user().await;
    let thief = owner.clone();
    clock.advance(QUARTER);
    owner.user().await;
    owner.user().await;
    clock.advance(HOUR);
    book.news();

    let browser = with_both(&layer, &expired, &thief);
    let answer = browser.request(|session| async move { session.log_out().unwrap() });

    assert!(answer.await.sets_no_cookie());
    let wanted = [
        (EventKind::Expired, ids[0], Some(EndReason::Expired)),
        (EventKind::TokenReuse, ids[1], None),
        (EventKind::Ended, ids[1], Some(EndReason::TokenReuse)),
    ];
    assert_eq!(
        news(&book),
        wanted.map(|(kind, id, why)| (kind, Some(id), why))
    );
}

// T44 T62
#[tokio::test]
async fn a_repeated_sign_out_with_two_cookies_raises_the_event_of_each_session_once() {
    let (layer, faulty, _clock, book) = world();
    let (mut one, mut other) = (Client::new(&layer), Client::new(&layer));
    let ids = [one.log_in("alice").await, other.log_in("bob").await];
    book.news();

    faulty.next(Method::End, Fault::Lose);
    let answer = with_both(&layer, &one, &other).request(|session| async move {
        session.log_out().unwrap();
        while session.commit().await.is_err() {}
    });

    assert!(answer.await.removes_cookie());
    let ended = (EventKind::Ended, Some(EndReason::LoggedOut));
    let wanted = ids.map(|id| (ended.0, Some(id), ended.1));
    assert_eq!(news(&book), wanted);
}

// T44 T47
#[tokio::test]
async fn the_end_of_a_session_whose_lost_token_was_replaced_twice_meanwhile_is_an_event() {
    let (layer, _faulty, clock, book) = world();
    let mut lost = Client::new(&layer);
    let id = lost.log_in("alice").await;
    lost.user().await;
    clock.advance(QUARTER);
    let mut newer = lost.clone();
    newer.user().await;
    // The new token was unused for so long that a request with the one before it gets it again.
    clock.advance(QUARTER);
    book.news();

    let browser = (newer, clock.clone());
    let answer = lost.request(move |_session| {
        let (mut newer, clock) = browser.clone();
        async move {
            for _ in 0..2 {
                newer.user().await;
                clock.advance(QUARTER);
            }
            newer.user().await;
            clock.advance(DAY / 2);
        }
    });

    assert!(answer.await.sets_no_cookie());
    let ended = news(&book).into_iter();
    let ended: Vec<_> = ended.filter(|it| it.0 != EventKind::Rotated).collect();
    let reason = Some(EndReason::TokenReuse);
    let wanted = [
        (EventKind::TokenReuse, Some(id), None),
        (EventKind::Ended, Some(id), reason),
    ];
    assert_eq!(ended, wanted);
}

// T44
#[tokio::test]
async fn an_expired_session_is_one_event_although_two_nodes_find_it() {
    let (layer, faulty, clock, book) = world();
    let other = SessionLayer::new(faulty).events(book.sink());
    let client = Client::signed_in(&layer, "alice").await;
    clock.advance(DAY);
    book.news();

    for node in [&layer, &other] {
        assert_eq!(client.before(node).user().await, None);
    }

    let kinds: Vec<_> = news(&book).into_iter().map(|it| it.0).collect();
    assert_eq!(kinds, [EventKind::Expired]);
}

// T44 T47
#[tokio::test]
async fn an_old_token_of_a_guest_is_no_event() {
    let (layer, _faulty, clock, book) = world();
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    guest.user().await;
    let mut old = guest.clone();
    clock.advance(QUARTER);
    guest.user().await;
    assert_ne!(guest.token(), old.token());
    guest.user().await;
    clock.advance(QUARTER);

    assert_eq!(old.get("cart").await, None);

    assert_eq!(news(&book), []);
}

// T44
#[tokio::test]
async fn an_end_because_of_new_credentials_was_asked_for_by_the_user_or_by_an_administrator() {
    let (layer, faulty, _clock, book) = world();
    let mut client = Client::signed_in(&layer, "alice").await;
    Client::signed_in(&layer, "alice").await;
    book.news();

    let changes = client.send(|session| async move {
        let own = session.user_sessions().unwrap();
        let own = own.because(EndReason::CredentialsChanged);
        own.end_others().await.unwrap()
    });
    assert_eq!(changes.await.value(), 1);
    let admin = UserSessions::new(faulty, user("alice")).because(EndReason::CredentialsChanged);
    admin.events(book.sink()).end_all().await.unwrap();

    let by: Vec<_> = book.news().into_iter().map(|it| it.5).collect();
    assert_eq!(by, [Initiator::User, Initiator::Admin]);
}
