//! The feed of a store in Redis when messages are lost, the connection is cut or falls silent, or the server is away.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use deadpool_redis::redis::{self, AsyncConnectionConfig, cmd};
use tokio::time::Instant;
use tower_user_sessions::{
    EndReason, RedisStore, SessionLayer, UserId,
    store::{
        End, FeedMessage, FeedNews, Near, RedisFinding, RedisLive, RedisSource, SessionStore,
        Token, Which,
    },
};

use crate::common::{
    feed::Reader,
    http::Client,
    people::{signs_in, token, until},
    redis::Server,
    relay::Relay,
};

pub(crate) fn live(url: &str) -> RedisStore {
    let source = RedisSource::url(url).unwrap();
    RedisStore::builder(source).live(RedisLive::ends()).build()
}

pub(crate) async fn ends(store: &RedisStore, token: &Token) -> FeedNews {
    let which = Which::One(token.session_id());
    let end = End::new(token.tag(), which, EndReason::LoggedOut);
    store.end(&end).await.unwrap();
    FeedNews::Ended(vec![(token.session_id(), EndReason::LoggedOut)])
}

// T72 T73
#[tokio::test]
async fn a_message_that_is_lost_is_not_noticed_and_the_next_one_arrives() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let (a, b) = (live(&relay.url()), live(&server.url()));
    let [first, second] = [signs_in(&b, "alice").await, signs_in(&b, "alice").await];
    let tag = first.tag();
    let reader = Reader::trusting(&a, tag).await;
    let epoch = reader.epoch(tag);

    relay.lose_messages(1);
    ends(&b, &first).await;
    until("it is lost", async || relay.messages_to_lose() == 0).await;
    let news = ends(&b, &second).await;

    assert_eq!(reader.news(tag).await, [news]);
    // So a reader that needs to know looks again after a while.
    assert!(reader.is_trusted(tag));
    assert_eq!(reader.epoch(tag), epoch);
}

// T72 T73
#[tokio::test]
async fn a_connection_that_is_cut_is_not_trusted_and_begins_an_epoch() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let (a, b) = (live(&relay.url()), live(&server.url()));
    let [first, second] = [signs_in(&b, "alice").await, signs_in(&b, "alice").await];
    let tag = first.tag();
    let reader = Reader::trusting(&a, tag).await;
    let (epoch, epochs) = (reader.epoch(tag), reader.epochs());

    let away = relay.go_away(Duration::from_millis(500));
    let meanwhile = async {
        reader.doubts(tag).await;
        assert_eq!(reader.epoch(tag), epoch, "nothing can be trusted again yet");
        ends(&b, &first).await;
    };
    tokio::join!(away, meanwhile);
    reader.trusts(tag).await;

    assert_ne!(reader.epoch(tag), epoch);
    assert!(reader.epochs() > epochs, "readers were told to compare");
    let news = ends(&b, &second).await;
    assert_eq!(reader.news(tag).await, [news], "the first one is lost");
}

// T72 T73
#[tokio::test]
async fn a_connection_that_falls_silent_is_not_trusted_after_2_s_and_is_replaced() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let (a, b) = (live(&relay.url()), live(&server.url()));
    let user = signs_in(&b, "alice").await;
    let tag = user.tag();
    let reader = Reader::trusting(&a, tag).await;
    let epoch = reader.epoch(tag);

    relay.fall_silent();
    let silent = Instant::now();
    while reader.is_trusted(tag) && reader.epoch(tag) == epoch {
        assert!(silent.elapsed() < Duration::from_millis(2_500));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    reader.trusts(tag).await;

    assert_ne!(reader.epoch(tag), epoch);
    let news = ends(&b, &user).await;
    assert_eq!(reader.news(tag).await, [news]);
}

// T72 T73
#[tokio::test]
async fn without_redis_nothing_is_trusted_and_with_it_again_in_a_new_epoch() {
    let mut server = Server::start();
    let a = live(&server.url());
    let tag = token(&a, "alice").tag();
    let reader = Reader::trusting(&a, tag).await;
    let epoch = reader.epoch(tag);

    server.kill();
    reader.doubts(tag).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert!(!reader.is_trusted(tag));
    server.restart();
    reader.trusts(tag).await;

    assert_ne!(reader.epoch(tag), epoch);
    let user = signs_in(&a, "alice").await;
    let news = ends(&a, &user).await;
    assert_eq!(reader.news(tag).await, [news]);
}

