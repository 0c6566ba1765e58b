//! Calls that wait for replicas: their connections and places, and what the server lets them do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, time::Duration};

use deadpool_redis::{Runtime, cluster};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::Instant;
use tower_user_sessions::{
    Everyone, Limit, RedisStore,
    store::{Created, Ended, RedisSource, Save, SessionStore, StoreErrorKind},
};

use super::confirm::{PATIENT, confirming, ends, kind, signed_in};
use crate::common::{
    cluster::{Cluster, node, slot},
    load::millis,
    log::Log,
    people::{self, asks, ids, is_live, listed, set, signs_in, token, until},
    proxy::Proxy,
    redis::Server,
    replicas::{Group, Program},
};

/// How many clients of the server wait for replicas now.
async fn waiting(server: &Server) -> usize {
    let clients: String = server.ask("CLIENT LIST").await;
    clients.matches("cmd=wait").count()
}

// T71
#[tokio::test]
async fn reads_data_and_tokens_do_not_wait_for_replicas() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, PATIENT);
    let token = signs_in(&store, "alice").await;
    let before = waits(&group.master).await;

    group.replicas[0].suspend();
    assert!(is_live(&store, &token).await);
    let save = Save::new(token.tag(), token.session_id(), set("cart", "apple"));
    store.save(&save).await.unwrap();
    assert_eq!(listed(&store, token.tag()).await, ids(&[&token]));

    assert_eq!(waits(&group.master).await, before);
}

// T57, T71: a call may still run after its reply was lost, whether the server knows its script or gets the text.
#[tokio::test]
async fn a_sign_in_that_was_sent_twice_and_refused_is_not_made_later() {
    let group = Group::start(Program::Redis, &[100]).await;
    let proxy = Proxy::start(group.master.port).await;
    for knows_script in [true, false] {
        let source = RedisSource::url(&proxy.url()).unwrap();
        let store = RedisStore::builder(source).confirm(1, PATIENT).build();
        let user = if knows_script { "alice" } else { "bob" };
        let first = signed_in(&group, user).await;
        if knows_script {
            signs_in(&store, "carol").await;
        }
        let mut create = asks(user, &token(&store, user));
        create.limit = Limit::at_most(1).refuse();
        let lost = proxy.lost();

        proxy.lose_answers(1);
        let refused = store.create(&create).await.unwrap();

        assert!(matches!(refused, Created::LimitReached(_)), "{refused:?}");
        assert_eq!(proxy.lost(), lost + 1);
        create.limit = Limit::at_most(2);
        let late = store.create(&create).await.unwrap();
        assert!(matches!(late, Created::Ended), "{knows_script}: {late:?}");
        assert_eq!(listed(&store, first.tag()).await, ids(&[&first]));
    }
}

/// How often the server was asked to wait.
async fn waits(server: &Server) -> u32 {
    let stats: String = server.ask("INFO commandstats").await;
    let calls = stats.lines().find_map(|line| {
        let (calls, _) = line.strip_prefix("cmdstat_wait:calls=")?.split_once(',')?;
        calls.parse().ok()
    });
    calls.unwrap_or(0)
}

// T71
#[tokio::test]
async fn a_dropped_call_closes_its_connection_and_frees_its_place() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, Duration::from_secs(20));
    let token = signs_in(&store, "alice").await;
    let clients = async || {
        let clients: String = group.master.ask("CLIENT LIST TYPE normal").await;
        clients.lines().count()
    };
    until("the spare is open", async || clients().await == 4).await;

    group.replicas[0].suspend();
    for _ in 0..6 {
        let end = tokio::time::timeout(millis(300), ends(&store, &token));
        let (end, waiting) = tokio::join!(end, async {
            tokio::time::sleep(millis(150)).await;
            waiting(&group.master).await
        });
        assert!(end.is_err(), "it waits for the replica");
        assert_eq!(waiting, 1);
        until("its connection is closed", async || clients().await == 3).await;
    }
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn a_fifth_call_is_busy_and_one_place_of_four_is_for_ends() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, Duration::from_secs(20));
    let alice = signs_in(&store, "alice").await;
    group.replicas[0].suspend();
    let mut calls = tokio::task::JoinSet::new();
    for user in 0..3 {
        let store = store.clone();
        calls.spawn(async move {
            let token = token(&store, &format!("user-{user}"));
            store
                .create(&asks(&format!("user-{user}"), &token))
                .await
                .map(drop)
        });
    }
    until("three sign-ins wait", async || {
        waiting(&group.master).await == 3
    })
    .await;

    let bob = token(&store, "bob");
    let began = Instant::now();
    let sign_in = store.create(&asks("bob", &bob)).await;
    assert_eq!(kind(sign_in), StoreErrorKind::Busy);
    assert!(began.elapsed() >= millis(250), "a quarter of the deadline");

    let (own, token) = (store.clone(), alice.clone());
    calls.spawn(async move { ends(&own, &token).await.map(drop) });
    until("an end waits, too", async || {
        waiting(&group.master).await == 4
    })
    .await;
    assert_eq!(kind(ends(&store, &alice).await), StoreErrorKind::Busy);

    group.replicas[0].resume();
    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
    ends(&store, &alice).await.unwrap();
    assert_eq!(listed(&store, bob.tag()).await, [], "nothing was sent");
}

