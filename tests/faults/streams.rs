//! Open streams on a node while another one ends their sessions: slots move, or another master takes over.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

use std::{
    collections::{BTreeSet, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tower_user_sessions::{
    EndReason, Limit, LiveSession, RedisStore, Session, SessionLayer, UserSessions,
    store::{RedisLive, RedisSource, SessionStore, Tag},
};

use super::sentinel;
use crate::common::{
    cluster::{Cluster, slot},
    feed::Reader,
    http::{Client, user},
    people::until,
    redis::{Server, ask, try_ask},
    relay::Relay,
    sentinel::{Said, Sentinel},
    sentinels::Sentinels,
};

/// A lease of 60 s, 20 % more, and what the paces of looks add.
const LONGEST: Duration = Duration::from_secs(75);

/// How many sessions are not ended.
const STAY: usize = 10;

fn live(source: RedisSource) -> RedisStore {
    RedisStore::builder(source).live(RedisLive::ends()).build()
}

/// Streams on one node.
struct World {
    /// Their sessions end.
    streams: Vec<(String, LiveSession)>,
    /// Theirs do not.
    stay: Vec<(Client, LiveSession)>,
    closing: JoinSet<Duration>,
    load: JoinHandle<()>,
    answered: Arc<[AtomicU32; 2]>,
}

impl World {
    /// Opens a stream for each of these users, and puts a load on the node.
    async fn open(a: &RedisStore, b: &RedisStore, users: Vec<String>) -> Self {
        let layer = |store: &RedisStore| SessionLayer::new(store.clone()).limit(Limit::at_most(9));
        let (layer_a, layer_b) = (layer(a), layer(b));
        let opens = async |name: &str| {
            let client = Client::signed_in(&layer_b, name).await.before(&layer_a);
            let live = |session: Session| async move { session.live().unwrap() };
            let live = client.request(live).await.value();
            (client, live)
        };
        let (mut stay, mut streams) = (Vec::new(), Vec::new());
        for number in 0..STAY {
            stay.push(opens(&format!("stays-{number}")).await);
        }
        for name in users {
            let (_, live) = opens(&name).await;
            streams.push((name, live));
        }
        let clients: Vec<Client> = stay.iter().map(|(client, _)| client.clone()).collect();
        let answered = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let counts = Arc::clone(&answered);
        let load = tokio::spawn(async move {
            for client in clients.iter().cycle() {
                let status = client.request(|_session| async {}).await.status;
                counts[usize::from(!status.is_success())].fetch_add(1, SeqCst);
                sleep(Duration::from_millis(10)).await;
            }
        });
        Self {
            streams,
            stay,
            closing: JoinSet::new(),
            load,
            answered,
        }
    }

    /// The session of this stream has ended now. It closes within 75 s.
    fn has_ended(&mut self, number: usize) {
        let (ended, (name, live)) = (Instant::now(), self.streams[number].clone());
        self.closing.spawn(async move {
            let end = timeout(LONGEST, live.ended()).await;
            let end = end.unwrap_or_else(|_| panic!("the stream of {name} stayed open"));
            assert_eq!(end.reason(), "disabled", "{name}");
            ended.elapsed()
        });
    }

    /// Waits until all streams are closed whose sessions ended. All others are open, and their sessions live.
    async fn holds(self, what: &str) {
        let (count, mut took) = (self.streams.len(), self.closing.join_all().await);
        assert_eq!(took.len(), count);
        took.sort();
        let [half, p99, last] = [count / 2, count * 99 / 100, count - 1].map(|at| took[at]);
        let [answered, failed] = [0, 1].map(|at: usize| self.answered[at].load(SeqCst));
        println!(
            "{what}: {count} streams closed, half after {half:?}, p99 {p99:?}, last {last:?}; \
             {answered} requests answered, {failed} not"
        );
        self.load.abort();
        assert!(answered > 0);
        for (client, live) in self.stay {
            assert!(live.end().is_none(), "the stream of a live session");
            let status = client.request(|_session| async {}).await.status;
            assert!(status.is_success(), "{status}");
        }
    }
}

/// Ends the sessions of this user: again until that is acknowledged.
async fn ends(b: &RedisStore, name: &str) {
    let all = UserSessions::new(b.clone(), user(name)).because(EndReason::Disabled);
    while all.end_all().await.is_err() {
        sleep(Duration::from_millis(100)).await;
    }
}

/// Names of users who live in slots of their own.
fn users(store: &RedisStore, count: usize) -> Vec<String> {
    let mut slots: BTreeSet<u16> = (0..STAY)
        .map(|number| slot(tag(store, &format!("stays-{number}"))))
        .collect();
    let names = (0..).map(|number| format!("user-{number}"));
    let own = names.filter(|name| slots.insert(slot(tag(store, name))));
    own.take(count).collect()
}

fn tag(store: &RedisStore, name: &str) -> Tag {
    store.tag(&user(name))
}

async fn while_slots_move() {
    let cluster = Cluster::of(3, &[]).await;
    let store = || live(RedisSource::cluster(cluster.urls()).unwrap());
    let (a, b) = (store(), store());
    let mut world = World::open(&a, &b, users(&b, 45)).await;
    let reader = Reader::trusting(&a, tag(&b, &world.streams[0].0)).await;
    sleep(Duration::from_secs(1)).await;
    let place = async |name: &str| {
        let slot = slot(tag(&b, name));
        let from = cluster.serves(slot, 0).await;
        (slot, from, (from + 1) % 3)
    };

    let mut reported_nowhere = HashSet::new();
    for number in 0..world.streams.len() {
        let name = world.streams[number].0.clone();
        let (slot, from, to) = place(&name).await;
        match number % 3 {
            0 => {
                cluster.begins_to_move(slot, from, to).await;
                cluster.moves_keys(slot, from, to).await;
                // The node that gets the slot has no listener for it yet.
                ends(&b, &name).await;
                cluster.has_moved(slot, from, to).await;
                reported_nowhere.insert(tag(&b, &name));
            }
            1 => {
                cluster.begins_to_move(slot, from, to).await;
                ends(&b, &name).await;
                cluster.moves_keys(slot, from, to).await;
                cluster.has_moved(slot, from, to).await;
            }
            _ => {
                let moves = cluster.moves(slot, from, to);
                tokio::join!(moves, ends(&b, &name));
            }
        }
        world.has_ended(number);
        // Until the nodes know the newest epoch of each other, two can claim the same one: then none serves the slot.
        sleep(Duration::from_millis(200)).await;
        if number % 9 == 0 {
            let (slot, from, to) = place(&format!("stays-{}", number / 9)).await;
            cluster.moves(slot, from, to).await;
            sleep(Duration::from_millis(200)).await;
        }
    }

    for message in reader.messages() {
        reported_nowhere.remove(&message.tag);
    }
    println!("{} messages of ends were lost", reported_nowhere.len());
    assert!(!reported_nowhere.is_empty());
    world.holds("while slots move").await;
}

async fn through_a_failover((servers, sentinels): (Sentinels, Vec<String>), signal: &str) {
    let store = || {
        let sentinels = sentinels.iter().map(String::as_str);
        live(RedisSource::sentinel(sentinels, "master0", Default::default()).unwrap())
    };
    let (a, b) = (store(), store());
    let mut world = World::open(&a, &b, users(&b, 40)).await;
    let _reader = Reader::trusting(&a, tag(&b, "stays-0")).await;
    let (master, replica) = (servers.master.url(), servers.replica().url());
    let all: usize = ask(&master, "DBSIZE").await;
    until("the replica has all", async || {
        ask::<usize>(&replica, "DBSIZE").await == all
    })
    .await;

    // Those that end just before may be lost with the master.
    let names: Vec<String> = world.streams.iter().map(|(name, _)| name.clone()).collect();
    for name in &names[..10] {
        ends(&b, name).await;
    }
    servers.master.signal(signal);
    let mut ending = JoinSet::new();
    for (number, name) in names.iter().enumerate().skip(10) {
        let (b, name) = (b.clone(), name.clone());
        ending.spawn(async move {
            sleep(Duration::from_millis(150) * u32::try_from(number - 10).unwrap()).await;
            ends(&b, &name).await;
            number
        });
    }
    while let Some(number) = ending.join_next().await {
        world.has_ended(number.unwrap());
    }
    let role: String = try_ask(&replica, &["INFO", "replication"]).await.unwrap();
    assert!(role.contains("role:master"), "{role}");
    for (number, name) in names.iter().enumerate().take(10) {
        // The app does not know that it was lost, so the administrator does it again.
        ends(&b, name).await;
        world.has_ended(number);
    }

    let what = format!("through a failover by {signal}");
    world.holds(&what).await;
}

// T41 T72
#[tokio::test(flavor = "multi_thread")]
async fn no_end_is_missed_while_slots_move_and_through_a_failover_by_sentinels() {
    // One after the other: each blocks while it starts its servers.
    let (first, second) = (sentinel::start().await, sentinel::start().await);
    tokio::join!(
        while_slots_move(),
        through_a_failover(first, "-KILL"),
        through_a_failover(second, "-STOP"),
    );
}

// T41 T72
#[tokio::test(flavor = "multi_thread")]
async fn streams_that_asked_a_previous_master_ask_the_new_one_as_soon_as_calls_go_there() {
    let first = Server::start();
    let port = first.port.to_string();
    let second = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
    let relay = Relay::start(first.port).await;
    let sentinel = Sentinel::start(Said::new(relay.port, 1)).await;
    let url = sentinel.url();
    let source = RedisSource::sentinel([&*url], "mymaster", Default::default()).unwrap();
    let (a, b) = (live(source), live(RedisSource::url(&first.url()).unwrap()));
    let mut world = World::open(&a, &b, users(&b, 20)).await;
    let reader = Reader::trusting(&a, tag(&b, "stays-0")).await;
    let all: usize = first.ask("DBSIZE").await;
    until("the replica has all", async || {
        second.ask::<usize>("DBSIZE").await == all
    })
    .await;

    // The previous master goes on, and the calls of this node still go there. Its listener is faster.
    let _ = try_ask::<()>(&second.url(), &["REPLICAOF", "NO", "ONE"]).await;
    let after = live(RedisSource::url(&second.url()).unwrap());
    for number in 0..world.streams.len() {
        ends(&after, &world.streams[number].0).await;
        world.has_ended(number);
    }
    let ended = Instant::now();
    let epoch = reader.epoch(tag(&b, "stays-0"));
    // Calls ask the sentinel every 2 s which master it names. They do so again soon after the listener did.
    let asked = sentinel.asked();
    until("calls asked", async || sentinel.asked() > asked).await;
    sleep(Duration::from_millis(1_200)).await;
    sentinel.says(Said::new(second.port, 2));
    relay.cut_listeners(true);
    until("the listener is on the new master", async || {
        reader.epoch(tag(&b, "stays-0")) != epoch
    })
    .await;

    world.holds("with a previous master that goes on").await;
    assert!(
        ended.elapsed() < Duration::from_secs(20),
        "with the lease only"
    );
}
