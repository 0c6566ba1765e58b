//! The metrics agree with what happened.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower_user_sessions::{
    DeviceCookie, Everyone, Limit, SessionLayer, UserSessions,
    events::{self, EventKind},
};

use crate::common::{
    book::world,
    faulty::FaultyStore,
    http::{Client, DAY, HOUR, ids, store, user},
};

/// The counters by name and labels, and the number of values per histogram.
fn counted(recorder: &DebuggingRecorder) -> BTreeMap<String, u64> {
    let snapshot = recorder.snapshotter().snapshot().into_vec();
    let counted = snapshot.into_iter().map(|(key, _, _, value)| {
        let key = key.key();
        let labels: Vec<&str> = key.labels().map(metrics::Label::value).collect();
        let name = key.name().trim_start_matches("tower_user_sessions_");
        let value = match value {
            DebugValue::Counter(count) => count,
            DebugValue::Histogram(values) => values.len() as u64,
            DebugValue::Gauge(_) => 0,
        };
        (
            format!("{name} {}", labels.join(" ")).trim_end().to_owned(),
            value,
        )
    });
    counted.collect()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

// T45
#[test]
fn counters_agree_with_the_events_and_with_the_store() {
    let recorder = DebuggingRecorder::new();
    let (sender, mut receiver) = events::channel(10_000);
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone())
        .limit(Limit::at_most(3))
        .events(sender);

    let live = metrics::with_local_recorder(&recorder, || {
        runtime().block_on(async {
            let mut clients: Vec<Client> = (0..5).map(|_| Client::new(&layer)).collect();
            for round in 0..40_usize {
                clock.advance(HOUR / 60);
                let client = &mut clients[round * 7 % 5];
                match round % 4 {
                    3 => {
                        client
                            .send(|session| async move { session.log_out().unwrap() })
                            .await;
                    }
                    _ => {
                        client.log_in("alice").await;
                    }
                }
            }
            ids(&store, "alice").await.len() as u64
        })
    });

    let counted = counted(&recorder);
    let mut events: BTreeMap<String, u64> = BTreeMap::new();
    while let Some(event) = receiver.try_recv() {
        let name = match event.kind {
            EventKind::Created => "logins_total".to_owned(),
            EventKind::Ended => format!("ends_total {}", event.why().unwrap()),
            other => panic!("{other:?}"),
        };
        *events.entry(name).or_default() += 1;
    }
    for (name, count) in &events {
        assert_eq!(counted.get(name), Some(count), "{name}");
    }
    let ended: u64 = events
        .iter()
        .filter(|it| it.0.starts_with("ends"))
        .map(|it| it.1)
        .sum();
    assert_eq!(events["logins_total"] - ended, live);
    assert_eq!(counted["evictions_total"], events["ends_total evicted"]);
}

// T45
#[test]
fn resolves_are_counted_by_outcome_and_a_stores_time_by_operation() {
    let recorder = DebuggingRecorder::new();
    let (store, clock) = store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());

    metrics::with_local_recorder(&recorder, || {
        runtime().block_on(async {
            let mut client = Client::signed_in(&layer, "alice").await;
            client.user().await;
            UserSessions::new(faulty.clone(), user("alice"))
                .end_all()
                .await
                .unwrap();
            client.clone().user().await;
            client.send(|session| async move { session.ended() }).await;
            let mut stranger = Client::signed_in(&layer, "bob").await;
            let token = stranger.token();
            stranger.cookie = Some(format!("__Host-session={}{:A<32}", &token[..32], ""));
            stranger.user().await;
            let mut late = Client::signed_in(&layer, "carol").await;
            clock.advance(48 * HOUR);
            late.user().await;
        });
    });

    let counted = counted(&recorder);
    let outcomes = ["live", "ended", "unknown", "expired"];
    let found = outcomes.map(|outcome| counted[&format!("resolves_total {outcome}")]);
    assert_eq!(found, [1, 2, 1, 1]);
    assert_eq!(counted["store_seconds resolve"], 5);
    assert_eq!(counted["store_seconds create"], 3);
    assert_eq!(counted["notices_shown_total"], 1);
}

