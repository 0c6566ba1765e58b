//! A Cluster of a test's own: three primaries, each with a replica, on free ports of the loopback.

#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking, and not every test needs all of it"
)]

use std::time::Duration;

use tokio::time::Instant;
use tower_user_sessions::store::Tag;

use super::{
    node_line::Line,
    redis::{Server, ask_with, free_port},
};

/// Its servers stop when this is dropped.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Server>,
}

impl Cluster {
    /// Three primaries and three replicas, with these arguments beside.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let cluster = Self::of(6, arguments).await;
        for at in 3..6 {
            let id = cluster.id(at - 3).await;
            cluster.orders(at, &format!("CLUSTER REPLICATE {id}")).await;
        }
        cluster.settles().await;
        cluster
    }

    /// So many nodes that know each other. The first three serve the slots.
    pub(crate) async fn of(count: usize, arguments: &[&str]) -> Self {
        Self::joined((0..count).map(|_| node(arguments)).collect()).await
    }

    /// These nodes, which know each other then. The first three serve the slots.
    pub(crate) async fn joined(nodes: Vec<Server>) -> Self {
        let count = nodes.len();
        let cluster = Self { nodes };
        for (at, from, to) in [(0, 0, 5_460), (1, 5_461, 10_922), (2, 10_923, 16_383)] {
            cluster
                .orders(at, &format!("CLUSTER SET-CONFIG-EPOCH {}", at + 1))
                .await;
            cluster
                .orders(at, &format!("CLUSTER ADDSLOTSRANGE {from} {to}"))
                .await;
        }
        for at in 1..count {
            cluster.meets(0, at).await;
        }
        let knows = |lines: &[Line]| lines.iter().filter(|line| line.is_known).count() == count;
        cluster.wait(async || cluster.all(knows).await).await;
        cluster.wait(async || cluster.is_ok().await).await;
        cluster
    }

    /// All nodes agree, and replicas have what their primaries have.
    pub(crate) async fn settles(&self) {
        self.wait(async || {
            for at in 0..self.nodes.len() {
                let info: String = self.nodes[at].ask("CLUSTER INFO").await;
                let replication: String = self.nodes[at].ask("INFO replication").await;
                if !info.contains("cluster_state:ok")
                    || replication.contains("master_link_status:down")
                {
                    return false;
                }
            }
            self.all(|lines| {
                lines.iter().filter(|line| !line.slots.is_empty()).count() == 3
                    && lines.iter().all(|line| !line.has_failed)
                    && lines.iter().filter(|line| !line.is_primary).count() == 3
            })
            .await
        })
        .await;
    }

    async fn is_ok(&self) -> bool {
        for node in &self.nodes {
            let info: String = node.ask("CLUSTER INFO").await;
            if !info.contains("cluster_state:ok") {
                return false;
            }
        }
        true
    }

    pub(crate) async fn meets(&self, at: usize, other: usize) {
        let (port, bus) = (self.nodes[other].port, bus(&self.nodes[other]).await);
        self.orders(at, &format!("CLUSTER MEET 127.0.0.1 {port} {bus}"))
            .await;
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(Server::url).collect()
    }

    pub(crate) async fn orders(&self, at: usize, command: &str) {
        let answer: String = self.nodes[at].ask(command).await;
        assert_eq!(answer, "OK", "{command}");
    }

    pub(crate) async fn id(&self, at: usize) -> String {
        self.nodes[at].ask("CLUSTER MYID").await
    }

    /// What this node knows.
    pub(crate) async fn lines(&self, at: usize) -> Vec<Line> {
        let text: String = self.nodes[at].ask("CLUSTER NODES").await;
        text.lines().map(Line::read).collect()
    }

    /// The place of the node that serves the slot, as this node knows it.
    pub(crate) async fn serves(&self, slot: u16, asked: usize) -> usize {
        let lines = self.lines(asked).await;
        let port = lines.iter().find(|line| line.serves(slot)).unwrap().port;
        self.nodes
            .iter()
            .position(|node| node.port == port)
            .unwrap()
    }

    /// The place of a replica of this primary.
    pub(crate) async fn replica(&self, primary: usize) -> usize {
        let id = self.id(primary).await;
        let lines = self.lines(primary).await;
        let port = lines.iter().find(|line| line.primary == id).unwrap().port;
        self.nodes
            .iter()
            .position(|node| node.port == port)
            .unwrap()
    }

    /// The place of the primary of this node, which may be itself.
    pub(crate) async fn primary(&self, at: usize) -> usize {
        let lines = self.lines(at).await;
        let own = lines.iter().find(|line| line.port == self.nodes[at].port);
        let own = own.unwrap();
        let primary = lines.iter().find(|line| line.id == own.primary);
        let port = primary.unwrap_or(own).port;
        let mut nodes = self.nodes.iter();
        nodes.position(|node| node.port == port).unwrap()
    }

    /// Kills this node once none replicates it, and lets the others forget it. Those after it move up one place.
    pub(crate) async fn leaves(&mut self, at: usize) {
        let id = self.id(at).await;
        let replicates = |line: &Line| line.primary == id;
        self.wait(async || self.all(|lines| !lines.iter().any(replicates)).await)
            .await;
        drop(self.nodes.remove(at));
        for at in 0..self.nodes.len() {
            self.orders(at, &format!("CLUSTER FORGET {id}")).await;
        }
    }

    /// Waits until this node is a primary.
    pub(crate) async fn promoted(&self, at: usize) -> Instant {
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end {
            let lines = self.lines(at).await;
            let port = self.nodes[at].port;
            let own = lines.iter().find(|line| line.port == port).unwrap();
            if own.is_primary && !own.slots.is_empty() {
                return Instant::now();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("no replica was promoted");
    }

    /// Adds a node without slots, and waits until all know it.
    pub(crate) async fn grow(&mut self) -> usize {
        self.nodes.push(node(&[]));
        let new = self.nodes.len() - 1;
        self.meets(new - 1, new).await;
        self.wait(async || {
            let info: String = self.nodes[new].ask("CLUSTER INFO").await;
            let all = self.nodes.len();
            info.contains("cluster_state:ok")
                && self
                    .all(|lines| lines.iter().filter(|line| line.is_known).count() == all)
                    .await
        })
        .await;
        new
    }

    /// Waits until this node has what its primary has, and all know that.
    pub(crate) async fn follows(&self, at: usize) {
        let port = self.nodes[at].port;
        let replicates = |line: &Line| line.port == port && line.primary != "-";
        self.wait(async || self.all(|lines| lines.iter().any(replicates)).await)
            .await;
        self.wait(async || {
            let info: String = self.nodes[at].ask("INFO replication").await;
            info.contains("role:slave") && info.contains("master_link_status:up")
        })
        .await;
    }

    /// Lets this replica take over. A primary that has not heard of it yet refuses, so it asks again.
    pub(crate) async fn takes_over(&self, at: usize) {
        for _ in 0..20 {
            self.orders(at, "CLUSTER FAILOVER").await;
            for _ in 0..20 {
                let info: String = self.nodes[at].ask("INFO replication").await;
                if info.contains("role:master") {
                    self.promoted(at).await;
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        panic!("the replica does not take over");
    }

    /// The slots of this node that have keys.
    pub(crate) async fn used(&self, at: usize) -> Vec<u16> {
        let keys: Vec<String> = self.nodes[at].ask("KEYS *").await;
        let tag = |key: &String| key.split(['{', '}']).nth(1).map(slot_of);
        let mut slots: Vec<u16> = keys.iter().filter_map(tag).collect();
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    /// Moves a slot, and makes it known to all nodes, as `redis-cli --cluster reshard` does. All are primaries, and answer.
    pub(crate) async fn moves_for_all(&self, slot: u16, from: usize, to: usize) {
        self.moves(slot, from, to).await;
        let order = format!("CLUSTER SETSLOT {slot} NODE {}", self.id(to).await);
        for at in 0..self.nodes.len() {
            self.orders(at, &order).await;
        }
        let port = self.nodes[to].port;
        let serves = |line: &Line| line.port == port && line.serves(slot);
        self.wait(async || self.all(|lines| lines.iter().any(serves)).await)
            .await;
    }

    /// Moves a slot with all its keys.
    pub(crate) async fn moves(&self, slot: u16, from: usize, to: usize) {
        self.begins_to_move(slot, from, to).await;
        self.moves_keys(slot, from, to).await;
        self.has_moved(slot, from, to).await;
    }

    /// New keys of the slot go to the other node from here on.
    ///
    /// That node knows the epoch of the one that has the slot, so it takes a higher one when it has the slot. With a lower
    /// one it would give the slot back to a message that was sent before. Each would then say that the other one serves it.
    pub(crate) async fn begins_to_move(&self, slot: u16, from: usize, to: usize) {
        let (from_id, to_id) = (self.id(from).await, self.id(to).await);
        let epoch = |lines: &[Line]| {
            lines
                .iter()
                .find(|line| line.id == from_id)
                .map(|line| line.epoch)
        };
        self.wait(async || epoch(&self.lines(from).await) == epoch(&self.lines(to).await))
            .await;
        self.orders(to, &format!("CLUSTER SETSLOT {slot} IMPORTING {from_id}"))
            .await;
        self.orders(from, &format!("CLUSTER SETSLOT {slot} MIGRATING {to_id}"))
            .await;
    }

    pub(crate) async fn moves_keys(&self, slot: u16, from: usize, to: usize) {
        let (url, port) = (self.nodes[from].url(), self.nodes[to].port.to_string());
        loop {
            let question = format!("CLUSTER GETKEYSINSLOT {slot} 10");
            let keys: Vec<String> = self.nodes[from].ask(&question).await;
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let words = ["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"];
                let _: String = ask_with(&url, &words).await;
            }
        }
    }

    /// The other node serves the slot from here on.
    pub(crate) async fn has_moved(&self, slot: u16, from: usize, to: usize) {
        let to_id = self.id(to).await;
        for at in [to, from] {
            self.orders(at, &format!("CLUSTER SETSLOT {slot} NODE {to_id}"))
                .await;
        }
    }

    async fn all(&self, is_so: impl Fn(&[Line]) -> bool) -> bool {
        for at in 0..self.nodes.len() {
            if !is_so(&self.lines(at).await) {
                return false;
            }
        }
        true
    }

    async fn wait(&self, is_so: impl AsyncFn() -> bool) {
        for _ in 0..600 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut known = Vec::new();
        for at in 0..self.nodes.len() {
            known.push(self.lines(at).await);
        }
        panic!("the Cluster does not come to an agreement: {known:#?}");
    }
}

/// A node that knows no other.
pub(crate) fn node(arguments: &[&str]) -> Server {
    start_node(arguments, Server::start_with)
}

/// The same, of another program.
pub(crate) fn node_of(program: &str) -> Server {
    start_node(&[], |arguments| {
        Server::start_program(program, arguments).unwrap()
    })
}

fn start_node(arguments: &[&str], start: impl FnOnce(&[&str]) -> Server) -> Server {
    let bus = free_port().to_string();
    let own = [
        "--cluster-enabled",
        "yes",
        "--cluster-node-timeout",
        "1500",
        "--cluster-port",
        &bus,
    ];
    start(&[&own[..], arguments].concat())
}

async fn bus(node: &Server) -> u16 {
    let port: Vec<String> = node.ask("CONFIG GET cluster-port").await;
    port[1].parse().unwrap()
}

/// The slot of a user.
pub(crate) fn slot(tag: Tag) -> u16 {
    slot_of(&tag.to_string())
}

fn slot_of(tag: &str) -> u16 {
    let crc = tag.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| {
            (crc << 1) ^ (0x1021 * (crc >> 15))
        })
    });
    crc % 16_384
}
