//! Events say where the request came from, which is not always where the session signed in.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    EndReason, Limit, SessionLayer,
    events::{Event, EventKind, Refusal},
    store::Clock,
};

use crate::common::{
    book::{Book, world},
    http::{Client, DAY, user},
};

/// The same client at another address, with another user agent.
fn elsewhere(client: &Client) -> Client {
    let mut other = client.clone();
    other.user_agent = "curl";
    other.peer = Some([198, 51, 100, 7].into());
    other
}

/// A browser that is signed in. The book does not say so.
async fn firefox(layer: &SessionLayer, book: &Book) -> Client {
    let mut client = Client::new(layer);
    client.user_agent = "Firefox";
    client.peer = Some([192, 0, 2, 1].into());
    client.log_in("alice").await;
    book.0.lock().unwrap().clear();
    client
}

/// The one event of this kind since the last call, which came from elsewhere.
fn one(book: &Book, kind: EventKind) -> Event {
    let mut events: Vec<Event> = book.0.lock().unwrap().drain(..).collect();
    events.retain(|event| event.kind == kind);
    assert_eq!(events.len(), 1, "{kind:?}");
    let event = events.remove(0);
    let client = event.client().unwrap();
    assert_eq!(client.user_agent(), Some("curl"), "{kind:?}");
    assert_eq!(client.address(), Some([198, 51, 100, 7].into()), "{kind:?}");
    event
}

// T44
#[tokio::test]
async fn a_refused_sign_in_says_when_and_where() {
    let (layer, book, _store, clock) = world(Limit::at_most(1).refuse());
    let client = firefox(&layer, &book).await;
    let guest = elsewhere(&Client::new(&layer));
    let refused = EventKind::Refused(Refusal::LimitReached);
    let sign_in = |client: &Client| {
        client.request(|session| async move { session.log_in(user("alice")).unwrap() })
    };

    // Without a session, it is the node's time.
    let before = Clock::system().now();
    sign_in(&guest).await;
    let at = one(&book, refused).at;
    assert!(before <= at && at <= Clock::system().now(), "{at}");

    // With one, it is the store's.
    let mut client = client;
    client.cookie = None;
    client.insert("cart", "apple").await;
    sign_in(&elsewhere(&client)).await;
    let age = one(&book, refused).at.since(clock.now());
    assert!(age < DAY, "{age:?}");
}

// T44
#[tokio::test]
async fn a_new_token_says_where_the_request_came_from() {
    let (layer, book, _store, _clock) = world(Limit::default());
    let mut client = elsewhere(&firefox(&layer, &book).await);

    let rotates = client.send(|session| async move { session.rotate().unwrap() });
    rotates.await;
    one(&book, EventKind::Rotated);

    let proves = client.send(|session| async move { session.reauthenticated().unwrap() });
    proves.await;
    one(&book, EventKind::Reauthenticated);
}

// T44
#[tokio::test]
async fn an_end_says_where_the_request_came_from_that_caused_it() {
    let (layer, book, _store, _clock) = world(Limit::at_most(1));
    firefox(&layer, &book).await;
    elsewhere(&Client::new(&layer)).log_in("alice").await;
    assert_eq!(
        one(&book, EventKind::Ended).reason,
        Some(EndReason::Evicted)
    );

    let client = firefox(&layer, &book).await;
    elsewhere(&client).log_in("alice").await;
    assert_eq!(
        one(&book, EventKind::Ended).reason,
        Some(EndReason::Replaced)
    );

    let (layer, book, _store, _clock) = world(Limit::default());
    firefox(&layer, &book).await;
    let mut other = elsewhere(&Client::new(&layer));
    other.log_in("alice").await;
    let ends = other.send(|session| async move {
        session.user_sessions().unwrap().end_others().await.unwrap();
    });
    ends.await;
    assert_eq!(
        one(&book, EventKind::Ended).reason,
        Some(EndReason::Revoked)
    );

    other
        .send(|session| async move { session.log_out() })
        .await
        .value()
        .unwrap();
    assert_eq!(
        one(&book, EventKind::Ended).reason,
        Some(EndReason::LoggedOut)
    );
}

// T44
#[tokio::test]
async fn an_expired_session_says_where_its_token_was_sent_from() {
    let (layer, book, _store, clock) = world(Limit::default());
    let client = firefox(&layer, &book).await;
    clock.advance(100 * DAY);

    elsewhere(&client).user().await;

    one(&book, EventKind::Expired);
}