#[test]
fn refusals_reuse_and_dropped_events_are_counted() {
    let recorder = DebuggingRecorder::new();
    let (store, clock) = store();
    let (sender, _receiver) = events::channel(1);
    let layer = SessionLayer::new(store)
        .limit(Limit::at_most(1).refuse())
        .events(sender.clone());

    metrics::with_local_recorder(&recorder, || {
        runtime().block_on(async {
            let mut client = Client::signed_in(&layer, "alice").await;
            let refused = Client::new(&layer)
                .request(|session| async move { session.log_in(user("alice")).unwrap() });
            refused.await;
            let mut previous = client.clone();
            client
                .send(|session| async move { session.rotate().unwrap() })
                .await;
            client.user().await;
            clock.advance(HOUR);
            previous.user().await;
        });
    });

    let counted = counted(&recorder);
    assert_eq!(counted["refusals_total limit_reached"], 1);
    assert_eq!(counted["token_reuse_total"], 1);
    assert_eq!(counted["ends_total token_reuse"], 1);
    assert_eq!(counted["dropped_events_total"], sender.dropped());
    assert!(sender.dropped() > 0);
}

const PHONE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

/// Raises an event of each kind. Returns all that no label may have: tokens, ids of sessions and of the user.
async fn each_kind(secrets: &mut Vec<String>) -> Vec<events::Event> {
    let (layer, book, store, clock) = world(Limit::at_most(1).refuse());
    let layer = layer.device_cookie(DeviceCookie::new());
    let mut client = Client::signed_in(&layer, "alice-17").await;
    let mut keep = |client: &Client| secrets.push(client.token());
    keep(&client);
    let refused = Client::new(&layer)
        .request(|session| async move { session.log_in(user("alice-17")).unwrap() });
    refused.await;
    let mut previous = client.clone();
    client
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    keep(&client);
    let mut phone = previous.clone();
    phone.peer = Some(PHONE);
    phone.user_agent = "Phone";
    phone.user().await;
    client
        .send(|session| async move { session.reauthenticated().unwrap() })
        .await;
    keep(&client);
    client.user().await;
    clock.advance(HOUR);
    previous.user().await;
    let all = UserSessions::new(store.clone(), user("alice-17"));
    let lost = client.request(move |session| {
        let all = all.clone();
        async move {
            session.insert("cart", "apple").unwrap();
            all.end_all().await.unwrap();
        }
    });
    lost.await;
    let everyone = Everyone::new(store).events(book.sink());
    everyone.end_all().await.unwrap();
    clock.advance(HOUR);
    for _ in 0..2 {
        client.log_in("alice-17").await;
        keep(&client);
    }
    clock.advance(2 * DAY);
    client.user().await;
    secrets.push("alice-17".to_owned());
    let raised = book.0.lock().unwrap().clone();
    secrets.extend(
        raised
            .iter()
            .filter_map(|event| Some(event.session?.to_string())),
    );
    raised
}

// T3
#[test]
fn no_event_of_any_kind_holds_a_token_and_no_label_holds_a_token_an_id_or_a_user() {
    let (recorder, mut secrets) = (DebuggingRecorder::new(), Vec::new());

    let raised =
        metrics::with_local_recorder(&recorder, || runtime().block_on(each_kind(&mut secrets)));

    let kinds: BTreeSet<&str> = raised.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds.len(), 12, "{kinds:?}");
    let labels = format!("{:?}", recorder.snapshotter().snapshot().into_vec());
    assert!(labels.contains("token_reuse"));
    let events = format!("{raised:?}");
    for secret in &secrets {
        assert!(!labels.contains(&**secret), "{secret}: {labels}");
        if let Some(own) = secret.get(32..) {
            assert!(!labels.contains(own) && !events.contains(own));
        }
    }
}