// T72 T73
#[tokio::test]
async fn without_permission_for_the_channel_nothing_is_trusted_and_all_else_works() {
    let server = Server::start();
    let _: () = server
        .ask("ACL SETUSER app on >secret ~* resetchannels +@all")
        .await;
    let a = live(&format!("redis://app:secret@127.0.0.1:{}", server.port));
    let user = signs_in(&a, "alice").await;
    let tag = user.tag();
    let reader = Reader::of(&a);

    tokio::time::sleep(Duration::from_secs(3)).await;
    ends(&a, &user).await;

    assert!(!reader.is_trusted(tag));
    assert_eq!((reader.messages().len(), reader.epochs()), (0, 0));
    let checks = a.check().await;
    let findings = checks[0].findings();
    assert!(
        matches!(findings, [RedisFinding::ChannelDenied]),
        "{}",
        checks[0]
    );
    let _: () = server.ask("ACL SETUSER app &sessions:live*").await;
    reader.trusts(tag).await;
    assert!(a.check().await[0].findings().is_empty());
}

// T72 T73
#[tokio::test]
async fn a_user_who_may_listen_but_not_publish_is_not_trusted() {
    let server = Server::start();
    let _: () = server
        .ask("ACL SETUSER app on >secret ~* &* +@all -publish")
        .await;
    let a = live(&format!("redis://app:secret@127.0.0.1:{}", server.port));
    let tag = token(&a, "alice").tag();
    let reader = Reader::of(&a);

    until("it listens", async || reader.epochs() > 0).await;
    tokio::time::sleep(Duration::from_secs(2)).await;

    assert!(!reader.is_trusted(tag));
    let checks = a.check().await;
    let findings = checks[0].findings();
    let [RedisFinding::MissingCommand { command }] = findings else {
        panic!("{}", checks[0]);
    };
    assert_eq!(command, "PUBLISH");
}

// T72
#[tokio::test]
async fn while_a_deployment_goes_on_a_node_without_the_feed_reports_nothing_and_breaks_nothing() {
    let server = Server::start();
    let a = live(&server.url());
    let old = RedisStore::connect(&server.url()).unwrap();
    let [first, second] = [signs_in(&old, "alice").await, signs_in(&a, "alice").await];
    let tag = first.tag();
    let reader = Reader::trusting(&a, tag).await;
    let epoch = reader.epoch(tag);

    assert!(old.feed().is_none());
    ends(&old, &first).await;
    let news = ends(&a, &second).await;

    assert_eq!(reader.news(tag).await, [news], "only its own");
    // No node can know of that: the lease bounds what it does.
    assert!(reader.is_trusted(tag) && reader.epoch(tag) == epoch);
}

// T72
#[tokio::test]
async fn ten_thousand_messages_are_all_delivered_and_the_feed_stays_trusted() {
    let server = Server::start();
    let a = live(&server.url());
    let tag = token(&a, "alice").tag();
    let reader = Reader::trusting(&a, tag).await;
    let epoch = reader.epoch(tag);
    let client = redis::Client::open(server.url()).unwrap();
    let config = AsyncConnectionConfig::new();
    let mut sends = client
        .get_multiplexed_async_connection_with_config(&config)
        .await
        .unwrap();
    let message = FeedMessage::new(tag, FeedNews::LookAgain).encode();

    for _ in 0..100 {
        let mut hundred = redis::pipe();
        for _ in 0..100 {
            hundred
                .add_command(cmd("PUBLISH").arg("sessions:live").arg(&message).clone())
                .ignore();
        }
        let () = hundred.query_async(&mut sends).await.unwrap();
    }

    until("all", async || reader.messages().len() == 10_000).await;
    assert!(reader.is_trusted(tag));
    assert_eq!(reader.epoch(tag), epoch);
}

#[tokio::test]
async fn while_redis_is_full_the_feed_stays_trusted_and_the_near_cache_answers() {
    let server = Server::start_with(&["--maxmemory-policy", "noeviction"]);
    let source = RedisSource::url(&server.url()).unwrap();
    let store = RedisStore::builder(source).live(RedisLive::all()).build();
    let layer = SessionLayer::new(Near::new(store.clone())).near(|_request| true);
    let mut anna = Client::signed_in(&layer, "anna").await;
    let tag = store.tag(&UserId::new("anna").unwrap());
    let reader = Reader::trusting(&store, tag).await;
    assert!(anna.user().await.is_some());

    let _: () = server.ask("CONFIG SET maxmemory 1").await;
    tokio::time::sleep(Duration::from_secs(4)).await;

    assert!(reader.is_trusted(tag));
    assert!(anna.user().await.is_some(), "it fills the cache");
    let calls = async || {
        let all: String = server.ask("INFO commandstats").await;
        let calls = all.split_once("cmdstat_evalsha:calls=").unwrap().1;
        calls.split(',').next().unwrap().parse::<u32>().unwrap()
    };
    let before = calls().await;
    for _ in 0..100 {
        assert!(anna.user().await.is_some());
    }
    let made = calls().await - before;
    assert!(made <= 10, "{made} calls for 100 requests");
}
