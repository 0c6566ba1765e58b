//! Many open streams at rest: `scripts/soak streams` starts it.

use std::{env, fs, sync::Arc, time::Duration};

use tokio::{sync::Semaphore, task::JoinSet, time::sleep};
use tower_user_sessions::{
    RedisStore, Session, SessionLayer,
    store::{RedisLive, RedisSource},
};

use crate::common::{http::Client, redis::Server};

/// Seconds of the processor that this process took.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
    let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
    ticks / 100.0
}

/// Bytes that this process has in memory.
fn memory() -> i64 {
    let statm = fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<i64>().unwrap() * 4_096
}

/// How many scripts the server ran.
async fn scripts(server: &Server) -> u64 {
    let stats: String = server.ask("INFO commandstats").await;
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let calls = line.unwrap().split(['=', ',']).nth(1);
    calls.unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "scripts/soak runs it"]
async fn open_streams_at_rest_cost_little() {
    let count: usize = env::var("SOAK_STREAMS").map_or(50_000, |text| text.parse().unwrap());
    let server = Server::start();
    let source = RedisSource::url(&server.url()).unwrap();
    let store = RedisStore::builder(source).live(RedisLive::ends()).build();
    let layer = SessionLayer::new(store);
    let at_once = Arc::new(Semaphore::new(64));
    let mut opening = JoinSet::new();
    // What the sign-ins and the pools take does not count.
    for number in 0..count {
        let place = Arc::clone(&at_once).acquire_owned().await.unwrap();
        let mut client = Client::new(&layer);
        opening.spawn(async move {
            client.log_in(&format!("user {number}")).await;
            drop(place);
            client.cookie.unwrap()
        });
    }
    let cookies = opening.join_all().await;
    let before = memory();
    let mut opening = JoinSet::new();
    for cookie in cookies {
        let place = Arc::clone(&at_once).acquire_owned().await.unwrap();
        let mut client = Client::new(&layer);
        client.cookie = Some(cookie);
        opening.spawn(async move {
            let live = |session: Session| async move { session.live().unwrap() };
            let live = client.send(live).await.value();
            drop(place);
            live
        });
    }
    let streams = opening.join_all().await;
    let each = (memory() - before) / i64::try_from(count).unwrap();
    sleep(Duration::from_secs(45)).await;

    let (asked, took) = (scripts(&server).await, processor());
    sleep(Duration::from_secs(60)).await;
    let (asked, took) = (scripts(&server).await - asked, processor() - took);

    println!("| streams | RSS per stream, bytes | CPU per minute, s | calls per minute |");
    println!("| {count} | {each} | {took:.1} | {asked} |");
    assert!(streams.iter().all(|live| live.end().is_none()));
    // Each stream asks about once a minute.
    let asked = usize::try_from(asked).unwrap();
    assert!(asked > count * 3 / 4 && asked < count * 3 / 2, "{asked}");
}
