//! The near cache on real servers: 10,000 random histories with `scripts/soak near`, some of them here.
//!
//! Messages of the feed are lost and late, its connection falls silent and is cut, so is that of calls, the server
//! is lost, a replica takes over, and slots move. Whatever happens, no answer is later than the lease after an
//! acknowledged end, and on one node a browser sees what it wrote.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

use std::{
    cell::Cell,
    env,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tower_user_sessions::{
    RedisStore,
    store::{Near, RedisLive, RedisSource},
};

use super::{
    near_history::History,
    near_truth::{Node, Place, Tally},
    near_way::{Of, Way},
};
use crate::common::{
    cluster::{Cluster, slot},
    load::millis,
    random::Random,
    replicas::{Group, Program},
    site::announce,
};

const LEASE: Duration = Duration::from_millis(400);
/// So long a feed is trusted after it was heard.
const HEARD: Duration = Duration::from_secs(2);
/// Clocks count whole milliseconds.
const MS: Duration = Duration::from_millis(1);
const STEPS: usize = 40;

/// How many histories there are at once.
const AT_ONCE: u64 = 300;
/// And how many with each server that is lost, or on a Cluster.
const AT_ONE_LOSS: u64 = 100;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// How many histories a test has: by default so many, or its share of those of a soak.
fn histories(default: u64, percent: u64) -> u64 {
    setting("NEAR_HISTORIES", default * 100 / percent) * percent / 100
}

/// Where faults come from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Node,
    /// The server is killed, and comes back empty.
    Restart,
    /// The master is killed, and its replica takes over.
    Failover,
    Cluster,
}

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

/// Two nodes have a short lease. With a longer one, on the third, the feed is the bound: it loses no message without a
/// sign of it.
fn nodes(stores: Vec<RedisStore>, kind: Kind) -> Vec<Node> {
    let node = |(at, store)| {
        let heard = at == 2 && kind != Kind::Cluster;
        let (lease, bound) = if heard {
            (Duration::from_secs(5), HEARD)
        } else {
            (LEASE, LEASE)
        };
        Node {
            near: Near::builder(store).lease(lease).build(),
            bound: bound + MS,
        }
    };
    stores.into_iter().enumerate().map(node).collect()
}

fn place(nodes: Vec<Node>, plain: RedisStore, kind: Kind) -> Arc<Place> {
    Arc::new(Place {
        nodes,
        plain,
        gone: Mutex::default(),
        forgets: kind == Kind::Failover,
        tally: Tally::default(),
    })
}

/// What the faults on a way are like.
#[derive(Clone, Copy, Debug)]
struct Climate {
    /// Messages are lost, and nothing gives a sign of it.
    loses: bool,
    /// The longest time without a fault, in ms.
    calm: u64,
}

/// All nodes share the way to a primary, and listen to thousands of channels there. It takes a while until they trust it again.
const OF_A_CLUSTER: Climate = Climate {
    loses: true,
    calm: 2_500,
};

/// Faults on a way, one after the other.
async fn weather(ways: Arc<Vec<Way>>, at: usize, climate: Climate, mut random: Random) {
    let way = &ways[at];
    loop {
        way.be_well();
        sleep(millis(random.below(climate.calm))).await;
        let time = millis(random.of([30, 100, 250, 500]));
        match random.below(9) {
            0 => way.be_late(Of::Data, time / 3),
            1 | 2 => way.be_late(Of::Feed, time * 2),
            3 | 4 if climate.loses => way.lose(random.of([20, 60, 100])),
            5 => way.cut(Of::Feed),
            6 => way.cut(Of::Data),
            7 => {
                way.be_silent(Of::Feed, true);
                sleep(time * random.of([1, 5])).await;
            }
            // What came before the silence was late already.
            8 => {
                way.be_late(Of::Feed, millis(1_700));
                sleep(millis(1_900)).await;
                way.be_silent(Of::Feed, true);
                sleep(millis(2_200)).await;
            }
            _ => way.be_late(Of::Data, time / 6),
        }
        sleep(time).await;
    }
}

/// Runs histories with these numbers, until they are over. Something else happens meanwhile.
async fn runs(
    place: &Arc<Place>,
    seeds: std::ops::Range<u64>,
    over: &Cell<bool>,
    meanwhile: impl Future<Output = ()>,
) {
    let mut running = JoinSet::new();
    for seed in seeds {
        running.spawn(History::new(seed, place).run(STEPS));
    }
    let all = async {
        let mut done = Vec::new();
        while let Some(history) = running.join_next().await {
            done.push(history.unwrap());
        }
        over.set(true);
        done
    };
    let (done, ()) = tokio::join!(all, meanwhile);
    for node in &place.nodes {
        timeout(Duration::from_secs(20), node.near.flush())
            .await
            .unwrap();
    }
    for history in done {
        history.settles().await;
    }
}

