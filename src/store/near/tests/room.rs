//! How much a cache keeps.

use std::time::Duration;

use super::{
    answers::is_near,
    wire::{LEASE, Server, near},
};
use crate::{
    model::{EndReason, Tag, Token, UserId},
    store::{Changes, End, Near, Save, SessionStore, Which},
};

/// How many locks there are.
const SHARDS: usize = 64;

const MS: Duration = Duration::from_millis(1);

/// A session whose data have so many bytes.
async fn signs_in(server: &Server, user: &str, bytes: usize) -> Token {
    let token = server.signs_in(user).await;
    let mut changes = Changes::default();
    // Beside them stand a length of two bytes, the key, and a length of four.
    changes.set("key", vec![b'x'; bytes - 9]);
    let save = Save::new(token.tag(), token.session_id(), changes);
    server.store.save(&save).await.unwrap();
    token
}

#[tokio::test]
async fn data_count_by_their_bytes_and_make_as_many_go_as_they_need() {
    const ROOM: usize = 16_384;
    let server = Server::new();
    let cache = Near::builder(server.store.clone())
        .clock(server.clock.clone())
        .max_bytes(SHARDS * ROOM)
        .build();
    let bytes = || cache.0.cache.as_ref().unwrap().bytes();
    // The sessions of one user share a lock.
    let mut small = Vec::new();
    for _ in 0..20 {
        let token = signs_in(&server, "alice", 1_024).await;
        cache.resolve(&near(&token)).await.unwrap();
        small.push(token);
    }
    assert_eq!((cache.entries(), bytes()), (8, ROOM));

    let large = signs_in(&server, "alice", 6 * 2_048 - 1_024).await;
    cache.resolve(&near(&large)).await.unwrap();
    assert_eq!((cache.entries(), bytes()), (3, ROOM));
    assert!(is_near(&cache, &near(&large)).await);
    assert!(is_near(&cache, &near(small.last().unwrap())).await);

    // One that needs more than there is makes no other one go.
    let too_large = signs_in(&server, "alice", ROOM).await;
    cache.resolve(&near(&too_large)).await.unwrap();
    assert_eq!((cache.entries(), bytes()), (3, ROOM));
    assert!(!is_near(&cache, &near(&too_large)).await);
}

#[tokio::test]
async fn entries_that_are_over_go_with_later_fills_and_others_stay() {
    let server = Server::new();
    let mut node = server.node();
    for _ in 0..3 {
        let token = server.signs_in("alice").await;
        node.near.resolve(&near(&token)).await.unwrap();
    }
    let [fourth, fifth] = [
        server.signs_in("alice").await,
        server.signs_in("alice").await,
    ];
    // Twice the lease: their activity is written until then.
    server.clock.advance(LEASE * 2 - MS);
    node.hears(0);
    node.near.resolve(&near(&fourth)).await.unwrap();
    assert_eq!(node.near.entries(), 4);

    server.clock.advance(MS);
    node.near.resolve(&near(&fifth)).await.unwrap();

    assert_eq!(node.near.entries(), 2);
}

#[tokio::test]
async fn users_without_entries_leave_no_place_behind() {
    let server = Server::new();
    let node = server.node();
    let cache = node.near.0.cache.as_ref().unwrap();
    let shares = |tag: Tag| usize::from(tag.as_bytes()[11]).is_multiple_of(SHARDS);
    let all = (0..).map(|number| format!("user {number}"));
    let under_one_lock = all.filter(|name| shares(server.store.tag(&UserId::new(name).unwrap())));
    let mut tokens = Vec::new();
    for name in under_one_lock.take(300) {
        let token = server.signs_in(&name).await;
        node.near.resolve(&near(&token)).await.unwrap();
        tokens.push(token);
    }
    assert_eq!(cache.places().0, 300);
    assert!(cache.places().1 >= 300);

    for token in &tokens {
        let end = End::new(token.tag(), Which::All, EndReason::Administrator);
        node.near.end(&end).await.unwrap();
    }

    let (used, reserved) = cache.places();
    assert_eq!(used, 0);
    assert!(reserved < 100, "{reserved}");
}
