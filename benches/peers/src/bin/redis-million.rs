//! Measures what a request and a session cost Redis with a thousand users and with a million.
//!
//! `redis-million [--cluster] [--users N] [--sessions N] [--rounds N] [--requests N] [--config NAME=VALUE]
//! [--wait]`. It starts its own servers on free ports of the loopback, and stops them: one node each, or with
//! `--cluster` three primaries each. With `--wait` it measures after a line on its input, so that the machine
//! can be quiet by then.

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use deadpool_redis::redis::{self, aio::MultiplexedConnection};
use peers::{BoxError, USER_AGENT};
use tower_user_sessions::{
    Client, Limit, RedisStore, UserId,
    store::{
        Arrival, Authenticated, Create, Created, RedisSource, Resolve, Resolved, SessionStore,
        Token,
    },
};

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
        let servers = Servers::start(settings)?;
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
    ) -> Result<(f64, f64), BoxError> {
        let before = self.servers.counts().await?;
        for _ in 0..requests {
            *random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let token = &tokens[(*random >> 33) as usize % tokens.len()];
            let found = self.store.resolve(&Resolve::new(token.clone())).await?;
            if !matches!(found, Resolved::Live(_)) {
                return Err(format!("a session is not live: {found:?}").into());
            }
        }
        let after = self.servers.counts().await?;
        let [micros, calls, cpu] = std::array::from_fn(|at| after[at] - before[at]);
        if calls != requests as f64 {
            return Err(format!("{calls} calls of EVALSHA for {requests} requests").into());
        }
        Ok((micros / calls, cpu * 1e6 / calls))
    }
}

/// Signs all users in, and returns one token of each.
async fn fill(store: &RedisStore, users: usize, sessions: u16) -> Result<Vec<Token>, BoxError> {
    let mut tasks = Vec::new();
    for task in 0..TASKS {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            let mut tokens = Vec::new();
            for user in (task..users).step_by(TASKS) {
                tokens.push(sign_in(&store, &user.to_string(), sessions).await?);
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

/// Servers that stop when this is dropped.
struct Servers {
    processes: Vec<(Child, u16)>,
    folder: PathBuf,
}

impl Servers {
    fn start(settings: &Settings) -> Result<Self, BoxError> {
        let folder = std::env::temp_dir().join(format!("redis-million-{}", free_port()?));
        std::fs::create_dir(&folder)?;
        let mut servers = Self {
            processes: Vec::new(),
            folder,
        };
        for _ in 0..if settings.cluster { 3 } else { 1 } {
            servers.add(settings)?;
        }
        if settings.cluster {
            let hosts = servers
                .processes
                .iter()
                .map(|(_, port)| format!("127.0.0.1:{port}"));
            let made = Command::new("redis-cli")
                .args(["--cluster", "create"])
                .args(hosts)
                .arg("--cluster-yes")
                .stdout(Stdio::null())
                .status()?;
            if !made.success() {
                return Err("redis-cli made no Cluster".into());
            }
            std::thread::sleep(Duration::from_secs(2));
        }
        Ok(servers)
    }

    fn add(&mut self, settings: &Settings) -> Result<(), BoxError> {
        let (port, bus) = (free_port()?, free_port()?);
        let own = self.folder.join(port.to_string());
        std::fs::create_dir(&own)?;
        let mut command = Command::new("redis-server");
        command
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(&own);
        if settings.cluster {
            command.args(["--cluster-enabled", "yes", "--cluster-port"]);
            command.arg(bus.to_string());
        }
        for pair in &settings.config {
            let (name, value) = pair.split_once('=').ok_or("--config NAME=VALUE")?;
            command.args([format!("--{name}"), value.to_owned()]);
        }
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("redis-server does not run ({error}): apt-get install redis-server")
            })?;
        self.processes.push((process, port));
        for _ in 0..500 {
            if std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err("redis-server does not answer".into())
    }

    fn urls(&self) -> Vec<String> {
        let ports = self.processes.iter().map(|(_, port)| port);
        ports
            .map(|port| format!("redis://127.0.0.1:{port}"))
            .collect()
    }

    /// The sum over all servers of what stands after `name` in the line of INFO that begins with `line`.
    async fn sum(&self, line: &str, name: &str) -> Result<f64, BoxError> {
        let mut sum = 0.0;
        for url in self.urls() {
            let mut connection = connect(&url).await?;
            let info: String = redis::cmd("INFO")
                .arg("everything")
                .query_async(&mut connection)
                .await?;
            let line = info.lines().find(|text| text.starts_with(line));
            // A server that ran no script yet has no line for it.
            let Some((_, figure)) = line.and_then(|line| line.split_once(name)) else {
                continue;
            };
            let end = figure.find(',').unwrap_or(figure.len());
            sum += figure[..end].trim().parse::<f64>()?;
        }
        Ok(sum)
    }

    /// Microseconds and calls of EVALSHA, and CPU seconds.
    async fn counts(&self) -> Result<[f64; 3], BoxError> {
        Ok([
            self.sum("cmdstat_evalsha:", ",usec=").await?,
            self.sum("cmdstat_evalsha:", "calls=").await?,
            self.sum("used_cpu_user:", ":").await? + self.sum("used_cpu_sys:", ":").await?,
        ])
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for (process, _) in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection, BoxError> {
    let client = redis::Client::open(url)?;
    Ok(client.get_multiplexed_async_connection().await?)
}

fn free_port() -> Result<u16, BoxError> {
    // The bus of a Cluster is another port, which is chosen by itself.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}

fn report(figures: &[Vec<(f64, f64)>], users: usize) {
    let names = [
        format!("{FEW} users"),
        format!("{users} users"),
        format!("{FEW} of {users}"),
    ];
    println!("per request: EVALSHA µs (range), ÷ the first; CPU µs (range), ÷ the first");
    for (name, column) in names.iter().zip(figures) {
        let evalsha = |(micros, _): &(f64, f64)| *micros;
        let cpu = |(_, cpu): &(f64, f64)| *cpu;
        println!(
            "{name:16}  {}   {}",
            line(column, &figures[0], evalsha),
            line(column, &figures[0], cpu)
        );
    }
    let _ = std::io::stdout().flush();
}

/// Median and range, and the median of the ratios of the pairs.
fn line<T>(column: &[T], first: &[T], figure: impl Fn(&T) -> f64) -> String {
    let own: Vec<f64> = column.iter().map(&figure).collect();
    let pairs = column.iter().zip(first);
    let ratios = pairs.map(|(own, first)| figure(own) / figure(first));
    let (least, middle, most) = spread(own);
    let (_, ratio, _) = spread(ratios.collect());
    format!("{middle:5.2} ({least:.2}–{most:.2}) {ratio:.3}")
}

fn spread(mut figures: Vec<f64>) -> (f64, f64, f64) {
    figures.sort_by(f64::total_cmp);
    (
        figures[0],
        figures[figures.len() / 2],
        figures[figures.len() - 1],
    )
}
