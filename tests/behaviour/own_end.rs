//! A request that ends its own session, by its id or with all others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{
    EndReason, Login, MemoryStore, SessionLayer, UserSessions, events::EventKind,
};

use crate::common::{
    book::Book,
    faulty::{Fault, FaultyStore, Method},
    http::{Client, store, user},
};

fn world() -> (SessionLayer, MemoryStore) {
    let (store, _clock) = store();
    (SessionLayer::new(store.clone()), store)
}

// T20
#[tokio::test]
async fn data_staged_before_the_own_session_ends_begins_no_guest_session() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let answer = client.send(|session| async move {
        session.insert("card", "4711").unwrap();
        let own = session.user_sessions().unwrap();
        own.end(session.id().unwrap()).await.unwrap();
    });

    assert!(answer.await.removes_cookie());
    assert_eq!(client.guest, None);
}

// T44
#[tokio::test]
async fn a_session_that_ends_itself_by_its_id_signed_out() {
    let (store, _clock) = store();
    let book = Book::default();
    let layer = SessionLayer::new(store).events(book.sink());
    let mut client = Client::signed_in(&layer, "alice").await;
    let before = client.clone();
    book.news();

    let answer = client.send(|session| async move {
        let own = session.user_sessions().unwrap();
        own.end(session.id().unwrap()).await.unwrap();
    });
    answer.await;

    let ended: Vec<_> = book.news().into_iter().map(|it| (it.0, it.4)).collect();
    assert_eq!(ended, [(EventKind::Ended, Some(EndReason::LoggedOut))]);
    let reason = before.request(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(reason.await.value(), Some(EndReason::LoggedOut));
}

// T62
#[tokio::test]
async fn an_end_of_all_sessions_that_count_removes_the_own_cookie() {
    let (layer, _store) = world();
    let client = Client::signed_in(&layer, "alice").await;

    let answer = client.request(|session| async move {
        let own = session.user_sessions().unwrap().spare_uncounted(true);
        own.end_all().await.unwrap()
    });
    let answer = answer.await;

    assert!(answer.removes_cookie());
    assert_eq!(answer.value(), 1);
}

// T71
#[tokio::test]
async fn a_sign_out_of_a_session_that_ended_is_an_error_while_the_store_cannot_end_it() {
    let (_layer, memory) = world();
    let store = FaultyStore::new(&memory);
    let client = Client::signed_in(&SessionLayer::new(store.clone()), "alice").await;
    let admin = UserSessions::new(memory, user("alice"));
    admin.end_all().await.unwrap();
    store.always([Method::End], Fault::Fail);

    let failed = client.request(|session| async move { session.log_out().unwrap() });
    let failed = failed.await.status;
    store.mend();
    let done = client.request(|session| async move { session.log_out().unwrap() });

    assert_eq!(failed, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(done.await.status, StatusCode::OK);
}

// T62
#[tokio::test]
async fn a_newer_session_of_the_request_that_was_spared_keeps_its_cookie() {
    let (layer, _store) = world();
    let mut client = Client::signed_in(&layer, "alice").await;

    let answer = client.send(|session| async move {
        let sessions = session.sessions_of(user("alice")).spare_uncounted(true);
        let support = Login::new(user("alice")).counts(false);
        session.log_in_with(support).unwrap();
        session.commit().await.unwrap();
        sessions.end_others().await.unwrap()
    });

    assert_eq!(answer.await.value(), 0);
    assert_eq!(client.user().await.as_deref(), Some("alice"));
}
