//! The conditions of an answer from here, one by one.

use std::{pin::Pin, time::Duration};

use super::wire::{HEARD, Hold, IDLE, LEASE, Server, near, poll, sign_in};
use crate::{
    model::{EndReason, Lifetime, Salt, Tag, Token},
    store::{
        Authenticated, Changes, Create, Created, End, FeedMessage, FeedNews, Found, ManualClock,
        MemoryStore, Near, Renewal, Resolve, Resolved, Rotate, Save, SessionStore, StoreError,
        Timestamp, Which,
    },
};

const MS: Duration = Duration::from_millis(1);

fn live(answer: Result<Resolved, StoreError>) -> Found {
    match answer.unwrap() {
        Resolved::Live(found) => found,
        other => panic!("not live: {other:?}"),
    }
}

/// Whether a request was answered without the store.
pub(super) async fn is_near<St: SessionStore>(cache: &Near<St>, resolve: &Resolve) -> bool {
    match cache.resolve(resolve).await.unwrap() {
        Resolved::Live(found) => found.near,
        _ => false,
    }
}

#[tokio::test]
async fn a_second_request_is_answered_from_here_with_the_time_that_has_passed() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    let save = Save::new(token.tag(), token.session_id(), {
        let mut changes = Changes::default();
        changes.set("cart", "apple");
        changes
    });
    node.near.save(&save).await.unwrap();
    let first = live(node.near.resolve(&near(&token)).await);
    node.wire.calls();
    server.clock.advance(Duration::from_secs(1));

    let second = live(node.near.resolve_now(&near(&token)).unwrap());

    assert_eq!(node.wire.calls(), 0);
    assert!(!first.near && second.near);
    assert_eq!(second.record, first.record);
    assert_eq!(second.data.get("cart").as_deref(), Some(&b"apple"[..]));
    // Ages count one millisecond more, because clocks count whole ones.
    assert_eq!(second.now, server.clock.now().plus(MS));
}

// T73
#[tokio::test]
async fn the_lease_counts_from_the_question_and_is_never_longer_than_other_times() {
    let server = Server::new();
    for (idle, grace, lease) in [
        (IDLE, 120, 5_000),
        (IDLE, 3, 3_000),
        (Duration::from_secs(48), 120, 3_000),
        (Duration::from_secs(16), 120, 1_000),
    ] {
        let mut node = server.node();
        let (mut create, token) = sign_in(&server.store, server.clock.now(), "alice");
        create.lifetime = Lifetime::new(idle, IDLE);
        server.store.create(&create).await.unwrap();
        let mut resolve = near(&token);
        resolve.near = Some(Duration::from_secs(grace));
        node.near.resolve(&resolve).await.unwrap();
        let lease = Duration::from_millis(lease);

        server.clock.advance(lease - MS);
        node.hears(0);
        assert!(is_near(&node.near, &resolve).await, "{idle:?} {grace}");
        server.clock.advance(MS);
        node.hears(0);
        assert!(!is_near(&node.near, &resolve).await, "{idle:?} {grace}");
    }
}

#[tokio::test]
async fn a_lease_is_at_most_half_of_what_is_left_of_the_idle_time() {
    let server = Server::new();
    let mut node = server.node();
    let (mut create, token) = sign_in(&server.store, server.clock.now(), "alice");
    create.lifetime = Lifetime::new(Duration::from_secs(80), IDLE);
    server.store.create(&create).await.unwrap();
    let mut resolve = near(&token);
    node.near.resolve(&resolve).await.unwrap();
    server.clock.advance(Duration::from_secs(76));
    node.hears(0);
    // It does not prolong the session, of which 4 s are left.
    resolve.activity = false;
    node.near.resolve(&resolve).await.unwrap();

    server.clock.advance(Duration::from_millis(1_999));
    assert!(is_near(&node.near, &resolve).await);
    server.clock.advance(MS);
    assert!(!is_near(&node.near, &resolve).await);
}

