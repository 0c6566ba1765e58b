//! Measures what a request and a session cost Redis with a thousand users and with a million.
//!
//! `redis-million [--cluster] [--users N] [--sessions N] [--rounds N] [--requests N] [--config NAME=VALUE]
//! [--wait]`. It starts its own servers on free ports of the loopback, and stops them: one node each, or with
//! `--cluster` three primaries each. With `--wait` it measures after a line on its input, so that the machine
//! can be quiet by then.

use std::{
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use deadpool_redis::redis;
use peers::{BoxError, USER_AGENT};
use tower_user_sessions::{
    Client, Limit, RedisStore, UserId,
    store::{
        Arrival, Authenticated, Create, Created, RedisSource, Resolve, Resolved, SessionStore,
        Token,
    },
};

mod servers;

use servers::{Servers, connect};

const ADDRESS: std::net::IpAddr = std::net::IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

/// How many users the other servers have, and how many of the million are asked for in the third column.
const FEW: usize = 1_000;

/// How many sign-ins are on the way at once.
const TASKS: usize = 48;

struct Settings {
    cluster: bool,
    users: usize,
    sessions: u16,
    rounds: usize,
    requests: usize,
    config: Vec<String>,
    wait: bool,
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() -> Result<(), BoxError> {
    let settings = settings()?;
    let few = Filled::new(&settings, FEW).await?;
    let many = Filled::new(&settings, settings.users).await?;
    if settings.rounds == 0 {
        return Ok(());
    }
    if settings.wait {
        println!("filled; measures after a line");
        std::io::stdin().read_line(&mut String::new())?;
    }

    let hot = &many.tokens[..FEW.min(many.tokens.len())];
    let columns = [
        (&few, &few.tokens[..]),
        (&many, &many.tokens[..]),
        (&many, hot),
    ];
    let (mut random, mut figures) = (1, vec![Vec::new(); 3]);
    // The first round only warms up.
    for round in 0..=settings.rounds {
        for turn in 0..3 {
            let column = (round + turn) % 3;
            let (servers, tokens) = columns[column];
            let cost = servers.cost(tokens, settings.requests, &mut random).await?;
            if round > 0 {
                figures[column].push(cost);
            }
        }
    }
    report(&figures, settings.users);
    if !settings.cluster {
        let mut figures = vec![Vec::new(); 2];
        for _ in 0..=settings.rounds {
            for (column, servers) in [&few, &many].into_iter().enumerate() {
                let cost = servers.control(settings.requests, &mut random).await?;
                figures[column].push(cost);
            }
        }
        println!("the same for GET of as many keys with 120 bytes");
        report(&figures, settings.users);
    }
    Ok(())
}

fn settings() -> Result<Settings, BoxError> {
    let mut settings = Settings {
        cluster: false,
        users: 1_000_000,
        sessions: 3,
        rounds: 15,
        requests: 20_000,
        config: Vec::new(),
        wait: false,
    };
    let mut args = std::env::args().skip(1);
    while let Some(flag) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{flag} has no value"));
        match &*flag {
            "--cluster" => settings.cluster = true,
            "--wait" => settings.wait = true,
            "--users" => settings.users = value()?.parse()?,
            "--sessions" => settings.sessions = value()?.parse()?,
            "--rounds" => settings.rounds = value()?.parse()?,
            "--requests" => settings.requests = value()?.parse()?,
            "--config" => settings.config.push(value()?),
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    Ok(settings)
}

/// Servers that have so many users.
struct Filled {
    servers: Servers,
    store: RedisStore,
    /// One of each user.
    tokens: Vec<Token>,
}

impl Filled {
    async fn new(settings: &Settings, users: usize) -> Result<Self, BoxError> {
        let servers = Servers::start(settings.cluster, &settings.config)?;
        let urls = servers.urls();
        let source = if settings.cluster {
            RedisSource::cluster(&urls)?
        } else {
            RedisSource::url(&urls[0])?
        };
        let store = RedisStore::builder(source)
            .deadline(Duration::from_secs(20))
            .build();
        // Connections and scripts must not count as memory of sessions.
        for user in 0..100 {
            sign_in(&store, &format!("warm-{user}"), 1).await?;
        }
        for url in &urls {
            let mut connection = connect(url).await?;
            redis::cmd("FLUSHALL")
                .arg("SYNC")
                .exec_async(&mut connection)
                .await?;
        }
        let (before, began) = (servers.sum("used_memory:", ":").await?, Instant::now());
        let tokens = fill(&store, users, settings.sessions).await?;
        let took = began.elapsed().as_secs_f64();
        // A table that grows is moved in the background.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let after = servers.sum("used_memory:", ":").await?;
        let made = users as f64 * f64::from(settings.sessions);
        println!(
            "{users} users, {} sessions each: {:.0} bytes per session, {:.0} MiB in all; {:.0} sign-ins a second",
            settings.sessions,
            (after - before) / made,
            (after - before) / 1_048_576.0,
            made / took,
        );
        Ok(Self {
            servers,
            store,
            tokens,
        })
    }

    /// What a request costs: EVALSHA, and the CPU time of all servers, in µs.
    async fn cost(
        &self,
        tokens: &[Token],
        requests: usize,
        random: &mut u64,
    ) -> Result<[f64; 2], BoxError> {
        let before = self.servers.counts("cmdstat_evalsha:").await?;
        for _ in 0..requests {
            let token = &tokens[next(random) % tokens.len()];
            let found = self.store.resolve(&Resolve::new(token.clone())).await?;
            if !matches!(found, Resolved::Live(_)) {
                return Err(format!("a session is not live: {found:?}").into());
            }
        }
        let after = self.servers.counts("cmdstat_evalsha:").await?;
        each(before, after, requests)
    }

    /// What a plain GET costs, with as many keys.
    async fn control(&self, requests: usize, random: &mut u64) -> Result<[f64; 2], BoxError> {
        let mut connection = connect(&self.servers.urls()[0]).await?;
        let keys = self.tokens.len();
        let has: bool = redis::cmd("EXISTS")
            .arg("control-0")
            .query_async(&mut connection)
            .await?;
        for from in (0..if has { 0 } else { keys }).step_by(10_000) {
            let mut pipe = redis::pipe();
            for key in from..keys.min(from + 10_000) {
                pipe.set(format!("control-{key}"), USER_AGENT).ignore();
            }
            pipe.exec_async(&mut connection).await?;
        }
        let before = self.servers.counts("cmdstat_get:").await?;
        for _ in 0..requests {
            let mut get = redis::cmd("GET");
            get.arg(format!("control-{}", next(random) % keys));
            get.exec_async(&mut connection).await?;
        }
        let after = self.servers.counts("cmdstat_get:").await?;
        each(before, after, requests)
    }
}

/// A random number.
fn next(random: &mut u64) -> usize {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1);
    (*random >> 33) as usize
}

/// Microseconds of the command and of the CPU for each call.
fn each(before: [f64; 3], after: [f64; 3], requests: usize) -> Result<[f64; 2], BoxError> {
    let [micros, calls, cpu] = std::array::from_fn(|at| after[at] - before[at]);
    if calls != requests as f64 {
        return Err(format!("{calls} calls for {requests} requests").into());
    }
    Ok([micros / calls, cpu * 1e6 / calls])
}

/// Signs all users in, and returns one token of each.
async fn fill(store: &RedisStore, users: usize, sessions: u16) -> Result<Vec<Token>, BoxError> {
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut tokens = Vec::new();
            for user in (task..users).step_by(TASKS) {
                tokens.push(sign_in(&store, &format!("{user:07}"), sessions).await?);
            }
            Ok::<_, BoxError>(tokens)
        }));
    }
    let mut tokens = Vec::new();
    for task in tasks {
        tokens.extend(task.await??);
    }
    Ok(tokens)
}

