//! The plan of late activity has room for every entry, and what it has no room for is not lost.

use std::time::Duration;

use super::{
    super::{Inner, own::What},
    late::{hit, stored},
    wire::{Node, Server, near, now},
};
use crate::{
    model::{Timestamp, Token},
    store::{Near, SessionStore},
};

const SECOND: Duration = Duration::from_secs(1);

/// A cache that was set to keep one answer. It has 64 locks, and keeps one under each.
fn node(server: &Server) -> Node {
    let mut node = server.node();
    node.near = Near::builder(node.wire.clone())
        .clock(server.clock.clone())
        .max_entries(1)
        .build();
    node
}

/// Sessions of two users under two locks, with a late request each. Returns when those were.
async fn two_late(server: &Server, node: &mut Node) -> ([Token; 2], Timestamp) {
    let tokens = two(server).await;
    for token in &tokens {
        node.near.resolve(&near(token)).await.unwrap();
    }
    server.clock.advance(SECOND * 2);
    node.hears(0);
    for token in &tokens {
        hit(node, token).await;
    }
    (tokens, server.clock.now())
}

async fn two(server: &Server) -> [Token; 2] {
    let tokens = [server.signs_in("alice").await, server.signs_in("bob").await];
    let locks = tokens
        .each_ref()
        .map(|token| token.tag().as_bytes()[11] % 64);
    assert_ne!(locks[0], locks[1]);
    tokens
}

#[tokio::test]
async fn a_flush_writes_the_activity_of_each_entry_though_the_cache_was_set_to_keep_few() {
    let server = Server::new();
    let mut node = node(&server);
    let (tokens, last) = two_late(&server, &mut node).await;

    node.near.flush().await;

    assert_eq!(node.wire.touches(), 2);
    for token in &tokens {
        assert_eq!(stored(&server, token).await, last);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_flush_the_activity_of_each_entry_is_written_after_the_lease_and_a_quarter() {
    let server = Server::new();
    let mut node = node(&server);
    let (tokens, last) = two_late(&server, &mut node).await;
    server.clock.advance(Duration::from_millis(4_250));

    tokio::time::sleep(SECOND * 5).await;

    assert_eq!(node.wire.touches(), 2);
    for token in &tokens {
        assert_eq!(stored(&server, token).await, last);
    }
}

/// As after an end that failed: the activity of all sessions of a user waits at once.
#[tokio::test]
async fn as_much_activity_waits_as_the_cache_has_entries() {
    let server = Server::new();
    let mut node = node(&server);
    let (tokens, last) = two_late(&server, &mut node).await;
    let cache = node.near.0.cache.as_ref().unwrap();
    let all = tokens
        .iter()
        .flat_map(|token| cache.remove(token.tag(), What::All));
    let all: Vec<_> = all.collect();
    assert_eq!(all.len(), 2);

    Inner::evicted(&node.near.0, all);
    node.near.flush().await;

    for token in &tokens {
        assert_eq!(stored(&server, token).await, last);
    }
}

/// Nothing writes outside of a runtime, so plans of entries that were replaced stay.
#[test]
fn a_plan_that_is_full_loses_neither_the_first_activity_nor_the_last() {
    let server = Server::new();
    let mut node = node(&server);
    let [alice, bob] = now(two(&server));
    let late = |node: &mut Node, token: &Token| {
        now(node.near.resolve(&near(token))).unwrap();
        server.clock.advance(SECOND * 2);
        node.hears(0);
        now(hit(node, token));
        server.clock.now()
    };
    let first = late(&mut node, &alice);
    let mut last = first;
    for _ in 0..200 {
        // Only its plan is left.
        node.near
            .0
            .cache
            .as_ref()
            .unwrap()
            .remove(bob.tag(), What::All);
        last = late(&mut node, &bob);
    }
    let planned = node.near.0.late.planned();
    assert_eq!(planned, 2 * 64 + 1, "the first is to be written already");

    now(node.near.flush());

    assert_eq!(now(stored(&server, &alice)), first);
    assert_eq!(now(stored(&server, &bob)), last);
}
