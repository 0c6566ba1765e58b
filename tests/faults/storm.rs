//! `RedisStore` while its server refuses, hangs up or is a replica: callers share a few attempts and their error.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

use std::{
    collections::BTreeSet,
    error::Error,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics_util::debugging::DebuggingRecorder;
use tokio::time::Instant;
use tower_user_sessions::{
    RedisStore,
    store::{Resolve, SessionStore, StoreError, StoreErrorKind},
};

use super::seen::{measured, recorded};
use crate::common::{
    crowd::since,
    load::{Told, kinds, median, millis, offer, percent_that_waited},
    people::{guest, until},
    redis::{Server, free_port},
    relay::Relay,
};

async fn resolves(store: RedisStore) -> Result<(), StoreError> {
    store.resolve(&Resolve::new(guest())).await.map(drop)
}

/// Makes so many calls a second. Says what became of them, and the causes of those that failed.
async fn storm(store: &RedisStore, rate: u32, time: Duration) -> (Vec<Told>, BTreeSet<String>) {
    let causes = Arc::new(Mutex::new(BTreeSet::new()));
    let all = offer(rate, time, |_| {
        let (call, causes) = (resolves(store.clone()), Arc::clone(&causes));
        async move {
            call.await.inspect_err(|error| {
                let cause = error.source().map(ToString::to_string);
                causes.lock().unwrap().insert(cause.unwrap_or_default());
            })
        }
    });
    let all = all.await;
    let causes = std::mem::take(&mut *causes.lock().unwrap());
    (all, causes)
}

// T70
#[test]
fn at_a_closed_port_all_callers_share_the_error_of_a_few_connects_at_once() {
    let recorder = DebuggingRecorder::new();

    let (all, causes) = recorded(&recorder, async {
        let store = RedisStore::connect(&format!("redis://127.0.0.1:{}", free_port())).unwrap();
        storm(&store, 5_000, millis(2_000)).await
    });

    assert_eq!(kinds(&all), [(StoreErrorKind::Unavailable, 10_000)]);
    let causes: Vec<&str> = causes.iter().map(String::as_str).collect();
    assert!(
        matches!(causes[..], [cause] if cause.contains("refused")),
        "{causes:?}"
    );
    let measured = measured("redis_", &recorder);
    let connects = measured["connects_total failed"];
    assert!((1..=10).contains(&connects), "{measured:?}");
    let late = since(&all, millis(300));
    let waited = percent_that_waited(&late);
    let late = median(late.iter().map(|told| told.took).collect());
    println!("median after 300 ms: {late:?}, {waited} % waited");
    assert!(late < millis(5), "{late:?}");
    assert!(waited < 5, "{waited} %");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_hangs_up_is_not_stormed() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let accepting = tokio::spawn(async move {
        let mut accepted = 0;
        let end = Instant::now() + millis(2_000);
        while let Ok(Ok(_)) = tokio::time::timeout_at(end, listener.accept()).await {
            accepted += 1;
        }
        accepted
    });
    let store = RedisStore::connect(&format!("redis://127.0.0.1:{port}")).unwrap();

    let (all, causes) = storm(&store, 5_000, millis(2_000)).await;

    let accepted = accepting.await.unwrap();
    assert!(accepted <= 10, "{accepted} connects");
    assert_eq!(kinds(&all), [(StoreErrorKind::Unavailable, 10_000)]);
    assert!(causes.len() <= 10, "one for each connect: {causes:?}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_breaks_each_connection_at_its_first_call_is_not_stormed() {
    // Its error repeats the bytes of the call, which the client cannot read.
    let server = Server::start_with(&["--rename-command", "EVALSHA", ""]);
    let relay = Relay::start(server.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();

    let (all, _) = storm(&store, 500, millis(3_000)).await;

    println!("{:?}, {} connects", kinds(&all), relay.made());
    assert!(relay.made() <= 40, "{} connects", relay.made());
    let at_once = |told: &&Told| told.failed == Some(StoreErrorKind::Unavailable);
    let at_once = all.iter().filter(at_once).count();
    assert!(
        at_once > 1_000,
        "the others wait for their deadline: {at_once}"
    );
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_denied_to_every_caller() {
    let server = Server::start_with(&["--requirepass", "open-sesame"]);
    let relay = Relay::start(server.port).await;
    relay.delay(millis(100));
    let url = format!("redis://:wrong@127.0.0.1:{}", relay.port);
    let store = RedisStore::connect(&url).unwrap();

    let (all, causes) = storm(&store, 200, millis(1_000)).await;

    assert_eq!(kinds(&all), [(StoreErrorKind::Denied, 200)]);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert_eq!(relay.made(), 1, "tried again after five seconds");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_to_a_replica_is_tried_a_few_times() {
    let (master, replica) = (Server::start(), Server::start());
    let _: () = replica
        .ask(&format!("REPLICAOF 127.0.0.1 {}", master.port))
        .await;
    let relay = Relay::start(replica.port).await;
    let store = RedisStore::connect(&relay.url()).unwrap();

    let (all, causes) = storm(&store, 500, millis(2_000)).await;

    assert_eq!(kinds(&all), [(StoreErrorKind::Unavailable, 1_000)]);
    assert_eq!(causes.len(), 1, "{causes:?}");
    assert!(relay.made() <= 5, "{} connects", relay.made());
    let _: () = replica.ask("REPLICAOF NO ONE").await;
    until("it is a master now", async || {
        resolves(store.clone()).await.is_ok()
    })
    .await;
}
