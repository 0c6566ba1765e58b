//! `RedisStore::connect_cluster` and primaries that fall silent: what they do late counts for nothing, and what waits
//! for them is bounded.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::time::Instant;
use tower_user_sessions::{
    RedisStore,
    store::{Resolve, SessionStore, Token},
};

use crate::common::{
    cluster::Cluster,
    crowd::names,
    load::{answered, kinds, millis, offer},
    people::{self, asks, guest, listed, signs_in, until},
};

/// So many seconds, or what the variable says.
fn seconds(variable: &str, usual: u64) -> Duration {
    let given = env::var(variable).map(|text| text.parse().unwrap());
    Duration::from_secs(given.unwrap_or(usual))
}

/// Stops the first primary while users of it sign in and are given up.
async fn wakes(arguments: &[&str], time: Duration) {
    let cluster = Cluster::start(arguments).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let users = names(&store, "user", true, 24);
    let mut kept = Vec::new();
    for user in &users {
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(signs_in(&store, user).await);
        }
        let tag = ids[0].tag();
        let ids: Vec<&Token> = ids.iter().collect();
        kept.push((tag, people::ids(&ids)));
    }
    cluster.settles().await;

    cluster.nodes[0].suspend();
    let sign_in = |number: u32| {
        let store = store.clone();
        let user = users[number as usize % users.len()].clone();
        async move {
            let token = people::token(&store, &user);
            let answer = store.create(&asks(&user, &token)).await.map(drop);
            if answer.is_err() {
                store.end_undelivered(token.tag(), token.session_id());
            }
            answer
        }
    };
    let all = offer(40, time, sign_in).await;
    cluster.nodes[0].resume();
    let woken = Instant::now();
    let left = store.drain(millis(40_000)).await;
    println!(
        "stopped for {time:?}: {} sign-ins, {} answered, {:?}; {left} not ended after {:?}",
        all.len(),
        answered(&all),
        kinds(&all),
        woken.elapsed()
    );

    assert_eq!((answered(&all), left), (0, 0), "{:?}", kinds(&all));
    for (tag, ids) in &kept {
        assert_eq!(&listed(&store, *tag).await, ids);
    }
}

// T57
#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_that_were_given_up_leave_nothing_when_their_primary_wakes() {
    // No replica takes over, so that what the primary does late would last.
    let time = seconds("SIGN_INS_IN_VAIN_SECS", 10);
    wakes(&["--cluster-replica-no-failover", "yes"], time).await;
}

/// Memory that this process uses, in KiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let words = line.unwrap().trim().split(' ').next();
    words.unwrap().parse().unwrap()
}

/// Offers 2,000 calls a second for so long. Returns how many were answered, and the most memory that was used.
async fn offers(store: &RedisStore, time: Duration) -> (u32, usize) {
    let (good, start, mut most) = (Arc::new(AtomicU32::new(0)), Instant::now(), 0);
    let mut ticks = tokio::time::interval(millis(5));
    while start.elapsed() < time {
        ticks.tick().await;
        for _ in 0..10 {
            let (store, good) = (store.clone(), Arc::clone(&good));
            tokio::spawn(async move {
                let found = store.resolve(&Resolve::new(guest())).await;
                good.fetch_add(u32::from(found.is_ok()), SeqCst);
            });
        }
        most = most.max(memory());
    }
    (good.load(SeqCst), most)
}

/// The most memory that is used while all primaries answer, and then while all are silent, in KiB.
async fn silence(cluster: &Cluster, store: &RedisStore) -> (usize, usize) {
    let (good, before) = offers(store, millis(4_000)).await;
    assert!(good > 1_000, "{good} answered");

    cluster.nodes.iter().for_each(|node| node.suspend());
    let time = seconds("SILENT_CLUSTER_SECS", 10);
    let (answered, silent) = offers(store, time).await;
    cluster.nodes.iter().for_each(|node| node.resume());

    println!("{before} KiB before, {silent} KiB after {time:?} of silence, {answered} answered");
    until("it answers again", async || {
        store.resolve(&Resolve::new(guest())).await.is_ok()
    })
    .await;
    (before, silent)
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_cluster_costs_little_memory_also_with_a_pool_of_the_app() {
    let cluster = Cluster::start(&[]).await;
    let own = RedisStore::connect_cluster(cluster.urls()).unwrap();

    let (before, silent) = silence(&cluster, &own).await;
    drop(own);
    let (_, with_pool) = silence(&cluster, &super::cluster_pool::store(&cluster)).await;

    let more = silent.saturating_sub(before);
    assert!(more <= 5 * 1_024, "{more} KiB more");
    // The same process: it may use again what the first store gave back. Without a bound it would be 3.5 KiB for each call.
    let more = with_pool.saturating_sub(before);
    assert!(more <= 8 * 1_024, "{more} KiB more with a pool");
}
