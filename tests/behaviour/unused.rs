//! Sessions whose token no request has sent are evicted first.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use http::StatusCode;
use tower_user_sessions::{Limit, MemoryStore, SessionLayer, store::ManualClock};

use crate::common::http::{Client, HOUR, ids, store};

fn limited(limit: Limit) -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    (SessionLayer::new(store.clone()).limit(limit), store, clock)
}

// T67
#[tokio::test]
async fn sign_ins_that_never_come_back_evict_no_device_in_use() {
    for every in [100, 1_000, 25_000, 300_000].map(Duration::from_millis) {
        let (layer, _store, clock) = limited(Limit::at_most(3));
        let mut devices = Vec::new();
        for agent in ["phone", "laptop"] {
            let mut device = Client::new(&layer);
            device.user_agent = agent;
            device.log_in("alice").await;
            device.user().await;
            devices.push(device);
        }

        for _ in 0..20 {
            clock.advance(every);
            let mut script = Client::new(&layer);
            script.user_agent = "script";
            script.log_in("alice").await;
        }

        for device in &mut devices {
            let user = device.user().await;
            assert_eq!(user.as_deref(), Some("alice"), "{every:?}");
        }
    }
}

// T67
#[tokio::test]
async fn a_session_that_was_unused_for_20_s_does_not_count_for_a_refusal() {
    let (layer, store, clock) = limited(Limit::at_most(2).refuse());
    Client::signed_in(&layer, "alice").await.user().await;
    let mut lost = Client::signed_in(&layer, "alice").await;
    let refused = async || {
        let mut client = Client::new(&layer);
        let answer = client.send(|session| async move {
            session.log_in("alice").unwrap();
        });
        answer.await.status == StatusCode::CONFLICT
    };

    clock.advance(Duration::from_secs(20));
    assert!(refused().await);
    clock.advance(Duration::from_millis(1));

    assert!(!refused().await);
    assert_eq!(lost.user().await, None);
    assert_eq!(ids(&store, "alice").await.len(), 2);
}

// T67
#[tokio::test]
async fn a_request_that_is_no_activity_makes_a_session_used() {
    let (layer, store, clock) = limited(Limit::at_most(2));
    let polling = layer.clone().counts_as_activity(|_| false);
    let mut phone = Client::new(&layer);
    let id = phone.log_in("alice").await;
    phone.before(&polling).user().await;
    clock.advance(HOUR);
    Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);

    Client::signed_in(&layer, "alice").await;

    assert!(ids(&store, "alice").await.contains(&id));
}
