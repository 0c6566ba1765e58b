//! `RedisStore` on a Cluster of three primaries keeps the contract, also while slots move.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use deadpool_redis::{Runtime, cluster as pool};
use tower_user_sessions::{
    RedisStore, UserId,
    store::{
        Authenticated, Create, Created, ManualClock, RedisLive, RedisSource, Resolve, Resolved,
        Save, Saved, SessionStore, Tag, Timestamp, Token, conformance,
    },
};

use crate::common::{
    cluster::{self, Cluster},
    redis::{Server, patient, published, reports_and_keeps_the_contract},
};

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

// One test: some runners use a process per test, and each would start its own Cluster.
// T49 T51
#[tokio::test]
async fn keeps_the_whole_contract_and_does_so_while_slots_move() {
    let cluster = Cluster::of(3, &[]).await;
    let pool = pool::Config::from_urls(cluster.urls())
        .create_pool(Some(Runtime::Tokio1))
        .unwrap();
    let make = async |clock: ManualClock| patient(pool.clone()).clock(clock).build();

    conformance::all(make).await;
    users_live_on_all_primaries(&cluster, &make(ManualClock::at(NOW)).await).await;
    a_moving_slot_causes_no_error(&cluster, &make(ManualClock::at(NOW)).await).await;
    // Last: the Cluster takes a while to serve all slots again.
    a_store_starts_while_a_primary_is_stopped(&cluster, || RedisStore::new(pool.clone())).await;
}

// T49
#[tokio::test]
async fn keeps_the_whole_contract_while_it_reports_what_changes() {
    let cluster = Cluster::of(3, &[]).await;
    // What `connect_cluster` connects to.
    let source = RedisSource::cluster(cluster.urls()).unwrap();

    // With shards its scripts are the same: each slot has its channel anyway.
    reports_and_keeps_the_contract(&source, RedisLive::all()).await;

    let urls = cluster.nodes.iter().map(Server::url);
    let published = published(urls, "spublish").await;
    assert!(published > 100, "{published}");
}

async fn users_live_on_all_primaries(cluster: &Cluster, store: &RedisStore) {
    for user in 0..60 {
        let user = UserId::from(user);
        signs_in(store, &user, &token(store, &user)).await;
    }

    for server in &cluster.nodes {
        let keys: usize = server.ask("DBSIZE").await;
        assert!(keys > 0, "one primary has no user at all");
    }
}

/// The app's pool asks any node first. That may be the stopped one, so one good try of three is enough.
async fn a_store_starts_while_a_primary_is_stopped(
    cluster: &Cluster,
    new: impl Fn() -> RedisStore,
) {
    for server in &cluster.nodes {
        // However long the tries take, the others do not give the Cluster up.
        let command = "CONFIG SET cluster-require-full-coverage no";
        let _: () = server.ask(command).await;
    }
    cluster.nodes[0].suspend();

    let mut answered = 0;
    for _ in 0..3 {
        let store = new();
        // Two of three users are on other primaries.
        for _ in 0..12 {
            if answered == 0 {
                let guest = Token::random(Tag::random().unwrap()).unwrap();
                let found = store.resolve(&Resolve::new(guest)).await;
                answered += usize::from(found.is_ok());
            }
        }
    }
    cluster.nodes[0].resume();

    assert!(answered > 0, "no request was answered");
}

async fn a_moving_slot_causes_no_error(cluster: &Cluster, store: &RedisStore) {
    let user = UserId::from(7);
    let (first, second, third) = (
        token(store, &user),
        token(store, &user),
        token(store, &user),
    );
    signs_in(store, &user, &first).await;
    let key = format!("sessions:{{{}}}", store.tag(&user));
    let slot = cluster::slot(store.tag(&user));
    let from = cluster.serves(slot, 0).await;
    let to = (from + 1) % cluster.nodes.len();

    cluster.begins_to_move(slot, from, to).await;
    works(store, &first, "while the key waits to move").await;
    signs_in(store, &user, &second).await;

    cluster.moves_keys(slot, from, to).await;
    works(store, &first, "after the key moved, before the slot did").await;
    signs_in(store, &user, &third).await;

    cluster.has_moved(slot, from, to).await;
    for token in [&first, &second, &third] {
        works(store, token, "after the slot moved").await;
    }
    let to = &cluster.nodes[to];
    // The key, not the slot: users of the suite before this may be in the same slot.
    let there: usize = to.ask(&format!("EXISTS {key}")).await;
    assert_eq!(there, 1, "the user lives on the other primary");
    let ttl: i64 = to.ask(&format!("PTTL {key}")).await;
    assert!(ttl > 0, "the key has a TTL there, too");
}

fn token(store: &RedisStore, user: &UserId) -> Token {
    let tag: Tag = store.tag(user);
    Token::random(tag).unwrap()
}

async fn signs_in(store: &RedisStore, user: &UserId, token: &Token) {
    let create = Create::new(token, Some(user.clone()), Authenticated::At(NOW));
    let created = store.create(&create).await.unwrap();
    assert!(matches!(created, Created::Created(_)), "{created:?}");
}

/// Reads and writes.
async fn works(store: &RedisStore, token: &Token, when: &str) {
    let found = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    assert!(matches!(found, Resolved::Live(_)), "{when}: {found:?}");
    let save = Save::new(token.tag(), token.session_id(), Default::default());
    let saved = store.save(&save).await.unwrap();
    assert!(matches!(saved, Saved::Saved { .. }), "{when}: {saved:?}");
}
