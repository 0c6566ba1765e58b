//! Nodes that listen to the share of the users that their readers hold.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    EndReason, Everyone, RedisStore, SessionLayer, UserSessions,
    store::{FeedNews, Near, RedisLive, RedisSource, Tag},
};

use crate::common::{
    cluster::{Cluster, slot},
    feed::Reader,
    http::{Client, user},
    people::{signs_in, token, until},
    redis::Server,
    wire::Wire,
};

const SHARDS: u16 = 16;

fn shards(server: &Server, count: u16) -> RedisStore {
    let source = RedisSource::url(&server.url()).unwrap();
    let live = RedisLive::ends().shards(count);
    RedisStore::builder(source).live(live).build()
}

/// As the docs of the channel say: the first two bytes, modulo the number of shards.
fn shard(tag: Tag) -> u16 {
    let [high, low, ..] = *tag.as_bytes();
    u16::from_be_bytes([high, low]) % SHARDS
}

/// A user in each of so many shards.
fn users_apart(store: &RedisStore, count: usize) -> Vec<(String, Tag)> {
    let mut users: Vec<(String, Tag)> = Vec::new();
    for number in 0.. {
        let name = format!("user-{number}");
        let tag = token(store, &name).tag();
        if users.iter().all(|(_, other)| shard(*other) != shard(tag)) {
            users.push((name, tag));
        }
        if users.len() == count {
            break;
        }
    }
    users
}

async fn listeners(server: &Server, shard: u16) -> u32 {
    server.listeners(&format!("sessions:live:{shard}")).await
}

async fn all_listeners(server: &Server) -> Vec<u32> {
    let mut all = Vec::new();
    for shard in 0..SHARDS {
        all.push(listeners(server, shard).await);
    }
    all
}

async fn ends(store: &RedisStore, name: &str) {
    let all = UserSessions::new(store.clone(), user(name)).because(EndReason::Revoked);
    assert_eq!(all.end_all().await.unwrap(), 1);
}

// T72
#[tokio::test]
async fn a_node_hears_the_shards_that_it_holds_and_what_concerns_all_users() {
    let server = Server::start();
    let [a, b, c] = [(); 3].map(|()| shards(&server, SHARDS));
    let users = users_apart(&a, 3);
    let [(alice, first), (bob, second), (carol, third)] = &users[..] else {
        unreachable!()
    };
    let (at_a, at_b) = (
        Reader::trusting(&a, *first).await,
        Reader::trusting(&b, *second).await,
    );
    for (name, _) in &users {
        signs_in(&c, name).await;
    }

    assert_eq!(all_listeners(&server).await.iter().sum::<u32>(), 2);
    assert_eq!(listeners(&server, shard(*first)).await, 1);
    assert!(!at_a.is_trusted(*second) && !at_b.is_trusted(*third));
    for name in [carol, alice, bob] {
        ends(&c, name).await;
    }
    for (reader, tag, other) in [(&at_a, *first, *second), (&at_b, *second, *first)] {
        assert!(matches!(reader.news(tag).await[..], [FeedNews::Ended(_)]));
        assert!(reader.messages().is_empty(), "{other:?} and {third:?}");
    }

    // More of them, while it listens.
    at_a.trusts(*third).await;
    assert!(at_a.is_trusted(*first), "it lost nothing");
    signs_in(&c, carol).await;
    ends(&c, carol).await;
    assert!(matches!(at_a.news(*third).await[..], [FeedNews::Ended(_)]));

    let moment = Everyone::new(c).end_all().await.unwrap();
    for reader in [&at_a, &at_b] {
        until("the message", async || reader.messages().len() == 1).await;
        assert_eq!(reader.messages()[0].news, FeedNews::Everyone(moment));
    }
}

// T72 T73
#[tokio::test]
async fn what_is_held_no_more_is_not_trusted_and_is_a_new_epoch_when_it_is_held_again() {
    let server = Server::start();
    let store = shards(&server, SHARDS);
    let users = users_apart(&store, 2);
    let (kept, left) = (users[0].1, users[1].1);
    let reader = Reader::trusting(&store, kept).await;
    let again = async || {
        until("the feed is trusted", async || {
            reader.feed.hold(left, Duration::from_millis(1_500));
            reader.is_trusted(left)
        })
        .await;
        reader.epoch(left)
    };
    let (epoch, of_kept) = (again().await, reader.epoch(kept));
    let (before, heard) = (reader.epochs(), shard(left));

    until("nobody listens", async || {
        listeners(&server, heard).await == 0
    })
    .await;
    assert!(!reader.is_trusted(left), "before the server is told");
    assert!(reader.epochs() > before, "streams look again");
    assert!(reader.is_trusted(kept));
    assert_eq!(listeners(&server, shard(kept)).await, 1);
    let next = again().await;

    assert_ne!(next, epoch, "messages were lost");
    assert_eq!(reader.epoch(kept), of_kept, "none of these was");
}

// T72 T73
#[tokio::test]
async fn a_shard_is_trusted_only_between_the_answers_of_the_server() {
    let server = Server::start();
    let wire = Wire::before(server.port).await;
    let source = RedisSource::url(&format!("redis://127.0.0.1:{}", wire.port)).unwrap();
    let live = RedisLive::ends().shards(SHARDS);
    let store = RedisStore::builder(source).live(live).build();
    let users = users_apart(&store, 2);
    let (reader, brief) = (Reader::trusting(&store, users[0].1).await, users[1].1);
    let holds = || reader.feed.hold(brief, Duration::from_millis(1_500));

    wire.hold("SUBSCRIBE");
    holds();
    until("the server is asked", async || wire.held() > 0).await;
    assert!(!reader.is_trusted(brief));

    wire.release();
    until("the feed is trusted", async || {
        holds();
        reader.is_trusted(brief)
    })
    .await;
    let before = wire.held();
    wire.hold("UNSUBSCRIBE");
    until("the server is told", async || wire.held() > before).await;
    assert_eq!(listeners(&server, shard(brief)).await, 1);
    assert!(!reader.is_trusted(brief));
}

