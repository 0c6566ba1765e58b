//! The feed on a Cluster while a slot moves and when a primary is lost.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use deadpool_redis::redis::{AsyncConnectionConfig, Client, pipe};
use tower_user_sessions::{
    RedisStore, UserId,
    store::{RedisLive, RedisSource, SessionStore, Tag},
};

use super::feed::ends;
use crate::common::{
    cluster::{Cluster, slot},
    feed::Reader,
    people::{signs_in, until},
};

fn live(cluster: &Cluster, live: RedisLive) -> RedisStore {
    let source = RedisSource::cluster(cluster.urls()).unwrap();
    RedisStore::builder(source).live(live).build()
}

/// A user of this primary, but not in this slot.
async fn user_of(cluster: &Cluster, store: &RedisStore, primary: usize, not: u16) -> (String, Tag) {
    for number in 0.. {
        let user = format!("user-{number}");
        let tag = store.tag(&UserId::new(&*user).unwrap());
        if slot(tag) != not && cluster.serves(slot(tag), 0).await == primary {
            return (user, tag);
        }
    }
    unreachable!()
}

// T72 T73
#[tokio::test]
async fn a_slot_that_moves_is_not_trusted_and_begins_an_epoch_on_its_new_primary() {
    a_slot_moves(RedisLive::ends()).await;
}

// T72 T73
#[tokio::test]
async fn the_same_where_a_node_listens_to_the_slots_that_it_holds() {
    a_slot_moves(RedisLive::ends().shards(1)).await;
}

