//! What the feed costs Redis: `usec_per_call` of the scripts that publish, by how many nodes listen.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

use deadpool_redis::redis::{self, ProtocolVersion, RedisConnectionInfo};
use tower_user_sessions::{
    EndReason, RedisStore,
    store::{End, RedisLive, RedisSource, SessionStore, Token, Which},
};

use crate::common::{
    people::{asks, token},
    redis::Server,
};

const ROUNDS: usize = 7;
const USERS: usize = 2_000;

async fn micros(server: &Server) -> f64 {
    let stats: String = server.ask("INFO commandstats").await;
    let line = stats
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let rest = line.unwrap().split_once("usec_per_call=").unwrap().1;
    rest.split(',').next().unwrap().parse().unwrap()
}

/// So many shards, and so many of them on each node.
const SHARDS: u16 = 1_024;
const HELD: usize = 20;

/// Connections that listen as nodes do.
async fn listeners(
    server: &Server,
    (count, shards): (usize, bool),
) -> Vec<redis::aio::MultiplexedConnection> {
    let mut all = Vec::new();
    for node in 0..count {
        let info = redis::IntoConnectionInfo::into_connection_info(server.url()).unwrap();
        let resp3 = RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP3);
        let client = redis::Client::open(info.set_redis_settings(resp3)).unwrap();
        let mut one = client.get_multiplexed_async_connection().await.unwrap();
        one.subscribe("sessions:live").await.unwrap();
        for held in 0..if shards { HELD } else { 0 } {
            let shard = (node * HELD + held) % usize::from(SHARDS);
            let channel = format!("sessions:live:{shard}");
            one.subscribe(channel).await.unwrap();
        }
        all.push(one);
    }
    all
}

/// Signs users in once, then again at a limit of one, and ends what is there: the cost of each.
async fn round(server: &Server, store: &RedisStore, turn: usize) -> [f64; 3] {
    let mut costs = [0.0; 3];
    let users: Vec<String> = (0..USERS).map(|user| format!("{turn}-{user}")).collect();
    let mut last: Vec<Token> = Vec::new();
    for cost in &mut costs[..2] {
        let _: () = server.ask("CONFIG RESETSTAT").await;
        last.clear();
        for user in &users {
            let token = token(store, user);
            let mut create = asks(user, &token);
            create.limit = tower_user_sessions::Limit::at_most(1);
            store.create(&create).await.unwrap();
            last.push(token);
        }
        *cost = micros(server).await;
    }
    let _: () = server.ask("CONFIG RESETSTAT").await;
    for token in &last {
        let which = Which::One(token.session_id());
        let end = End::new(token.tag(), which, EndReason::LoggedOut);
        store.end(&end).await.unwrap();
    }
    costs[2] = micros(server).await;
    costs
}

#[tokio::test]
#[ignore = "a measurement for benches/results/redis.md"]
async fn what_the_feed_costs_a_sign_in_and_an_end() {
    let server = Server::start();
    let source = || RedisSource::url(&server.url()).unwrap();
    let off = RedisStore::new(source());
    let on = RedisStore::builder(source())
        .live(RedisLive::ends())
        .build();
    let shards = RedisStore::builder(source())
        .live(RedisLive::ends().shards(SHARDS))
        .build();
    let cases = [
        ("off", &off, (0, false)),
        ("on", &on, (0, false)),
        ("on", &on, (1, false)),
        ("on", &on, (10, false)),
        ("on", &on, (50, false)),
        ("shards", &shards, (0, true)),
        ("shards", &shards, (50, true)),
    ];
    let mut all = vec![Vec::new(); cases.len()];
    for turn in 0..=ROUNDS {
        for (at, (_, store, count)) in cases.iter().enumerate() {
            let _listeners = listeners(&server, *count).await;
            let costs = round(&server, store, turn * cases.len() + at).await;
            // The first round warms up.
            if turn > 0 {
                all[at].push(costs);
            }
        }
    }
    for ((name, _, (count, _)), costs) in cases.iter().zip(&all) {
        let median = |of: usize| {
            let mut one: Vec<f64> = costs.iter().map(|costs| costs[of]).collect();
            one.sort_by(f64::total_cmp);
            one[one.len() / 2]
        };
        println!(
            "{name}, {count} listen: sign-in {:.2}, evicting sign-in {:.2}, end {:.2} µs",
            median(0),
            median(1),
            median(2)
        );
    }
}
