//! A Redis server for one test, on a free port of the loopback and stopped by its process id.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    env,
    hash::{BuildHasher, RandomState},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::Mutex,
    thread,
    time::Duration,
};

use deadpool_redis::{Config, Pool, Runtime, redis};
use tower_user_sessions::{
    RedisStore,
    store::{IntoRedisSource, ManualClock, RedisLive, RedisSource, RedisStoreBuilder, conformance},
};

/// How long a server may take to accept a connection of a test, and to answer a command.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running server; it stops when this is dropped.
pub(crate) struct Server {
    program: String,
    arguments: Vec<String>,
    dir: tempfile::TempDir,
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// The installed `redis-server`, or the one that `REDISRS_SERVER_BIN` names.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts the server with these arguments.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let program = env::var("REDISRS_SERVER_BIN").unwrap_or_else(|_| "redis-server".to_owned());
        Self::start_program(&program, arguments).unwrap_or_else(|error| {
            panic!("{program} does not run ({error}): apt-get install redis-server")
        })
    }

    /// Starts this program with these arguments.
    pub(crate) fn start_program(program: &str, arguments: &[&str]) -> std::io::Result<Self> {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        // Another program may take the free port in the meantime.
        for _ in 0..5 {
            let (dir, port) = (tempfile::tempdir()?, free_port());
            let process = spawn(program, &arguments, dir.path(), port)?;
            let mut server = Self {
                program: program.to_owned(),
                arguments: arguments.clone(),
                dir,
                process,
                port,
            };
            if server.answers() {
                return Ok(server);
            }
        }
        panic!("{program} {arguments:?} does not answer on any port");
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    pub(crate) fn pool(&self) -> Pool {
        pool(&self.url())
    }

    /// A store with this clock.
    pub(crate) fn store(&self, clock: ManualClock) -> RedisStore {
        patient(self.pool()).clock(clock).build()
    }

    /// A store whose calls wait for long, where the deadline is not what the test is about.
    pub(crate) fn patient(&self) -> RedisStore {
        patient(self.pool()).build()
    }

    /// Sends the server a command on a new connection.
    pub(crate) async fn ask<T: redis::FromRedisValue>(&self, command: &str) -> T {
        ask(&self.url(), command).await
    }

    /// How many connections listen to this channel.
    pub(crate) async fn listeners(&self, channel: &str) -> u32 {
        let (_, count): (String, u32) = self.ask(&format!("PUBSUB NUMSUB {channel}")).await;
        count
    }

    /// Suspends the process.
    pub(crate) fn suspend(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Sends the process a signal, such as `-KILL`.
    pub(crate) fn signal(&self, signal: &str) {
        let sent = Command::new("kill")
            .args([signal, &self.process.id().to_string()])
            .status()
            .unwrap();
        assert!(sent.success());
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, empty, on the same port.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(&self.program, &self.arguments, self.dir.path(), self.port).unwrap();
        assert!(self.answers(), "the server does not come back");
    }

    /// Whether it begins to reply at all.
    fn answers(&mut self) -> bool {
        for _ in 0..500 {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return false;
            }
            if pings(self.port)
                .is_ok_and(|answer| answer.starts_with(b"+PONG") || answer.starts_with(b"-NOAUTH"))
            {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGKILL also reaches a suspended process.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A store whose calls wait for long, where the deadline is not what the test is about.
pub(crate) fn patient(source: impl IntoRedisSource) -> RedisStoreBuilder {
    RedisStore::builder(source).deadline(PATIENCE)
}

/// Sends a server a command on a new connection.
pub(crate) async fn ask<T: redis::FromRedisValue>(url: &str, command: &str) -> T {
    ask_with(url, &command.split(' ').collect::<Vec<_>>()).await
}

/// The same, for words that have spaces in them.
pub(crate) async fn ask_with<T: redis::FromRedisValue>(url: &str, words: &[&str]) -> T {
    try_ask(url, words)
        .await
        .unwrap_or_else(|error| panic!("{words:?}: {error}"))
}

/// The same, for a server that may close the connection, for example when its role changes.
pub(crate) async fn try_ask<T: redis::FromRedisValue>(
    url: &str,
    words: &[&str],
) -> redis::RedisResult<T> {
    let client = redis::Client::open(url)?;
    // The machine may be busy.
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let mut connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    let (name, arguments) = words.split_first().unwrap();
    redis::cmd(name)
        .arg(arguments)
        .query_async(&mut connection)
        .await
}

/// Fails if this program is missing, and says what to install.
pub(crate) fn installed(program: &str, package: &str) {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    if let Err(error) = found {
        panic!("{program} does not run ({error}): apt-get install {package}");
    }
}

pub(crate) fn pool(url: &str) -> Pool {
    Config::from_url(url)
        .create_pool(Some(Runtime::Tokio1))
        .unwrap()
}

/// Runs the suite on a store that reports what changes: its scripts are longer than those of another one.
pub(crate) async fn reports_and_keeps_the_contract(source: &RedisSource, live: RedisLive) {
    conformance::all(async |clock: ManualClock| {
        let store = RedisStore::builder(source.clone()).live(live).clock(clock);
        store.deadline(PATIENCE).build()
    })
    .await;
}

/// How many messages these servers were given to publish, by the name of the command.
pub(crate) async fn published(servers: impl IntoIterator<Item = String>, command: &str) -> usize {
    let mut all = 0;
    for server in servers {
        let info: String = ask(&server, "INFO commandstats").await;
        let mut lines = info.lines();
        let calls = lines.find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        let calls = calls.and_then(|line| line.split(',').next());
        all += calls.map_or(0, |calls| calls.parse::<usize>().unwrap());
    }
    all
}

fn spawn(
    program: &str,
    arguments: &[String],
    dir: &std::path::Path,
    port: u16,
) -> std::io::Result<Child> {
    let mut command = Command::new(program);
    if arguments.iter().any(|argument| argument == "--sentinel") {
        // What it knows is in a file, whose name comes first.
        let file = dir.join("sentinel.conf");
        std::fs::write(&file, "")?;
        command.arg(file);
    }
    command
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
        .args(["--save", "", "--appendonly", "no"])
        .args(["--repl-diskless-sync-delay", "0"])
        .arg("--dir")
        .arg(dir)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// A port on which nothing listens. It is below those that the system gives to connections and to listeners without a number.
///
/// The port above it is taken as long as this process runs, and stands for both. Otherwise a test that runs at the same time
/// could take the same one: its server would be the one that answers, or a server that is killed here could not come back.
pub(crate) fn free_port() -> u16 {
    static TAKEN: Mutex<Vec<TcpListener>> = Mutex::new(Vec::new());
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    loop {
        let [.., high, low] = RandomState::new().hash_one(()).to_be_bytes();
        let port = 10_000 + 2 * (u16::from_be_bytes([high, low]) % 11_000);
        if let (Ok(above), Ok(_free)) = (bind(port + 1), bind(port)) {
            TAKEN.lock().unwrap().push(above);
            return port;
        }
    }
}

fn pings(port: u16) -> std::io::Result<[u8; 7]> {
    let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    socket.set_read_timeout(Some(Duration::from_secs(5)))?;
    socket.write_all(b"PING\r\n")?;
    let mut answer = [0; 7];
    socket.read_exact(&mut answer)?;
    Ok(answer)
}
