//! Activity of requests that were answered from here.

use std::time::Duration;

use super::wire::{Hold, Node, Server, near, sign_in};
use crate::{
    model::{EndReason, Lifetime, Token},
    store::{Changes, End, List, Near, Resolve, Resolved, Save, SessionStore, Timestamp, Which},
};

const SECOND: Duration = Duration::from_secs(1);

pub(super) async fn hit(node: &Node, token: &Token) {
    match node.near.resolve(&near(token)).await.unwrap() {
        Resolved::Live(found) => assert!(found.near),
        other => panic!("not live: {other:?}"),
    }
}

/// The last request of this token is answered from here, two seconds after the fill. Returns when.
pub(super) async fn owes(server: &Server, node: &mut Node, token: &Token) -> Timestamp {
    node.near.resolve(&near(token)).await.unwrap();
    server.clock.advance(SECOND * 2);
    node.hears(0);
    hit(node, token).await;
    server.clock.now()
}

pub(super) async fn stored(server: &Server, token: &Token) -> Timestamp {
    let listed = server.store.list(&List::new(token.tag())).await.unwrap();
    let mut all = listed.into_iter();
    let record = all.find(|record| record.id == token.session_id());
    record.unwrap().last_activity
}

#[tokio::test]
async fn late_activity_is_written_once_with_its_time_and_by_a_touch() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    node.near.resolve(&near(&token)).await.unwrap();
    let filled = server.clock.now();
    server.clock.advance(SECOND);
    hit(&node, &token).await;
    node.near.flush().await;
    // Within a quarter of the lease nothing is written.
    assert_eq!(stored(&server, &token).await, filled);

    server.clock.advance(SECOND);
    node.hears(0);
    hit(&node, &token).await;
    server.clock.advance(SECOND);
    hit(&node, &token).await;
    let last = server.clock.now();
    server.clock.advance(SECOND);
    node.hears(0);
    node.wire.calls();
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
    assert_eq!((node.wire.touches(), node.wire.calls()), (1, 1));
    node.near.flush().await;
    assert_eq!(node.wire.calls(), 0);
}

#[tokio::test]
async fn a_request_after_the_lease_records_its_own_activity() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    node.near.resolve(&near(&token)).await.unwrap();
    for _ in 0..20 {
        server.clock.advance(SECOND);
        node.hears(0);
        node.near.resolve(&near(&token)).await.unwrap();
    }
    assert_eq!(node.wire.touches(), 0);
    let now = server.clock.now();
    node.near.flush().await;

    assert!(now.since(stored(&server, &token).await) <= SECOND);
}

#[tokio::test]
async fn nothing_is_written_after_a_message_removed_the_entry() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    owes(&server, &mut node, &token).await;
    let end = End::new(token.tag(), Which::All, EndReason::Administrator);
    server.store.end(&end).await.unwrap();
    node.queue.extend(server.news());
    node.hears(9);

    node.near.flush().await;

    assert_eq!(node.wire.touches(), 0);
}

#[tokio::test]
async fn an_own_write_and_a_poll_do_not_lose_activity() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    for by_save in [true, false] {
        let last = owes(&server, &mut node, &token).await;
        server.clock.advance(SECOND);
        node.hears(0);
        if by_save {
            let save = Save::new(token.tag(), token.session_id(), Changes::default());
            node.near.save(&save).await.unwrap();
        } else {
            let mut poll = Resolve::new(token.clone());
            poll.activity = false;
            node.near.resolve(&poll).await.unwrap();
        }
        node.near.flush().await;
        assert_eq!(stored(&server, &token).await, last, "{by_save}");
        // Messages of the save.
        node.queue.extend(server.news());
        node.hears(9);
    }
}

#[tokio::test]
async fn a_slow_own_write_does_not_lose_the_activity_of_requests_meanwhile() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let save = Save::new(token.tag(), token.session_id(), Changes::default());
    let store = node.near.clone();
    node.wire.hold(Hold::Before);
    let mut saves = tokio_test::task::spawn(store.save(&save));
    assert!(saves.poll().is_pending());

    let last = owes(&server, &mut node, &token).await;
    saves.await.unwrap();
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn activity_within_its_step_is_not_written() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let mut resolve = near(&token);
    resolve.activity_every = SECOND * 3;
    server.clock.advance(SECOND * 4);
    node.hears(0);
    node.near.resolve(&resolve).await.unwrap();
    let filled = server.clock.now();
    server.clock.advance(SECOND * 2);
    node.near.resolve(&resolve).await.unwrap();
    node.near.flush().await;
    assert_eq!(stored(&server, &token).await, filled);

    server.clock.advance(SECOND * 2);
    node.hears(0);
    node.near.resolve(&resolve).await.unwrap();
    node.near.flush().await;
    assert_eq!(stored(&server, &token).await, server.clock.now());
}

