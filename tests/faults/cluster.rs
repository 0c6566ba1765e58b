//! `RedisStore::connect_cluster` while primaries fail: their users go with their slots, and no other user notices.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

use std::time::Duration;

use tokio::time::Instant;
use tower_user_sessions::{
    RedisStore, UserId,
    store::{EndEveryone, RedisSource, Resolve, SessionStore, StoreErrorKind, Tag},
};

use super::runtimes::busy;
use crate::common::{
    cluster::{Cluster, slot},
    crowd::{all_answered, load, p99, people, report, since},
    load::{Told, answered, kinds, median, millis, offer, percent_that_waited},
    people::{asks, guest, is_live, signs_in, token, until},
    redis::{Server, free_port},
};

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_planned_failover_after_a_pause_leaves_nobody_unanswered_at_any_load() {
    let cluster = Cluster::start(&[]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let people = people(&store).await;
    let calm = load(&store, &people, 300, millis(2_000)).await;
    report("calm", &calm);
    let (mut run, mut repeated) = (0, false);
    while let Some(rate) = [300, 1_000, 300, 1_000, 300].get(run).copied() {
        let primary = cluster.serves(0, 1).await;
        let replica = cluster.replica(primary).await;
        let fails = async {
            tokio::time::sleep(millis(1_000)).await;
            // The clients of the first primary are held.
            cluster.orders(primary, "CLIENT PAUSE 500 ALL").await;
            tokio::time::sleep(millis(500)).await;
            cluster.orders(replica, "CLUSTER FAILOVER").await;
            cluster.promoted(replica).await
        };
        let (both, promoted) = tokio::join!(load(&store, &people, rate, millis(4_000)), fails);
        let after = promoted - both.began;
        report(
            &format!("{rate}/s, run {run}, promoted at {after:?}"),
            &both,
        );
        cluster.settles().await;
        // Calls are held for 600 ms or more of their second. Where other programs use the processor, some take longer.
        let failed = |all: &[Told]| answered(all) < all.len();
        if !repeated && (failed(&both.first) || failed(&both.others)) {
            println!("run {run} is repeated");
            repeated = true;
            continue;
        }
        all_answered(&both.first);
        all_answered(&both.others);
        run += 1;
    }
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Lost {
    Killed,
    Stopped,
}

/// How long half of these calls took at most.
fn usual(all: &[Told]) -> Duration {
    median(all.iter().map(|told| told.took).collect())
}

/// Takes the first primary away for good, or until the replica has long taken over.
async fn lost(how: Lost, full_coverage: &str, rate: u32) {
    let mut cluster = Cluster::start(&["--cluster-require-full-coverage", full_coverage]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let people = people(&store).await;
    let calm = load(&store, &people, rate, millis(2_000)).await;
    report("calm", &calm);
    let replica = cluster.replica(0).await;

    // A primary that was stopped wakes 2.5 s after the promotion.
    let time = millis(if how == Lost::Killed { 7_500 } else { 9_000 });
    let loaded = {
        let (store, people) = (store.clone(), people.clone());
        tokio::spawn(async move { load(&store, &people, rate, time).await })
    };
    tokio::time::sleep(millis(1_000)).await;
    let gone = Instant::now();
    if how == Lost::Killed {
        cluster.nodes[0].kill();
    } else {
        cluster.nodes[0].suspend();
    }
    let promoted = cluster.promoted(replica).await;
    if how == Lost::Stopped {
        tokio::time::sleep_until(promoted + millis(2_500)).await;
        cluster.nodes[0].resume();
    }
    let both = loaded.await.unwrap();

    let after = promoted - both.began;
    let name = if how == Lost::Killed {
        "SIGKILL"
    } else {
        "SIGSTOP"
    };
    report(
        &format!(
            "{name} at {:?}, full coverage {full_coverage}, {rate}/s, promoted at {after:?}",
            gone - both.began
        ),
        &both,
    );
    let settled = since(
        &both.first,
        after + millis(if how == Lost::Killed { 500 } else { 1_500 }),
    );
    all_answered(&settled);
    if full_coverage == "no" {
        all_answered(&both.others);
        // At a high load nothing else runs. Beside other tests single calls wait for the processor.
        let slow = if rate >= 1_000 { p99 } else { usual };
        let more = slow(&both.others).saturating_sub(slow(&calm.others));
        assert!(more < millis(100), "{more:?} more");
    } else {
        all_answered(&since(&both.others, after + millis(500)));
    }
    let wrong = [&both.first[..], &both.others].concat();
    let wrong = kinds(&wrong);
    assert!(
        wrong
            .iter()
            .all(|(kind, _)| *kind != StoreErrorKind::Corrupt),
        "{wrong:?}"
    );
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_primary_that_was_killed_go_on_once_its_replica_is_promoted() {
    lost(Lost::Killed, "no", 300).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_primary_that_fell_silent_go_on_once_its_replica_is_promoted() {
    lost(Lost::Stopped, "no", 300).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn where_all_slots_must_be_served_all_users_go_on_once_a_replica_is_promoted() {
    lost(Lost::Killed, "yes", 300).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn where_all_slots_must_be_served_all_users_go_on_although_a_primary_fell_silent() {
    lost(Lost::Stopped, "yes", 300).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn at_a_high_load_users_of_other_primaries_do_not_notice_that_one_was_killed() {
    lost(Lost::Killed, "no", 1_000).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn at_a_high_load_users_of_other_primaries_do_not_notice_that_one_fell_silent() {
    lost(Lost::Stopped, "no", 1_000).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn at_a_high_load_all_users_go_on_once_the_replica_of_a_killed_primary_is_promoted() {
    lost(Lost::Killed, "yes", 1_000).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn at_a_high_load_users_of_a_primary_that_fell_silent_go_on_once_its_replica_is_promoted() {
    lost(Lost::Stopped, "yes", 1_000).await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_primary_that_forgot_its_cluster_go_on_once_its_replica_is_promoted() {
    let cluster = Cluster::start(&["--cluster-require-full-coverage", "no"]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let people = people(&store).await;
    let replica = cluster.replica(0).await;
    let loaded = {
        let (store, people) = (store.clone(), people.clone());
        tokio::spawn(async move { load(&store, &people, 100, millis(8_000)).await })
    };
    tokio::time::sleep(millis(500)).await;

    // As after a restart without its `nodes.conf`: it answers that no node serves the slot, over links that are up.
    for at in 1..6 {
        let id = cluster.id(at).await;
        cluster.orders(0, &format!("CLUSTER FORGET {id}")).await;
    }
    cluster.orders(0, "CLUSTER DELSLOTSRANGE 0 5460").await;
    tokio::time::sleep(millis(1_000)).await;
    cluster.orders(replica, "CLUSTER FAILOVER TAKEOVER").await;
    let promoted = cluster.promoted(replica).await;
    let both = loaded.await.unwrap();

    let after = promoted - both.began;
    report(&format!("promoted at {after:?}"), &both);
    all_answered(&both.others);
    all_answered(&since(&both.first, after + millis(1_000)));
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn users_of_a_primary_that_left_go_on_after_their_cluster_was_made_again_without_it() {
    let mut cluster = Cluster::of(4, &["--cluster-require-full-coverage", "no"]).await;
    let slot = slot(Tag::of(&UserId::new("alice").unwrap()));
    let from = cluster.serves(slot, 0).await;
    // That gives the fourth node the highest epoch.
    cluster.moves_for_all(slot, from, 3).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    signs_in(&store, "alice").await;

    for node in &cluster.nodes {
        let _: String = node.ask("FLUSHALL").await;
        let _: String = node.ask("CLUSTER RESET HARD").await;
    }
    drop(cluster.nodes.pop());
    let nodes = std::mem::take(&mut cluster.nodes);
    let _cluster = Cluster::joined(nodes).await;

    until("alice signs in", async || {
        let create = asks("alice", &token(&store, "alice"));
        store.create(&create).await.is_ok()
    })
    .await;
}

// T70
#[tokio::test]
async fn a_store_that_is_dropped_leaves_no_task_and_no_socket() {
    let cluster = Cluster::start(&[]).await;
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    until("no task is left of the start", async || tasks() == 0).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    people(&store).await;
    let sockets = async || {
        let mut sockets = 0;
        for node in &cluster.nodes {
            let list: String = node.ask("CLIENT LIST").await;
            sockets += list.matches("name=tower-user-sessions").count();
        }
        sockets
    };
    until("two connections per primary", async || sockets().await == 6).await;
    assert!(tasks() > 0);

    drop(store);

    until("no task is left", async || tasks() == 0).await;
    until("no socket is left", async || sockets().await == 0).await;
}

// T70
#[test]
fn a_store_serves_one_runtime_after_the_other() {
    let cluster = busy().block_on(Cluster::start(&[]));
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();

    let sign_in = async {
        let mut tokens = Vec::new();
        for number in 0..9 {
            tokens.push(signs_in(&store, &format!("user-{number}")).await);
        }
        tokens
    };
    let tokens = busy().block_on(sign_in);
    for _ in 0..3 {
        let runtime = busy();
        let live = |token| runtime.block_on(is_live(&store, token));
        assert!(tokens.iter().all(live));
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn where_no_node_answers_all_callers_share_the_error_at_once() {
    let nodes: Vec<String> = (0..3)
        .map(|_| format!("redis://127.0.0.1:{}", free_port()))
        .collect();
    let store = RedisStore::connect_cluster(nodes).unwrap();

    let call = |_| {
        let store = store.clone();
        async move { store.resolve(&Resolve::new(guest())).await.map(drop) }
    };
    let all = offer(2_000, millis(2_000), call).await;

    assert_eq!(kinds(&all), [(StoreErrorKind::Unavailable, 4_000)]);
    let late = since(&all, millis(400));
    let waited = percent_that_waited(&late);
    let late = median(late.iter().map(|told| told.took).collect());
    println!("median after 400 ms: {late:?}, {waited} % waited");
    assert!(late < millis(5), "{late:?}");
    assert!(waited < 5, "{waited} %");
}

// T70
#[tokio::test]
async fn a_server_that_is_no_cluster_is_said_to_be_none() {
    let server = Server::start();
    let store = RedisStore::connect_cluster([server.url()]).unwrap();

    let error = store.resolve(&Resolve::new(guest())).await.unwrap_err();

    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("cluster support disabled"), "{cause}");
}

// T70
#[tokio::test]
async fn each_primary_is_checked() {
    let cluster = Cluster::start(&["--maxmemory-policy", "allkeys-lru"]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();

    let checks = store.check().await;

    let servers: Vec<&str> = checks.iter().map(|check| check.server()).collect();
    assert_eq!(servers.len(), 3, "{servers:?}");
    for check in &checks {
        let said = check.to_string();
        assert_eq!(check.findings().len(), 1, "{said}");
        assert!(said.contains("allkeys-lru"), "{said}");
    }
}

#[test]
fn a_cluster_without_nodes_is_refused() {
    assert!(RedisStore::connect_cluster(Vec::<String>::new()).is_err());
    assert!(RedisStore::connect_cluster(["redis://host", "hunter2"]).is_err());
}

// T70 T74
#[tokio::test(flavor = "multi_thread")]
async fn whether_the_sessions_of_all_users_ended_is_known_though_a_primary_is_slow_and_another_one_lost_it()
 {
    let cluster = Cluster::of(3, &[]).await;
    let store = RedisStore::builder(RedisSource::cluster(cluster.urls()).unwrap());
    let store = store.deadline(millis(100_000)).build();
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();
    let copies: Vec<String> = cluster.nodes[0].ask("KEYS *everyone*").await;
    assert!(copies.len() >= 2, "{copies:?}");
    for copy in copies {
        assert_eq!(cluster.nodes[0].ask::<u32>(&format!("DEL {copy}")).await, 1);
    }
    cluster.orders(2, "CLIENT PAUSE 60000 ALL").await;

    let known = tokio::time::timeout(millis(20_000), store.everyone(None)).await;

    let known = known.expect("it does not wait for the slow one").unwrap();
    assert_eq!(known, Some(moment));
}
