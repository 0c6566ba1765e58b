//! A real sentinel that watches one master, and notices within half a second that it is gone.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::{
    collections::HashMap,
    fs,
    process::{Child, Command, Stdio},
};

use super::{
    people::until,
    redis::{ask, free_port, try_ask},
    replicas::Program,
};

/// A sentinel for the master `mymaster`. It stops when this is dropped.
pub(crate) struct Watch {
    process: Child,
    port: u16,
    _dir: tempfile::TempDir,
}

impl Watch {
    /// Watches this master, and knows all its replicas.
    pub(crate) async fn start(program: Program, master: u16, replicas: usize) -> Self {
        let (dir, port) = (tempfile::tempdir().unwrap(), free_port());
        let config = dir.path().join("sentinel.conf");
        let lines = format!(
            "port {port}\nbind 127.0.0.1\ndir {}\n\
             sentinel monitor mymaster 127.0.0.1 {master} 1\n\
             sentinel down-after-milliseconds mymaster 500\n\
             sentinel failover-timeout mymaster 1000\n\
             sentinel parallel-syncs mymaster 2\n",
            dir.path().display()
        );
        fs::write(&config, lines).unwrap();
        let process = Command::new(program.path())
            .arg(&config)
            .arg("--sentinel")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let watch = Self {
            process,
            port,
            _dir: dir,
        };
        watch.knows(replicas).await;
        watch
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// The port of the master that it names.
    pub(crate) async fn master(&self) -> u16 {
        let command = "SENTINEL GET-MASTER-ADDR-BY-NAME mymaster";
        let (_, port): (String, String) = ask(&self.url(), command).await;
        port.parse().unwrap()
    }

    /// Waits until it knows so many replicas, and the last failover is over.
    pub(crate) async fn knows(&self, replicas: usize) {
        until("the sentinel knows the replicas", async || {
            let words = ["SENTINEL", "MASTER", "mymaster"];
            let known = try_ask::<HashMap<String, String>>(&self.url(), &words).await;
            known.is_ok_and(|known| {
                known["num-slaves"] == replicas.to_string() && known["flags"] == "master"
            })
        })
        .await;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
