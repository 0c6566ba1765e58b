//! The feed behind Sentinel, through a failover.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    RedisStore,
    store::{RedisLive, RedisSource},
};

use super::feed::ends;
use crate::common::{
    feed::Reader,
    people::{signs_in, token},
    redis::Server,
    sentinel::{Said, Sentinel},
};

async fn follows(reports: bool) {
    let [first, second] = [(); 2].map(|()| Server::start());
    let sentinel = Sentinel::start(Said::new(first.port, 1)).await;
    let url = sentinel.url();
    let source = RedisSource::sentinel([&*url], "mymaster", Default::default()).unwrap();
    let a = RedisStore::builder(source).live(RedisLive::ends()).build();
    let tag = token(&a, "alice").tag();
    let reader = Reader::trusting(&a, tag).await;
    let epoch = reader.epoch(tag);

    // The previous master goes on, and answers each PING.
    sentinel.says(Said::new(second.port, 2));
    if reports {
        sentinel.reports();
    }
    reader.doubts(tag).await;
    reader.trusts(tag).await;

    assert_ne!(reader.epoch(tag), epoch);
    let user = signs_in(&a, "alice").await;
    let users: usize = second.ask("DBSIZE").await;
    assert_eq!(users, 1);
    let news = ends(&a, &user).await;
    assert_eq!(reader.news(tag).await, [news]);
}

// T72 T73
#[tokio::test]
async fn a_failover_that_a_sentinel_reports_begins_an_epoch() {
    follows(true).await;
}

// T72 T73
#[tokio::test]
async fn a_listener_on_the_previous_master_is_not_trusted_though_nobody_reported_the_failover() {
    follows(false).await;
}
