//! What a store in this process reports, which the caches of other nodes depend on.

use std::time::Duration;

use super::wire::{Server, sign_in};
use crate::{
    model::{EndReason, Lifetime, Limit, Salt},
    store::{
        Changes, Created, End, FeedMessage, FeedNews, Offer, Redeem, Renewal, Resolve, Resolved,
        Rotate, Save, Saved, SessionStore, Ticketed, Which,
    },
};

const MINUTE: Duration = Duration::from_secs(60);

fn news(server: &Server) -> Vec<FeedNews> {
    let news = server.news().into_iter();
    news.map(|(_, FeedMessage { news, .. })| news).collect()
}

#[tokio::test]
async fn a_new_token_and_its_first_use_are_reported_and_a_reuse_that_ends_nothing_is_not() {
    let server = Server::new();
    let token = server.signs_in("alice").await;
    let salt = Salt::from_bytes([1; 16]);
    let next = token.successor(&salt);
    let mut rotate = Rotate::new(&token, &next, Renewal::Derived(salt));
    (rotate.grace, rotate.reuse_ends) = (Duration::from_secs(3), false);
    news(&server);

    server.store.rotate(&rotate).await.unwrap();
    assert_eq!(news(&server), [FeedNews::Renewed(token.session_id())]);
    server.store.resolve(&Resolve::new(next)).await.unwrap();
    assert_eq!(news(&server), [FeedNews::Renewed(token.session_id())]);

    server.clock.advance(Duration::from_secs(4));
    let reused = server.store.resolve(&Resolve::new(token)).await.unwrap();
    assert!(matches!(reused, Resolved::Reused(reused) if !reused.ended));
    assert_eq!(news(&server), []);
}

#[tokio::test]
async fn the_end_of_many_others_spares_one_session_unless_some_more_are_spared() {
    for spares in [false, true] {
        let server = Server::new();
        let keep = server.signs_in("alice").await;
        for _ in 0..20 {
            server.signs_in("alice").await;
        }
        news(&server);
        let which = Which::Others(keep.session_id());
        let mut end = End::new(keep.tag(), which, EndReason::Revoked);
        end.spare_uncounted = spares;

        server.store.end(&end).await.unwrap();

        let all_but = FeedNews::EndedAllBut(keep.session_id(), EndReason::Revoked);
        let expected = if spares { FeedNews::LookAgain } else { all_but };
        assert_eq!(news(&server), [expected]);
    }
}

#[tokio::test]
async fn a_sign_in_reports_each_session_that_ends_for_it_with_its_reason() {
    let server = Server::new();
    let create = || sign_in(&server.store, server.clock.now(), "alice");
    let previous = server.signs_in("alice").await;
    let (mut refused, ticket) = create();
    let ticket = Ticketed {
        id: ticket.session_id(),
        digest: ticket.digest(),
    };
    refused.limit = Limit::at_most(1).refuse();
    refused.offer = Some(Offer {
        ticket,
        terms: Vec::new(),
    });
    let answer = server.store.create(&refused).await.unwrap();
    assert!(matches!(answer, Created::LimitReached(_)));
    news(&server);

    // The user chose which session ends.
    let (mut chosen, second) = create();
    chosen.limit = refused.limit;
    chosen.redeem = Some(Redeem {
        ticket,
        ends: Some(previous.session_id()),
    });
    server.store.create(&chosen).await.unwrap();
    let revoked = vec![(previous.session_id(), EndReason::Revoked)];
    assert_eq!(news(&server), [FeedNews::Ended(revoked)]);

    let (mut replacing, third) = create();
    replacing.replaces = Some(second.session_id());
    server.store.create(&replacing).await.unwrap();
    let replaced = vec![(second.session_id(), EndReason::Replaced)];
    assert_eq!(news(&server), [FeedNews::Ended(replaced)]);

    let (mut evicting, _) = create();
    evicting.limit = Limit::at_most(1);
    server.store.create(&evicting).await.unwrap();
    let evicted = vec![(third.session_id(), EndReason::Evicted)];
    assert_eq!(news(&server), [FeedNews::Ended(evicted)]);
}

#[tokio::test]
async fn a_shorter_lifetime_is_reported() {
    let server = Server::new();
    let token = server.signs_in("alice").await;
    let mut save = Save::new(token.tag(), token.session_id(), Changes::default());
    save.shorten = Some(Lifetime::new(MINUTE, MINUTE * 3));
    news(&server);

    let saved = server.store.save(&save).await.unwrap();

    assert!(matches!(saved, Saved::Shortened { .. }));
    assert_eq!(news(&server), [FeedNews::Written(token.session_id())]);
}