// T71
#[tokio::test]
async fn a_user_who_may_not_wait_ends_nothing_and_is_denied() {
    let group = Group::start(Program::Redis, &[100]).await;
    let plain = RedisStore::new(group.master.pool());
    let token = signs_in(&plain, "alice").await;
    let rule = "ACL SETUSER app on >secret ~sessions:* +@all -wait";
    let _: () = group.master.ask(rule).await;
    let url = format!("redis://app:secret@127.0.0.1:{}", group.master.port);
    let store = RedisStore::builder(RedisSource::url(&url).unwrap());
    let store = store.confirm(1, millis(100)).build();

    let end = ends(&store, &token).await.unwrap_err();

    assert_eq!(end.kind(), StoreErrorKind::Denied);
    let cause = std::error::Error::source(&end).unwrap().to_string();
    assert!(cause.contains("wait"), "{cause}");
    assert!(is_live(&plain, &token).await);
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_falls_silent_is_found_by_confirmed_calls_alone() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, millis(100));
    let token = signed_in(&group, "alice").await;
    until("it is confirmed", async || {
        ends(&store, &token).await.is_ok()
    })
    .await;
    tokio::time::sleep(millis(1_000)).await;

    group.master.suspend();
    let began = Instant::now();
    loop {
        let asked = Instant::now();
        ends(&store, &token).await.unwrap_err();
        if asked.elapsed() < millis(50) {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(6),
            "the link is not down"
        );
    }
    group.master.resume();
    until("it serves again", async || {
        ends(&store, &token).await.is_ok()
    })
    .await;
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn sign_ins_alone_find_a_silent_master_before_a_third_one_waits_for_it() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, millis(100));
    until("it is confirmed", async || {
        let token = token(&store, "alice");
        store.create(&asks("alice", &token)).await.is_ok()
    })
    .await;
    tokio::time::sleep(millis(1_000)).await;

    group.master.suspend();
    let mut waited = 0;
    loop {
        let (began, token) = (Instant::now(), token(&store, "alice"));
        store.create(&asks("alice", &token)).await.unwrap_err();
        if began.elapsed() < millis(300) {
            break;
        }
        waited += 1;
    }

    assert!(waited <= 2, "{waited} sign-ins waited");
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn scripts_that_a_server_forgot_are_sent_again() {
    let group = Group::start(Program::Redis, &[100]).await;
    let store = confirming(&group.master, 1, millis(500));
    let token = signs_in(&store, "alice").await;

    let _: () = group.master.ask("SCRIPT FLUSH").await;

    let ended = ends(&store, &token).await.unwrap();
    assert!(matches!(ended, Ended::Ended { ids, .. } if ids == [token.session_id()]));
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_the_primary_of_the_key_waits_and_no_other() {
    let cluster = Cluster::start(&[]).await;
    let source = RedisSource::cluster(cluster.urls()).unwrap();
    let store = RedisStore::builder(source).confirm(1, millis(500)).build();
    let alice = token(&store, "alice");
    until("replicas confirm", async || {
        store.create(&asks("alice", &alice)).await.is_ok()
    })
    .await;
    let token = alice;
    let primary = cluster.serves(slot(token.tag()), 0).await;
    for at in 0..3 {
        assert_eq!(waits(&cluster.nodes[at]).await > 0, at == primary, "{at}");
    }
    let other = (0..).map(|user| format!("user-{user}"));
    let mut other = other.map(|user| (people::token(&store, &user), user));
    let (mut far, mut user) = other.next().unwrap();
    while cluster.serves(slot(far.tag()), 0).await == primary {
        (far, user) = other.next().unwrap();
    }
    until("replicas confirm there, too", async || {
        store.create(&asks(&user, &far)).await.is_ok()
    })
    .await;

    let replica = cluster.replica(primary).await;
    cluster.nodes[replica].suspend();
    let (near, far) = tokio::join!(ends(&store, &token), ends(&store, &far));
    cluster.nodes[replica].resume();

    assert_eq!(kind(near), StoreErrorKind::Unconfirmed);
    far.unwrap();

    let pool = cluster::Config::from_urls(cluster.urls()).create_pool(Some(Runtime::Tokio1));
    let store = RedisStore::builder(pool.unwrap())
        .confirm(1, millis(300))
        .build();
    let create = asks("bob", &people::token(&store, "bob"));
    let error = store.create(&create).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("connect_cluster"), "{cause}");
    let checks = store.check().await;
    assert!(
        checks[0].to_string().contains("connect_cluster"),
        "{}",
        checks[0]
    );
    assert!(!is_live(&store, &token).await, "reads work");
}

