//! The near cache on real servers: 10,000 random histories with `scripts/soak near`, some of them here.
//!
//! Messages of the feed are lost and late, its connection falls silent and is cut, so is that of calls, the server
//! is lost, a replica takes over, and slots move. Whatever happens, no answer is later than the lease after an
//! acknowledged end, and on one node a browser sees what it wrote.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{cell::Cell, ops::Range, sync::Arc};

use tokio::time::{Instant, sleep};
use tower_user_sessions::{
    RedisStore,
    store::{RedisLive, RedisSource},
};

use super::{
    near_history::History,
    near_runs::{Climate, Kind, Sum, all, faults, histories, of_one_server, place, runs},
    near_way::Way,
};
use crate::common::{
    cluster::{Cluster, slot},
    load::millis,
    random::Random,
    replicas::{Group, Program},
    site::announce,
};

fn store(source: RedisSource, kind: Kind) -> RedisStore {
    let live = match kind {
        // A server that is lost forgets who listens to which of them.
        Kind::Restart => RedisLive::all().shards(8),
        _ => RedisLive::all(),
    };
    let builder = RedisStore::builder(source).live(live);
    match kind {
        Kind::Failover => builder.confirm(1, millis(1_000)).build(),
        _ => builder.build(),
    }
}

/// All nodes share the way to a primary, and listen to thousands of channels there. It takes a while until they trust it again.
const OF_A_CLUSTER: Climate = Climate {
    loses: true,
    calm: 2_500,
    cuts_late: false,
};

/// Histories on a server behind a relay for each node.
async fn on_a_node(kind: Kind, seeds: Range<u64>, sum: &Sum) {
    let mut random = Random(seeds.start + 1);
    let mut group = match kind {
        Kind::Failover => Group::start(Program::Redis, &[10]).await,
        _ => Group::start(Program::Redis, &[]).await,
    };
    let (mut ways, mut follows) = (Vec::new(), None);
    // The last one is that of the administrator.
    for _ in 0..4 {
        ways.push(Way::start(group.master.port).await);
    }
    let ways = Arc::new(ways);
    let through = |way: &Way| store(RedisSource::url(&way.url()).unwrap(), kind);
    let place = place(
        ways[..3].iter().map(through).collect(),
        through(&ways[3]),
        kind,
    );
    let mut faults = faults(&ways, of_one_server, &mut random);
    let meanwhile = async {
        sleep(millis(1_000 + random.below(2_000))).await;
        match kind {
            Kind::Restart => {
                group.master.kill();
                let gone = Instant::now();
                *place.gone.lock().unwrap() = Some(gone);
                sleep(millis(random.below(600))).await;
                group.master.restart();
            }
            Kind::Failover => {
                let promoted = group.fails_over().await.port;
                let to = promoted.to_string();
                // Ends are acknowledged again once it has a replica.
                follows = Some(Program::Redis.start(&["--replicaof", "127.0.0.1", &to]));
                ways.iter().for_each(|way| way.leads_to(promoted));
            }
            _ => {}
        }
    };
    runs(&place, seeds, &Cell::new(false), meanwhile).await;
    drop(follows);
    faults.shutdown().await;
    sum.add(&place.tally, ways.iter().map(Way::lost).sum(), 0);
}

/// The place of the node that serves the slot, as it knows itself.
async fn owner(cluster: &Cluster, slot: u16) -> Option<usize> {
    for at in 0..3 {
        let (id, lines) = (cluster.id(at).await, cluster.lines(at).await);
        let own = lines.into_iter().find(|line| line.id == id).unwrap();
        let mut slots = own.slots.iter();
        if slots.any(|(from, to)| (*from..=*to).contains(&slot)) {
            return Some(at);
        }
    }
    None
}

/// Histories on a Cluster behind a relay for each primary, while the slots of their users move. All nodes and the
/// administrator share the relays, because a Cluster names one address of each primary.
async fn on_a_cluster(seeds: Range<u64>, sum: &Sum) {
    let cluster = Cluster::of(3, &[]).await;
    let mut ways = Vec::new();
    for node in &cluster.nodes {
        ways.push(Way::start(node.port).await);
    }
    let ports: Vec<u16> = ways.iter().map(|way| way.port).collect();
    announce(&cluster.nodes, &ports).await;
    let ways = Arc::new(ways);
    let source = || RedisSource::cluster(ways.iter().map(Way::url)).unwrap();
    let stores = (0..3).map(|_| store(source(), Kind::Cluster)).collect();
    let plain = store(source(), Kind::Cluster);
    let place = place(stores, plain, Kind::Cluster);
    let mut random = Random(seeds.start + 1);
    let users: Vec<u16> = seeds
        .clone()
        .map(|seed| slot(History::new(seed, &place).tag()))
        .collect();
    let (moved, over) = (Cell::new(0), Cell::new(false));
    let mut faults = faults(&ways, |_| OF_A_CLUSTER, &mut random);
    let meanwhile = async {
        while !over.get() {
            let moving = users[random.place(users.len())];
            let Some(from) = owner(&cluster, moving).await else {
                sleep(millis(50)).await;
                continue;
            };
            let to = (from + 1 + random.place(2)) % 3;
            cluster.moves(moving, from, to).await;
            moved.set(moved.get() + 1);
            // Until the nodes know the newest epoch of each other, two can claim the same one: then none serves the slot.
            sleep(millis(200)).await;
        }
        faults.shutdown().await;
        ways.iter().for_each(Way::be_well);
    };
    runs(&place, seeds, &over, meanwhile).await;
    let lost = ways.iter().map(Way::lost).sum();
    sum.add(&place.tally, lost, moved.get());
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn in_random_histories_with_lost_and_late_messages_no_answer_is_later_than_the_lease() {
    let batch = async |seeds, sum: &Sum| on_a_node(Kind::Node, seeds, sum).await;
    all(Kind::Node, histories(150, 60), batch).await;
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn when_the_server_is_lost_in_random_histories_no_answer_is_later_than_the_lease() {
    let batch = async |seeds, sum: &Sum| on_a_node(Kind::Restart, seeds, sum).await;
    all(Kind::Restart, histories(50, 10), batch).await;
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn when_a_replica_takes_over_in_random_histories_no_answer_is_later_than_the_lease() {
    let batch = async |seeds, sum: &Sum| on_a_node(Kind::Failover, seeds, sum).await;
    all(Kind::Failover, histories(50, 10), batch).await;
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn while_slots_move_in_random_histories_no_answer_is_later_than_the_lease() {
    all(Kind::Cluster, histories(50, 10), on_a_cluster).await;
}
