//! A copy of the token, and a user who comes and goes: what rotation finds and what it does not.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tower_user_sessions::{
    ClientVerdict, SessionLayer,
    events::{Event, EventKind},
    store::ManualClock,
};

use crate::common::{
    http::{Client, DAY, HOUR, store},
    redis::Server,
};

const MINUTE: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_secs(20);
const POLLS: u32 = 24 * 60 * 3;

type Kinds = Arc<Mutex<Vec<EventKind>>>;

/// A layer that rotates each quarter of an hour, on memory and on Redis.
fn layers(server: &Server) -> [(SessionLayer, ManualClock, Kinds); 2] {
    let (memory, clock) = store();
    let (_, redis_clock) = store();
    let redis = server.store(redis_clock.clone());
    let layer = |layer: SessionLayer, clock| {
        let kinds = Kinds::default();
        let sink = Arc::clone(&kinds);
        let layer = layer
            .rotate_after(15 * MINUTE)
            .events(move |event: Event| sink.lock().unwrap().push(event.kind));
        (layer, clock, kinds)
    };
    [
        layer(SessionLayer::new(memory), clock),
        layer(SessionLayer::new(redis), redis_clock),
    ]
}

async fn victim(layer: &SessionLayer) -> Client {
    let mut owner = Client::new(layer);
    owner.peer = Some("192.0.2.1".parse().unwrap());
    owner.log_in("alice").await;
    owner.user().await;
    owner
}

fn count(kinds: &Kinds, wanted: EventKind) -> usize {
    let kinds = kinds.lock().unwrap();
    kinds.iter().filter(|kind| **kind == wanted).count()
}

// T47 T76
#[tokio::test]
async fn a_thief_who_only_polls_while_the_user_is_away_is_shut_out_within_the_hour() {
    let server = Server::start();
    for (layer, clock, kinds) in layers(&server) {
        let owner = victim(&layer).await;
        // Same address and agent, and new tokens are thrown away.
        let thief = owner.clone();

        let mut polls = 0;
        for _ in 0..POLLS {
            let answer = thief.request(|session| async move { session.user_id() });
            if answer.await.value().is_none() {
                break;
            }
            polls += 1;
            clock.advance(POLL);
        }

        assert!(POLL * polls > 15 * MINUTE, "{polls} polls");
        assert!(POLL * polls < HOUR, "{polls} polls");
        assert_eq!(count(&kinds, EventKind::TokenReuse), 1);
        let mut owner = owner;
        assert_eq!(owner.user().await, None);
    }
}

// T47 T76
#[tokio::test]
async fn a_thief_who_takes_the_new_tokens_from_another_address_is_reported_for_24_hours() {
    let server = Server::start();
    for (layer, clock, kinds) in layers(&server) {
        let mut owner = victim(&layer).await;
        let mut thief = owner.clone();
        thief.peer = Some("198.51.100.7".parse().unwrap());

        for poll in 0..POLLS {
            // The user reads for five minutes, and the thief asks before each new token is used.
            if poll % 15 == 0 {
                assert_eq!(owner.user().await.as_deref(), Some("alice"));
            }
            assert_eq!(thief.user().await.as_deref(), Some("alice"));
            clock.advance(POLL);
        }

        // Rotation finds nothing, because both have every token.
        assert_eq!(count(&kinds, EventKind::TokenReuse), 0);
        let rotated = count(&kinds, EventKind::Rotated);
        assert!(rotated > 60, "{rotated} rotations");
        let shared = count(&kinds, EventKind::TokenShared);
        assert!((20..=48).contains(&shared), "{shared} events");
        let changed = count(&kinds, EventKind::ClientChanged);
        assert!((40..=50).contains(&changed), "{changed} events");
    }
}

// T76
#[tokio::test]
async fn an_app_that_ends_sessions_of_two_clients_shuts_such_a_thief_out_at_once() {
    let server = Server::start();
    for (layer, _clock, kinds) in layers(&server) {
        let layer = layer.on_client_changed(|_| ClientVerdict::End);
        let mut owner = victim(&layer).await;
        let mut thief = owner.clone();
        thief.peer = Some("198.51.100.7".parse().unwrap());

        assert_eq!(thief.user().await, None);
        assert_eq!(owner.user().await, None);
        assert_eq!(count(&kinds, EventKind::ClientChanged), 1);
    }
}

// T48 T76
#[tokio::test]
async fn a_lost_new_token_is_handed_out_again_a_day_later() {
    let server = Server::start();
    for (layer, clock, kinds) in layers(&server) {
        let layer = layer.lifetime(tower_user_sessions::Lifetime::new(10 * DAY, 30 * DAY));
        let mut owner = victim(&layer).await;
        clock.advance(HOUR);
        let lost = owner.request(|session| async move { session.user_id() });
        assert_eq!(lost.await.set_cookies().len(), 1);
        clock.advance(DAY);

        let parallel = owner.clone();
        assert_eq!(owner.user().await.as_deref(), Some("alice"));
        let late = parallel.request(|session| async move { session.user_id() });
        assert!(late.await.value().is_some());
        clock.advance(HOUR);

        assert_eq!(owner.user().await.as_deref(), Some("alice"));
        assert_eq!(count(&kinds, EventKind::TokenReuse), 0);
        assert_eq!(count(&kinds, EventKind::TokenShared), 0);
    }
}
