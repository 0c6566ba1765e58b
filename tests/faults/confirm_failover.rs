//! What a failover loses of what was acknowledged: with all replicas confirmed nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU16, Ordering::SeqCst},
    },
};

use deadpool_redis::redis::{ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use tokio::task::JoinSet;
use tower_user_sessions::{
    EndReason, RedisStore,
    store::{End, RedisSource, SessionStore, StoreErrorKind, Token, Which},
};

use crate::common::{
    load::millis,
    people::{asks, is_live, signs_in, token, until},
    replicas::{Group, Program, Way},
    watch::Watch,
};

fn end(token: &Token) -> End {
    let which = Which::One(token.session_id());
    End::new(token.tag(), which, EndReason::LoggedOut)
}

/// The replica with the better priority lags. Says what the end is answered, and whether the session is live after that
/// one was promoted.
async fn a_lagging_replica_is_promoted(confirm: u32) -> (Result<(), StoreErrorKind>, bool) {
    let mut group = Group::start(Program::Redis, &[10, 200]).await;
    let source = RedisSource::url(&group.master.url()).unwrap();
    let store = RedisStore::builder(source);
    let token = signs_in(&store.clone().build(), "alice").await;
    group.settles().await;
    let store = store.confirm(confirm, millis(300)).build();

    group.ways[0].fall_silent();
    let ended = store.end(&end(&token)).await;
    let promoted = RedisStore::connect(&group.fails_over().await.url()).unwrap();

    let ended = ended.map(drop).map_err(|error| error.kind());
    (ended, is_live(&promoted, &token).await)
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn with_one_of_two_replicas_confirmed_the_promotion_of_the_other_undoes_an_end() {
    let (acknowledged, is_live) = a_lagging_replica_is_promoted(1).await;

    assert_eq!(acknowledged, Ok(()));
    assert!(is_live, "as the docs say");
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn with_both_replicas_confirmed_an_end_that_one_lacks_is_not_acknowledged() {
    let (acknowledged, is_live) = a_lagging_replica_is_promoted(2).await;

    assert_eq!(acknowledged, Err(StoreErrorKind::Unconfirmed));
    assert!(is_live);
}

/// Six users sign in and out. Tokens of acknowledged ends go to `told`.
fn sign_in_and_out(store: &RedisStore, told: &Arc<Mutex<Vec<Token>>>) -> JoinSet<()> {
    let mut load = JoinSet::new();
    for user in 0..6 {
        let (store, told) = (store.clone(), Arc::clone(told));
        load.spawn(async move {
            loop {
                let user = format!("user-{user}");
                let token = token(&store, &user);
                if store.create(&asks(&user, &token)).await.is_err() {
                    tokio::time::sleep(millis(5)).await;
                    continue;
                }
                if store.end(&end(&token)).await.is_ok() {
                    told.lock().unwrap().push(token);
                }
            }
        });
    }
    load
}

/// How many of these sessions are live on this server.
async fn live(url: &str, told: &[Token]) -> usize {
    let store = RedisStore::connect(url).unwrap();
    let mut live = 0;
    for token in told {
        live += usize::from(is_live(&store, token).await);
    }
    live
}

/// Loses the host of the master while users sign in and out. Returns how many ends were acknowledged, and how many of
/// them are lost.
async fn failover(confirm: u32, round: u64) -> (usize, usize) {
    let mut group = Group::start(Program::Redis, &[10, 200]).await;
    group.ways.iter().for_each(Way::be_slow);
    let master = Arc::new(AtomicU16::new(group.master.port));
    let asked = Arc::clone(&master);
    let source = RedisSource::with(move || {
        let url = format!("redis://127.0.0.1:{}", asked.load(SeqCst));
        std::future::ready(Ok::<ConnectionInfo, Infallible>(
            url.into_connection_info().unwrap(),
        ))
    });
    let store = RedisStore::builder(source)
        .confirm(confirm, millis(500))
        .build();
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut load = sign_in_and_out(&store, &told);
    until("users sign out", async || told.lock().unwrap().len() > 30).await;
    tokio::time::sleep(millis(round * 7)).await;

    let promoted = group.fails_over().await;
    master.store(promoted.port, SeqCst);
    tokio::time::sleep(millis(100)).await;
    load.shutdown().await;
    let told = std::mem::take(&mut *told.lock().unwrap());
    (told.len(), live(&promoted.url(), &told).await)
}

/// A real sentinel promotes a replica each time that the master is killed. Returns how many ends were acknowledged, and
/// how many of them the new masters had lost.
async fn kills(program: Program, times: usize) -> (usize, usize) {
    let group = Group::start(program, &[100, 100]).await;
    let (ways, mut servers) = (group.ways, vec![group.master]);
    servers.extend(group.replicas);
    ways.iter().for_each(Way::be_slow);
    let sentinel = Watch::start(program, servers[0].port, 2).await;
    let login = RedisConnectionInfo::default();
    let source = RedisSource::sentinel([&*sentinel.url()], "mymaster", login).unwrap();
    let store = RedisStore::builder(source).confirm(2, millis(500)).build();
    let told = Arc::new(Mutex::new(Vec::new()));
    let mut load = sign_in_and_out(&store, &told);

    let mut lost = 0;
    for _ in 0..times {
        let before = told.lock().unwrap().len();
        let more = async || told.lock().unwrap().len() > before + 30;
        until("both replicas confirm", more).await;
        let port = sentinel.master().await;
        // All that is on the way to replicas is lost.
        ways.iter().for_each(Way::cut);
        let killed = servers.iter_mut().find(|server| server.port == port);
        let killed = killed.unwrap();
        killed.kill();
        until("the sentinel promotes a replica", async || {
            sentinel.master().await != port
        })
        .await;
        let new = sentinel.master().await;
        // It comes back empty, and the sentinel does not make it a replica at once.
        killed.restart();
        let command = format!("REPLICAOF 127.0.0.1 {new}");
        let _: () = killed.ask(&command).await;
        let acknowledged = told.lock().unwrap().clone();
        lost += live(&format!("redis://127.0.0.1:{new}"), &acknowledged).await;
        sentinel.knows(2).await;
    }
    load.shutdown().await;
    (told.lock().unwrap().len(), lost)
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn with_both_replicas_confirmed_no_failover_of_a_sentinel_loses_an_acknowledged_end() {
    let (redis, valkey) = tokio::join!(kills(Program::Redis, 2), kills(Program::Valkey, 1));

    println!("acknowledged and lost: Redis {redis:?}, Valkey {valkey:?}");
    assert_eq!((redis.1, valkey.1), (0, 0));
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn with_all_replicas_confirmed_20_failovers_lose_no_acknowledged_end() {
    let (mut acknowledged, mut lost) = (0, 0);
    for round in 0..20 {
        let (told, gone) = failover(2, round).await;
        acknowledged += told;
        lost += gone;
    }

    println!("20 failovers: {acknowledged} acknowledged, {lost} lost");
    assert_eq!(lost, 0);
}

// T71
#[tokio::test(flavor = "multi_thread")]
async fn without_confirmation_a_failover_loses_ends_that_were_acknowledged() {
    for round in 0..20 {
        let (told, lost) = failover(0, round).await;
        if lost > 0 {
            println!("{lost} of {told} lost");
            return;
        }
    }
    panic!("the test cannot show a loss");
}
