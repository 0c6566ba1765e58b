//! `RedisStore::connect_cluster` while slots move: no call fails, and none is answered by a node that does not serve it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and says what it measured"
)]

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::SeqCst},
};

use tokio::time::Instant;
use tower_user_sessions::{
    RedisStore, UserId,
    store::{ManualClock, RedisSource, Resolve, SessionStore, conformance},
};

use crate::common::{
    cluster::{Cluster, slot},
    crowd::{all_answered, load, names, p99, people, report},
    load::millis,
    people::{is_live, signs_in, until},
    redis::try_ask,
};

fn slots(store: &RedisStore, users: &[String]) -> Vec<u16> {
    let tags = users
        .iter()
        .map(|user| store.tag(&UserId::new(user).unwrap()));
    tags.map(slot).collect()
}

// T51
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept_while_slots_move() {
    let cluster = Cluster::start(&[]).await;
    let source = RedisSource::cluster(cluster.urls()).unwrap();
    let make = async |clock: ManualClock| RedisStore::builder(source.clone()).clock(clock).build();
    let done = AtomicBool::new(false);
    let moves = async {
        let mut moved = 0;
        while !done.load(SeqCst) {
            // Wherever users live, they go to the next primary.
            for from in 0..3 {
                for slot in cluster.used(from).await.into_iter().take(5) {
                    cluster.moves(slot, from, (from + 1) % 3).await;
                    moved += 1;
                }
            }
        }
        moved
    };
    let suite = async {
        conformance::all(make).await;
        done.store(true, SeqCst);
    };

    let ((), moved) = tokio::join!(suite, moves);
    println!("{moved} slots moved");
    assert!(moved > 0);
}

