//! A PostgreSQL server for one test, on a free port of the loopback and stopped by its process id.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

#[path = "postgres_programs.rs"]
mod programs;

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, TcpStream},
    os::unix::fs::{PermissionsExt, chown},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use deadpool_postgres::{
    Config, Pool, PoolConfig, Runtime,
    tokio_postgres::{self, Client, NoTls, Row},
};
use tower_user_sessions::{
    PostgresStore,
    store::{ManualClock, PostgresStoreBuilder},
};

use self::programs::{command, copy, folder, missing, other_user, run, template};
use super::redis::free_port;

/// What every server runs with: a test may lose its data in a crash of the machine.
const SETTINGS: &[&str] = &[
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=32MB",
    "full_page_writes=off",
];

/// A running server; it stops when this is dropped.
pub(crate) struct Server {
    dir: tempfile::TempDir,
    settings: Vec<String>,
    process: Child,
    pub(crate) port: u16,
}

impl Server {
    /// An empty server. A commit does not wait for the disk.
    pub(crate) fn start() -> Self {
        Self::start_with(&["fsync=off"])
    }

    /// An empty server with these settings.
    pub(crate) fn start_with(settings: &[&str]) -> Self {
        Self::start_in(folder(), settings, |data| copy(&template(), data))
    }

    /// A standby of this server: it follows with the next change.
    pub(crate) fn standby(&self) -> Self {
        let port = self.port.to_string();
        Self::start_in(folder(), &["fsync=off"], |data| {
            let mut copied = command("pg_basebackup");
            copied
                .args([
                    "--no-sync",
                    "--checkpoint=fast",
                    "--write-recovery-conf",
                    "--host=127.0.0.1",
                ])
                .args(["--username=postgres", "--port", &port, "--pgdata"])
                .arg(data);
            run(&mut copied);
        })
    }

    fn start_in(dir: tempfile::TempDir, settings: &[&str], make: impl Fn(&Path)) -> Self {
        make(&dir.path().join("data"));
        let settings: Vec<String> = settings.iter().map(ToString::to_string).collect();
        let port = free_port();
        let process = spawn(dir.path(), &settings, port);
        let mut server = Self {
            dir,
            settings,
            process,
            port,
        };
        // Another program may take the free port in the meantime.
        for _ in 0..5 {
            if server.answers() {
                return server;
            }
            server.port = free_port();
            server.process = spawn(server.dir.path(), &server.settings, server.port);
        }
        panic!("PostgreSQL does not start: {}", server.log());
    }

    pub(crate) fn url(&self) -> String {
        url(self.port)
    }

    pub(crate) fn pool(&self) -> Pool {
        pool(&self.url(), 16)
    }

    /// A store with tables.
    pub(crate) async fn store(&self) -> PostgresStore {
        let store = patient(self.pool()).build();
        store.migrate().await.unwrap();
        store
    }

    /// A store with this clock that writes each activity, and with tables.
    pub(crate) async fn store_at(&self, clock: ManualClock) -> PostgresStore {
        let store = patient(self.pool())
            .clock(clock)
            .activity_every(Duration::ZERO)
            .build();
        store.migrate().await.unwrap();
        store
    }

    /// Runs a statement on a new connection.
    pub(crate) async fn ask(&self, sql: &str) -> Vec<Row> {
        client(&self.url()).await.query(sql, &[]).await.unwrap()
    }

