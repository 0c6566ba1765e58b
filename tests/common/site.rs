//! A server or a Cluster behind relays.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use tower_user_sessions::RedisStore;

use super::{cluster::Cluster, people::until, redis::Server, relay::Relay};

/// Where an app connects to.
#[derive(Clone, Debug)]
pub(crate) struct Way {
    pub(crate) is_cluster: bool,
    pub(crate) urls: Vec<String>,
}

impl Way {
    /// A new store, with connections of its own.
    pub(crate) fn store(&self) -> RedisStore {
        if self.is_cluster {
            RedisStore::connect_cluster(&self.urls).unwrap()
        } else {
            RedisStore::connect(&self.urls[0]).unwrap()
        }
    }
}

/// A node, or three primaries, each behind a relay.
pub(crate) struct Site {
    pub(crate) nodes: Vec<Server>,
    pub(crate) relays: Vec<Relay>,
    is_cluster: bool,
}

impl Site {
    pub(crate) async fn start(is_cluster: bool, arguments: &[&str]) -> Self {
        let nodes = if is_cluster {
            Cluster::of(3, arguments).await.nodes
        } else {
            vec![Server::start_with(arguments)]
        };
        let mut relays = Vec::new();
        for node in &nodes {
            relays.push(Relay::start(node.port).await);
        }
        let site = Self {
            nodes,
            relays,
            is_cluster,
        };
        if is_cluster {
            site.announce().await;
        }
        site
    }

    /// Each node of the Cluster gives its relay as its own address.
    pub(crate) async fn announce(&self) {
        let relays: Vec<u16> = self.relays.iter().map(|relay| relay.port).collect();
        announce(&self.nodes, &relays).await;
    }

    /// Starts a server again that was killed, with what it had written down.
    pub(crate) async fn restart(&mut self, at: usize) {
        self.nodes[at].restart();
        if self.is_cluster {
            self.announce().await;
            until("the Cluster serves all slots", async || {
                let mut is_ok = true;
                for node in &self.nodes {
                    let info: String = node.ask("CLUSTER INFO").await;
                    is_ok &= info.contains("cluster_state:ok");
                }
                is_ok
            })
            .await;
        }
    }

    /// Through the relays.
    pub(crate) fn way(&self) -> Way {
        Way {
            is_cluster: self.is_cluster,
            urls: self.relays.iter().map(Relay::url).collect(),
        }
    }

    /// Past the relays. Nodes of a Cluster name their relays, so there is no such way.
    pub(crate) fn direct(&self) -> Way {
        if self.is_cluster {
            return self.way();
        }
        Way {
            is_cluster: false,
            urls: self.nodes.iter().map(Server::url).collect(),
        }
    }

    /// Carries so many replies a second in all; 0 for no bound.
    pub(crate) fn carry(&self, replies: u32) {
        let each = replies / self.relays.len() as u32;
        self.relays.iter().for_each(|relay| relay.carry(each));
    }

    /// How many connections were made.
    pub(crate) fn made(&self) -> u32 {
        self.relays.iter().map(Relay::made).sum()
    }
}

/// Each node of a Cluster gives the port of its relay as its own.
pub(crate) async fn announce(nodes: &[Server], relays: &[u16]) {
    for (node, relay) in nodes.iter().zip(relays) {
        let announced = format!("CONFIG SET cluster-announce-port {relay}");
        let _: String = node.ask(&announced).await;
    }
    until("all announce their relays", async || {
        let mut known = true;
        for node in nodes {
            let lines: String = node.ask("CLUSTER NODES").await;
            let knows = |relay: &u16| lines.contains(&format!(":{relay}@"));
            known &= relays.iter().all(knows);
        }
        known
    })
    .await;
}
