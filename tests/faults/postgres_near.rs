//! The near cache on PostgreSQL: what the feed makes fast, and what is true without it.

use std::{cell::Cell, future::ready, ops::Range, sync::Arc, time::Duration};

use deadpool_postgres::{Pool, tokio_postgres::NoTls};
use tokio::time::{Instant, sleep, timeout};
use tower_user_sessions::{
    EndReason, PostgresStore,
    store::{
        End, Near, Renewal, Resolve, Resolved, Rotate, Salt, Save, SessionStore, Token, Which,
    },
};

use super::{
    near_runs::{Climate, Kind, Sum, all, faults, histories, of_one_server, place, runs},
    near_way::{Of, Way},
};
use crate::common::{
    load::millis,
    people::{set, signs_in, until},
    postgres::{Server, patient, pool, url},
    random::Random,
};

const LEASE: Duration = Duration::from_millis(400);
/// Longer than a test waits for anything.
const LONG: Duration = Duration::from_secs(60);
/// Clocks count whole milliseconds.
const MS: Duration = Duration::from_millis(1);

/// A store that reports all changes, and listens on this port.
fn live(pool: Pool, port: u16) -> PostgresStore {
    let store = patient(pool).live(url(port).parse().unwrap(), NoTls);
    store.report_writes(true).build()
}

/// A node with a near cache that hears of changes by a way of its own, and another node.
async fn nodes(lease: Duration) -> (Server, Way, Near<PostgresStore>, PostgresStore) {
    let server = Server::start();
    drop(server.store().await);
    let way = Way::postgres(server.port).await;
    let near = Near::builder(live(server.pool(), way.port))
        .lease(lease)
        .build();
    let other = live(server.pool(), server.port);
    (server, way, near, other)
}

/// What the node answers a request that may be answered from its cache.
async fn asks(near: &Near<PostgresStore>, token: &Token) -> Resolved {
    let mut resolve = Resolve::new(token.clone());
    resolve.near = Some(Duration::from_secs(120));
    near.resolve(&resolve).await.unwrap()
}

/// Waits until it answers from its cache, so the feed is trusted.
async fn keeps(near: &Near<PostgresStore>, token: &Token) {
    until(
        "an answer is kept",
        async || matches!(asks(near, token).await, Resolved::Live(found) if found.near),
    )
    .await;
}

/// Whether it answers from its cache.
async fn is_near(near: &Near<PostgresStore>, token: &Token) -> bool {
    matches!(asks(near, token).await, Resolved::Live(found) if found.near)
}

async fn saves(store: &impl SessionStore, token: &Token, value: &'static str) {
    let save = Save::new(token.tag(), token.session_id(), set("cart", value));
    store.save(&save).await.unwrap();
}

async fn rotates(store: &impl SessionStore, token: &Token) -> Token {
    let salt = Salt::from_bytes([7; 16]);
    let next = token.successor(&salt);
    let rotate = Rotate::new(token, &next, Renewal::Derived(salt));
    store.rotate(&rotate).await.unwrap();
    next
}

async fn ends(store: &impl SessionStore, token: &Token) {
    let end = End::new(token.tag(), Which::All, EndReason::Revoked);
    store.end(&end).await.unwrap();
}

/// What the node answers of the data.
async fn cart(near: &Near<PostgresStore>, token: &Token) -> Option<Vec<u8>> {
    match asks(near, token).await {
        Resolved::Live(found) => found.data.get("cart").map(|value| value.to_vec()),
        other => panic!("{other:?}"),
    }
}

// T73
#[tokio::test]
async fn what_another_node_does_is_seen_by_its_message_long_before_the_lease() {
    let (_server, _way, near, other) = nodes(LONG).await;
    let token = signs_in(&near, "anna").await;
    keeps(&near, &token).await;

    saves(&other, &token, "apple").await;
    let took = sees(async || cart(&near, &token).await.is_some()).await;
    println!("data of another node are seen after {took:?}");
    keeps(&near, &token).await;
    let next = rotates(&other, &token).await;
    let took = sees(async || !is_near(&near, &token).await).await;
    println!("the new token of another node is seen after {took:?}");
    keeps(&near, &next).await;
    ends(&other, &next).await;
    let is_over = async || !matches!(asks(&near, &next).await, Resolved::Live(_));
    let took = sees(is_over).await;
    println!("the end by another node is seen after {took:?}");
}

/// How long it takes until this is so.
async fn sees(is_so: impl AsyncFn() -> bool) -> Duration {
    let began = Instant::now();
    let seen = async {
        while !is_so().await {
            sleep(MS).await;
        }
    };
    timeout(LONG / 2, seen).await.unwrap();
    began.elapsed()
}

