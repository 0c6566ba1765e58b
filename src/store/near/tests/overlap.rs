//! Answers that something overtook.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};

use super::{
    super::{cache::Cache, entry::Asked},
    wire::{Hold, Node, Server, near, poll},
};
use crate::{
    model::{EndReason, Salt, Token},
    store::{
        Changes, End, FeedMessage, FeedNews, Near, Renewal, Resolve, Resolved, Rotate, Rotated,
        Save, SessionStore, StoreError, Which, feed::FeedReader,
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

/// What a store may say of a request that used a token first.
#[tokio::test]
async fn an_answer_about_an_unused_session_or_token_is_not_kept() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    let (next, salt) = (token.clone(), Salt::from_bytes([1; 16]));
    let token = next.successor(&salt);
    let rotate = Rotate::new(&next, &token, Renewal::Derived(salt));
    let Rotated::Rotated(record) = server.store.rotate(&rotate).await.unwrap() else {
        panic!("not rotated");
    };
    let resolve = near(&token);
    let cache = node.near.0.cache.as_ref().unwrap();
    let Resolved::Live(used) = server.store.resolve(&resolve).await.unwrap() else {
        panic!("not live");
    };
    let (mut unused, mut new) = (used.clone(), used.clone());
    unused.record.unused = true;
    new.record.rotation = record.rotation;

    for (found, kept) in [(unused, 0), (new, 0), (used, 1)] {
        let answer = Ok(Resolved::Live(found));
        cache.keep(&resolve, &answer, cache.asks(&resolve));
        assert_eq!(cache.entries(), kept);
    }
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
    let server = Server::new();
    let node = server.node();
    let token = tokio_test::block_on(server.signs_in("alice"));
    let (resolve, feed) = (near(&token), node.near.feed().unwrap());
    let cache = node.near.0.cache.as_ref().unwrap();
    let answer = tokio_test::block_on(server.store.resolve(&resolve)).unwrap();
    let Resolved::Live(found) = answer else {
        panic!("not live");
    };
    let message = FeedMessage::new(token.tag(), FeedNews::LookAgain);
    // The revision that the store has, and that of the last message that was delivered.
    let (stored, delivered) = (AtomicU64::new(0), AtomicU64::new(0));
    let done = AtomicBool::new(false);

    let late = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(SeqCst) {
                let revision = stored.fetch_add(1, SeqCst) + 1;
                feed.deliver(&message);
                delivered.store(revision, SeqCst);
            }
        });
        let late = (0..50_000).filter(|_| {
            let asked = cache.asks(&resolve);
            let mut found = found.clone();
            found.record.revision = stored.load(SeqCst);
            cache.keep(&resolve, &Ok(Resolved::Live(found)), asked);
            let least = delivered.load(SeqCst);
            let hit = cache.hit(&resolve);
            hit.is_some_and(|hit| hit.found.record.revision < least)
        });
        let late = late.count();
        done.store(true, SeqCst);
        late
    });

    assert_eq!(late, 0);
    assert!(delivered.load(SeqCst) > 0);
}
