//! More calls than the servers of a store can handle, from processes of their own.
//!
//! A test has the servers and the relays. It starts its own program again for each process that offers load, and
//! talks with it by lines: the process says when it is ready, the test when to begin and when to count.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::print_stdout,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{fmt, sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::Instant};
use tower_user_sessions::RedisStore;

use super::{
    child::{self, Child, say, wait_for},
    figures::Figures,
    ledger::Ledger,
    load::{millis, offer},
    site::{Site, Way},
};

/// The test that is such a process.
const ENTRY: &str = "offers::a_process_of_load";
/// How many users of each kind a process has.
const USERS: usize = 120;
/// When sessions of sign-ins that failed must have ended.
const ENDED: Duration = Duration::from_secs(10);

/// What is offered to what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) is_cluster: bool,
    /// How many replies a second the relays carry.
    pub(crate) capacity: u32,
    /// How many times that is offered.
    pub(crate) factor: f64,
    pub(crate) seconds: u32,
    pub(crate) processes: u32,
    /// Whether replies of new connections come after all old ones.
    pub(crate) one_queue: bool,
    /// Whether the store had many calls in flight before, on a fast server.
    pub(crate) grown: bool,
    /// Whether all connections fall silent after a third of the time, so that new ones are made.
    pub(crate) silent: bool,
}

impl Cell {
    /// One process, on a node.
    pub(crate) fn node(capacity: u32, factor: f64) -> Self {
        Self {
            is_cluster: false,
            capacity,
            factor,
            seconds: 6,
            processes: 1,
            one_queue: false,
            grown: false,
            silent: false,
        }
    }

    /// One process, on a Cluster whose three primaries have the capacity together.
    pub(crate) fn cluster(capacity: u32, factor: f64) -> Self {
        Self {
            is_cluster: true,
            ..Self::node(capacity, factor)
        }
    }

    /// Offers it, then half of the capacity for 4 s.
    pub(crate) async fn run(self) -> Figures {
        let site = Site::start(self.is_cluster, &[]).await;
        if self.one_queue {
            site.relays.iter().for_each(|relay| relay.queue_all());
        }
        let mut processes = Vec::new();
        for number in 0..self.processes {
            processes.push(start(self, number, &site));
        }
        for process in &mut processes {
            process.says("ready").await;
        }
        let before = site.made();
        site.carry(self.capacity);
        for process in &mut processes {
            process.tell("go").await;
        }
        if self.silent {
            tokio::time::sleep(Duration::from_secs(self.seconds.into()) / 3).await;
            site.relays.iter().for_each(|relay| relay.fall_silent());
        }
        for process in &mut processes {
            process.says("done").await;
        }
        let connects = site.made() - before;
        site.carry(0);
        let mut figures = Figures::after(connects);
        for process in &mut processes {
            process.tell("count").await;
        }
        for process in &mut processes {
            let line = process.says("figures").await;
            figures.add(&Figures::read(&line));
            process.ends().await;
        }
        figures
    }

    /// Runs it until all is as promised, at most twice. Another program on the machine takes its time from the load, and
    /// can only make the figures worse.
    pub(crate) async fn holds(self) {
        let mut complaints = Vec::new();
        while complaints.len() < 2 {
            let figures = self.run().await;
            println!("{self}: {figures}");
            let Some(complaint) = figures.complaint(self) else {
                println!("runs that were not as promised: {}", complaints.len());
                return;
            };
            complaints.push(complaint);
        }
        panic!("twice not as promised: {complaints:#?}");
    }
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_cluster { "Cluster" } else { "node" };
        let (capacity, factor) = (self.capacity, self.factor);
        write!(f, "| {kind} | {} | {capacity} | {factor} |", self.processes)
    }
}

/// Starts a process that offers load.
fn start(cell: Cell, number: u32, site: &Site) -> Child {
    let (way, direct) = (site.way(), site.direct());
    let orders = format!(
        "{number} {} {} {} {} {} {} {}",
        u8::from(cell.is_cluster),
        f64::from(cell.capacity) * cell.factor / f64::from(cell.processes),
        cell.capacity / 2 / cell.processes,
        cell.seconds,
        u8::from(cell.grown),
        way.urls.join(","),
        direct.urls.join(","),
    );
    Child::start(ENTRY, &orders)
}

/// Offers load as the test says that started this process.
pub(crate) async fn obey() {
    let orders = child::orders();
    let words: Vec<&str> = orders.split(' ').collect();
    let [
        number,
        cluster,
        offered,
        calm,
        seconds,
        grown,
        through,
        past,
    ] = words[..]
    else {
        panic!("{orders}");
    };
    let way = |urls: &str| Way {
        is_cluster: cluster == "1",
        urls: urls.split(',').map(ToOwned::to_owned).collect(),
    };
    let (through, past) = (way(through), way(past));
    let ledger = Ledger::open(&past.store(), number, USERS).await;
    let store = through.store();
    warm(&ledger, &store, grown == "1").await;

    say("ready");
    wait_for("go").await;
    let call = |number| {
        let (ledger, store) = (Arc::clone(&ledger), store.clone());
        async move { ledger.visit(&store, number).await }
    };
    let time = Duration::from_secs(seconds.parse().unwrap());
    let offered: f64 = offered.parse().unwrap();
    let all = offer(offered.round() as u32, time, call).await;
    let fell = Instant::now();
    let (calm, rest) = (calm.parse().unwrap(), Duration::from_secs(2));
    offer(calm, rest, call).await;
    let calm = offer(calm, rest, call).await;
    say("done");
    wait_for("count").await;

    let store = past.store();
    let mut balance = ledger.balance(&store).await;
    while balance.orphans > 0 && fell.elapsed() < ENDED {
        tokio::time::sleep(millis(250)).await;
        balance = ledger.balance(&store).await;
    }
    say(&format!(
        "figures{}",
        Figures::of(&all, &calm, time, balance).line()
    ));
}

/// Opens both connections, and lets many calls be in flight if the limit is to grow.
async fn warm(ledger: &Arc<Ledger>, store: &RedisStore, grown: bool) {
    for number in 1..30 {
        ledger.visit(store, number).await.unwrap();
    }
    for _ in 0..if grown { 30 } else { 0 } {
        let mut burst = JoinSet::new();
        for number in 0..500 {
            let (ledger, store) = (Arc::clone(ledger), store.clone());
            burst.spawn(async move { ledger.visit(&store, number * 8 + 1).await });
        }
        burst.join_all().await;
    }
    tokio::time::sleep(millis(500)).await;
}
