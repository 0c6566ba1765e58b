//! Open streams on a node while sessions end on another one, the feed is cut, and messages are lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_user_sessions::{
    EndReason, Limit, RedisStore, Session, SessionLayer, UserSessions,
    store::{RedisLive, RedisSource},
};

use crate::common::{
    http::{Client, user},
    redis::Server,
};

const HISTORIES: usize = 1_000;

/// A lease of 1 s stands for one of 60 s.
const LEASE: Duration = Duration::from_secs(1);

/// 20 % more, two looks with a second between, and a busy machine.
const LONGEST: Duration = Duration::from_secs(10);

fn store(server: &Server, reports: bool) -> RedisStore {
    let builder = RedisStore::builder(RedisSource::url(&server.url()).unwrap());
    if reports {
        builder.live(RedisLive::ends()).build()
    } else {
        builder.build()
    }
}

/// One user: opens and closes streams, and is signed out in the middle of it.
async fn history(seed: usize, a: SessionLayer, b: SessionLayer, b_store: RedisStore) -> Duration {
    let name = format!("user {seed}");
    let mut client = Client::signed_in(&b, &name).await.before(&a);
    let pause = |part: usize| Duration::from_millis((seed * 7_919 / (part + 1) % 40) as u64);
    let live = |session: Session| async move { session.live().ok() };
    let mut streams = Vec::new();
    for part in 0..seed % 4 {
        streams.extend(client.send(live).await.value());
        sleep(pause(part)).await;
    }
    streams.truncate(seed % 3);
    // The end overtakes an opening in some histories.
    let opening = client.request(move |session: Session| async move {
        sleep(Duration::from_millis(seed as u64 % 5)).await;
        session.live().ok()
    });
    let ending = async {
        sleep(Duration::from_millis(seed as u64 / 5 % 5)).await;
        let all = UserSessions::new(b_store, user(&name));
        all.because(EndReason::Disabled).end_all().await.unwrap();
    };
    let (opened, ()) = tokio::join!(opening, ending);
    let ended = tokio::time::Instant::now();
    streams.extend(opened.value());
    for stream in &streams {
        let end = timeout(LONGEST, stream.ended()).await;
        let end = end.unwrap_or_else(|_| panic!("history {seed}: a stream stayed open"));
        assert_eq!(end.reason(), "disabled", "history {seed}");
    }
    ended.elapsed()
}

// T41 T72
#[tokio::test(flavor = "multi_thread")]
async fn in_1000_histories_with_cuts_and_lost_messages_no_end_is_missed() {
    let server = Server::start();
    let layer = |store: RedisStore| {
        SessionLayer::new(store)
            .limit(Limit::at_most(9))
            .look_every(LEASE)
    };
    let (reports, silent) = (store(&server, true), store(&server, false));
    let a = layer(store(&server, true));
    let other = [layer(reports.clone()), layer(silent.clone())];
    let stays = Client::signed_in(&other[0], "stays").await.before(&a);
    let stays = stays.request(|session: Session| async move { session.live().unwrap() });
    let stays = stays.await.value();
    let url = server.url();
    let cutting = tokio::spawn(async move {
        let cuts = AtomicUsize::new(0);
        loop {
            sleep(Duration::from_millis(150)).await;
            let cut = "CLIENT KILL TYPE pubsub";
            let killed: i64 = crate::common::redis::ask(&url, cut).await;
            cuts.fetch_add(usize::try_from(killed).unwrap(), Ordering::SeqCst);
        }
    });

    let at_once = Arc::new(Semaphore::new(50));
    let mut running = JoinSet::new();
    for seed in 0..HISTORIES {
        let place = Arc::clone(&at_once).acquire_owned().await.unwrap();
        // Every third node reports nothing.
        let silently = usize::from(seed % 3 == 0);
        let b_store = [reports.clone(), silent.clone()][silently].clone();
        let (a, b) = (a.clone(), other[silently].clone());
        running.spawn(async move {
            let took = history(seed, a, b, b_store).await;
            drop(place);
            took
        });
    }
    let took = running.join_all().await;

    cutting.abort();
    assert_eq!(took.len(), HISTORIES);
    assert!(stays.end().is_none());
}
