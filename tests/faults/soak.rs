//! Longer runs than each change needs: `scripts/soak` starts them.

use std::{
    collections::BTreeMap,
    env, fs,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{task::JoinSet, time::Instant};
use tower_user_sessions::RedisStore;

use crate::common::{
    ledger::Ledger,
    load::{Told, kinds, millis, offer},
    overload::Cell,
    random::Random,
    site::Site,
};

fn setting(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("{name} is not set: scripts/soak starts this"))
}

/// `SOAK_CELLS` names them: `node 1 500 1.1`, separated by commas.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/soak runs it"]
async fn overload_is_answered_as_far_as_it_can() {
    let mut failed = Vec::new();
    let seconds = setting("SOAK_SECONDS").parse().unwrap();
    for cell in setting("SOAK_CELLS").split(',') {
        let words: Vec<&str> = cell.split_whitespace().collect();
        let [kind, processes, capacity, factor, extra @ ..] = &words[..] else {
            panic!("{cell}");
        };
        let cell = Cell {
            is_cluster: *kind == "Cluster",
            capacity: capacity.parse().unwrap(),
            factor: factor.parse().unwrap(),
            seconds,
            processes: processes.parse().unwrap(),
            one_queue: extra.contains(&"one_queue"),
            grown: extra.contains(&"grown"),
            silent: extra.contains(&"silent"),
        };
        let row = cell.run().await.row(cell);
        println!("{row}");
        if row.ends_with("NO |") {
            failed.push(row);
        }
    }
    assert!(failed.is_empty(), "not as promised: {failed:#?}");
}

/// Calls a second of the mixed load.
const RATE: u32 = 300;
/// Redis writes each change down before it answers, so a killed server loses nothing.
const DURABLE: [&str; 6] = [
    "--appendonly",
    "yes",
    "--appendfsync",
    "always",
    "--cluster-require-full-coverage",
    "no",
];

/// Offers a load for `SOAK_MINUTES`, while servers and relays have the faults that `SOAK_SEED` chooses.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/soak runs it"]
async fn a_mixed_load_keeps_every_promise_under_random_faults() {
    let minutes: f64 = setting("SOAK_MINUTES").parse().unwrap();
    let mut random = Random(setting("SOAK_SEED").parse().unwrap());
    let mut site = Site::start(setting("SOAK_KIND") == "Cluster", &DURABLE).await;
    let ledger = Ledger::open(&site.direct().store(), "soak", 120).await;
    let store = site.way().store();
    let calm = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(mixed(
        Arc::clone(&ledger),
        store.clone(),
        Arc::clone(&calm),
        Duration::from_secs_f64(minutes * 60.0),
    ));

    let (mut faults, mut over_limit) = (BTreeMap::new(), 0);
    while !load.is_finished() {
        let fault = one_fault(&mut site, &mut random).await;
        *faults.entry(fault).or_insert(0) += 1;
        over_limit += ledger.balance(&site.direct().store()).await.over_limit;
        tokio::time::sleep(millis(2_500)).await;
        // A second of load that begins now ends before the next fault.
        calm.store(true, SeqCst);
        tokio::time::sleep(millis(1_100)).await;
        calm.store(false, SeqCst);
        tokio::time::sleep(millis(1_300)).await;
    }
    let sums = load.await.unwrap();
    let not_ended = store.drain(Duration::from_secs(10)).await;
    let balance = ledger.balance(&site.direct().store()).await;

    println!("faults {faults:?}");
    println!("{sums:?}");
    println!("{balance:?}");
    assert_eq!(
        (not_ended, balance.orphans),
        (0, 0),
        "sessions of failed sign-ins"
    );
    assert_eq!(
        (over_limit, balance.over_limit),
        (0, 0),
        "users over their limit"
    );
    assert_eq!(balance.wrong, 0, "answers as another user");
    assert!(sums.calm > 0, "no calm second");
    assert_eq!(sums.failed_when_calm, 0, "calls 2.5 s after a fault");
    assert!(
        sums.longest < millis(1_500),
        "a call took longer than its deadline"
    );
    assert!(sums.grew_kib < 32 * 1_024, "memory grows");
}