// T73
#[tokio::test]
async fn a_lease_begins_before_the_answer_and_a_clock_that_steps_back_ends_it() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    node.wire.hold(Hold::After);
    let (cache, resolve) = (node.near.clone(), near(&token));
    let mut fill: Pin<Box<dyn Future<Output = _>>> =
        Box::pin(async move { cache.resolve(&resolve).await });
    assert!(poll(&mut fill).is_none());
    server.clock.advance(LEASE - MS);
    node.hears(0);
    live(poll(&mut fill).unwrap());

    assert!(is_near(&node.near, &near(&token)).await);
    server.clock.advance(MS);
    assert!(!is_near(&node.near, &near(&token)).await);

    assert!(is_near(&node.near, &near(&token)).await);
    server.clock.set(Timestamp::from_millis(1_764_000_000_000));
    assert!(!is_near(&node.near, &near(&token)).await);
}

// T73
#[tokio::test]
async fn a_lease_is_at_most_the_grace_of_the_last_new_token() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let salt = Salt::from_bytes([1; 16]);
    let next = token.successor(&salt);
    let mut rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
    rotate.grace = Duration::from_secs(3);
    server.store.rotate(&rotate).await.unwrap();
    for _ in 0..2 {
        node.near.resolve(&near(&next)).await.unwrap();
    }

    server.clock.advance(rotate.grace - MS);
    node.hears(0);
    assert!(is_near(&node.near, &near(&next)).await);
    server.clock.advance(MS);
    assert!(!is_near(&node.near, &near(&next)).await);
}

#[tokio::test]
async fn another_token_an_unknown_one_and_the_one_before_ask_the_store() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    node.near.resolve(&near(&token)).await.unwrap();
    let forged: Token = {
        let text = token.encode();
        format!("{}{}", &text[..32], "A".repeat(32))
            .parse()
            .unwrap()
    };
    assert!(!is_near(&node.near, &near(&forged)).await);
    // An unknown token removes what was kept of the session.
    assert!(!is_near(&node.near, &near(&token)).await);
    assert!(is_near(&node.near, &near(&token)).await);

    let salt = Salt::from_bytes([1; 16]);
    let next = token.successor(&salt);
    let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
    node.near.rotate(&rotate).await.unwrap();
    node.queue.extend(server.news());
    node.hears(9);
    for _ in 0..2 {
        assert!(!is_near(&node.near, &near(&token)).await);
    }
    node.near.resolve(&near(&next)).await.unwrap();
    node.queue.extend(server.news());
    node.hears(9);
    assert!(!is_near(&node.near, &near(&next)).await);
    assert!(is_near(&node.near, &near(&next)).await);
    server.clock.advance(MS);
    for _ in 0..2 {
        // It still works, within its grace.
        assert!(!is_near(&node.near, &near(&token)).await);
    }
}

#[tokio::test]
async fn guest_sessions_and_requests_that_the_app_did_not_choose_ask_the_store() {
    let server = Server::new();
    let node = server.node();
    let guest = Token::random(Tag::random().unwrap()).unwrap();
    let now = Authenticated::At(server.clock.now());
    let created = server.store.create(&Create::new(&guest, None, now)).await;
    assert!(matches!(created.unwrap(), Created::Created(_)));
    for _ in 0..3 {
        assert!(!is_near(&node.near, &near(&guest)).await);
    }
    assert_eq!(node.near.entries(), 0);

    let token = server.signs_in("alice").await;
    let plain = Resolve::new(token.clone());
    for _ in 0..3 {
        assert!(!is_near(&node.near, &plain).await);
    }
    assert_eq!(node.near.entries(), 0);
    node.near.resolve(&near(&token)).await.unwrap();
    assert!(!is_near(&node.near, &plain).await);
    assert!(is_near(&node.near, &near(&token)).await);
}

#[tokio::test]
async fn a_request_that_counts_as_activity_needs_an_answer_that_counted() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    let counts = near(&token);
    let mut poll = counts.clone();
    poll.activity = false;

    node.near.resolve(&poll).await.unwrap();
    assert!(is_near(&node.near, &poll).await);
    // Within the same millisecond too.
    assert!(!is_near(&node.near, &counts).await);

    assert!(is_near(&node.near, &counts).await);
    assert!(is_near(&node.near, &poll).await);
}