// T51 T70
#[tokio::test(flavor = "multi_thread")]
async fn a_new_primary_takes_slots_over_and_no_call_fails() {
    let mut cluster = Cluster::start(&[]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let people = people(&store).await;
    cluster.grow().await;
    let visitors = names(&store, "visitor", true, 90);
    let readers: Vec<String> = (0..90).map(|number| format!("reader-{number}")).collect();
    let slots = [slots(&store, &readers), slots(&store, &visitors)].concat();

    let moves = async {
        tokio::time::sleep(millis(500)).await;
        for slot in &slots {
            let from = cluster.serves(*slot, 0).await;
            if from != 6 {
                cluster.moves(*slot, from, 6).await;
            }
        }
    };
    let (both, ()) = tokio::join!(load(&store, &people, 300, millis(8_000)), moves);

    report(&format!("{} slots to a new primary", slots.len()), &both);
    all_answered(&both.first);
    all_answered(&both.others);
    let kept: usize = cluster.nodes[6].ask("DBSIZE").await;
    assert!(kept >= 90, "{kept} users live on the new primary");
}

// T51
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_waits_between_two_nodes_is_found_on_either() {
    a_key_waits(&[], "127.0.0.1").await;
}

// T51
#[tokio::test(flavor = "multi_thread")]
async fn the_same_where_the_node_that_gives_it_away_does_not_say_where_it_is() {
    let announced = ["--cluster-preferred-endpoint-type", "hostname"];
    a_key_waits(&announced, "?").await;
}

// T51
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_leads_nowhere_is_not_believed_because_it_could_not_be_asked_about_once() {
    let mut cluster = Cluster::start(&["--cluster-preferred-endpoint-type", "hostname"]).await;
    cluster.grow().await;
    let nowhere = "CONFIG SET cluster-announce-hostname nowhere.invalid";
    let _: () = cluster.nodes[6].ask(nowhere).await;
    until("the name is known", async || {
        let nodes: String = cluster.nodes[0].ask("CLUSTER NODES").await;
        nodes.contains("nowhere.invalid")
    })
    .await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let user = names(&store, "user", true, 1).remove(0);
    let slot = slots(&store, std::slice::from_ref(&user))[0];
    let token = signs_in(&store, &user).await;
    cluster.begins_to_move(slot, 0, 6).await;
    cluster.moves_keys(slot, 0, 6).await;
    let answered = async || store.resolve(&Resolve::new(token.clone())).await.is_ok();

    let _: () = cluster.nodes[0].ask("ACL SETUSER default -cluster").await;
    assert!(!answered().await, "it leads nowhere");
    let _: () = cluster.nodes[0].ask("ACL SETUSER default +cluster").await;

    until("the node is asked again", answered).await;
    assert!(is_live(&store, &token).await);
}

/// `ASK` names this host.
async fn a_key_waits(arguments: &[&str], host: &str) {
    let mut cluster = Cluster::start(arguments).await;
    cluster.grow().await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let user = names(&store, "user", true, 1).remove(0);
    let slot = slots(&store, std::slice::from_ref(&user))[0];
    let first = signs_in(&store, &user).await;

    cluster.begins_to_move(slot, 0, 6).await;
    assert!(is_live(&store, &first).await, "it has not moved");
    cluster.moves_keys(slot, 0, 6).await;
    let key = format!("sessions:{{{}}}", first.tag());
    let port = cluster.nodes[6].port;
    let asks = try_ask::<u32>(&cluster.nodes[0].url(), &["HLEN", &key]).await;
    let asks = asks.unwrap_err().to_string();
    assert!(asks.contains(&format!("{slot} {host}:{port}")), "{asks}");
    // The new primary has never seen a script: ASKING stands before the whole one as well.
    assert!(is_live(&store, &first).await, "it has moved");
    let second = signs_in(&store, &user).await;

    cluster.has_moved(slot, 0, 6).await;
    for token in [&first, &second] {
        assert!(is_live(&store, token).await, "its slot has moved");
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn slots_move_while_another_primary_is_stopped_and_its_neighbours_do_not_notice_at_any_load()
{
    let cluster = Cluster::start(&["--cluster-require-full-coverage", "no"]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let people = people(&store).await;
    let mut moving = slots(&store, &names(&store, "visitor", false, 12));
    moving.extend(slots(&store, &names(&store, "reader", false, 12)));
    for rate in [300, 1_000] {
        let calm = load(&store, &people, rate, millis(2_000)).await;
        report("calm", &calm);
        let stopped = cluster.serves(0, 1).await;

        let moves = async {
            tokio::time::sleep(millis(500)).await;
            cluster.nodes[stopped].suspend();
            for slot in &moving {
                let from = cluster.serves(*slot, 1).await;
                cluster.moves(*slot, from, 3 - from).await;
                tokio::time::sleep(millis(50)).await;
            }
            Instant::now()
        };
        let (both, moved) = tokio::join!(load(&store, &people, rate, millis(5_000)), moves);
        cluster.nodes[stopped].resume();

        let count = moving.len();
        report(
            &format!("{rate}/s, {count} slots moved, one stopped"),
            &both,
        );
        assert!(moved < both.began + millis(5_000), "all moved under load");
        all_answered(&both.others);
        let more = p99(&both.others).saturating_sub(p99(&calm.others));
        assert!(more < millis(100), "p99 {more:?} more");
        cluster.settles().await;
    }
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_are_replaced_one_after_the_other_and_no_call_fails() {
    let mut cluster = Cluster::start(&[]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let people = people(&store).await;
    let done = Arc::new(AtomicBool::new(false));
    let loaded = {
        let (store, done) = (store.clone(), Arc::clone(&done));
        tokio::spawn(async move {
            let mut seconds = Vec::new();
            while !done.load(SeqCst) {
                seconds.push(load(&store, &people, 300, millis(1_000)).await);
            }
            seconds
        })
    };

    let began = Instant::now();
    for _ in 0..6 {
        // The oldest node leaves for good: the primaries first, then those that were their replicas.
        let new = cluster.grow().await;
        let primary = cluster.primary(0).await;
        let id = cluster.id(primary).await;
        cluster
            .orders(new, &format!("CLUSTER REPLICATE {id}"))
            .await;
        cluster.follows(new).await;
        if primary == 0 {
            cluster.takes_over(new).await;
            cluster.follows(0).await;
        }
        cluster.leaves(0).await;
    }
    let replaced = began.elapsed();
    tokio::time::sleep(millis(1_000)).await;
    done.store(true, SeqCst);
    let seconds = loaded.await.unwrap();

    println!("six nodes replaced in {replaced:?}");
    for both in &seconds {
        all_answered(&both.first);
        all_answered(&both.others);
    }
    assert!(seconds.len() >= 6);
}