/// Histories on a server behind a relay for each node. Returns how many messages were lost.
async fn on_a_node(kind: Kind, seeds: std::ops::Range<u64>, sum: &Sum) {
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
        nodes(ways[..3].iter().map(through).collect(), kind),
        through(&ways[3]),
        kind,
    );
    let mut faults = JoinSet::new();
    for at in 0..3 {
        let random = Random(random.below(u64::MAX));
        let climate = Climate {
            loses: at < 2,
            calm: 200,
        };
        faults.spawn(weather(Arc::clone(&ways), at, climate, random));
    }
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
            Kind::Node | Kind::Cluster => {}
        }
    };
    runs(&place, seeds, &Cell::new(false), meanwhile).await;
    drop(follows);
    faults.shutdown().await;
    sum.add(&place.tally, ways.iter().map(Way::lost).sum());
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
async fn on_a_cluster(seeds: std::ops::Range<u64>, sum: &Sum) {
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
    let place = place(
        nodes(stores, Kind::Cluster),
        store(source(), Kind::Cluster),
        Kind::Cluster,
    );
    let mut random = Random(seeds.start + 1);
    let users: Vec<u16> = seeds
        .clone()
        .map(|seed| slot(History::new(seed, &place).tag()))
        .collect();
    let (moved, over) = (Cell::new(0), Cell::new(false));
    let mut faults = JoinSet::new();
    for at in 0..3 {
        let random = Random(random.below(u64::MAX));
        faults.spawn(weather(Arc::clone(&ways), at, OF_A_CLUSTER, random));
    }
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
    sum.add(&place.tally, ways.iter().map(Way::lost).sum());
    sum.0.lock().unwrap().moved += moved.get();
}

/// The figures of all batches.
#[derive(Default)]
struct Sum(Mutex<Figures>);

#[derive(Debug, Default)]
struct Figures {
    near: u64,
    late: u64,
    longest: [u64; 2],
    ends: u64,
    rotations: u64,
    saves: u64,
    errors: u64,
    lost: u64,
    moved: u64,
}

impl Sum {
    /// Whether what histories of this kind are about happened. On a busy machine a fault may find no message.
    fn has(&self, kind: Kind) -> bool {
        let sum = self.0.lock().unwrap();
        match kind {
            Kind::Node => sum.late > 0 && sum.lost > 0,
            Kind::Cluster => sum.moved > 0 && sum.lost > 0,
            Kind::Restart | Kind::Failover => true,
        }
    }

    fn add(&self, tally: &Tally, lost: u64) {
        let mut sum = self.0.lock().unwrap();
        sum.near += tally.near.load(SeqCst);
        sum.late += tally.late.load(SeqCst);
        sum.ends += tally.ends.load(SeqCst);
        sum.rotations += tally.rotations.load(SeqCst);
        sum.saves += tally.saves.load(SeqCst);
        sum.errors += tally.errors.load(SeqCst);
        sum.lost += lost;
        for (sum, longest) in sum.longest.iter_mut().zip(&tally.longest) {
            *sum = (*sum).max(longest.load(SeqCst));
        }
    }
}

/// Runs so many histories in batches, and more if what they are about did not happen in them.
async fn all(kind: Kind, histories: u64) {
    let (sum, seed) = (Sum::default(), setting("NEAR_SEED", 1) << 32);
    let mut begun = 0;
    while begun < histories || begun < 4 * histories && !sum.has(kind) {
        let most = match kind {
            Kind::Restart | Kind::Failover | Kind::Cluster => AT_ONE_LOSS,
            Kind::Node => AT_ONCE,
        };
        let more = most.min(histories);
        let batch = seed + begun..seed + begun + more;
        begun += more;
        match kind {
            Kind::Cluster => on_a_cluster(batch, &sum).await,
            _ => on_a_node(kind, batch, &sum).await,
        }
    }
    let happened = sum.has(kind);
    let sum = sum.0.into_inner().unwrap();
    println!("{begun} histories, {kind:?}: {sum:?}");
    let enough = if kind == Kind::Cluster { 1 } else { 2 };
    assert!(happened && sum.near > enough * begun, "{sum:?}");
    let least = sum.ends.min(sum.saves).min(sum.rotations);
    assert!(3 * least > begun, "{sum:?}");
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn in_random_histories_with_lost_and_late_messages_no_answer_is_later_than_the_lease() {
    all(Kind::Node, histories(150, 70)).await;
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn when_the_server_is_lost_in_random_histories_no_answer_is_later_than_the_lease() {
    all(Kind::Restart, histories(50, 10)).await;
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn when_a_replica_takes_over_in_random_histories_no_answer_is_later_than_the_lease() {
    all(Kind::Failover, histories(50, 10)).await;
}

// T73
#[tokio::test(flavor = "multi_thread")]
async fn while_slots_move_in_random_histories_no_answer_is_later_than_the_lease() {
    all(Kind::Cluster, histories(50, 10)).await;
}
