//! When a store in Redis listens and reports, and what that costs its calls.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    EndReason, RedisStore, SessionLayer,
    store::{
        End, FeedNews, IntoRedisSource, RedisFinding, RedisLive, RedisSource, SessionStore, Which,
    },
};

use crate::common::{
    feed::Reader,
    http::Client,
    people::{is_live, signs_in, token, until},
    redis::Server,
};

fn live(source: impl IntoRedisSource) -> RedisStore {
    RedisStore::builder(source).live(RedisLive::ends()).build()
}

async fn listeners(server: &Server) -> u32 {
    server.listeners("sessions:live").await
}

#[tokio::test]
async fn a_node_listens_only_while_there_is_a_reader() {
    let server = Server::start();
    let store = live(RedisSource::url(&server.url()).unwrap());
    let user = signs_in(&store, "alice").await;

    assert!(is_live(&store, &user).await);
    assert_eq!(listeners(&server).await, 0);
    for _ in 0..2 {
        let (one, other) = (Reader::of(&store), Reader::of(&store));
        one.trusts(user.tag()).await;
        drop(one);
        assert!(other.is_trusted(user.tag()));
        assert_eq!(listeners(&server).await, 1);
        let feed = other.feed.clone();
        drop(other);
        assert!(!feed.state(user.tag()).trusted);
        until("nobody listens", async || listeners(&server).await == 0).await;
    }
    let reader = Reader::trusting(&store, user.tag()).await;
    drop(store);
    until("nobody listens", async || listeners(&server).await == 0).await;
    assert!(!reader.is_trusted(user.tag()));
}

#[tokio::test]
async fn a_reader_that_came_outside_of_a_runtime_is_served_inside_of_one() {
    let server = Server::start();
    let url = server.url();
    let made = std::thread::spawn(move || {
        let store = live(RedisSource::url(&url).unwrap());
        let reader = Reader::of(&store);
        (store, reader)
    });
    let (store, reader) = made.join().unwrap();

    reader.trusts(token(&store, "alice").tag()).await;
}

#[tokio::test]
async fn a_store_on_a_pool_reports_and_cannot_listen() {
    let server = Server::start();
    let a = live(RedisSource::url(&server.url()).unwrap());
    let b = live(server.pool());
    let user = signs_in(&b, "alice").await;
    let (tag, id) = (user.tag(), user.session_id());
    let reader = Reader::trusting(&a, tag).await;

    let end = End::new(tag, Which::One(id), EndReason::LoggedOut);
    b.end(&end).await.unwrap();

    let ended = FeedNews::Ended(vec![(id, EndReason::LoggedOut)]);
    assert_eq!(reader.news(tag).await, [ended]);
    assert!(b.feed().is_none());
    let checks = b.check().await;
    let findings = checks[0].findings();
    assert!(
        matches!(findings, [RedisFinding::CannotListen { .. }]),
        "{}",
        checks[0]
    );
    assert!(a.check().await[0].findings().is_empty());
}

#[tokio::test]
async fn with_the_feed_a_request_and_a_sign_in_are_one_evalsha_as_without_it() {
    let server = Server::start();
    let calls = async || -> u64 {
        let stats: String = server.ask("INFO commandstats").await;
        let of = |name: &str| -> u64 {
            let line = stats.lines().find(|line| line.starts_with(name));
            line.map_or(0, |line| {
                let rest = line.split_once("calls=").unwrap().1;
                rest.split(',').next().unwrap().parse().unwrap()
            })
        };
        of("cmdstat_evalsha:") + 1_000 * of("cmdstat_eval:") + 1_000_000 * of("cmdstat_publish:")
    };
    let source = RedisSource::url(&server.url()).unwrap();
    let all = RedisStore::builder(source).live(RedisLive::all()).build();
    for store in [RedisStore::connect(&server.url()).unwrap(), all] {
        let layer = SessionLayer::new(store);
        let mut client = Client::signed_in(&layer, "alice").await;
        client.user().await;
        Client::signed_in(&layer, "alice").await;
        let _: () = server.ask("CONFIG RESETSTAT").await;

        for _ in 0..10 {
            assert_eq!(client.user().await.as_deref(), Some("alice"));
        }
        assert_eq!(calls().await, 10);
        Client::signed_in(&layer, "bob").await;
        assert_eq!(calls().await, 11, "and no message");
    }
}