    /// Waits until no store deletes what is over by its clock. A store with another clock could lose what it has just made.
    pub(crate) async fn settles(&self) {
        // The task begins before this one goes on, and the server is asked again once it may have heard of it.
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            let deletes = "SELECT count(*) FROM pg_stat_activity
                WHERE state = 'active' AND pid <> pg_backend_pid() AND query LIKE '%gone AS%'";
            while self.number(deletes).await > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// The number that a statement returns.
    pub(crate) async fn number(&self, sql: &str) -> i64 {
        self.ask(sql).await.pop().unwrap().get(0)
    }

    /// Adds a user who needs this password, and no other one.
    pub(crate) async fn passwords(&self, user: &str, password: &str) {
        let rules = self.dir.path().join("data/pg_hba.conf");
        let before = fs::read_to_string(&rules).unwrap();
        let rule = format!("host all {user} 127.0.0.1/32 scram-sha-256");
        fs::write(&rules, format!("{rule}\n{before}")).unwrap();
        let role = format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'");
        client(&self.url())
            .await
            .batch_execute(&role)
            .await
            .unwrap();
        self.ask("SELECT pg_reload_conf()").await;
        // The first process reads it a moment later.
        thread::sleep(Duration::from_millis(200));
    }

    /// Offers TLS to new connections from now on, with a certificate that it signed itself.
    pub(crate) async fn offers_tls(&self) {
        let data = self.dir.path().join("data");
        let mut made = Command::new("openssl");
        made.current_dir(&data)
            .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj"])
            .args([
                "/CN=localhost",
                "-keyout",
                "server.key",
                "-out",
                "server.crt",
            ]);
        run(&mut made);
        fs::set_permissions(data.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        if let Some((user, group)) = other_user() {
            chown(data.join("server.key"), Some(user), Some(group)).unwrap();
        }
        self.ask("ALTER SYSTEM SET ssl = on").await;
        self.ask("SELECT pg_reload_conf()").await;
        // The first process reads it a moment later.
        thread::sleep(Duration::from_millis(200));
    }

    /// Suspends all its processes.
    pub(crate) fn suspend(&self) {
        // The first one alone would leave those that serve connections.
        signal("-STOP", &[self.process.id()]);
        signal("-STOP", &self.children());
    }

    pub(crate) fn resume(&self) {
        signal("-CONT", &self.children());
        signal("-CONT", &[self.process.id()]);
    }

    /// Stops it at once, as a crash does.
    pub(crate) fn kill(&mut self) {
        self.resume();
        signal("-QUIT", &[self.process.id()]);
        self.process.wait().unwrap();
    }

    /// Stops it in good order.
    pub(crate) fn stop(&mut self) {
        signal("-INT", &[self.process.id()]);
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port, with what it had.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.dir.path(), &self.settings, self.port);
        assert!(
            self.answers(),
            "PostgreSQL does not come back: {}",
            self.log()
        );
    }

    fn children(&self) -> Vec<u32> {
        let parent = self.process.id().to_string();
        let processes = fs::read_dir("/proc").unwrap().flatten();
        processes
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|process: &u32| {
                let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
                // After the name, which may have spaces in it: the state, then the parent.
                let after = stat.rsplit(") ").next().unwrap_or_default();
                after.split(' ').nth(1) == Some(&parent)
            })
            .collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Whether it begins to take connections.
    fn answers(&mut self) -> bool {
        let began = tokio::time::Instant::now();
        while began.elapsed() < Duration::from_secs(20) {
            if matches!(self.process.try_wait(), Ok(Some(_))) {
                return false;
            }
            if is_ready(self.port).unwrap_or(false) {
                return true;
            }
            thread::sleep(Duration::from_millis(10));
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.kill();
        }
    }
}

/// A store whose calls wait for long, where the deadline is not what the test is about: a server on a busy machine may take
/// a second for a new connection.
pub(crate) fn patient(pool: Pool) -> PostgresStoreBuilder {
    PostgresStore::builder(pool).deadline(Duration::from_secs(20))
}

/// A new connection without a pool.
pub(crate) async fn client(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.unwrap();
    tokio::spawn(connection);
    client
}

pub(crate) fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

pub(crate) fn pool(url: &str, size: usize) -> Pool {
    let mut config = Config::new();
    config.url = Some(url.to_owned());
    config.pool = Some(PoolConfig::new(size));
    config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap()
}

/// How long the first message of a server is, if it is there as a whole. It has no TLS.
pub(crate) fn reply(bytes: &[u8]) -> Option<usize> {
    let length: [u8; 4] = bytes.get(1..5)?.try_into().unwrap();
    let whole = 1 + usize::try_from(u32::from_be_bytes(length)).unwrap();
    (bytes.len() >= whole).then_some(whole)
}

/// Whether it is a notification that reports a change, and none that a node sends to itself.
pub(crate) fn is_message(reply: &[u8]) -> bool {
    // After the kind: the length, the process, the channel, and the text.
    let text = reply
        .get(9..)
        .and_then(|rest| rest.split(|byte| *byte == 0).nth(1));
    reply.first() == Some(&b'A') && text.is_some_and(|text| !text.starts_with(b"ping:"))
}

fn spawn(dir: &Path, settings: &[String], port: u16) -> Child {
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    let mut server = command("postgres");
    server
        .args(["-p", &port.to_string(), "-D"])
        .arg(dir.join("data"));
    for setting in SETTINGS
        .iter()
        .copied()
        .chain(settings.iter().map(String::as_str))
    {
        server.args(["-c", setting]);
    }
    server
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap_or_else(missing)
}

/// Asks as `pg_isready` does: a server that still starts refuses the connection, or replies with an error.
fn is_ready(port: u16) -> io::Result<bool> {
    let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    server.set_read_timeout(Some(Duration::from_secs(5)))?;
    // The length, version 3.0, and the user.
    server.write_all(b"\0\0\0\x17\0\x03\0\0user\0postgres\0\0")?;
    let mut kind = [0];
    server.read_exact(&mut kind)?;
    Ok(kind == *b"R")
}

fn signal(signal: &str, processes: &[u32]) {
    let processes = processes.iter().map(ToString::to_string);
    // One that has ended meanwhile is no error.
    let _ = Command::new("kill")
        .arg(signal)
        .args(processes)
        .stderr(Stdio::null())
        .status();
}
