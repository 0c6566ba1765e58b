//! Where a user sees that a session is used from another address or agent, and what happens if its end fails.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::pin::pin;

use serde_json::{Value, json};
use tower_user_sessions::{
    ClientVerdict, DevicePage, OnOutage, Session, SessionErrorKind, SessionLayer, events::EventKind,
};

use crate::{
    client_changed::{CHROME, World},
    common::{
        devices::call,
        faulty::{Fault, Method, until_asked},
        page::visit,
    },
};

// T76
#[tokio::test]
async fn the_api_and_the_page_show_the_last_client_beside_that_of_the_sign_in() {
    let world = World::new(|layer| layer).await;
    let layer = SessionLayer::new(world.memory.clone());
    let shown = async || {
        let list = call(&layer, &world.owner, "GET /sessions", &[]).await;
        let list: Value = serde_json::from_str(&list.body).unwrap();
        let page = DevicePage::at("/devices");
        let page = visit(&layer, &page, &world.owner, "GET /devices", &[], "").await;
        (list["sessions"][0].clone(), page.body)
    };
    let (entry, page) = shown().await;
    assert_eq!(
        (&entry["ipAddress"], &entry["lastSeen"]),
        (&json!("192.0.2.1"), &Value::Null)
    );
    assert!(
        page.contains("192.0.2.1") && !page.contains("Last used by"),
        "{page}"
    );

    world.thief("198.51.100.7", "curl/8.5.0").user().await;

    let (entry, page) = shown().await;
    assert_eq!(entry["ipAddress"], "192.0.2.1");
    assert_eq!(entry["device"]["browser"], "Chrome");
    assert_eq!(entry["lastSeen"]["ipAddress"], "198.51.100.7");
    assert_eq!(entry["lastSeen"]["device"]["browser"], "curl");
    for text in ["192.0.2.1", "Last used by", "curl 8.5", "198.51.100.7"] {
        assert!(page.contains(text), "{text}: {page}");
    }
}

// T59 T76
#[tokio::test]
async fn if_a_session_that_must_end_cannot_end_its_request_is_that_of_no_user() {
    let configure = |layer: SessionLayer| {
        let layer = layer.on_outage(OnOutage::Guest);
        layer.on_client_changed(|_| ClientVerdict::End)
    };
    let world = World::new(configure).await;
    world.store.always([Method::End], Fault::Fail);

    let thief = world.thief("198.51.100.7", CHROME);
    let answer = thief.request(|session: Session| async move {
        let kind = session.insert("cart", &3).unwrap_err().kind();
        (session.user_id(), session.is_available(), kind)
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    let unavailable = (None, false, SessionErrorKind::Unavailable);
    assert_eq!(answer.value(), unavailable);
}

// T76
#[tokio::test]
async fn a_session_that_could_not_end_ends_with_the_next_request_of_the_other_client() {
    for hangs_up in [false, true] {
        let world = World::new(|layer| layer.on_client_changed(|_| ClientVerdict::End)).await;
        let mut thief = world.thief("198.51.100.7", CHROME);
        if hangs_up {
            world.store.nth(Method::End, 1, Fault::Hang);
            let mut waits = pin!(thief.request(|session| async move { session.user_id() }));
            until_asked(&world.store, Method::End, 1, waits.as_mut()).await;
        } else {
            world.store.always([Method::End], Fault::Fail);
            let refused = thief.request(|session| async move { session.user_id() });
            assert!(!refused.await.reached());
            world.store.mend();
        }

        assert_eq!(thief.user().await, None, "{hangs_up}");

        assert_eq!(world.log.of(EventKind::ClientChanged), ["198.51.100.7"]);
        assert_eq!(world.log.of(EventKind::Ended), ["198.51.100.7"]);
    }
}
