//! The sessions of a user whom the app names, in a request of the same user and of another one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{EndReason, SessionLayer, UserSessions};

use crate::common::http::{Client, ids, store, user};

#[tokio::test]
async fn the_session_of_this_request_is_current_among_those_of_its_own_user() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut here = Client::signed_in(&layer, "alice").await;
    let mut there = Client::signed_in(&layer, "alice").await;

    let answer = here.send(|session| async move {
        let alice = session.sessions_of(user("alice"));
        let listed = alice.list().await.unwrap();
        let current: Vec<bool> = listed.iter().map(|info| info.is_current()).collect();
        (current, alice.end_others().await.unwrap())
    });

    assert_eq!(answer.await.value(), (vec![true, false], 1));
    assert_eq!(here.user().await.as_deref(), Some("alice"));
    let reason = there.send(|session| async move { session.ended().map(|it| it.reason) });
    assert_eq!(reason.await.value(), Some(EndReason::Administrator));
}

#[tokio::test]
async fn among_the_sessions_of_another_user_none_is_current_and_end_others_ends_all() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut admin = Client::signed_in(&layer, "admin").await;
    for _ in 0..2 {
        Client::signed_in(&layer, "alice").await;
    }

    let answer = admin.send(|session| async move {
        let alice = session.sessions_of(user("alice"));
        let listed = alice.list().await.unwrap();
        let current: Vec<bool> = listed.iter().map(|info| info.is_current()).collect();
        (current, alice.end_others().await.unwrap())
    });

    assert_eq!(answer.await.value(), (vec![false, false], 2));
    assert_eq!(admin.user().await.as_deref(), Some("admin"));
    assert_eq!(ids(&store, "alice").await, []);
}

#[tokio::test]
async fn a_password_reset_ends_all_sessions_even_if_that_of_its_request_ended_meanwhile() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store.clone());
    let mut here = Client::signed_in(&layer, "alice").await;
    Client::signed_in(&layer, "alice").await;

    let elsewhere = UserSessions::new(store.clone(), user("alice"));
    let answer = here.send(move |session| {
        let elsewhere = elsewhere.clone();
        async move {
            elsewhere.end(session.id().unwrap()).await.unwrap();
            let ended = session.sessions_of(user("alice")).end_all().await.unwrap();
            session.log_in(user("alice")).unwrap();
            ended
        }
    });

    assert_eq!(answer.await.value(), 1);
    assert_eq!(ids(&store, "alice").await.len(), 1);
    assert_eq!(here.user().await.as_deref(), Some("alice"));
}