// T71 T74
#[tokio::test(flavor = "multi_thread")]
async fn the_sessions_of_all_users_end_though_one_primary_has_all_copies_and_its_replica_is_slow() {
    let cluster = Cluster {
        nodes: vec![node(&[]), node(&[])],
    };
    cluster.orders(0, "CLUSTER ADDSLOTSRANGE 0 16383").await;
    cluster.meets(0, 1).await;
    until("they know each other", async || {
        let lines = cluster.lines(1).await;
        lines.iter().any(|line| !line.slots.is_empty())
    })
    .await;
    let replicate = format!("CLUSTER REPLICATE {}", cluster.id(0).await);
    cluster.orders(1, &replicate).await;
    cluster.follows(1).await;
    let source = RedisSource::cluster(cluster.urls()).unwrap();
    let builder = RedisStore::builder(source).deadline(Duration::from_secs(4));
    let store = builder.confirm(1, PATIENT).build();
    until("the replica confirms", async || {
        let token = token(&store, "alice");
        store.create(&asks("alice", &token)).await.is_ok()
    })
    .await;

    let (primary, replica) = (&cluster.nodes[0], &cluster.nodes[1]);
    replica.suspend();
    let mut calls = tokio::task::JoinSet::new();
    for user in ["alice", "bob", "carol"] {
        let store = store.clone();
        calls.spawn(async move {
            let token = token(&store, user);
            store.create(&asks(user, &token)).await.map(drop)
        });
    }
    until("the sign-ins wait", async || waiting(primary).await == 3).await;
    let everyone = Everyone::new(store.clone());
    calls.spawn(async move { everyone.end_all().await.map(drop) });
    until("a copy waits, too", async || waiting(primary).await == 4).await;
    // Longer than another call waits for its turn.
    tokio::time::sleep(millis(1_300)).await;
    replica.resume();

    while let Some(answer) = calls.join_next().await {
        answer.unwrap().unwrap();
    }
}

// T45 T71
#[test]
fn replicas_that_stop_confirming_are_one_log_line_and_each_call_is_counted() {
    let log = Log::start();
    let recorder = DebuggingRecorder::new();

    super::seen::recorded(&recorder, async {
        let group = Group::start(Program::Redis, &[100]).await;
        let store = confirming(&group.master, 1, millis(1_500));
        let token = signs_in(&store, "alice").await;
        group.replicas[0].suspend();
        for _ in 0..3 {
            ends(&store, &token).await.unwrap_err();
        }
        group.replicas[0].resume();
        group.settles().await;
        ends(&store, &token).await.unwrap();
    });

    let lines = [log.at(" WARN "), log.at(" INFO ")].map(|lines| lines.concat());
    assert_eq!(
        lines[0].matches("do not confirm in time").count(),
        1,
        "{lines:?}"
    );
    assert!(lines[0].contains("wanted=1"), "{lines:?}");
    assert_eq!(
        lines[1].matches("confirm in time again").count(),
        1,
        "{lines:?}"
    );
    let snapshot = recorder.snapshotter().snapshot().into_vec().into_iter();
    let counted: BTreeMap<String, u64> = snapshot
        .filter(|(key, ..)| key.key().name() == "tower_user_sessions_redis_confirms_total")
        .filter_map(|(key, _, _, value)| match value {
            DebugValue::Counter(count) => {
                Some((key.key().labels().next()?.value().to_owned(), count))
            }
            _ => None,
        })
        .collect();
    assert_eq!(
        counted,
        BTreeMap::from([("late".to_owned(), 3), ("ok".to_owned(), 2)])
    );
}
