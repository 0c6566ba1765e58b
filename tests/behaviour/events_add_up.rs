//! Events, counters and the store agree, also if a reply comes late or the response was dropped.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    future::{Future, pending, poll_fn},
    pin::Pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use proptest::prelude::*;
use tokio::sync::oneshot;
use tower_user_sessions::{
    CommitError, EndReason, Limit, MemoryStore, Session, SessionId, SessionLayer, UserSessions,
    events::{self, EventKind},
    store::ManualClock,
};

use crate::common::{
    book::{Book, Reported, live},
    faulty::{Fault, FaultyStore, Method, until_asked},
    http::{Client, HOUR, ids, store, user},
    people::until,
};

struct World {
    layer: SessionLayer,
    faulty: FaultyStore,
    store: MemoryStore,
    clock: ManualClock,
    book: Book,
}

fn world(limit: Limit) -> World {
    let ((store, clock), book) = (store(), Book::default());
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone())
        .limit(limit)
        .events(book.sink());
    World {
        layer,
        faulty,
        store,
        clock,
        book,
    }
}

/// The counters by name and label.
fn counted(recorder: &DebuggingRecorder) -> BTreeMap<String, u64> {
    let snapshot = recorder.snapshotter().snapshot().into_vec();
    let counters = snapshot.into_iter().filter_map(|(key, _, _, value)| {
        let DebugValue::Counter(count) = value else {
            return None;
        };
        let key = key.key();
        let label = key.labels().next().map_or("", metrics::Label::value);
        let name = key.name().trim_start_matches("tower_user_sessions_");
        Some((format!("{name} {label}").trim_end().to_owned(), count))
    });
    counters.collect()
}

/// The counters that these events should have raised.
fn tallied(news: &[Reported]) -> BTreeMap<String, u64> {
    let mut tallied = BTreeMap::new();
    for (kind, _, _, _, reason, ..) in news {
        let names: Vec<String> = match (kind, reason) {
            (EventKind::Created, _) => vec!["logins_total".to_owned()],
            (EventKind::Ended, Some(EndReason::Evicted)) => {
                vec![
                    "ends_total evicted".to_owned(),
                    "evictions_total".to_owned(),
                ]
            }
            (EventKind::Ended, Some(reason)) => vec![format!("ends_total {}", reason.as_str())],
            (EventKind::Refused(why), _) => vec![format!("refusals_total {}", why.as_str())],
            (EventKind::TokenReuse, _) => vec!["token_reuse_total".to_owned()],
            _ => Vec::new(),
        };
        for name in names {
            *tallied.entry(name).or_default() += 1;
        }
    }
    tallied
}

async fn stored(store: &MemoryStore) -> Vec<SessionId> {
    let mut stored = ids(store, "alice").await;
    stored.sort();
    stored
}

