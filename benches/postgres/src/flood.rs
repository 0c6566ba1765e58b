//! A flood of requests of one user, and how long the end of the user's sessions takes meanwhile.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use deadpool_postgres::Pool;
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tower_user_sessions::{
    EndReason, PostgresStore, SessionStore,
    store::{End, Resolve, Token, Which},
};

use crate::{growth::signs_in, pool};

/// How often the probes measure.
const PROBED: Duration = Duration::from_millis(3);

/// How long ending all sessions of a user takes, a hundred times.
async fn ends(store: &PostgresStore, sends: &watch::Sender<Token>) -> Vec<Duration> {
    let mut times = Vec::new();
    for _ in 0..100 {
        let token = signs_in(store, "anna").await;
        sends.send_replace(token.clone());
        sleep(Duration::from_millis(5)).await;
        let began = Instant::now();
        store
            .end(&End::new(token.tag(), Which::All, EndReason::Revoked))
            .await
            .unwrap();
        times.push(began.elapsed());
    }
    times
}

/// What the machine itself costs, on connections that nobody waits for.
#[derive(Clone, Copy)]
enum Probe {
    /// A task that becomes ready runs.
    Task,
    /// The server answers `SELECT 1`.
    Answer,
    /// The server commits one row.
    Commit,
}

async fn probe(kind: Probe, own: Pool) -> Duration {
    let client = own.get().await.unwrap();
    let began = Instant::now();
    match kind {
        Probe::Task => tokio::task::yield_now().await,
        Probe::Answer => drop(client.query_one("SELECT 1", &[]).await.unwrap()),
        Probe::Commit => drop(
            client
                .execute("UPDATE probed SET number = number + 1", &[])
                .await
                .unwrap(),
        ),
    }
    began.elapsed()
}

/// Ends a hundred times, and prints how long that and each probe took.
async fn measured(what: &str, store: &PostgresStore, sends: &watch::Sender<Token>, own: &Pool) {
    let mut probes = Vec::new();
    for kind in [Probe::Task, Probe::Answer, Probe::Commit] {
        let (own, times) = (own.clone(), Arc::new(std::sync::Mutex::new(Vec::new())));
        let kept = times.clone();
        let task = tokio::spawn(async move {
            loop {
                let took = probe(kind, own.clone()).await;
                kept.lock().unwrap().push(took);
                sleep(PROBED).await;
            }
        });
        probes.push((task, times));
    }
    let times = ends(store, sends).await;
    let mut line = format!("{what}: end_all {}", figures(times));
    for ((task, times), name) in probes.into_iter().zip(["task", "answer", "commit"]) {
        task.abort();
        let times = std::mem::take(&mut *times.lock().unwrap());
        line += &format!("; {name} {}", figures(times));
    }
    println!("{line}");
}

/// Median, 99th percentile and the longest, in ms.
fn figures(mut times: Vec<Duration>) -> String {
    times.sort();
    let at =
        |part: usize| times[(times.len() * part / 100).min(times.len() - 1)].as_secs_f64() * 1e3;
    format!("{:.1}/{:.1}/{:.1}", at(50), at(99), at(100))
}

pub async fn flood(url: &str) {
    let own = pool(url);
    let client = own.get().await.unwrap();
    client
        .batch_execute("DROP TABLE IF EXISTS probed; CREATE TABLE probed AS SELECT 1 AS number")
        .await
        .unwrap();
    drop(client);
    println!("ms, median/99 %/longest; probes on connections of their own");
    for (what, step) in [("activity once a second", 1), ("each activity", 0)] {
        let store = PostgresStore::builder(pool(url))
            .activity_every(Duration::from_secs(step))
            .build();
        store.migrate().await.unwrap();
        let (sends, sent) = watch::channel(signs_in(&store, "anna").await);
        measured(&format!("{what}, calm"), &store, &sends, &own).await;
        let (mut flood, answered) = (JoinSet::new(), Arc::new(AtomicU64::new(0)));
        for _ in 0..128 {
            let (store, sent, answered) = (store.clone(), sent.clone(), answered.clone());
            flood.spawn(async move {
                loop {
                    let token = sent.borrow().clone();
                    if store.resolve(&Resolve::new(token)).await.is_ok() {
                        answered.fetch_add(1, Relaxed);
                    }
                }
            });
        }
        let began = Instant::now();
        measured(&format!("{what}, in the flood"), &store, &sends, &own).await;
        let rate = answered.load(Relaxed) as f64 / began.elapsed().as_secs_f64();
        println!("{what}: {rate:.0} requests/s");
        flood.abort_all();
    }
}
