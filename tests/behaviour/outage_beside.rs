//! A store that does not answer about a token that is not the user's: a guest cookie, or a cookie beside a bearer
//! token. And the session of another user that a sign-in replaces.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{
    EndReason, OnOutage, Session, SessionErrorKind, SessionLayer, TokenSource, UserId,
    events::EventKind,
};

use crate::common::{
    book::Book,
    faulty::{Fault, FaultyStore, Method},
    http::{Client, store, user},
};

/// What a handler sees of a session, and why it cannot write to it.
async fn seen(session: Session) -> (Option<UserId>, bool, Option<SessionErrorKind>) {
    let written = session.insert("cart", "pear");
    let refused = written.err().map(|error| error.kind());
    (session.user_id(), session.is_available(), refused)
}

const UNAVAILABLE: (Option<UserId>, bool, Option<SessionErrorKind>) =
    (None, false, Some(SessionErrorKind::Unavailable));

// T59
#[tokio::test]
async fn a_guest_whose_session_cannot_be_read_gets_no_second_one() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    let mut refused = Client::new(&layer);
    refused.insert("cart", "apple").await;
    let mut guest = refused.before(&layer.on_outage(OnOutage::Guest));

    faulty.next(Method::Resolve, Fault::Fail);
    let answer = refused.send(seen).await;
    assert!(answer.sets_no_cookie() && !answer.reached());
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);

    faulty.next(Method::Resolve, Fault::Fail);
    let answer = guest.send(seen).await;
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), UNAVAILABLE);

    assert_eq!(store.sets(), 1);
    for client in [&mut refused, &mut guest] {
        assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    }
}

// T59
#[tokio::test]
async fn a_bearer_token_does_not_count_while_the_cookie_beside_it_cannot_be_read() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    let bob = Client::signed_in(&layer, "bob").await;
    let alice = Client::signed_in(&layer, "alice").await;
    let layer = layer.token_source(TokenSource::BearerThenCookie);
    let mut both = alice.before(&layer);
    let bearer = format!("Bearer {}", bob.token());
    both.headers
        .insert("authorization", bearer.parse().unwrap());

    faulty.next(Method::Resolve, Fault::Fail);
    let answer = both.request(seen).await;
    assert!(answer.sets_no_cookie() && !answer.reached());
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);

    faulty.next(Method::Resolve, Fault::Fail);
    let both = both.before(&layer.on_outage(OnOutage::Guest));
    let answer = both.request(seen).await;
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), UNAVAILABLE);
    assert_eq!(store.sets(), 2);
}

// T5
#[tokio::test]
async fn the_session_of_another_user_ends_also_if_the_store_failed_twice() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let book = Book::default();
    let layer = SessionLayer::new(faulty.clone()).events(book.sink());
    let mut client = Client::new(&layer);
    let replaced = client.log_in("bob").await;
    let mut before = client.clone();
    faulty.always([Method::End], Fault::Fail);
    book.news();

    let by = client.log_in("alice").await;
    faulty.mend();

    let ended = book.news().into_iter();
    let mut ended = ended.filter(|event| event.0 == EventKind::Ended);
    let event = ended.next().map(|event| (event.3, event.4, event.6));
    assert_eq!(
        event,
        Some((Some(replaced), Some(EndReason::Replaced), Some(by)))
    );
    assert_eq!(ended.count(), 0);
    assert_eq!(faulty.given_up(), [replaced]);
    assert_eq!(before.user().await, None);
    let found = client.request(|session| async move { session.user_id() });
    assert_eq!(found.await.value(), Some(user("alice")));
}
