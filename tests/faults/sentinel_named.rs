//! Which master `RedisStore` believes in, when sentinels disagree, are cut off or report another one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tokio::time::Instant;
use tower_user_sessions::{
    RedisStore,
    store::{Resolve, SessionStore},
};

use crate::common::{
    load::millis,
    people::{asks, guest, signs_in, token, until},
    redis::Server,
    relay::Relay,
    sentinel::{Said, Sentinel},
};

async fn three(said: &[Said; 3]) -> [Sentinel; 3] {
    let [one, two, three] = said.clone();
    [
        Sentinel::start(one).await,
        Sentinel::start(two).await,
        Sentinel::start(three).await,
    ]
}

fn behind(sentinels: &[Sentinel]) -> RedisStore {
    let urls: Vec<String> = sentinels.iter().map(|sentinel| sentinel.url()).collect();
    let urls = urls.iter().map(String::as_str);
    RedisStore::connect_sentinel(urls, "mymaster").unwrap()
}

async fn users(server: &Server) -> usize {
    server.ask("DBSIZE").await
}

/// Signs users in until one of them is on this server. Says how long that takes.
async fn goes_to(store: &RedisStore, server: &Server) -> Duration {
    let began = Instant::now();
    let mut number = 0;
    while users(server).await == 0 {
        assert!(began.elapsed() < Duration::from_secs(20), "never there");
        number += 1;
        let user = format!("user-{number}");
        let create = asks(&user, &token(store, &user));
        let _may_be_refused = store.create(&create).await;
        tokio::time::sleep(millis(20)).await;
    }
    began.elapsed()
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_left_as_soon_as_a_sentinel_reports_another_one() {
    let (old, new) = (Server::start(), Server::start());
    let sentinels = three(&[1, 1, 1].map(|epoch| Said::new(old.port, epoch))).await;
    let store = behind(&sentinels);
    signs_in(&store, "alice").await;
    until("it has subscribed to each", async || {
        sentinels.iter().all(|sentinel| sentinel.listeners() == 1)
    })
    .await;
    // The next time that it asks by itself is 2 s away.
    let asked = sentinels[0].asked();
    while sentinels[0].asked() == asked {
        tokio::time::sleep(millis(5)).await;
    }

    for sentinel in &sentinels {
        sentinel.says(Said::new(new.port, 2));
    }
    sentinels[1].reports();
    let took = goes_to(&store, &new).await;

    assert!(took < millis(1_000), "{took:?}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_sentinel_that_is_cut_off_does_not_lead_back_to_the_previous_master() {
    let (old, mut new) = (Server::start(), Server::start());
    let said = [
        Said::new(old.port, 1),
        Said::new(new.port, 2),
        Said::new(new.port, 2),
    ];
    let sentinels = three(&said).await;
    let store = behind(&sentinels);
    signs_in(&store, "alice").await;
    assert_eq!((users(&old).await, users(&new).await), (0, 1));

    for sentinel in &sentinels[1..] {
        sentinel.be_silent(true);
    }
    new.kill();
    let end = Instant::now() + millis(3_000);
    while Instant::now() < end {
        let create = asks("bob", &token(&store, "bob"));
        assert!(store.create(&create).await.is_err());
        tokio::time::sleep(millis(50)).await;
    }
    new.restart();
    let took = goes_to(&store, &new).await;

    assert_eq!(users(&old).await, 0);
    assert!(took < millis(3_000), "{took:?}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_cut_off_together_with_the_app_is_left_2_s_after_the_sentinels_can_be_asked()
 {
    let (old, new) = (Server::start(), Server::start());
    let sentinels = three(&[1, 1, 1].map(|epoch| Said::new(old.port, epoch))).await;
    let away = &sentinels[1..];
    away.iter().for_each(|sentinel| sentinel.be_silent(true));
    let store = behind(&sentinels);
    signs_in(&store, "alice").await;
    assert_eq!(users(&old).await, 1);
    // Meanwhile the others make the replica the master.
    tokio::time::sleep(millis(3_000)).await;

    for sentinel in away {
        sentinel.says(Said::new(new.port, 2));
        sentinel.be_silent(false);
    }
    let took = goes_to(&store, &new).await;

    assert!(took < millis(2_000), "{took:?}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_master_without_its_replicas_is_left_within_4_s() {
    let (old, new) = (Server::start(), Server::start());
    let sentinels = three(&[1, 1, 1].map(|epoch| Said::new(old.port, epoch))).await;
    let store = behind(&sentinels);
    signs_in(&store, "alice").await;
    let _: () = old.ask("CONFIG SET min-replicas-to-write 1").await;
    let refused = store.create(&asks("bob", &token(&store, "bob"))).await;
    assert!(refused.is_err());

    for sentinel in &sentinels {
        sentinel.says(Said::new(new.port, 2));
    }
    let took = goes_to(&store, &new).await;

    assert!(took < millis(4_000), "{took:?}");
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_sentinels_name_in_two_ways_is_not_replaced() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    for run_id in ["", "9f3a"] {
        let said = ["localhost", "127.0.0.1", "127.0.0.1"].map(|host| Said {
            host,
            run_id,
            ..Said::new(relay.port, 3)
        });
        let (sentinels, before) = (three(&said).await, relay.made());
        let store = behind(&sentinels);
        signs_in(&store, "alice").await;

        // The first one to answer is another one for a while.
        for silent in [true, false, true, false] {
            sentinels[0].be_silent(silent);
            tokio::time::sleep(millis(2_600)).await;
            store.resolve(&Resolve::new(guest())).await.unwrap();
        }

        let made = relay.made() - before;
        assert!(
            made <= if run_id.is_empty() { 4 } else { 2 },
            "{made} connects"
        );
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_dropped_leaves_no_connection_to_sentinels() {
    let server = Server::start();
    let sentinels = three(&[1, 1, 1].map(|epoch| Said::new(server.port, epoch))).await;
    let open = || {
        sentinels
            .iter()
            .map(|sentinel| sentinel.open())
            .sum::<u32>()
    };
    let store = behind(&sentinels);
    signs_in(&store, "alice").await;
    until("one to each", async || open() == 3).await;

    drop(store);

    until("none is left", async || open() == 0).await;
}