async fn a_slot_moves(which: RedisLive) {
    let cluster = Cluster::of(3, &[]).await;
    let (a, b) = (live(&cluster, which), live(&cluster, which));
    let (user, tag) = user_of(&cluster, &a, 0, u16::MAX).await;
    let (_, beside) = user_of(&cluster, &a, 0, slot(tag)).await;
    let reader = Reader::trusting(&a, tag).await;
    reader.trusts(beside).await;
    let first = signs_in(&b, &user).await;
    let (epoch, epoch_beside) = (reader.epoch(tag), reader.epoch(beside));

    let (moving, from_id, to_id) = (slot(tag), cluster.id(0).await, cluster.id(1).await);
    let importing = format!("CLUSTER SETSLOT {moving} IMPORTING {from_id}");
    cluster.orders(1, &importing).await;
    let migrating = format!("CLUSTER SETSLOT {moving} MIGRATING {to_id}");
    cluster.orders(0, &migrating).await;
    reader.doubts(tag).await;
    assert!(reader.is_trusted(beside));

    let stable = format!("CLUSTER SETSLOT {moving} STABLE");
    cluster.orders(0, &stable).await;
    cluster.orders(1, &stable).await;
    reader.trusts(tag).await;
    let stayed = reader.epoch(tag);
    assert_ne!(stayed, epoch, "messages may have been lost");

    cluster.moves(moving, 0, 1).await;
    assert_eq!(cluster.serves(moving, 1).await, 1);
    while reader.epoch(tag) == stayed {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    reader.trusts(tag).await;

    let news = ends(&b, &first).await;
    assert_eq!(reader.news(tag).await, [news]);
    assert!(reader.is_trusted(beside));
    assert_eq!(reader.epoch(beside), epoch_beside, "it lost nothing");
}

// T72
#[tokio::test]
async fn while_the_slot_in_which_a_node_hears_itself_moves_the_others_are_trusted() {
    let cluster = Cluster::of(3, &[]).await;
    for which in [RedisLive::ends(), RedisLive::ends().shards(1)] {
        let a = live(&cluster, which);
        let (_, tag) = user_of(&cluster, &a, 0, u16::MAX).await;
        let reader = Reader::trusting(&a, tag).await;
        let epoch = reader.epoch(tag);
        let own = async || {
            let all: Vec<String> = cluster.nodes[0]
                .ask("PUBSUB SHARDCHANNELS sessions:live:{*}:*")
                .await;
            all
        };
        let before = own().await;
        let moving: u16 = cluster.nodes[0]
            .ask(&format!("CLUSTER KEYSLOT {}", before[0]))
            .await;
        assert_ne!(moving, slot(tag), "by the names of the users");

        let to = cluster.id(1).await;
        let migrating = format!("CLUSTER SETSLOT {moving} MIGRATING {to}");
        cluster.orders(0, &migrating).await;
        until("it hears itself elsewhere", async || own().await != before).await;
        assert!(reader.is_trusted(tag));
        assert_eq!(reader.epoch(tag), epoch, "it lost nothing");

        let stable = format!("CLUSTER SETSLOT {moving} STABLE");
        cluster.orders(0, &stable).await;
        drop(reader);
        until("nobody listens", async || own().await.is_empty()).await;
    }
}

// T72
#[tokio::test]
async fn a_connection_that_listens_stays_when_a_slot_moves_while_an_answer_is_due() {
    let cluster = Cluster::of(3, &["--enable-debug-command", "yes"]).await;
    // What waits while the server sleeps is not late.
    let source = RedisSource::cluster(cluster.urls()).unwrap();
    let a = RedisStore::builder(source)
        .live(RedisLive::ends())
        .deadline(Duration::from_secs(20))
        .build();
    let (user, tag) = user_of(&cluster, &a, 0, 1).await;
    let reader = Reader::trusting(&a, tag).await;
    let listener = async || {
        let all: String = cluster.nodes[0].ask("CLIENT LIST TYPE pubsub").await;
        let id = all.split_whitespace().next();
        id.unwrap_or_default().to_owned()
    };
    let before = listener().await;
    let to = cluster.id(1).await;

    let client = Client::open(cluster.nodes[0].url()).unwrap();
    let patient = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(30)));
    let connected = client.get_multiplexed_async_connection_with_config(&patient);
    let mut client = connected.await.unwrap();
    for moving in 1..4 {
        let moves = format!("CLUSTER SETSLOT {moving} NODE {to}");
        // What the node asks meanwhile is answered after the server has said that the slot is gone.
        let mut both = pipe();
        both.atomic().cmd("DEBUG").arg(&["SLEEP", "0.6"]);
        both.cmd("CLUSTER")
            .arg(&["SETSLOT", &moving.to_string(), "NODE", &to]);
        let done: Vec<String> = both.query_async(&mut client).await.unwrap();
        assert_eq!(done, ["OK", "OK"]);
        cluster.orders(1, &moves).await;
    }
    let first = signs_in(&a, &user).await;
    reader.trusts(tag).await;
    let news = ends(&a, &first).await;

    assert_eq!(reader.news(tag).await, [news]);
    assert_eq!(listener().await, before, "it did not connect again");
}

#[tokio::test]
async fn a_primary_that_is_lost_concerns_its_own_users_only() {
    let mut cluster = Cluster::start(&[]).await;
    let a = live(&cluster, RedisLive::ends());
    let (user, tag) = user_of(&cluster, &a, 0, u16::MAX).await;
    let (_, other) = user_of(&cluster, &a, 1, u16::MAX).await;
    let replica = cluster.replica(0).await;
    let reader = Reader::trusting(&a, tag).await;
    reader.trusts(other).await;
    let (epoch, epoch_other) = (reader.epoch(tag), reader.epoch(other));

    cluster.nodes[0].kill();
    reader.doubts(tag).await;
    assert!(reader.is_trusted(other));
    cluster.promoted(replica).await;
    reader.trusts(tag).await;

    assert_ne!(reader.epoch(tag), epoch);
    assert!(reader.is_trusted(other));
    assert_eq!(reader.epoch(other), epoch_other);
    let first = signs_in(&a, &user).await;
    let news = ends(&a, &first).await;
    assert_eq!(reader.news(tag).await, [news]);
}
