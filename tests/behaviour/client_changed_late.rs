//! A session that the app ends because its client changed, and that ends in another way meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tower_user_sessions::{ClientChange, ClientVerdict, EndReason, events::EventKind};

use super::client_changed::{CHROME, World};
use crate::common::faulty::{Fault, Method, until_asked};

// T62 T76
#[tokio::test]
async fn a_sign_in_that_was_faster_than_the_decision_of_the_app_keeps_its_cookie_and_its_reason() {
    let world = World::new(|layer| layer.on_client_changed(|_| ClientVerdict::End)).await;
    // One browser: its slow request still came from the network before.
    let (mut browser, mut slow) = (world.owner.clone(), world.thief("198.51.100.7", CHROME));
    slow.method = http::Method::POST;
    world.store.nth(Method::End, 1, Fault::Hang);
    let mut late = pin!(slow.request(|session| async move {
        let reason = session.ended().map(|notice| notice.reason);
        session.forget().unwrap();
        (session.user_id(), reason)
    }));
    until_asked(&world.store, Method::End, 1, late.as_mut()).await;

    browser.log_in("alice").await;
    world.store.release();
    let late = late.await;

    assert!(late.sets_no_cookie(), "{:?}", late.set_cookies());
    assert_eq!(late.value(), (None, Some(EndReason::Replaced)));
    assert_eq!(browser.user().await.as_deref(), Some("alice"));
    assert!(world.log.of(EventKind::ClientChanged).is_empty());
}

// T44 T76
#[tokio::test]
async fn the_end_of_a_session_that_the_app_ended_is_reported_although_the_reply_was_lost() {
    let world = World::new(|layer| layer.on_client_changed(|_| ClientVerdict::End)).await;
    world.store.next(Method::End, Fault::Lose);

    let mut thief = world.thief("198.51.100.7", CHROME);
    let found = [thief.user().await, thief.user().await];

    assert_eq!(found, [None, None]);
    assert_eq!(world.log.of(EventKind::ClientChanged), ["198.51.100.7"]);
    assert_eq!(world.log.of(EventKind::Ended), ["198.51.100.7"]);
}

// T76
#[tokio::test]
async fn the_app_ends_a_session_whose_client_changes_again_within_a_minute() {
    let ends = Arc::new(AtomicBool::new(false));
    let decision = Arc::clone(&ends);
    let decide = move |_: &ClientChange| match decision.load(Ordering::SeqCst) {
        true => ClientVerdict::End,
        false => ClientVerdict::Keep,
    };
    let mut world = World::new(|layer| layer.on_client_changed(decide)).await;
    let noted = world.thief("198.51.100.7", CHROME).user().await;
    assert_eq!(noted.as_deref(), Some("alice"));

    ends.store(true, Ordering::SeqCst);
    let found = world.thief("203.0.113.9", CHROME).user().await;

    assert_eq!(found, None);
    assert_eq!(world.owner.user().await, None);
}

// T76
#[tokio::test]
async fn a_session_that_is_in_doubt_is_not_written_at_each_change_of_its_client() {
    let world = World::new(|layer| layer.on_client_changed(|_| ClientVerdict::RequireFresh)).await;

    for _ in 0..3 {
        world.thief("198.51.100.7", CHROME).user().await;
        world.owner.clone().user().await;
    }

    assert_eq!(world.store.calls(Method::NoteClient), 1);
}
