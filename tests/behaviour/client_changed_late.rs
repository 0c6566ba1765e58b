//! A session that the app ends because its client changed, and that ends in another way meanwhile.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::pin::pin;

use tower_user_sessions::{ClientVerdict, EndReason, events::EventKind};

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
