//! The one task of a Cluster: it reads the map, and closes links that serve no slot any more.

use std::{sync::Arc, sync::PoisonError, sync::atomic::Ordering, time::Duration};

use deadpool_redis::redis::{
    Cmd, ConnectionAddr, ConnectionInfo, Value, cmd, from_redis_value_ref,
};

use super::{
    Inner,
    address::Address,
    lock,
    parse::{self, Primary, View},
    slot::SLOTS,
};
use crate::{
    model::clock::Monotonic,
    store::{
        StoreErrorKind, meter,
        redis::link::{Link, Outage, RedisSource},
    },
};

/// How often the map is read, in ms: at rest, while a node does not serve, and at most.
const AT_REST: i64 = 30_000;
const IN_OUTAGE: i64 = 250;
const NUDGED: i64 = 50;
const DENIED: i64 = 5_000;

/// How often it looks whether a link may be closed, in ms.
const CLOSING: i64 = 50;

/// How long a node may take to answer over an open connection: a quarter of the deadline, in these bounds. A busy node is
/// slow, and a silent one holds up the others. With a new connection it may take twice as long.
const LEAST: Duration = Duration::from_millis(250);
const MOST: Duration = Duration::from_secs(1);

/// What a node is asked for the map.
pub(super) fn question() -> Cmd {
    let mut question = cmd("CLUSTER");
    question.arg("NODES");
    question
}

/// Reads the map whenever it is due, until the Cluster is dropped, which stops this task.
pub(super) async fn keep(cluster: Arc<Inner>) {
    let (mut read, mut nudge) = (i64::MIN, true);
    let mut incomplete = None;
    loop {
        let nudged = cluster.nudge.notified();
        let now = Monotonic::now().as_millis();
        let closing = cluster.close_idle(now);
        let pause = cluster.pause();
        let nudged_due = nudge && pause != DENIED;
        let due = read.saturating_add(if nudged_due { pause.min(NUDGED) } else { pause });
        if now >= due {
            (read, nudge) = (now, false);
            cluster.refresh().await;
            cluster.report(&mut incomplete, now);
            continue;
        }
        let left = due.saturating_sub(now);
        let left = if closing { left.min(CLOSING) } else { left };
        let left = Duration::from_millis(left.unsigned_abs());
        nudge |= tokio::time::timeout(left, nudged).await.is_ok();
    }
}

impl Inner {
    /// How long after one reading of the map the next one is due.
    fn pause(&self) -> i64 {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let lacking = self.is_lacking();
        // Where no link serves, each reading signs in. A wrong password is not tried so often, lest the server lock the
        // user out.
        if lacking == Some(true) && map.links().all(|(_, link)| link.is_down()) {
            return DENIED;
        }
        let serves_not = |link: &Link| link.is_down() || link.is_unready();
        if map.is_empty() || lacking.is_some() || map.links().any(|(_, link)| serves_not(link)) {
            IN_OUTAGE
        } else {
            AT_REST
        }
    }

    /// Closes links without slots whose calls were answered, and those that will not answer. Says whether some are left.
    fn close_idle(&self, now: i64) -> bool {
        let mut closed = Vec::new();
        let is_left = {
            let mut closing = lock(&self.closing);
            closing.retain(|(link, until)| {
                let is_open = !link.is_idle() && !link.is_down() && now < *until;
                if !is_open {
                    closed.push(Arc::clone(link));
                }
                is_open
            });
            !closing.is_empty()
        };
        for link in closed {
            link.report_gone(now);
            link.close();
        }
        is_left
    }

    /// Reads the map from the first node that answers, one after the other.
    async fn refresh(&self) {
        let question = question();
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let patience = self.patience();
        let (mut up, down) = self.links();
        let shift = turn.checked_rem(up.len()).unwrap_or(0);
        up.rotate_left(shift);
        // A node that is not ready may be cut off from the others, or have lost what it knew.
        up.sort_by_cached_key(|(_, link)| link.is_unready());
        for (address, link) in &up {
            let answer = link.ask(&question, patience).await;
            if answer.is_some_and(|answer| self.learn(&answer, &address.host, false)) {
                return;
            }
        }
        let knows_none = up.is_empty() && down.is_empty();
        let mut others = self.others(&down);
        // All of them at first. Later one at a time, for a Cluster that is away must not be stormed.
        if turn > 0 && !others.is_empty() {
            let shift = turn % others.len();
            others.rotate_left(shift);
            others.truncate(1);
        }
        for (source, host, is_seed) in others {
            // The next one is asked soon. But if all are far away, connections through TLS take longer than that to open.
            let time = if turn > 0 && knows_none {
                source.patience(self.deadline)
            } else {
                2 * patience
            };
            // Where nobody who was known answers, the Cluster may be another one.
            let again = is_seed && up.is_empty();
            match asked(&source, &question, time).await {
                Ok(answer) if self.learn(&answer, &host, again) => return,
                Ok(_) => {
                    let cause = "the server is no node of a Cluster that knows the others";
                    self.lacks(Outage::new(StoreErrorKind::Unavailable, cause));
                }
                Err(outage) => self.lacks(outage),
            }
        }
    }

