//! Own changes of sessions: what was kept of them answers nothing any more.

use std::{cell::RefCell, future::Future, pin::Pin, sync::Arc, time::Duration};

use super::{
    super::own::{What, Write},
    answers::is_near,
    wire::{Hold, Node, Server, near, poll, sign_in},
};
use crate::{
    model::{Client, EndReason, LastSeen, Salt, Token},
    store::{
        Changes, End, List, Look, NoteClient, Renewal, Rotate, Save, SessionStore, Touch, Which,
    },
};

type Change = Pin<Box<dyn Future<Output = ()>>>;

const CHANGES: usize = 8;

/// A change by a node of the session of this token, or of all sessions of its user.
async fn change(at: usize, server: &Server, node: &Node, token: &Token, other: &Token) -> Change {
    let (tag, id, store) = (token.tag(), token.session_id(), node.near.clone());
    let by = EndReason::Revoked;
    match at {
        0 => {
            // A sign-in may evict any session of the user.
            let (create, _) = sign_in(&server.store, server.clock.now(), "alice");
            Box::pin(async move { drop(store.create(&create).await.unwrap()) })
        }
        1 => {
            let mut changes = Changes::default();
            changes.set("cart", "apple");
            let save = Save::new(tag, id, changes);
            Box::pin(async move { drop(store.save(&save).await.unwrap()) })
        }
        2 => {
            let salt = Salt::from_bytes([1; 16]);
            let rotate = Rotate::new(token, &token.successor(&salt), Renewal::Derived(salt));
            Box::pin(async move { drop(store.rotate(&rotate).await.unwrap()) })
        }
        3..=5 => {
            let which = [
                Which::One(id),
                Which::All,
                Which::Others(other.session_id()),
            ];
            let end = End::new(tag, which[at - 3], by);
            Box::pin(async move { drop(store.end(&end).await.unwrap()) })
        }
        6 => {
            let listed = server.store.list(&List::new(tag)).await.unwrap();
            let record = listed.into_iter().find(|record| record.id == id).unwrap();
            let seen = LastSeen::new(Client::new(), server.clock.now());
            let note = NoteClient::new(tag, record, seen);
            Box::pin(async move { assert!(store.note_client(&note).await.unwrap()) })
        }
        _ => {
            let touch = Touch::new(tag, id, Duration::ZERO);
            Box::pin(async move { store.touch(&touch).await.unwrap() })
        }
    }
}

// T73
#[tokio::test]
async fn no_answer_from_before_an_own_change_is_given_while_it_is_on_its_way_or_after_it() {
    for at in 0..CHANGES {
        for hold in [Hold::Before, Hold::After] {
            let server = Server::new();
            let (node, token) = (server.node(), server.signs_in("alice").await);
            let other = server.signs_in("alice").await;
            node.near.resolve(&near(&token)).await.unwrap();
            assert!(is_near(&node.near, &near(&token)).await);
            let mut change = change(at, &server, &node, &token, &other).await;
            node.wire.hold(hold);
            assert!(poll(&mut change).is_none());

            let asks = !is_near(&node.near, &near(&token)).await;
            assert!(asks, "{at}: on its way");
            poll(&mut change).unwrap();
            // Nor one that was asked for meanwhile.
            assert!(node.near.found(&near(&token)).is_none(), "{at}: after it");
        }
    }
}

// T73
#[tokio::test]
async fn an_answer_that_an_own_change_overtook_is_not_kept() {
    for at in 0..CHANGES {
        let server = Server::new();
        let (node, token) = (server.node(), server.signs_in("alice").await);
        let other = server.signs_in("alice").await;
        let (cache, resolve) = (node.near.clone(), near(&token));
        node.wire.hold(Hold::After);
        let mut fill: Pin<Box<dyn Future<Output = _>>> =
            Box::pin(async move { cache.resolve(&resolve).await });
        assert!(poll(&mut fill).is_none());
        change(at, &server, &node, &token, &other).await.await;

        poll(&mut fill).unwrap().unwrap();

        assert!(node.near.found(&near(&token)).is_none(), "{at}");
    }
}

#[tokio::test]
async fn a_sign_in_that_was_not_delivered_removes_what_was_kept_of_it() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    node.near.resolve(&near(&token)).await.unwrap();
    assert!(node.near.found(&near(&token)).is_some());

    node.near.end_undelivered(token.tag(), token.session_id());

    assert!(node.near.found(&near(&token)).is_none());
}

#[tokio::test]
async fn an_answer_that_arrives_while_an_own_change_removes_entries_is_not_kept() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    let cache = Arc::clone(node.near.0.cache.as_ref().unwrap());
    let resolve = near(&token);
    let answer = server.store.resolve(&resolve).await;
    let on_its_way = RefCell::new(None);

    let what = What::One(token.session_id());
    let write = Write::begin(Some(&*cache), token.tag(), what, |_| {
        if let Some(asked) = on_its_way.take() {
            cache.keep(&resolve, &answer, asked);
        }
    });
    on_its_way.replace(Some(cache.asks(&resolve)));
    drop(write);

    assert!(node.near.found(&resolve).is_none());
}

// T72
#[tokio::test]
async fn a_look_asks_once_and_sends_no_token() {
    let server = Server::new();
    let (node, token) = (server.node(), server.signs_in("alice").await);
    node.near.resolve(&near(&token)).await.unwrap();
    let salt = Salt::from_bytes([1; 16]);
    let next = token.successor(&salt);
    let rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
    server.store.rotate(&rotate).await.unwrap();
    let before = server.store.list(&List::new(token.tag())).await.unwrap();
    server.clock.advance(Duration::from_secs(1));
    node.wire.calls();

    let look = Look::new(token.tag(), vec![token.session_id()]);
    node.near.look(&look).await.unwrap();

    assert_eq!(node.wire.calls(), 1);
    let after = server.store.list(&List::new(token.tag())).await.unwrap();
    assert_eq!(after, before, "a look is no activity");
}
