//! The event channel, CAEP events, and whether the events of a history add up.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use proptest::prelude::*;
use serde_json::json;
use tower_user_sessions::{
    DeviceCookie, Limit, Login, SessionId, SessionLayer,
    events::{self, EventKind, EventReceiver},
};

use crate::common::{
    book::{self, Book, world},
    http::{Client, HOUR, ids, store, user},
};

// T45
#[tokio::test]
async fn events_that_do_not_fit_are_dropped_and_counted_and_no_request_waits() {
    let (store, _clock) = store();
    let (sender, mut receiver) = events::channel(2);
    let layer = SessionLayer::new(store.clone()).events(sender.clone());

    for _ in 0..5 {
        Client::signed_in(&layer, "alice").await;
    }

    assert_eq!((sender.dropped(), receiver.dropped()), (3, 3));
    let mut received = 0;
    while receiver.try_recv().is_some() {
        received += 1;
    }
    assert_eq!(received, 2);
    assert_eq!(ids(&store, "alice").await.len(), 5);
    drop((layer, sender));
    assert!(receiver.recv().await.is_none());
}

/// A channel with this capacity, and a store in which alice has three sessions: these. The first
/// layer sends its events to the channel, the second one to none.
async fn watched(capacity: usize) -> (EventReceiver, [SessionLayer; 2], Vec<SessionId>) {
    let (store, clock) = store();
    let (sender, receiver) = events::channel(capacity);
    let layer = SessionLayer::new(store).device_cookie(DeviceCookie::new());
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(Client::new(&layer).log_in("alice").await);
        clock.advance(HOUR);
    }
    (receiver, [layer.clone().events(sender), layer], ids)
}

/// A sign-in that leaves its user no other session.
async fn only_session(layer: &SessionLayer) -> SessionId {
    let login = || Login::new(user("alice")).limit(Limit::at_most(1));
    let answer = Client::new(layer)
        .send(move |session| async move {
            session.log_in_with(login()).unwrap();
            session.id().unwrap()
        })
        .await;
    answer.value()
}

// T44
#[tokio::test]
async fn the_channel_receives_the_same_events_as_a_function() {
    let mut received = Vec::new();
    for by_channel in [true, false] {
        let (mut receiver, [layer, unwatched], mut ids) = watched(16).await;
        let book = Book::default();
        let layer = if by_channel {
            layer
        } else {
            unwatched.events(book.sink())
        };

        ids.push(only_session(&layer).await);

        let mut news = book.news();
        while let Some(event) = receiver.try_recv() {
            assert_eq!(event.client().unwrap().user_agent(), Some("test"));
            news.push(book::comparable(&event));
        }
        let named = |id: Option<SessionId>| ids.iter().position(|known| Some(*known) == id);
        let news = news
            .into_iter()
            .map(|(kind, at, user, session, why, whose, by)| {
                (kind, at, user, named(session), why, whose, named(by))
            });
        received.push(news.collect::<Vec<_>>());
    }

    let which: Vec<_> = received[0]
        .iter()
        .map(|event| (event.0, event.3, event.6))
        .collect();
    let began = |kind| (kind, Some(3), None);
    let ended = |which| (EventKind::Ended, Some(which), Some(3));
    let all = [
        began(EventKind::Created),
        began(EventKind::NewDevice),
        ended(0),
        ended(1),
        ended(2),
    ];
    assert_eq!(which, all);
    assert_eq!(received[0], received[1]);
}

// T45
#[tokio::test]
async fn the_channel_takes_as_many_events_of_a_sign_in_as_fit() {
    for room in 1..=5 {
        let (mut receiver, [layer, _unwatched], _ids) = watched(room).await;

        only_session(&layer).await;
        only_session(&layer).await;
        drop(layer);

        // Created, new device, three evicted; then created, new device, one evicted.
        assert_eq!(receiver.dropped(), 8 - u64::try_from(room).unwrap());
        let first = receiver.recv().await.unwrap();
        assert_eq!(first.kind, EventKind::Created);
        assert_eq!(receiver.batch().await.len(), room - 1);
    }
}

// T44
#[tokio::test]
async fn an_ended_session_becomes_a_session_revoked_event_of_caep() {
    let (layer, book, _store, _clock) = world(Limit::at_most(1));
    Client::signed_in(&layer, "alice").await;
    Client::signed_in(&layer, "alice").await;
    let events = book.0.lock().unwrap().clone();
    let event = events
        .iter()
        .find(|event| event.kind == EventKind::Ended)
        .unwrap();

    let revoked = json!({
        "sub_id": {
            "format": "complex",
            "user": { "format": "opaque", "id": event.user().unwrap().as_str() },
            "session": { "format": "opaque", "id": event.session.unwrap().to_string() },
        },
        "events": { "https://schemas.openid.net/secevent/caep/event-type/session-revoked": {
            "event_timestamp": event.at.as_millis() / 1_000,
            "initiating_entity": event.initiator.as_str(),
            "reason_admin": { "en": event.why().unwrap() },
        } },
    });

    let claims =
        &revoked["events"]["https://schemas.openid.net/secevent/caep/event-type/session-revoked"];
    assert_eq!(claims["initiating_entity"], "policy");
    assert_eq!(claims["reason_admin"]["en"], "evicted");
    assert_eq!(claims["event_timestamp"], 1_764_000_000);
    assert_eq!(revoked["sub_id"]["user"]["id"], "alice");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    // T45
    #[test]
    fn in_any_history_sessions_begun_minus_ended_are_the_sessions_in_the_store(
        steps in proptest::collection::vec((0..4_usize, 0..6_u8), 1..40),
    ) {
        tokio_test::block_on(async {
            let (layer, book, store, clock) = world(Limit::at_most(2));
            let mut clients: Vec<Client> = (0..4).map(|_| Client::new(&layer)).collect();
            for (at, step) in steps {
                clock.advance(std::time::Duration::from_secs(60));
                let client = &mut clients[at];
                match step {
                    0..=2 => { client.log_in("alice").await; }
                    3 => { client.send(|session| async move { session.log_out().unwrap() }).await; }
                    4 => {
                        client.send(|session| async move {
                            if let Some(sessions) = session.user_sessions() {
                                sessions.end_others().await.unwrap();
                            }
                        }).await;
                    }
                    _ => { client.send(|session| async move { session.rotate().unwrap() }).await; }
                }
            }
            let mut live: Vec<SessionId> = Vec::new();
            for (kind, _, _, session, ..) in book.news() {
                match kind {
                    EventKind::Created => live.push(session.unwrap()),
                    EventKind::Ended => {
                        let at = live.iter().position(|id| Some(*id) == session);
                        live.swap_remove(at.unwrap());
                    }
                    _ => {}
                }
            }
            live.sort();
            let mut stored = ids(&store, "alice").await;
            stored.sort();
            prop_assert_eq!(live, stored);
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn guests_raise_no_events() {
    let (layer, book, _store, clock) = world(Limit::default());
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    guest
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    guest
        .send(|session| async move { session.log_out().unwrap() })
        .await;
    guest.insert("cart", "pear").await;
    clock.advance(100 * HOUR);
    guest.user().await;

    assert_eq!(book.news(), []);
}