    /// Logs once that slots have no node, and once that all have one again. `since` is kept between the readings of the map.
    fn report(&self, since: &mut Option<i64>, now: i64) {
        // Where the map is whole, the links say which nodes are away.
        let outage = lock(&self.lacking).outage.clone();
        match (outage.filter(|_| !self.covers()), *since) {
            (Some(outage), None) => {
                *since = Some(now);
                meter::link::went(false);
                tracing::warn!(
                    seed = %self.seeds.first.addr(),
                    kind = ?outage.kind,
                    error = outage.cause(),
                    "no node of the Redis Cluster is known for some slots, or for all"
                );
            }
            (None, Some(then)) => {
                *since = None;
                meter::link::went(true);
                tracing::info!(
                    after_ms = Monotonic::now().as_millis().saturating_sub(then),
                    "each slot of the Redis Cluster has a node again"
                );
            }
            _ => {}
        }
    }

    /// Nodes without a link, replicas too; and the seeds, whose names are looked up again.
    pub(super) fn others(&self, down: &[Address]) -> Vec<(RedisSource, Box<str>, bool)> {
        let known = lock(&self.known).clone();
        // Those whose own links are down are being connected to already.
        let known = known.iter().filter(|address| !down.contains(address));
        let known = known.map(|address| (self.source(address), address.host.clone(), false));
        let seeds = self.seeds.iter().map(|seed| {
            let source = RedisSource::node(seed.clone());
            (source, host_of(seed).into(), true)
        });
        seeds.chain(known).collect()
    }

    /// The links that serve, and the addresses of the others.
    fn links(&self) -> (Vec<(Address, Arc<Link>)>, Vec<Address>) {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        let (mut up, mut down) = (Vec::new(), Vec::new());
        for (address, link) in map.links() {
            if link.is_down() {
                down.push(address.clone());
            } else {
                up.push((address.clone(), Arc::clone(link)));
            }
        }
        (up, down)
    }

    /// Whether a node is known for each slot.
    fn covers(&self) -> bool {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        (0..SLOTS).all(|slot| map.find(slot).is_some())
    }

    /// How long a node may take to say what it knows, over an open connection.
    pub(super) fn patience(&self) -> Duration {
        (self.deadline / 4).clamp(LEAST, MOST)
    }

    /// What a node said that was reached at this host.
    pub(super) fn view(&self, answer: &Value, host: &str) -> Option<View> {
        let is_tls = matches!(self.seeds.first.addr(), ConnectionAddr::TcpTls { .. });
        let text = from_redis_value_ref::<String>(answer).ok()?;
        // Whichever node answers, and wherever it was reached.
        let is_in_a_url = |name: &str, _| {
            let mut hosts = self.seeds.iter().map(host_of);
            hosts.any(|host| host.eq_ignore_ascii_case(name))
        };
        let names = is_tls || parse::names_lead(&text, is_in_a_url);
        parse::view(&text, host, names)
    }

    /// Takes what a node said, also against what was known if the Cluster was made `again`. Whether it knows who serves what.
    fn learn(&self, answer: &Value, host: &str, again: bool) -> bool {
        let Some(view) = self.view(answer, host) else {
            return false;
        };
        let now = Monotonic::now().as_millis();
        {
            let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
            if again {
                map.doubt();
            }
            let changed = map.merge(&view, now, |address| self.link(address));
            self.follow(changed, now);
        }
        // A node that has lost its Cluster knows itself alone.
        let serves = |primary: &Primary| !primary.slots.is_empty();
        let knows = !view.incomplete && view.primaries.iter().any(serves);
        {
            let mut known = lock(&self.known);
            if (knows || known.is_empty()) && !view.nodes.is_empty() {
                known.clone_from(&view.nodes);
            }
        }
        if self.covers() {
            *lock(&self.lacking) = Default::default();
        } else {
            let cause = "no node of the Cluster serves this slot";
            self.lacks(Outage::new(StoreErrorKind::Unavailable, cause));
        }
        knows
    }
}

/// The host of a URL; empty for a Unix socket.
fn host_of(seed: &ConnectionInfo) -> &str {
    match seed.addr() {
        ConnectionAddr::Tcp(host, _) | ConnectionAddr::TcpTls { host, .. } => host,
        _ => "",
    }
}

/// Asks a node on a connection that is closed afterwards.
async fn asked(source: &RedisSource, question: &Cmd, patience: Duration) -> Result<Value, Outage> {
    let asked = async {
        let mut wire = source.open(patience).await?.wire;
        wire.send(question).await.map_err(Outage::of)
    };
    match tokio::time::timeout(patience, asked).await {
        Ok(answer) => answer,
        Err(elapsed) => Err(Outage::new(StoreErrorKind::Timeout, elapsed)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{super::Cluster, *};

    #[test]
    fn names_come_first_if_a_url_has_one_of_them_whichever_node_answers() {
        let nodes = "1 10.0.0.1:6379@16379,node-1 myself,master - 0 0 1 connected 0-5\n\
                     2 10.0.0.2:6379@16379,node-2 master - 0 0 2 connected 6-9";
        let answer = Value::BulkString(nodes.into());
        let hosts = |urls: [&str; 2]| {
            let source = RedisSource::cluster(urls).unwrap();
            let cluster = Cluster::new(Arc::clone(source.seeds().unwrap()), Duration::MAX);
            let view = cluster.0.view(&answer, "redis").unwrap();
            let hosts = view.primaries.into_iter().map(|of| of.address.host);
            hosts.map(str::into_string).collect::<Vec<_>>()
        };

        let named = hosts(["redis://redis", "redis://Node-2"]);
        let other = hosts(["redis://redis", "redis://10.0.0.2"]);

        assert_eq!(named, ["node-1", "node-2"]);
        assert_eq!(other, ["10.0.0.1", "10.0.0.2"]);
    }
}
