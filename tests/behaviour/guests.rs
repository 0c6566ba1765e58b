//! Guest sessions keep little data, end early, evict no user sessions, and can be turned off.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use http::StatusCode;
use tower_user_sessions::{Lifetime, SessionErrorKind, SessionLayer};

use crate::common::{
    faulty::FaultyStore,
    http::{Client, DAY, HOUR, store, user},
};

#[tokio::test]
async fn a_guest_without_data_has_no_session() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store.clone()));

    let answer = client.send(|session| async move {
        session.insert("cart", "apple").unwrap();
        session.remove("cart").unwrap();
        session.id()
    });
    let answer = answer.await;

    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), None);
    assert_eq!(store.sets(), 0);
}

#[tokio::test]
async fn the_first_value_of_a_guest_begins_a_session_that_keeps_the_next_one() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store.clone()));

    client.insert("cart", "apple").await;
    let token = client.token();
    client.insert("note", "x").await;

    assert_eq!(client.token(), token);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(store.sets(), 1);
}

#[tokio::test]
async fn a_guest_has_an_id_and_no_user() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));
    client.insert("cart", "apple").await;

    let found = client.send(|session| async move {
        (
            session.user_id(),
            session.id().is_some(),
            session.user_sessions().is_none(),
        )
    });

    assert_eq!(found.await.value(), (None, true, true));
}

// T60
#[tokio::test]
async fn guest_data_is_limited_to_4_kib_or_to_what_the_layer_sets() {
    for (limit, most) in [(None, 4 * 1024), (Some(200), 200)] {
        let (store, _clock) = store();
        let layer = SessionLayer::new(store);
        let layer = match limit {
            Some(bytes) => layer.guest_data_limit(bytes),
            None => layer,
        };
        // 6 bytes of lengths and 1 of the key, and those of MessagePack before the text.
        let text = most - 7 - if most > 263 { 3 } else { 2 };

        let answer = Client::new(&layer).request(move |session| async move {
            let over = session
                .insert("a", &"x".repeat(text + 1))
                .unwrap_err()
                .kind();
            session.insert("a", &"x".repeat(text)).unwrap();
            over
        });
        let answer = answer.await;

        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!(answer.value(), SessionErrorKind::TooLarge);
    }
}

// T60
#[tokio::test]
async fn the_limit_of_guest_data_holds_for_a_guest_session_that_is_there() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store).guest_data_limit(200));
    client.insert("a", "x").await;

    let answer = client.request(|session| async move {
        let over = session.insert("b", &"x".repeat(200));
        over.map_err(|error| error.kind())
    });

    assert_eq!(answer.await.value(), Err(SessionErrorKind::TooLarge));
}

// T60
#[tokio::test]
async fn the_store_enforces_the_limit_of_guest_data_too() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store).guest_data_limit(100));
    client.insert("a", "x").await;
    let parallel = client.clone();

    let answer = client.send(move |session| {
        let parallel = parallel.clone();
        async move {
            session.insert("b", &"x".repeat(50)).unwrap();
            parallel
                .request(|session| async move { session.insert("c", &"x".repeat(50)).unwrap() })
                .await;
        }
    });

    assert_eq!(answer.await.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(client.get("b").await, None);
}

// T60
#[tokio::test]
async fn a_guest_who_signs_in_gets_the_data_limit_of_a_user() {
    let (store, _clock) = store();
    let mut client = Client::new(&SessionLayer::new(store));

    let answer = client.send(|session| async move {
        session.log_in(user("alice")).unwrap();
        session.insert("a", &"x".repeat(5_000)).unwrap();
    });

    assert_eq!(answer.await.status, StatusCode::OK);
    assert_eq!(client.get("a").await.unwrap().len(), 5_000);
}

// T60
#[tokio::test]
async fn guest_sessions_have_their_own_idle_lifetime() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).guest_idle(HOUR);
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    let mut user = Client::signed_in(&layer, "alice").await;

    clock.advance(HOUR);

    assert_eq!(guest.get("cart").await, None);
    assert_eq!(user.user().await.as_deref(), Some("alice"));
}

// T15 T60
#[tokio::test]
async fn guest_sessions_live_no_longer_in_all_than_user_sessions() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store)
        .guest_idle(DAY)
        .lifetime(Lifetime::new(HOUR, 2 * HOUR));
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    // A guest session that is not used lives for 15 minutes.
    guest.get("cart").await;

    clock.advance(HOUR);
    let within = guest.get("cart").await;
    clock.advance(HOUR);

    assert_eq!(within.as_deref(), Some("apple"));
    assert_eq!(guest.get("cart").await, None);
}

// T60
#[tokio::test]
async fn with_guests_off_a_guest_keeps_no_data() {
    let (store, _clock) = store();
    let faulty = FaultyStore::new(&store);
    let client = Client::new(&SessionLayer::new(faulty.clone()).guests(false));

    let answer = client.request(|session| async move {
        (
            session.insert("cart", "apple").unwrap_err().kind(),
            session
                .update("n", |n: Option<u8>| n.unwrap_or(0))
                .unwrap_err()
                .kind(),
        )
    });
    let answer = answer.await;

    let off = SessionErrorKind::GuestsOff;
    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), (off, off));
    assert_eq!(faulty.all_calls(), 0);
}

// T60
#[tokio::test]
async fn with_guests_off_users_sign_in_and_keep_data() {
    let (store, _clock) = store();
    let layer = SessionLayer::new(store).guests(false);
    let mut client = Client::signed_in(&layer, "alice").await;

    client.insert("cart", "apple").await;
    let after_logout = client.send(|session| async move {
        session.log_out().unwrap();
        session.insert("flash", "bye").unwrap_err().kind()
    });

    assert_eq!(after_logout.await.value(), SessionErrorKind::GuestsOff);
}