#[tokio::test(start_paused = true)]
async fn a_flush_waits_for_a_write_that_is_on_its_way() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let last = owes(&server, &mut node, &token).await;
    node.wire.holds_touches();
    server.clock.advance(SECOND * 5);
    while node.wire.touches() == 0 {
        tokio::time::sleep(SECOND).await;
    }

    let mut flush = tokio_test::task::spawn(node.near.flush());
    for _ in 0..9 {
        assert!(flush.poll().is_pending());
        tokio::task::yield_now().await;
    }
    node.wire.passes_touches(1);
    flush.await;
    assert_eq!(stored(&server, &token).await, last);

    // A write without an answer is not waited for without end.
    node.hears(0);
    node.near.resolve(&near(&token)).await.unwrap();
    server.clock.advance(SECOND * 2);
    node.hears(0);
    hit(&node, &token).await;
    server.clock.advance(SECOND * 5);
    while node.wire.touches() == 0 {
        tokio::time::sleep(SECOND).await;
    }
    let within = |time| tokio::time::timeout(time, node.near.flush());
    assert!(within(SECOND * 9).await.is_err());
    assert!(within(SECOND * 11).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn activity_of_a_session_with_a_short_idle_time_does_not_wait_for_that_of_others() {
    let server = Server::new();
    let cache = Near::builder(server.store.clone())
        .clock(server.clock.clone())
        .lease(SECOND * 60)
        .build();
    let long = server.signs_in("alice").await;
    let (mut create, short) = sign_in(&server.store, server.clock.now(), "bob");
    create.lifetime = Lifetime::new(SECOND * 60, SECOND * 3_600);
    server.store.create(&create).await.unwrap();
    server.store.resolve(&near(&short)).await.unwrap();
    for (token, time) in [(&long, SECOND * 16), (&short, SECOND * 2)] {
        cache.resolve(&near(token)).await.unwrap();
        server.clock.advance(time);
        cache.resolve(&near(token)).await.unwrap();
    }
    let last = server.clock.now();

    // The lease of the other one is not over yet.
    server.clock.advance(SECOND * 10);
    tokio::time::sleep(SECOND * 10).await;

    assert_eq!(stored(&server, &short).await, last);
}

// By the system's clock.
#[tokio::test]
async fn a_task_writes_activity_after_the_lease() {
    let server = Server::new();
    let token = server.signs_in("alice").await;
    let lease = Duration::from_millis(200);
    let cache = Near::builder(server.store.clone()).lease(lease).build();
    cache.resolve(&near(&token)).await.unwrap();
    let filled = server.clock.now();
    server.clock.advance(SECOND);
    tokio::time::sleep(lease / 2).await;
    cache.resolve(&near(&token)).await.unwrap();

    for _ in 0..200 {
        if stored(&server, &token).await != filled {
            return;
        }
        tokio::time::sleep(lease / 10).await;
    }
    panic!("the activity was never written");
}

// By the system's clock.
#[test]
fn activity_is_written_though_nothing_drives_the_runtime_that_noted_it() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
    };
    let (idle, busy) = (runtime(), runtime());
    let server = Server::new();
    let lease = Duration::from_millis(200);
    let cache = Near::builder(server.store.clone()).lease(lease).build();
    let (first, filled) = idle.block_on(async {
        let first = server.signs_in("alice").await;
        cache.resolve(&near(&first)).await.unwrap();
        let filled = server.clock.now();
        server.clock.advance(SECOND);
        tokio::time::sleep(lease / 2).await;
        cache.resolve(&near(&first)).await.unwrap();
        (first, filled)
    });

    busy.block_on(async {
        let second = server.signs_in("bob").await;
        for _ in 0..200 {
            if stored(&server, &first).await != filled {
                return;
            }
            cache.resolve(&near(&second)).await.unwrap();
            tokio::time::sleep(lease / 10).await;
        }
        panic!("the activity was never written");
    });
}