/// What came of the mixed load.
#[derive(Debug, Default)]
struct Sums {
    calls: usize,
    failed: BTreeMap<String, usize>,
    longest: Duration,
    /// Calls of seconds in which there was no fault, nor 2.5 s before.
    calm: usize,
    failed_when_calm: usize,
    memory_kib: u64,
    grew_kib: u64,
}

impl Sums {
    fn add(&mut self, all: &[Told], was_calm: bool) {
        self.calls += all.len();
        let mut failed = 0;
        for (kind, count) in kinds(all) {
            failed += count;
            *self.failed.entry(format!("{kind:?}")).or_default() += count;
        }
        let longest = all.iter().map(|told| told.took).max();
        self.longest = self.longest.max(longest.unwrap_or_default());
        if was_calm {
            self.calm += all.len();
            self.failed_when_calm += failed;
        }
    }
}

/// Each second of load is a task: the next one does not wait for its answers.
async fn mixed(
    ledger: Arc<Ledger>,
    store: RedisStore,
    calm: Arc<AtomicBool>,
    time: Duration,
) -> Sums {
    let (start, mut sums, mut seconds) = (Instant::now(), Sums::default(), JoinSet::new());
    let mut at = 0;
    while start.elapsed() < time {
        let (ledger, store) = (Arc::clone(&ledger), store.clone());
        let was_calm = calm.load(SeqCst);
        let call = move |number| {
            let (ledger, store) = (Arc::clone(&ledger), store.clone());
            async move { ledger.visit(&store, at * RATE + number).await }
        };
        seconds.spawn(async move { (offer(RATE, Duration::from_secs(1), call).await, was_calm) });
        at += 1;
        tokio::time::sleep_until(start + Duration::from_secs(at.into())).await;
        while let Some(done) = seconds.try_join_next() {
            let (all, was_calm) = done.unwrap();
            sums.add(&all, was_calm);
        }
        if start.elapsed() < time / 4 {
            sums.memory_kib = sums.memory_kib.max(memory());
        }
        sums.grew_kib = sums.grew_kib.max(memory().saturating_sub(sums.memory_kib));
    }
    for (all, was_calm) in seconds.join_all().await {
        sums.add(&all, was_calm);
    }
    sums
}

/// The memory of this process, in KiB.
fn memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    line.unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}

/// One server or its relay has a fault for up to 4 s, at times behind relays that are slow.
async fn one_fault(site: &mut Site, random: &mut Random) -> &'static str {
    let nodes = u32::try_from(site.nodes.len()).unwrap();
    let at = usize::try_from(random.count(nodes)).unwrap();
    let time = millis(u64::from(200 + random.count(3_800)));
    if random.count(3) == 0 {
        site.carry(RATE / 2);
    }
    let relay = &site.relays[at];
    let fault = match random.count(10) {
        0 => {
            relay.delay(millis(u64::from(20 + random.count(700))));
            tokio::time::sleep(time).await;
            relay.delay(Duration::ZERO);
            "delay"
        }
        1 => {
            relay.fall_silent();
            tokio::time::sleep(time).await;
            "connections fall silent"
        }
        2 => {
            relay.become_a_black_hole();
            tokio::time::sleep(time).await;
            relay.leave_the_black_hole();
            "black hole"
        }
        3 => {
            relay.cut();
            "connections cut"
        }
        4 => {
            relay.go_away(time / 2).await;
            "port closed"
        }
        5 => {
            site.carry(RATE / 3);
            tokio::time::sleep(time).await;
            "slow"
        }
        6 => {
            relay.lose(1 + random.count(3));
            tokio::time::sleep(time).await;
            relay.lose(0);
            "replies lost"
        }
        7 => {
            relay.swap(1 + random.count(5));
            tokio::time::sleep(time).await;
            relay.swap(0);
            "replies swapped"
        }
        8 => {
            site.nodes[at].suspend();
            tokio::time::sleep(time).await;
            site.nodes[at].resume();
            "server stopped"
        }
        _ => {
            site.nodes[at].kill();
            tokio::time::sleep(time / 2).await;
            site.restart(at).await;
            "server killed"
        }
    };
    site.carry(0);
    fault
}
