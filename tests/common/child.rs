//! A process of a test: its program again, which runs one test only. They talk by lines.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    env,
    io::Write as _,
    process::{Command as Plain, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child as Running, ChildStdin, ChildStdout, Command},
};

/// What the process is to do.
const ORDERS: &str = "TOWER_USER_SESSIONS_TEST_ORDERS";

/// A process, as the test sees it that started it. It is killed when this is dropped.
pub(crate) struct Child {
    running: Running,
    says: Lines<BufReader<ChildStdout>>,
    hears: ChildStdin,
}

impl Child {
    /// Starts the ignored test of this name.
    pub(crate) fn start(entry: &str, orders: &str) -> Self {
        let mut running = Command::new(env::current_exe().unwrap())
            .args(["--exact", entry, "--ignored", "--nocapture"])
            .env(ORDERS, orders)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let says = BufReader::new(running.stdout.take().unwrap()).lines();
        let hears = running.stdin.take().unwrap();
        Self {
            running,
            says,
            hears,
        }
    }

    /// Waits for a line that begins with this word, and returns the rest.
    pub(crate) async fn says(&mut self, word: &str) -> String {
        // The test harness writes before it, on the same line.
        let mark = format!("@{word}");
        while let Some(line) = self.says.next_line().await.unwrap() {
            if let Some((_, rest)) = line.split_once(&mark) {
                return rest.to_owned();
            }
        }
        panic!("the process ended before it said {word:?}");
    }

    pub(crate) async fn tell(&mut self, word: &str) {
        self.hears.write_all(word.as_bytes()).await.unwrap();
        self.hears.write_all(b"\n").await.unwrap();
    }

    /// Waits until it has ended.
    pub(crate) async fn ends(&mut self) {
        while self.says.next_line().await.unwrap().is_some() {}
        assert!(self.running.wait().await.unwrap().success());
    }

    /// Suspends it.
    pub(crate) fn suspend(&self) {
        self.signal("-STOP");
    }

    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    fn signal(&self, signal: &str) {
        let id = self.running.id().unwrap().to_string();
        assert!(
            Plain::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
    }
}

/// What the test ordered that started this process.
pub(crate) fn orders() -> String {
    env::var(ORDERS).unwrap_or_else(|_| panic!("another test starts this"))
}

/// Says a line to the test.
pub(crate) fn say(line: &str) {
    println!("@{line}");
    std::io::stdout().flush().unwrap();
}

/// Waits until the test says this word.
pub(crate) async fn wait_for(word: &'static str) {
    let read = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        std::io::stdin().read_line(&mut line).unwrap();
        assert_eq!(line.trim(), word);
    });
    read.await.unwrap();
}