// T73
#[tokio::test]
async fn a_node_sees_its_own_writes_at_once_although_no_message_arrives() {
    let (_server, way, near, _other) = nodes(LONG).await;
    way.lose(100);
    let token = signs_in(&near, "anna").await;

    for value in ["apple", "pear"] {
        keeps(&near, &token).await;
        saves(&near, &token, value).await;
        assert_eq!(cart(&near, &token).await.as_deref(), Some(value.as_bytes()));
    }
    keeps(&near, &token).await;
    let next = rotates(&near, &token).await;
    assert!(!is_near(&near, &token).await, "it has a new one");
    keeps(&near, &next).await;
    ends(&near, &next).await;

    let answer = asks(&near, &next).await;
    assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
}

/// What becomes of messages.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    /// Nothing gives a sign of it.
    Lost,
    Late,
    Silent,
    Cut,
}

// T73
#[tokio::test]
async fn without_the_message_no_answer_is_later_than_the_lease_after_an_end() {
    let (_server, way, near, other) = nodes(LEASE).await;
    for fault in [Fault::Lost, Fault::Late, Fault::Silent, Fault::Cut] {
        // A busy machine may give no answer in the time of a lease.
        let mut late = None;
        for number in 0..40 {
            if late.is_some() {
                break;
            }
            let token = signs_in(&other, &format!("{fault:?} {number}")).await;
            keeps(&near, &token).await;
            match fault {
                Fault::Lost => way.lose(100),
                Fault::Late => way.be_late(Of::Feed, 3 * LEASE),
                Fault::Silent => way.be_silent(Of::Feed, true),
                Fault::Cut => way.cut(Of::Feed),
            }
            ends(&other, &token).await;
            late = answers_after(&near, &token).await;
            way.be_well();
            // Nobody can rely on one that is cut.
            if fault == Fault::Cut {
                break;
            }
        }
        println!("{fault:?}: the last answer from here came {late:?} after the end");
        assert!(fault == Fault::Cut || late.is_some(), "{fault:?}");
    }
    assert!(way.lost() > 0);
}

// T73
#[tokio::test]
async fn what_was_kept_before_the_feed_broke_is_no_answer_after_it() {
    let (_server, way, near, other) = nodes(LONG).await;
    let token = signs_in(&other, "anna").await;
    let feed = || near.feed().unwrap().state(token.tag());
    keeps(&near, &token).await;
    let before = feed().epoch;
    way.lose(100);
    ends(&other, &token).await;
    until("the message is lost", async || way.lost() > 0).await;

    way.be_well();
    way.cut(Of::Feed);

    until("the feed is trusted again", async || {
        feed().epoch > before && feed().trusted
    })
    .await;
    let answer = asks(&near, &token).await;
    assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
}

/// How long after an end it answers from its cache, at last.
async fn answers_after(near: &Near<PostgresStore>, token: &Token) -> Option<Duration> {
    let (ended, mut last) = (Instant::now(), None);
    loop {
        let late = ended.elapsed();
        match asks(near, token).await {
            Resolved::Live(found) if found.near => {
                assert!(late <= LEASE + MS, "{late:?} after the end");
                last = Some(late);
            }
            Resolved::Ended(_) => return last,
            other => panic!("the store, after the end: {other:?}"),
        }
        sleep(millis(5)).await;
    }
}

/// Histories with a way for each node, to its feed and of its calls.
async fn in_histories(seeds: Range<u64>, sum: &Sum) {
    let server = Server::start();
    let plain = live(server.pool(), server.port);
    plain.migrate().await.unwrap();
    let (mut random, mut ways) = (Random(seeds.start + 1), Vec::new());
    for _ in 0..3 {
        ways.push(Way::postgres(server.port).await);
    }
    let ways = Arc::new(ways);
    let through = |way: &Way| live(pool(&url(way.port), 8), way.port);
    let stores = ways.iter().map(through).collect();
    let place = place(stores, plain, Kind::Postgres);
    let climate = |at| Climate {
        cuts_late: true,
        ..of_one_server(at)
    };
    let mut faults = faults(&ways, climate, &mut random);
    // Calls of PostgreSQL are large futures.
    let over = Cell::new(false);
    Box::pin(runs(&place, seeds, &over, ready(()))).await;
    faults.shutdown().await;
    sum.add(&place.tally, ways.iter().map(Way::lost).sum(), 0);
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn in_random_histories_with_lost_and_late_messages_no_answer_is_later_than_the_lease() {
    all(Kind::Postgres, histories(60, 10), in_histories).await;
}
