//! A million users, page by page, beside a load: `scripts/soak page` starts it.

use std::{
    collections::BTreeSet,
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tower_user_sessions::{
    EndReason, Everyone, RedisStore,
    store::{End, Resolve, Resolved, SessionStore, Token, Which},
};

use crate::common::{
    cluster::Cluster,
    load::millis,
    people::{asks, signs_in, token},
    redis::Server,
};

/// So many sign in at once, while the store is filled.
const AT_ONCE: usize = 64;
/// Users whose sessions are read all the while.
const READERS: usize = 1_000;

async fn crowd(store: &RedisStore, count: usize) -> Vec<Token> {
    let mut filling = JoinSet::new();
    for first in 0..AT_ONCE {
        let store = store.clone();
        filling.spawn(async move {
            let mut tokens = Vec::new();
            for number in (first..count).step_by(AT_ONCE) {
                let token = signs_in(&store, &format!("stays {number}")).await;
                if number < READERS {
                    tokens.push(token);
                }
            }
            tokens
        });
    }
    filling.join_all().await.concat()
}

/// One read every 2 ms, and a user who comes and one who goes every 20 ms, until `is_over`. Returns how long the reads took.
async fn load(store: RedisStore, tokens: Arc<[Token]>, is_over: Arc<AtomicBool>) -> Vec<f64> {
    let mut times = Vec::new();
    for number in 0.. {
        if is_over.load(Relaxed) {
            break;
        }
        let began = Instant::now();
        let resolve = Resolve::new(tokens[number % tokens.len()].clone());
        let found = store.resolve(&resolve).await.unwrap();
        assert!(matches!(found, Resolved::Live(_)), "{found:?}");
        times.push(began.elapsed().as_secs_f64() * 1e3);
        if number.is_multiple_of(10) {
            let comes = format!("comes {number}");
            let token = token(&store, &comes);
            store.create(&asks(&comes, &token)).await.unwrap();
            let end = End::new(token.tag(), Which::All, EndReason::Administrator);
            store.end(&end).await.unwrap();
        }
        sleep(millis(2)).await;
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Of 100 answers, so many were at least as fast.
fn share(times: &[f64], of_100: usize) -> f64 {
    times[(times.len() - 1) * of_100 / 100]
}

/// Reads all pages. Asserts that everybody who stays is found, and nobody twice on a page.
async fn reads(kind: &str, store: RedisStore, tokens: Vec<Token>, count: usize) {
    let tokens: Arc<[Token]> = tokens.into();
    let run = || {
        let is_over = Arc::new(AtomicBool::new(false));
        let task = load(store.clone(), Arc::clone(&tokens), Arc::clone(&is_over));
        (tokio::spawn(task), is_over)
    };
    let (task, is_over) = run();
    sleep(millis(5_000)).await;
    is_over.store(true, Relaxed);
    let calm = task.await.unwrap();

    let (task, is_over) = run();
    let everyone = Everyone::new(store.clone());
    let (mut seen, mut cursor, mut pages) = (vec![false; count], None::<String>, 0);
    let began = Instant::now();
    loop {
        let page = everyone.page(cursor.as_deref()).await.unwrap();
        let mut here = BTreeSet::new();
        for on_page in &page.users {
            let name = on_page.user.to_string();
            if let Some(number) = name.strip_prefix("stays ") {
                seen[number.parse::<usize>().unwrap()] = true;
            }
            assert!(here.insert(name), "a user is on one page twice");
        }
        pages += 1;
        cursor = page.next;
        if cursor.is_none() {
            break;
        }
    }
    let took = began.elapsed();
    is_over.store(true, Relaxed);
    let busy = task.await.unwrap();

    let missing = seen.iter().filter(|is_seen| !**is_seen).count();
    let figures = |times: &[f64]| {
        format!(
            "{:.2} / {:.2} / {:.2} / {:.1}",
            share(times, 50),
            share(times, 90),
            share(times, 99),
            share(times, 100)
        )
    };
    println!(
        "| {kind} | {count} | {pages} | {:.1} | {} | {} | {missing} |",
        took.as_secs_f64(),
        figures(&calm),
        figures(&busy),
    );
    assert_eq!(missing, 0, "users who were there all the while");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/soak runs it"]
async fn pages_of_a_million_users_have_everybody_and_leave_the_load_alone() {
    let count: usize = env::var("SOAK_USERS").map_or(1_000_000, |text| text.parse().unwrap());
    println!(
        "| server | users | pages | s | read before, ms: half / 90 / 99 / longest | meanwhile | missing |\n|---|---|---|---|---|---|---|"
    );
    {
        let server = Server::start();
        let store = RedisStore::connect(&server.url()).unwrap();
        let tokens = crowd(&store, count).await;
        reads("node", store, tokens, count).await;
    }
    let cluster = Cluster::of(3, &[]).await;
    let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
    let tokens = crowd(&store, count).await;
    reads("Cluster", store, tokens, count).await;
}
