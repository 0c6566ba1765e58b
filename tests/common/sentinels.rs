//! A master, a replica and sentinels that watch them, on ports that tests take.
#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::collections::HashMap;

use super::{
    people::until,
    redis::{Server, ask, try_ask},
};

/// The master that sentinels watch.
pub(crate) const NAME: &str = "master0";

/// They stop when this is dropped.
pub(crate) struct Sentinels {
    pub(crate) master: Server,
    pub(crate) replica: Option<Server>,
    sentinels: Vec<Server>,
}

impl Sentinels {
    /// A master and one sentinel.
    pub(crate) async fn alone() -> Self {
        Self::of(Server::start(), None, 1).await
    }

    /// A master, a replica and three sentinels that know each other and the replica.
    pub(crate) async fn start() -> Self {
        let master = Server::start();
        let port = master.port.to_string();
        let replica = Server::start_with(&["--replicaof", "127.0.0.1", &port]);
        until("the replica has what the master has", async || {
            let info: String = replica.ask("INFO replication").await;
            info.contains("master_link_status:up")
        })
        .await;
        Self::of(master, Some(replica), 3).await
    }

    async fn of(master: Server, replica: Option<Server>, count: usize) -> Self {
        let start = |_| Server::start_with(&["--sentinel"]);
        let servers = Self {
            master,
            replica,
            sentinels: (0..count).map(start).collect(),
        };
        for url in servers.urls() {
            // Else they say every 2 s that they are there, and ask servers every 10 s. A replica that was not asked for three
            // periods is not promoted, so these are not shorter. A server before 7.0 does not know this command.
            let words = "SENTINEL DEBUG info-period 2000 publish-period 200";
            let words: Vec<&str> = words.split(' ').collect();
            let _ = try_ask::<()>(&url, &words).await;
            let port = servers.master.port;
            let order = format!("SENTINEL MONITOR {NAME} 127.0.0.1 {port} 1");
            let _: () = ask(&url, &order).await;
        }
        let (others, replicas) = (count - 1, usize::from(servers.replica.is_some()));
        for url in servers.urls() {
            until(
                "the sentinels know each other and the replica",
                async || {
                    let order = format!("SENTINEL MASTER {NAME}");
                    let known: HashMap<String, String> = ask(&url, &order).await;
                    known.get("num-other-sentinels") == Some(&others.to_string())
                        && known.get("num-slaves") == Some(&replicas.to_string())
                },
            )
            .await;
        }
        servers
    }

    /// The server that is a replica at first.
    pub(crate) fn replica(&self) -> &Server {
        self.replica.as_ref().unwrap()
    }

    /// Those of the sentinels.
    pub(crate) fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Server::url).collect()
    }
}