#[tokio::test]
async fn a_session_that_began_before_the_moment_of_all_users_asks_the_store() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    node.near.resolve(&near(&token)).await.unwrap();
    let mut resolve = near(&token);
    resolve.not_before = Some(server.clock.now());
    assert!(is_near(&node.near, &resolve).await);

    resolve.not_before = Some(server.clock.now().plus(MS));
    let answer = node.near.resolve(&resolve).await.unwrap();

    assert!(matches!(answer, Resolved::Ended(notice) if notice.reason == EndReason::Everyone));
}

#[tokio::test]
async fn an_untrusted_feed_and_one_of_another_epoch_answer_nothing() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    server.clock.advance(HEARD + MS);
    // What was asked on a feed that was not trusted is not kept.
    node.near.resolve(&near(&token)).await.unwrap();
    node.hears(0);
    assert!(!is_near(&node.near, &near(&token)).await);
    assert!(is_near(&node.near, &near(&token)).await);
    server.clock.advance(HEARD);
    assert!(is_near(&node.near, &near(&token)).await);
    server.clock.advance(MS);
    assert!(!is_near(&node.near, &near(&token)).await);
    node.hears(0);

    node.near.resolve(&near(&token)).await.unwrap();
    node.reconnects();
    assert!(!is_near(&node.near, &near(&token)).await);
    assert!(is_near(&node.near, &near(&token)).await);

    node.begins_epoch();
    server.clock.advance(MS);
    assert!(!is_near(&node.near, &near(&token)).await);
    assert!(is_near(&node.near, &near(&token)).await);
}

#[tokio::test]
async fn each_message_removes_what_it_is_about() {
    let server = Server::new();
    let node = server.node();
    let (one, other) = (
        server.signs_in("alice").await,
        server.signs_in("alice").await,
    );
    let [first, second] = [one.session_id(), other.session_id()];
    let why = EndReason::Revoked;
    for (news, stays) in [
        (FeedNews::Ended(vec![(first, why)]), [false, true]),
        (FeedNews::EndedAllBut(first, why), [true, false]),
        (FeedNews::LookAgain, [false, false]),
        (FeedNews::Renewed(second), [true, false]),
        (FeedNews::Written(first), [false, true]),
    ] {
        for token in [&one, &other] {
            node.near.resolve(&near(token)).await.unwrap();
        }
        let message = FeedMessage::new(one.tag(), news);
        node.near.feed().unwrap().deliver(&message);
        let found = [&one, &other].map(|token| {
            // Without asking the store.
            node.near.found(&near(token)).is_some()
        });
        assert_eq!(found, stays, "{message:?}");
    }
}

#[tokio::test]
async fn the_oldest_answers_go_first_and_their_bytes_are_counted() {
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let store = MemoryStore::builder().clock(clock.clone()).build();
    let cache = Near::builder(store.clone())
        .clock(clock.clone())
        .max_entries(64)
        .build();
    let bytes = || cache.0.cache.as_ref().unwrap().bytes();
    let mut tokens = Vec::new();
    for user in 0..200 {
        let (create, token) = sign_in(&store, clock.now(), &format!("user {user}"));
        store.create(&create).await.unwrap();
        cache.resolve(&near(&token)).await.unwrap();
        tokens.push(token);
    }

    // Each of 64 locks keeps one.
    assert!((40..=64).contains(&cache.entries()), "{}", cache.entries());
    assert_eq!(bytes(), cache.entries() * 1_024);
    assert!(is_near(&cache, &near(tokens.last().unwrap())).await);
    for token in &tokens {
        let end = End::new(token.tag(), Which::All, EndReason::Administrator);
        cache.end(&end).await.unwrap();
    }
    assert_eq!((cache.entries(), bytes()), (0, 0));
}

#[tokio::test]
async fn with_a_lease_of_zero_everything_asks_the_store() {
    let server = Server::new();
    let token = server.signs_in("alice").await;
    let cache = Near::builder(server.store.clone())
        .lease(Duration::ZERO)
        .build();

    for _ in 0..3 {
        assert!(!is_near(&cache, &near(&token)).await);
    }
}
