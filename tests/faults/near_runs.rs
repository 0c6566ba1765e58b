//! Runs random histories of the near cache, whatever its stores are: what the nodes are like, the faults on their ways,
//! and what happened in all histories.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

use std::{
    cell::Cell,
    env,
    ops::Range,
    sync::{Arc, Mutex, atomic::Ordering::SeqCst},
    time::Duration,
};

use tokio::{
    task::JoinSet,
    time::{sleep, timeout},
};
use tower_user_sessions::store::{Near, SessionStore};

use super::{
    near_history::History,
    near_truth::{Node, Place, Tally},
    near_way::{Of, Way},
};
use crate::common::{load::millis, random::Random};

const LEASE: Duration = Duration::from_millis(400);
/// So long a feed is trusted after it was heard.
const HEARD: Duration = Duration::from_secs(2);
/// PostgreSQL sends a message after the end was acknowledged. On the faulty way of a node it may need some attempts.
const SENT: Duration = Duration::from_millis(1_500);
/// So late are messages of an end that an answer from before it is kept.
pub(super) const LATE: Duration = Duration::from_millis(900);
/// Clocks count whole milliseconds.
const MS: Duration = Duration::from_millis(1);

/// How many histories there are at once.
const AT_ONCE: u64 = 300;
/// And how many with each server that is lost, on a Cluster, or on PostgreSQL.
const AT_ONCE_OF_FEW: u64 = 100;

fn setting(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// How many histories a test has: by default so many, or its share of those of a soak.
pub(super) fn histories(default: u64, percent: u64) -> u64 {
    setting("NEAR_HISTORIES", default * 100 / percent) * percent / 100
}

/// Where faults come from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Node,
    /// The server is killed, and comes back empty.
    Restart,
    /// The master is killed, and its replica takes over.
    Failover,
    Cluster,
    Postgres,
}

/// Two nodes have a short lease. With a longer one, on the third, the feed is the bound: it loses no message without a
/// sign of it.
fn nodes<St: SessionStore>(stores: Vec<St>, kind: Kind) -> Vec<Node<St>> {
    let node = |(at, store)| {
        let (lease, bound) = match kind {
            Kind::Postgres if at == 2 => (Duration::from_secs(10), HEARD + SENT),
            Kind::Node | Kind::Restart | Kind::Failover if at == 2 => {
                (Duration::from_secs(5), HEARD)
            }
            _ => (LEASE, LEASE),
        };
        Node {
            near: Near::builder(store).lease(lease).build(),
            bound: bound + MS,
        }
    };
    stores.into_iter().enumerate().map(node).collect()
}

/// Nodes with these stores, and the administrator.
pub(super) fn place<St: SessionStore>(stores: Vec<St>, plain: St, kind: Kind) -> Arc<Place<St>> {
    Arc::new(Place {
        nodes: nodes(stores, kind),
        plain,
        steps: match kind {
            // Its longest watch takes twice as long.
            Kind::Postgres => 20,
            _ => 30,
        },
        gone: Mutex::default(),
        forgets: kind == Kind::Failover,
        tally: Tally::default(),
    })
}

/// What the faults on a way are like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Climate {
    /// Messages are lost, and nothing gives a sign of it.
    pub(super) loses: bool,
    /// The longest time without a fault, in ms.
    pub(super) calm: u64,
    /// Messages are on their way when the feed is cut, and lost with a sign of it.
    pub(super) cuts_late: bool,
}

/// The climate of nodes that have a way to one server each. The last one loses no message.
pub(super) fn of_one_server(at: usize) -> Climate {
    Climate {
        loses: at < 2,
        calm: 200,
        cuts_late: false,
    }
}

/// Faults on the ways of all three nodes, until the tasks are shut down.
pub(super) fn faults(
    ways: &Arc<Vec<Way>>,
    climate: impl Fn(usize) -> Climate,
    random: &mut Random,
) -> JoinSet<()> {
    let mut faults = JoinSet::new();
    for at in 0..3 {
        let random = Random(random.below(u64::MAX));
        faults.spawn(weather(Arc::clone(ways), at, climate(at), random));
    }
    faults
}

/// Faults on a way, one after the other.
async fn weather(ways: Arc<Vec<Way>>, at: usize, climate: Climate, mut random: Random) {
    let way = &ways[at];
    loop {
        way.be_well();
        sleep(millis(random.below(climate.calm))).await;
        let time = millis(random.of([30, 100, 250, 500]));
        match random.below(14) {
            0 => way.be_late(Of::Data, time / 3),
            1 | 2 => way.be_late(Of::Feed, time * 2),
            3..=5 if climate.loses => way.lose(random.of([20, 60, 100])),
            6 => {
                if climate.cuts_late {
                    way.be_late(Of::Feed, 2 * time);
                    sleep(time).await;
                }
                way.cut(Of::Feed);
            }
            7 => way.cut(Of::Data),
            8 => {
                way.be_silent(Of::Feed, true);
                sleep(time * random.of([1, 5])).await;
            }
            // What came before the silence was late already.
            9 => {
                way.be_late(Of::Feed, millis(1_700));
                sleep(millis(1_900)).await;
                way.be_silent(Of::Feed, true);
                sleep(millis(2_200)).await;
            }
            // An answer from before an end arrives after it, and before its message.
            10..=12 => {
                way.be_late(Of::Data, LEASE / 2);
                way.be_late(Of::Feed, LATE);
                sleep(LEASE).await;
            }
            _ => way.be_late(Of::Data, time / 6),
        }
        sleep(time).await;
    }
}

/// Runs histories with these numbers, until they are over. Something else happens meanwhile.
pub(super) async fn runs<St: SessionStore>(
    place: &Arc<Place<St>>,
    seeds: Range<u64>,
    over: &Cell<bool>,
    meanwhile: impl Future<Output = ()>,
) {
    let mut running = JoinSet::new();
    for seed in seeds {
        running.spawn(History::new(seed, place).run());
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

/// The figures of all batches.
#[derive(Default)]
pub(super) struct Sum(Mutex<Figures>);

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
            Kind::Node | Kind::Postgres => sum.late > 0 && sum.lost > 0,
            Kind::Cluster => sum.moved > 0 && sum.lost > 0,
            Kind::Restart | Kind::Failover => true,
        }
    }

    /// What happened in these histories, and how many messages were lost and slots moved meanwhile.
    pub(super) fn add(&self, tally: &Tally, lost: u64, moved: u64) {
        let mut sum = self.0.lock().unwrap();
        sum.moved += moved;
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
pub(super) async fn all(kind: Kind, histories: u64, batch: impl AsyncFn(Range<u64>, &Sum)) {
    let (sum, seed) = (Sum::default(), setting("NEAR_SEED", 1) << 32);
    let mut begun = 0;
    while begun < histories || begun < 4 * histories && !sum.has(kind) {
        let most = match kind {
            Kind::Node => AT_ONCE,
            _ => AT_ONCE_OF_FEW,
        };
        let more = most.min(histories);
        let seeds = seed + begun..seed + begun + more;
        begun += more;
        batch(seeds, &sum).await;
    }
    let happened = sum.has(kind);
    let sum = sum.0.into_inner().unwrap();
    println!("{begun} histories, {kind:?}: {sum:?}");
    let enough = match kind {
        Kind::Cluster | Kind::Postgres => 1,
        _ => 2,
    };
    assert!(happened && sum.near > enough * begun, "{sum:?}");
    let least = sum.ends.min(sum.saves).min(sum.rotations);
    assert!(3 * least > begun, "{sum:?}");
}