async fn step(world: &World, client: &mut Client, step: u8) {
    match step {
        0..=3 => {
            let log_in = |session: Session| async move { session.log_in(user("alice")).unwrap() };
            client.send(log_in).await;
        }
        4 => {
            let log_out = |session: Session| async move { session.log_out().unwrap() };
            client.send(log_out).await;
        }
        5 => {
            let end_others = |session: Session| async move {
                if let Some(sessions) = session.user_sessions() {
                    sessions.end_others().await.unwrap();
                }
            };
            client.send(end_others).await;
        }
        6 => {
            let sessions = UserSessions::new(world.store.clone(), user("alice"));
            let sessions = sessions.events(world.book.sink());
            sessions.end_all().await.unwrap();
        }
        7 => {
            let previous = client.clone();
            let rotate = |session: Session| async move { session.rotate().unwrap() };
            client.send(rotate).await;
            client.user().await;
            world.clock.advance(Duration::from_secs(60));
            previous.request(|_session| async {}).await;
        }
        _ => client.insert("cart", "apple").await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    // T45
    #[test]
    fn in_any_history_counters_agree_with_the_events_and_both_with_the_store(
        steps in proptest::collection::vec((0..4_usize, 0..9_u8), 1..40),
        refuse in any::<bool>(),
    ) {
        let recorder = DebuggingRecorder::new();
        let limit = Limit::at_most(2);
        let world = world(if refuse { limit.refuse() } else { limit });

        let left = metrics::with_local_recorder(&recorder, || {
            tokio_test::block_on(async {
                let mut clients: Vec<Client> = (0..4).map(|_| Client::new(&world.layer)).collect();
                for (at, what) in steps {
                    world.clock.advance(Duration::from_secs(1));
                    step(&world, &mut clients[at], what).await;
                }
                stored(&world.store).await
            })
        });

        let news = world.book.news();
        prop_assert_eq!(live(&news), left);
        let mut counted = counted(&recorder);
        counted.retain(|name, _| !name.starts_with("resolves") && !name.starts_with("notices"));
        prop_assert_eq!(counted, tallied(&news));
    }
}

// T45
#[tokio::test]
async fn evictions_of_a_sign_in_that_was_rejected_later_raise_events() {
    let world = world(Limit::at_most(1));
    Client::signed_in(&world.layer, "alice").await;
    world.clock.advance(HOUR);
    world.faulty.next(Method::Create, Fault::LateCutoff);

    let rejected = Client::new(&world.layer)
        .request(|session| async move { session.log_in(user("alice")).unwrap() });
    rejected.await;

    assert_eq!(live(&world.book.news()), []);
    assert_eq!(stored(&world.store).await, []);
}

// T45
#[tokio::test]
async fn the_session_that_a_sign_in_replaced_raises_an_event_although_it_was_rejected_later() {
    let world = world(Limit::at_most(2));
    let client = Client::signed_in(&world.layer, "alice").await;
    world.clock.advance(HOUR);
    world.faulty.next(Method::Create, Fault::LateCutoff);

    let rejected = client.request(|session| async move { session.log_in(user("alice")).unwrap() });
    rejected.await;

    assert_eq!(live(&world.book.news()), []);
    assert_eq!(stored(&world.store).await, []);
}

// T21 T45
#[tokio::test]
async fn evictions_of_a_rejected_sign_in_that_cannot_be_ended_raise_one_event_each() {
    let world = world(Limit::at_most(1));
    Client::signed_in(&world.layer, "alice").await;
    world.faulty.always([Method::Create], Fault::LateCutoff);
    world.faulty.next(Method::End, Fault::Fail);
    world.book.news();

    let answer = Client::new(&world.layer).request(|session| async move {
        session.log_in(user("alice")).unwrap();
        let first = session.commit().await;
        let _nothing_is_left = session.commit().await;
        matches!(first, Err(CommitError::Rejected))
    });

    assert!(answer.await.value());
    let news = world.book.news().into_iter();
    let evicted = news.filter(|event| event.4 == Some(EndReason::Evicted));
    assert_eq!(evicted.count(), 1);
}

// T45
#[tokio::test]
async fn evictions_of_a_sign_in_whose_response_was_dropped_raise_events() {
    let world = world(Limit::at_most(1));
    let first = Client::new(&world.layer).log_in("alice").await;
    world.clock.advance(HOUR);
    world.faulty.next(Method::Create, Fault::HangAfter);
    let (outcome, committed) = oneshot::channel();
    let outcome = Arc::new(Mutex::new(Some(outcome)));

    let mut answer = Box::pin(Client::new(&world.layer).request(move |session: Session| {
        let outcome = outcome.lock().unwrap().take().unwrap();
        async move {
            session.log_in(user("alice")).unwrap();
            tokio::spawn(async move { outcome.send(session.commit().await).unwrap() });
            pending::<()>().await;
        }
    }));
    for _ in 0..100 {
        if stored(&world.store).await != [first] {
            break;
        }
        assert!(still_at_work(answer.as_mut()).await);
    }
    assert_ne!(stored(&world.store).await, [first]);
    drop(answer);
    world.faulty.release();
    let committed = committed.await.unwrap();

    assert!(
        matches!(committed, Err(CommitError::Closed)),
        "{committed:?}"
    );
    assert_eq!(live(&world.book.news()), []);
    assert_eq!(stored(&world.store).await, []);
}

/// Polls once and lets other tasks run. Returns whether the future is still pending.
async fn still_at_work<F: Future>(mut future: Pin<&mut F>) -> bool {
    let polled = poll_fn(|task| Poll::Ready(future.as_mut().poll(task)));
    let pending = polled.await.is_pending();
    tokio::task::yield_now().await;
    pending
}

// T45
#[tokio::test]
async fn events_without_a_receiver_are_dropped_and_counted() {
    let (store, _clock) = store();
    let (sender, receiver) = events::channel(10);
    let layer = SessionLayer::new(store).events(sender.clone());
    drop(receiver);

    Client::signed_in(&layer, "alice").await;

    assert_eq!(sender.dropped(), 1);
}

// T44 T45
#[tokio::test]
async fn a_session_that_ends_while_its_request_is_dropped_is_reported_once() {
    for of_all in [false, true] {
        let World {
            layer,
            faulty,
            store,
            book,
            ..
        } = world(Limit::at_most(3));
        faulty.next(Method::End, Fault::HangAfter);
        let (task, ends) = oneshot::channel();
        let task = Arc::new(Mutex::new(Some(task)));
        let request = Client::new(&layer).request(move |session| {
            let task = Arc::clone(&task);
            async move {
                session.log_in(user("alice")).unwrap();
                session.commit().await.unwrap();
                let ends = tokio::spawn(async move {
                    if of_all {
                        let sessions = session.user_sessions().unwrap();
                        assert_eq!(sessions.end_all().await.unwrap(), 1);
                    } else {
                        session.log_out().unwrap();
                        session.commit().await.unwrap();
                    }
                });
                let task = task.lock().unwrap().take().unwrap();
                task.send(ends).unwrap();
                pending::<()>().await;
            }
        });
        let mut request = Box::pin(request);
        until_asked(&faulty, Method::End, 1, request.as_mut()).await;
        let has_ended = async || ids(&store, "alice").await.is_empty();
        until("the session has ended", has_ended).await;

        drop(request);
        faulty.release();
        ends.await.unwrap().await.unwrap();

        let ended: Vec<_> = (book.news().into_iter())
            .filter(|event| event.0 == EventKind::Ended)
            .map(|event| event.4)
            .collect();
        assert_eq!(ended, [Some(EndReason::Undelivered)], "{of_all}");
    }
}

// T44 T45
#[tokio::test]
async fn a_sign_in_that_a_second_one_replaced_is_reported_too_if_its_request_is_dropped() {
    let world = world(Limit::at_most(3));
    world.faulty.next(Method::End, Fault::Hang);
    let request = Client::new(&world.layer).request(|session| async move {
        session.log_in(user("bob")).unwrap();
        session.commit().await.unwrap();
        // The layer stores it, and then ends that of bob.
        session.log_in(user("alice")).unwrap();
    });
    let mut request = Box::pin(request);
    until_asked(&world.faulty, Method::End, 1, request.as_mut()).await;

    drop(request);

    assert_eq!(ids(&world.store, "bob").await, []);
    assert_eq!(stored(&world.store).await, []);
    assert_eq!(live(&world.book.news()), []);
}
