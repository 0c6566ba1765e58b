//! When the activity of requests that were answered from here is written, and how much of it waits.

use std::{future::Future, pin::Pin, time::Duration};

use super::{
    answers::is_near,
    late::{hit, owes, stored},
    wire::{Hold, Node, Server, near, now, poll},
};
use crate::{
    model::{EndReason, Salt, Timestamp, Token},
    store::{End, Near, Renewal, Resolve, Rotate, SessionStore, Touch, Which},
};

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// A session whose last request, two seconds after the fill, was answered from here.
async fn late(server: &Server, node: &mut Node) -> (Token, Timestamp) {
    let token = server.signs_in("alice").await;
    let last = owes(server, node, &token).await;
    (token, last)
}

/// As [`late`], a hundred of them, whose writes are held.
async fn hundred_late(server: &Server, node: &mut Node) -> Vec<Token> {
    let mut tokens = Vec::new();
    for _ in 0..100 {
        let token = server.signs_in("alice").await;
        node.near.resolve(&near(&token)).await.unwrap();
        tokens.push(token);
    }
    server.clock.advance(SECOND * 2);
    node.hears(0);
    for token in &tokens {
        hit(node, token).await;
    }
    node.wire.holds_touches();
    tokens
}

#[tokio::test(start_paused = true)]
async fn activity_is_written_a_quarter_after_the_lease_and_planned_once() {
    let server = Server::new();
    let mut node = server.node();
    let (token, _) = late(&server, &mut node).await;
    for _ in 0..100 {
        hit(&node, &token).await;
    }
    assert_eq!(node.near.0.late.planned(), 1);
    tokio::time::sleep(SECOND * 5).await;
    server.clock.advance(Duration::from_millis(4_249));
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!(node.wire.touches(), 0);

    server.clock.advance(MS);
    tokio::time::sleep(SECOND * 5).await;

    assert_eq!(node.wire.touches(), 1);
    assert_eq!(node.near.0.late.planned(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_was_planned_for_an_entry_does_not_take_the_next_one() {
    let server = Server::new();
    let mut node = server.node();
    let (token, _) = late(&server, &mut node).await;
    server.clock.advance(SECOND * 4);
    node.hears(0);
    assert!(!is_near(&node.near, &near(&token)).await);
    server.clock.advance(SECOND * 2);
    node.hears(0);
    hit(&node, &token).await;

    // The store has recorded the activity of the first one.
    tokio::time::sleep(SECOND * 5).await;

    assert_eq!(node.wire.touches(), 0);
    hit(&node, &token).await;
}

#[tokio::test(start_paused = true)]
async fn at_most_64_writes_are_on_their_way_and_the_others_can_still_be_removed() {
    let server = Server::new();
    let mut node = server.node();
    let tokens = hundred_late(&server, &mut node).await;
    server.clock.advance(SECOND * 5);
    tokio::time::sleep(SECOND * 5).await;
    assert_eq!((node.wire.touches(), node.near.entries()), (64, 36));

    // They ended elsewhere, so nothing is written of them.
    let end = End::new(tokens[0].tag(), Which::All, EndReason::Revoked);
    server.store.end(&end).await.unwrap();
    node.queue.extend(server.news());
    node.hears(9);
    node.wire.passes_touches(100);
    tokio::time::sleep(SECOND * 5).await;

    assert_eq!(node.wire.touches(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_flush_writes_at_most_64_at_once() {
    let server = Server::new();
    let mut node = server.node();
    hundred_late(&server, &mut node).await;
    let mut flush = tokio_test::task::spawn(node.near.flush());
    assert!(flush.poll().is_pending());
    tokio::time::sleep(SECOND).await;
    assert_eq!(node.wire.touches(), 64);

    node.wire.passes_touches(100);
    flush.await;
    assert_eq!(node.wire.touches(), 36);
}

#[tokio::test]
async fn a_flush_that_is_dropped_goes_on_in_the_background() {
    let server = Server::new();
    let mut node = server.node();
    let (token, last) = late(&server, &mut node).await;
    node.wire.holds_touches();
    {
        let mut flush = tokio_test::task::spawn(node.near.flush());
        assert!(flush.poll().is_pending());
    }
    node.wire.passes_touches(1);
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test(start_paused = true)]
async fn the_activity_of_an_entry_that_makes_room_is_written() {
    let server = Server::new();
    let mut node = server.node();
    node.near = Near::builder(node.wire.clone())
        .clock(server.clock.clone())
        .max_entries(1)
        .build();
    let (token, last) = late(&server, &mut node).await;
    let other = server.signs_in("alice").await;

    node.near.resolve(&near(&other)).await.unwrap();
    assert_eq!(node.near.entries(), 1);
    tokio::time::sleep(SECOND).await;

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn requests_during_the_write_of_activity_lose_none() {
    let server = Server::new();
    let mut node = server.node();
    let (token, _) = late(&server, &mut node).await;
    node.wire.holds_touches();
    let cache = node.near.clone();
    let mut flush = tokio_test::task::spawn(cache.flush());
    assert!(flush.poll().is_pending());
    tokio::task::yield_now().await;
    assert_eq!(node.wire.touches(), 1);
    let last = owes(&server, &mut node, &token).await;
    node.wire.passes_touches(9);
    flush.await;

    // It was read before the write.
    assert!(node.near.found(&near(&token)).is_none());
    node.near.flush().await;
    assert_eq!(stored(&server, &token).await, last);
    assert_eq!(node.wire.touches(), 1);
}

#[tokio::test]
async fn a_write_of_activity_respects_the_moment_of_all_users() {
    let server = Server::new();
    let mut node = server.node();
    late(&server, &mut node).await;
    let moment = server.clock.now().minus(SECOND * 60);
    node.near.horizon().unwrap().note(moment);

    node.near.flush().await;

    assert_eq!(node.wire.touched().unwrap().not_before, Some(moment));
}

#[tokio::test]
async fn an_answer_that_counted_makes_a_write_of_earlier_activity_needless() {
    let server = Server::new();
    let mut node = server.node();
    let (token, _) = late(&server, &mut node).await;
    server.clock.advance(SECOND * 4);
    node.hears(0);

    assert!(!is_near(&node.near, &near(&token)).await);
    node.near.flush().await;

    assert_eq!(node.wire.touches(), 0);
}

/// The app records earlier activity of the session itself.
#[tokio::test]
async fn an_own_touch_does_not_lose_later_activity() {
    let server = Server::new();
    let mut node = server.node();
    let (token, last) = late(&server, &mut node).await;

    let touch = Touch::new(token.tag(), token.session_id(), SECOND);
    node.near.touch(&touch).await.unwrap();
    assert!(stored(&server, &token).await < last);
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn nothing_is_written_of_a_session_that_is_found_to_have_ended() {
    let server = Server::new();
    let mut node = server.node();
    let (token, _) = late(&server, &mut node).await;
    let end = End::new(token.tag(), Which::All, EndReason::Revoked);
    server.store.end(&end).await.unwrap();

    let mut poll = Resolve::new(token);
    poll.activity = false;
    node.near.resolve(&poll).await.unwrap();
    node.near.flush().await;

    assert_eq!(node.wire.touches(), 0);
}

/// A previous token and a request that is no activity: nothing is kept, and nothing was recorded.
#[tokio::test]
async fn a_poll_whose_answer_is_not_kept_loses_no_activity() {
    let server = Server::new();
    let mut node = server.node();
    let (token, last) = late(&server, &mut node).await;
    let salt = Salt::from_bytes([1; 16]);
    let next = token.successor(&salt);
    let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
    server.store.rotate(&rotate).await.unwrap();
    server.clock.advance(SECOND);
    let mut poll = Resolve::new(token.clone());
    poll.activity = false;

    node.near.resolve(&poll).await.unwrap();
    assert_eq!(node.near.entries(), 0);
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn a_slow_answer_does_not_lose_the_activity_of_requests_meanwhile() {
    for rotates in [false, true] {
        let server = Server::new();
        let (mut node, token) = (server.node(), server.signs_in("alice").await);
        node.near.resolve(&near(&token)).await.unwrap();
        if rotates {
            let salt = Salt::from_bytes([1; 16]);
            let rotate = Rotate::new(&token, &token.successor(&salt), Renewal::Derived(salt));
            server.store.rotate(&rotate).await.unwrap();
        }
        // A request that the app did not choose, and that counts as activity.
        let (cache, plain) = (node.near.clone(), Resolve::new(token.clone()));
        node.wire.hold(Hold::After);
        let mut slow: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(async move { cache.resolve(&plain).await });
        assert!(poll(&mut slow).is_none());
        server.clock.advance(SECOND * 2);
        node.hears(0);
        hit(&node, &token).await;
        let last = server.clock.now();

        poll(&mut slow).unwrap().unwrap();
        node.near.flush().await;

        assert_eq!(stored(&server, &token).await, last, "{rotates}");
    }
}

#[tokio::test]
async fn activity_from_before_another_epoch_is_written() {
    let server = Server::new();
    let mut node = server.node();
    let (token, last) = late(&server, &mut node).await;

    node.reconnects();
    assert!(node.near.found(&near(&token)).is_none());
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
}

/// On another runtime than tokio no task writes.
#[test]
fn outside_of_a_runtime_little_waits_and_a_flush_writes_it() {
    let server = Server::new();
    let mut node = server.node();
    node.near = Near::builder(node.wire.clone())
        .clock(server.clock.clone())
        .max_entries(64)
        .build();
    let token = now(server.signs_in("alice"));
    for _ in 0..500 {
        let id = token.session_id();
        now(node.near.resolve(&near(&token))).unwrap();
        server.clock.advance(SECOND * 2);
        node.hears(0);
        now(hit(&node, &token));
        // Its activity makes room in the plan too.
        let cache = node.near.0.cache.as_ref().unwrap();
        let active = cache.remove(token.tag(), super::super::own::What::One(id));
        assert_eq!(active.len(), 1);
        super::super::Inner::evicted(&node.near.0, active);
    }
    assert_eq!(node.near.0.late.planned(), 3 * 64);
    let last = server.clock.now();

    now(node.near.flush());

    assert_eq!(now(stored(&server, &token)), last);
    assert_eq!(node.near.0.late.planned(), 0);
}
