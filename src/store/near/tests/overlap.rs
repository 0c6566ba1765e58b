//! Answers that something overtook.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use super::{
    super::{cache::Cache, entry::Asked},
    wire::{Hold, Node, Server, near, poll},
};
use crate::{
    model::{EndReason, Token},
    store::{
        Changes, End, FeedMessage, FeedNews, Near, Resolve, Resolved, Save, SessionStore,
        StoreError, Which, feed::FeedReader,
    },
};

type Answer = Result<Resolved, StoreError>;
type Fill = Pin<Box<dyn Future<Output = Answer>>>;

/// The store has answered this request, and its answer is on the way.
fn fills(node: &Node, token: &Token) -> Fill {
    let (cache, resolve) = (node.near.clone(), near(token));
    node.wire.hold(Hold::After);
    let mut fill: Fill = Box::pin(async move { cache.resolve(&resolve).await });
    assert!(poll(&mut fill).is_none());
    fill
}

fn save(token: &Token) -> Save {
    let mut changes = Changes::default();
    changes.set("cart", "apple");
    Save::new(token.tag(), token.session_id(), changes)
}

fn revision(answer: &Resolved) -> u64 {
    match answer {
        Resolved::Live(found) => found.record.revision,
        other => panic!("not live: {other:?}"),
    }
}

// T73
#[tokio::test]
async fn an_answer_that_a_message_overtook_is_not_kept() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let mut fill = fills(&node, &token);
    server.store.save(&save(&token)).await.unwrap();
    node.queue.extend(server.news());
    node.hears(9);

    poll(&mut fill).unwrap().unwrap();

    assert!(node.near.found(&near(&token)).is_none());
}

#[tokio::test]
async fn an_older_answer_that_comes_later_does_not_replace_a_newer_one() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    let mut older = fills(&node, &token);
    // Its message is late.
    server.store.save(&save(&token)).await.unwrap();
    server.clock.advance(Duration::from_millis(1));
    let newer = revision(&node.near.resolve(&near(&token)).await.unwrap());

    let before = revision(&poll(&mut older).unwrap().unwrap());

    assert!(before < newer);
    let kept = node.near.found(&near(&token)).unwrap();
    assert_eq!(revision(&kept), newer);
}

#[tokio::test]
async fn an_answer_to_a_request_that_was_not_chosen_removes_what_is_not_true_any_more() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    node.near.resolve(&near(&token)).await.unwrap();
    let end = End::new(token.tag(), Which::All, EndReason::Revoked);
    server.store.end(&end).await.unwrap();
    assert!(node.near.found(&near(&token)).is_some(), "not heard of");

    let answer = node.near.resolve(&Resolve::new(token.clone())).await;

    assert!(matches!(answer, Ok(Resolved::Ended(_))));
    assert!(node.near.found(&near(&token)).is_none());
}

#[tokio::test]
async fn a_store_that_answers_at_once_fills_too() {
    let server = Server::new();
    let token = server.signs_in("alice").await;
    let cache = Near::new(server.store.clone());

    let first = cache.resolve_now(&near(&token)).unwrap().unwrap();

    assert!(matches!(first, Resolved::Live(found) if !found.near));
    assert!(cache.found(&near(&token)).is_some());
}

/// Keeps an answer when a message arrives.
struct Fills {
    cache: Arc<Cache>,
    resolve: Resolve,
    fill: Mutex<Option<(Answer, Asked)>>,
}

impl FeedReader for Fills {
    fn message(&self, _: &FeedMessage) {
        if let Some((answer, asked)) = self.fill.lock().unwrap().take() {
            self.cache.keep(&self.resolve, &answer, asked);
        }
    }

    fn epoch_changed(&self) {}
}

#[tokio::test]
async fn an_answer_that_arrives_while_a_message_is_delivered_is_not_kept() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    let (resolve, feed) = (near(&token), node.near.feed().unwrap());
    let cache = Arc::clone(node.near.0.cache.as_ref().unwrap());
    let asked = cache.asks(&resolve);
    let answer = server.store.resolve(&resolve).await;
    // The cache has read the message before.
    let fills: Arc<dyn FeedReader> = Arc::new(Fills {
        cache,
        resolve,
        fill: Mutex::new(Some((answer, asked))),
    });
    let _interest = feed.read_by(Arc::downgrade(&fills));

    feed.deliver(&FeedMessage::new(token.tag(), FeedNews::LookAgain));

    assert!(node.near.found(&near(&token)).is_none());
}

/// Answers and messages at the same moments.
#[test]
fn no_answer_slips_past_a_message_of_another_thread() {
    const ROUNDS: usize = 5_000;
    let server = Server::new();
    let node = server.node();
    let token = tokio_test::block_on(server.signs_in("alice"));
    let (resolve, feed) = (near(&token), node.near.feed().unwrap());
    let cache = node.near.0.cache.as_ref().unwrap();
    let answer = tokio_test::block_on(server.store.resolve(&resolve));
    let message = FeedMessage::new(token.tag(), FeedNews::LookAgain);
    // Each thread waits for the other one, so that both are at work.
    let (begun, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let meets = |at: &AtomicUsize, round: usize| {
        at.fetch_add(1, SeqCst);
        while at.load(SeqCst) < 2 * round {
            thread::yield_now();
        }
    };

    let kept = thread::scope(|scope| {
        scope.spawn(|| {
            for round in 1..=ROUNDS {
                meets(&begun, round);
                feed.deliver(&message);
                meets(&done, round);
            }
        });
        let mut kept = 0;
        for round in 1..=ROUNDS {
            let asked = cache.asks(&resolve);
            meets(&begun, round);
            cache.keep(&resolve, &answer, asked);
            meets(&done, round);
            kept += cache.entries();
        }
        kept
    });

    assert_eq!(kept, 0, "of {ROUNDS}");
}