async fn sign_in(store: &RedisStore, user: &str, sessions: u16) -> Result<Token, BoxError> {
    let user = UserId::new(user)?;
    let mut last = None;
    for _ in 0..sessions {
        let token = Token::random(store.tag(&user))?;
        let proven = Authenticated::On(Arrival::now());
        let mut create = Create::new(&token, Some(user.clone()), proven);
        create.limit = Limit::at_most(sessions);
        create.client = Client::new()
            .with_address(Some(ADDRESS))
            .with_user_agent(Some(USER_AGENT.as_bytes()));
        let created = store.create(&create).await?;
        if !matches!(created, Created::Created(_)) {
            return Err(format!("a sign-in answered {created:?}").into());
        }
        last = Some(token);
    }
    Ok(last.ok_or("no sessions")?)
}

fn report(figures: &[Vec<[f64; 2]>], users: usize) {
    let names = [
        format!("{FEW}"),
        format!("{users}"),
        format!("{FEW} of {users}"),
    ];
    println!("per call: µs of the command (range), ÷ the first; µs of CPU (range), ÷ the first");
    for (name, column) in names.iter().zip(figures) {
        let [command, cpu] = [0, 1].map(|at| line(column, &figures[0], at));
        println!("{name:16}  {command}   {cpu}");
    }
}

/// Median and range, and the median of the ratios of the pairs.
fn line(column: &[[f64; 2]], first: &[[f64; 2]], at: usize) -> String {
    let [least, middle, most] = spread(column.iter().map(|figures| figures[at]).collect());
    let pairs = column.iter().zip(first);
    let [_, ratio, _] = spread(pairs.map(|(own, first)| own[at] / first[at]).collect());
    format!("{middle:5.2} ({least:.2}–{most:.2}) {ratio:.3}")
}

fn spread(mut figures: Vec<f64>) -> [f64; 3] {
    figures.sort_by(f64::total_cmp);
    [0, figures.len() / 2, figures.len() - 1].map(|at| figures[at])
}
