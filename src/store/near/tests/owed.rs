//! Activity of requests that were answered from here, and what does not lose it.

use std::time::Duration;

use super::{
    late::{hit, owes, stored},
    wire::{Hold, IDLE, Node, Server, near, poll},
};
use crate::{
    model::{EndReason, Lifetime, Realm, Salt, Token},
    store::{Authenticated, End, Ended, Renewal, Resolve, Resolved, Rotate, SessionStore, Which},
};

const SECOND: Duration = Duration::from_secs(1);

/// It counts as activity, and no near cache may answer it.
async fn asks(node: &Node, token: &Token) -> Resolved {
    let answer = node.near.resolve(&Resolve::new(token.clone())).await;
    answer.unwrap()
}

#[tokio::test]
async fn a_request_with_a_wrong_secret_loses_no_activity_of_the_session() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let last = owes(&server, &mut node, &token).await;
    server.clock.advance(SECOND);

    // The same session set and session, another secret.
    let answer = asks(&node, &token.renewed().unwrap()).await;
    assert!(matches!(answer, Resolved::Unknown), "{answer:?}");
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn the_reuse_of_a_previous_token_that_ends_nothing_loses_no_activity() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let salt = Salt::from_bytes([1; 16]);
    let next = token.successor(&salt);
    let mut rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
    (rotate.grace, rotate.reuse_ends) = (SECOND, false);
    server.store.rotate(&rotate).await.unwrap();
    server.store.resolve(&near(&next)).await.unwrap();
    server.clock.advance(SECOND * 2);
    node.hears(0);
    node.near.resolve(&near(&next)).await.unwrap();
    server.clock.advance(Duration::from_millis(900));
    hit(&node, &next).await;
    let last = server.clock.now();
    server.clock.advance(SECOND);

    let answer = asks(&node, &token).await;
    assert!(matches!(answer, Resolved::Reused(_)), "{answer:?}");
    node.near.flush().await;

    assert_eq!(stored(&server, &next).await, last);
}

#[tokio::test]
async fn a_token_from_before_a_reauthentication_loses_no_activity() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let last = owes(&server, &mut node, &token).await;
    let renewal = Renewal::Proven {
        authenticated: Authenticated::At(last),
        lifetime: Lifetime::new(IDLE, IDLE * 10),
    };
    // On another node, whose message is on its way.
    let rotate = Rotate::new(&token, &token.renewed().unwrap(), renewal);
    server.store.rotate(&rotate).await.unwrap();
    server.clock.advance(SECOND);

    let answer = asks(&node, &token).await;
    assert!(matches!(answer, Resolved::Ended(_)), "{answer:?}");
    node.near.flush().await;

    assert_eq!(node.wire.touches(), 1);
    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn ending_the_others_loses_no_activity_of_the_session_that_stays() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let other = server.signs_in("alice").await;
    let last = owes(&server, &mut node, &token).await;
    node.near.resolve(&near(&other)).await.unwrap();

    let stays = Which::Others(token.session_id());
    let end = End::new(token.tag(), stays, EndReason::Revoked);
    let ended = node.near.end(&end).await.unwrap();
    assert!(matches!(ended, Ended::Ended { ids, .. } if ids == [other.session_id()]));
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn an_end_that_changed_nothing_loses_no_activity() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let unknown = server.signs_in("bob").await.session_id();
    let (tag, id) = (token.tag(), token.session_id());
    let mut of_another_realm = End::new(tag, Which::One(id), EndReason::Revoked);
    of_another_realm.within = Some(Realm::named("admin"));
    let mut by_nobody = End::new(tag, Which::All, EndReason::Revoked);
    by_nobody.caller = Some(unknown);

    for (end, answer) in [
        (of_another_realm, Ended::Unknown),
        (by_nobody, Ended::CallerEnded),
    ] {
        let last = owes(&server, &mut node, &token).await;

        assert_eq!(node.near.end(&end).await.unwrap(), answer);
        node.near.flush().await;

        assert_eq!(stored(&server, &token).await, last, "{answer:?}");
    }
}

#[tokio::test]
async fn an_end_of_several_loses_no_activity_of_the_sessions_that_it_spares() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in_uncounted("alice").await);
    let last = owes(&server, &mut node, &token).await;

    let mut end = End::new(token.tag(), Which::All, EndReason::Revoked);
    end.spare_uncounted = true;
    node.near.end(&end).await.unwrap();
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn an_end_whose_future_is_dropped_before_it_ran_loses_no_activity() {
    let server = Server::new();
    let (mut node, token) = (server.node(), server.signs_in("alice").await);
    let last = owes(&server, &mut node, &token).await;

    let one = Which::One(token.session_id());
    let end = End::new(token.tag(), one, EndReason::Revoked);
    node.wire.hold(Hold::Before);
    {
        let mut ends = Box::pin(node.near.end(&end));
        assert!(poll(&mut ends).is_none());
    }
    node.near.flush().await;

    assert_eq!(stored(&server, &token).await, last);
}

#[tokio::test]
async fn nothing_is_written_of_the_sessions_that_an_own_end_ended() {
    for at in 0..3 {
        let server = Server::new();
        let (mut node, token) = (server.node(), server.signs_in("alice").await);
        let other = server.signs_in("alice").await;
        owes(&server, &mut node, &token).await;

        let which = [
            Which::One(token.session_id()),
            Which::All,
            Which::Others(other.session_id()),
        ];
        let end = End::new(token.tag(), which[at], EndReason::Revoked);
        node.near.end(&end).await.unwrap();
        node.near.flush().await;

        assert_eq!(node.wire.touches(), 0, "{at}");
    }
}