#[tokio::test]
async fn after_a_lost_connection_what_is_held_is_listened_to_again() {
    let server = Server::start();
    let [a, b] = [(); 2].map(|()| shards(&server, SHARDS));
    let users = users_apart(&a, 2);
    let reader = Reader::trusting(&a, users[0].1).await;
    reader.trusts(users[1].1).await;
    let epochs = [0, 1].map(|at: usize| reader.epoch(users[at].1));

    let _: u32 = server.ask("CLIENT KILL TYPE pubsub").await;
    for (at, (name, tag)) in users.iter().enumerate() {
        until("another epoch", async || reader.epoch(*tag) != epochs[at]).await;
        reader.trusts(*tag).await;
        signs_in(&b, name).await;
        ends(&b, name).await;
        assert!(matches!(reader.news(*tag).await[..], [FeedNews::Ended(_)]));
    }
}

// T72 T73
#[tokio::test]
async fn streams_and_the_near_cache_hold_their_users() {
    let server = Server::start();
    let source = || RedisSource::url(&server.url()).unwrap();
    let all = RedisLive::all().shards(SHARDS);
    let [a, b] = [(); 2].map(|()| RedisStore::builder(source()).live(all).build());
    let near = Near::new(a.clone());
    let layer = SessionLayer::new(near.clone()).near(|_| true);
    let users = users_apart(&a, 2);
    let (streams, kept) = (&users[0], &users[1]);

    let client = Client::signed_in(&layer, &streams.0).await;
    let live = client
        .request(|session: tower_user_sessions::Session| async move { session.live().unwrap() })
        .await
        .value();
    until("the shard of the stream", async || {
        listeners(&server, shard(streams.1)).await == 1
    })
    .await;
    let client = Client::signed_in(&layer, &kept.0).await;
    until("an answer is kept", async || {
        client.request(|_session| async {}).await;
        near.entries() > 0
    })
    .await;

    let held: Vec<u32> = all_listeners(&server).await;
    assert_eq!(held.iter().sum::<u32>(), 2, "{held:?}");
    ends(&b, &kept.0).await;
    until("the answer went", async || near.entries() == 0).await;
    ends(&b, &streams.0).await;
    let end = tokio::time::timeout(Duration::from_secs(20), live.ended()).await;
    assert_eq!(end.unwrap().reason(), "revoked");
}

// T72
#[tokio::test]
async fn on_a_cluster_a_node_listens_to_the_slots_that_it_holds_and_one_of_each_primary() {
    let cluster = Cluster::of(3, &[]).await;
    let [a, b] = [(); 2].map(|()| {
        let source = RedisSource::cluster(cluster.urls()).unwrap();
        let live = RedisLive::ends().shards(SHARDS);
        RedisStore::builder(source).live(live).build()
    });
    let slots = async || {
        let mut all = 0;
        for node in &cluster.nodes {
            let channels: Vec<String> = node.ask("PUBSUB SHARDCHANNELS sessions:live:*").await;
            all += channels.iter().filter(|name| name.ends_with('}')).count();
        }
        all
    };
    let tags: Vec<Tag> = ["alice", "bob", "carol"]
        .map(|name| token(&a, name).tag())
        .to_vec();
    let reader = Reader::of(&a);

    until("a slot of each primary", async || slots().await == 3).await;
    assert!(!reader.is_trusted(tags[0]));
    for tag in &tags {
        reader.trusts(*tag).await;
    }
    assert_eq!(slots().await, 6, "{:?}", tags.iter().map(|tag| slot(*tag)));
    signs_in(&b, "alice").await;
    ends(&b, "alice").await;
    assert!(matches!(
        reader.news(tags[0]).await[..],
        [FeedNews::Ended(_)]
    ));
    let moment = Everyone::new(b).end_all().await.unwrap();
    until("three messages", async || reader.messages().len() == 3).await;
    let is_it = |news: &FeedNews| *news == FeedNews::Everyone(moment);
    assert!(reader.messages().iter().all(|message| is_it(&message.news)));

    // Held for a moment only.
    let short = token(&a, "dave").tag();
    until("it is trusted", async || {
        reader.feed.hold(short, Duration::from_millis(1_500));
        reader.is_trusted(short)
    })
    .await;
    assert_eq!(slots().await, 7);
    until("it is let go", async || slots().await == 6).await;
    assert!(!reader.is_trusted(short) && reader.is_trusted(tags[0]));
}

#[tokio::test]
async fn a_number_of_shards_out_of_range_becomes_the_nearest() {
    let server = Server::start();
    for (count, channel) in [(0, "sessions:live:0"), (u16::MAX, "sessions:live:4095")] {
        let store = shards(&server, count);
        let tag = (0..)
            .map(|number| token(&store, &format!("user-{number}")).tag())
            .find(|tag| {
                let [high, low, ..] = *tag.as_bytes();
                count == 0 || u16::from_be_bytes([high, low]) % 4_096 == 4_095
            });
        let _reader = Reader::trusting(&store, tag.unwrap()).await;

        assert_eq!(server.listeners(channel).await, 1, "{channel}");
    }
}
