//! The links to the primaries of a Cluster, and the map that says which one serves a key.
//!
//! ```text
//!  call ─▶ slot of its key ─▶ map ─▶ link of that primary ─▶ reply
//!                              ▲           │ MOVED, ASK, down …
//!                              └─ refresh ◀┘
//! ```
//!
//! Users of one primary do not wait for another one: what they share is the map, which they read under a short lock.

mod address;
mod call;
mod map;
mod parse;
mod refresh;
mod served;
pub(super) mod slot;

use std::{
    fmt,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak, atomic::AtomicUsize},
    time::Duration,
};

use tokio::sync::Notify;

pub(super) use self::served::{Served, served};
pub(super) use self::slot::{SLOTS, of as slot_of};
use self::{
    address::Address,
    map::{Changed, Map},
    served::amid,
};
use super::link::{Link, Outage, RedisSource, Seeds, elsewhere};
use crate::{
    model::clock::{Monotonic, millis},
    store::{StoreError, StoreErrorKind, worker::Worker},
};

/// How long callers wait for a first map before they share the error, in ms.
const GRACE: i64 = 300;

/// All links of a Cluster. Dropping it closes them and stops its task.
pub(super) struct Cluster(Arc<Inner>);

struct Inner {
    seeds: Arc<Seeds>,
    /// Covers all of a call.
    deadline: Duration,
    map: RwLock<Map<Arc<Link>>>,
    /// Links without slots, until their calls were answered; and until when at most.
    closing: Mutex<Vec<(Arc<Link>, i64)>>,
    /// All nodes that were named last, replicas too.
    known: Mutex<Vec<Address>>,
    /// Why there is no map yet.
    lacking: Mutex<Lacking>,
    /// Wakes callers who wait for the map.
    changed: Arc<Notify>,
    /// Wakes the task that reads the map.
    nudge: Arc<Notify>,
    /// Whose turn it is to be asked for the map.
    turn: AtomicUsize,
    refresher: Mutex<Worker>,
}

/// An outage of the whole Cluster, before its map is known.
#[derive(Debug, Default)]
struct Lacking {
    since: Option<i64>,
    outage: Option<Outage>,
}

impl Cluster {
    pub(super) fn new(seeds: Arc<Seeds>, deadline: Duration) -> Self {
        Self(Arc::new(Inner {
            seeds,
            deadline,
            map: RwLock::new(Map::new()),
            closing: Mutex::default(),
            known: Mutex::default(),
            lacking: Mutex::default(),
            changed: Arc::new(Notify::new()),
            nudge: Arc::new(Notify::new()),
            turn: AtomicUsize::new(0),
            refresher: Mutex::default(),
        }))
    }
}

impl Cluster {
    /// Waits until a link is up again or the map has changed.
    pub(super) fn up_again(&self) -> impl Future<Output = ()> + Send + use<> {
        let changed = Arc::clone(&self.0.changed);
        async move { changed.notified().await }
    }

    /// The links to all primaries that are known. If none is, the map is read.
    pub(super) fn links(&self) -> Vec<Arc<Link>> {
        let map = self.0.map.read().unwrap_or_else(PoisonError::into_inner);
        let links: Vec<_> = map.links().map(|(_, link)| Arc::clone(link)).collect();
        drop(map);
        if links.is_empty() {
            self.0.wake();
        }
        links
    }

    /// Whether calls about this slot go to the server of this link.
    pub(super) fn serves(&self, slot: u16, link: &Weak<Link>) -> bool {
        let map = self.0.map.read().unwrap_or_else(PoisonError::into_inner);
        map.find(slot)
            .is_some_and(|owner| Arc::as_ptr(owner) == link.as_ptr())
    }

    /// The map may be old.
    pub(super) fn doubt(&self) {
        self.0.doubt();
    }

    /// All primaries, once the map is known, each with a slot that it serves.
    ///
    /// It is amid the longest row of its slots. Those that move are mostly at an end or alone, and a call there fails.
    pub(super) async fn primaries(&self) -> Result<Vec<(Arc<Link>, u16)>, StoreError> {
        let known = tokio::time::timeout(self.0.deadline, self.0.wait(0));
        let timeout = |elapsed| StoreError::new(StoreErrorKind::Timeout).with_source(elapsed);
        known.await.map_err(timeout)??;
        let map = self.0.map.read().unwrap_or_else(PoisonError::into_inner);
        let mut primaries: Vec<(Arc<Link>, Range<u16>)> = Vec::new();
        let mut from = 0;
        while from < SLOTS {
            let link = map.find(from);
            let is_same = |slot: &u16| map.find(*slot).map(Arc::as_ptr) == link.map(Arc::as_ptr);
            let to = (from..SLOTS).find(|slot| !is_same(slot)).unwrap_or(SLOTS);
            if let Some(link) = link {
                let known = primaries
                    .iter_mut()
                    .find(|(known, _)| Arc::ptr_eq(known, link));
                match known {
                    Some((_, row)) if row.len() < usize::from(to - from) => *row = from..to,
                    Some(_) => {}
                    None => primaries.push((Arc::clone(link), from..to)),
                }
            }
            from = to;
        }
        let primaries = primaries.into_iter();
        Ok(primaries.map(|(link, row)| (link, amid(row))).collect())
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        lock(&self.0.refresher).close();
        let mut map = self.0.map.write().unwrap_or_else(PoisonError::into_inner);
        map.links().for_each(|(_, link)| link.close());
        *map = Map::new();
        for (link, _) in lock(&self.0.closing).drain(..) {
            link.close();
        }
    }
}

impl Inner {
    /// The link to the node that serves the slot, and how often it had lost slots.
    fn find(&self, slot: u16) -> Option<Found> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        map.find(slot).map(Found::of)
    }

    /// The link to the node with this address or name, if it is known.
    fn at(&self, address: &Address) -> Option<Found> {
        let map = self.map.read().unwrap_or_else(PoisonError::into_inner);
        map.link(address).map(Found::of)
    }

    /// The link to the node that a redirection named: it serves the slot if it `moved` there.
    fn redirect(&self, slot: u16, moved: bool, to: &Address) -> Option<Found> {
        let now = Monotonic::now().as_millis();
        let mut map = self.map.write().unwrap_or_else(PoisonError::into_inner);
        let (link, changed) = map.redirect(slot, moved, to, now, |address| self.link(address));
        self.follow(changed, now);
        link.as_ref().map(Found::of)
    }

    /// Applies a change of the map to the links. The map is still locked, so no caller sees a half-applied change.
    fn follow(&self, changed: Changed<Arc<Link>>, now: i64) {
        if changed.is_empty() {
            return;
        }
        changed.added.iter().for_each(|link| link.start());
        changed.gained.iter().for_each(|link| link.retry());
        changed.lost.iter().for_each(|link| link.lose());
        let until = now.saturating_add(millis(self.deadline).saturating_mul(2));
        for link in changed.retired {
            link.lose();
            lock(&self.closing).push((link, until));
        }
        self.changed.notify_waiters();
    }

    fn link(&self, address: &Address) -> Arc<Link> {
        let link = Link::of_cluster(
            self.source(address),
            self.deadline,
            Arc::clone(&self.nudge),
            Arc::clone(&self.changed),
        );
        Arc::new(link)
    }

    /// The node at this address, with the settings of the first seed.
    fn source(&self, address: &Address) -> RedisSource {
        let (host, port) = (address.host.to_string(), address.port);
        RedisSource::node(elsewhere(&self.seeds.first, host, port))
    }

    /// The map is old. It is read again soon.
    fn doubt(self: &Arc<Self>) {
        self.wake();
        self.nudge.notify_one();
    }

    /// Starts the task that reads the map in the caller's runtime if none runs: the runtime of the last one may have
    /// stopped, or be idle.
    fn wake(self: &Arc<Self>) {
        let mut refresher = lock(&self.refresher);
        if !refresher.runs() {
            refresher.start(|_| refresh::keep(Arc::clone(self)));
        }
    }
}

/// A link that may serve a call.
struct Found {
    link: Arc<Link>,
    /// How often it had lost slots. If that changes, the call looks the link up again.
    losses: u64,
}

impl Found {
    /// Whether both lead to the same node.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.link, &other.link)
    }

    fn of(link: &Arc<Link>) -> Self {
        Self {
            link: Arc::clone(link),
            losses: link.losses(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let map = self.0.map.read().unwrap_or_else(PoisonError::into_inner);
        let nodes: Vec<&Address> = map.links().map(|(address, _)| address).collect();
        f.debug_struct("Cluster")
            .field("primaries", &nodes)
            .field("deadline", &self.0.deadline)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{keys::Keys, link::Call, route::Route, script::source::Script},
        *,
    };

    #[test]
    fn the_names_of_all_nodes_are_looked_up_one_at_a_time() {
        let source = RedisSource::cluster(["redis://redis-1", "redis://redis-2"]).unwrap();
        let cluster = Cluster::new(Arc::clone(source.seeds().unwrap()), Duration::MAX);
        *lock(&cluster.0.known) = vec![Address::new("redis-3", 6379)];

        let others = cluster.0.others(&[]).into_iter();
        let mut all: Vec<_> = others.map(|(source, ..)| source).collect();
        all.push(cluster.0.source(&Address::new("redis-4", 6379)));

        assert_eq!(all.len(), 4);
        assert!(all.iter().all(RedisSource::looks_names_up_itself));
    }

    #[tokio::test]
    async fn a_primary_is_found_whatever_the_only_slot_that_it_serves() {
        let source = RedisSource::cluster(["redis://127.0.0.1:1"]).unwrap();
        let (large, small) = (Address::new("127.0.0.1", 1), Address::new("127.0.0.1", 2));
        let keys = Keys::new("sessions");
        for only in [1, 9_000, SLOTS - 1] {
            let cluster = Cluster::new(Arc::clone(source.seeds().unwrap()), Duration::MAX);
            for slot in 0..SLOTS {
                let to = if slot == only { &small } else { &large };
                cluster.0.redirect(slot, true, to);
            }

            let served = Route::Cluster(cluster).served(&keys).await.unwrap();

            let slots: Vec<u16> = served.iter().map(|key| slot_of(key)).collect();
            assert_eq!(slots.len(), 2, "{slots:?}");
            assert!(slots.contains(&only), "{slots:?}");
        }
    }

    #[tokio::test]
    async fn a_primary_is_asked_in_a_slot_amid_its_longest_row() {
        let source = RedisSource::cluster(["redis://127.0.0.1:1"]).unwrap();
        let cluster = Cluster::new(Arc::clone(source.seeds().unwrap()), Duration::MAX);
        let (one, other) = (Address::new("127.0.0.1", 1), Address::new("127.0.0.1", 2));
        for slot in 0..SLOTS {
            // A few slots of each have come to the other.
            let is_one = if slot % 1_000 < 3 {
                slot >= 8_000
            } else {
                slot < 8_000
            };
            cluster
                .0
                .redirect(slot, true, if is_one { &one } else { &other });
        }

        let primaries = cluster.primaries().await.unwrap();

        assert_eq!(primaries.len(), 2);
        for (_, slot) in primaries {
            assert!((400..600).contains(&(slot % 1_000)), "{slot}");
        }
    }

    #[tokio::test]
    async fn a_node_that_takes_over_slot_after_slot_is_connected_to_once() {
        // It accepts connections, and takes its time to answer.
        let server = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let node = Address::new("127.0.0.1", server.local_addr().unwrap().port());
        let source = RedisSource::cluster(["redis://127.0.0.1:1"]).unwrap();
        let cluster = Cluster::new(Arc::clone(source.seeds().unwrap()), Duration::MAX);
        let (script, mut sockets) = (Script::of(&["return 1"]), Vec::new());
        let call = Call::new(&script, "a", *b"8 bytes.");

        cluster.0.redirect(slot_of(call.key), true, &node);
        for slot in 0..20 {
            cluster.0.redirect(slot, true, &node);
            let run = cluster.run(&call, &|_, _| {});
            let _waits = tokio::time::timeout(Duration::from_millis(20), run).await;
        }
        while let Ok(more) = tokio::time::timeout(Duration::from_millis(200), server.accept()).await
        {
            sockets.push(more.unwrap());
        }

        assert_eq!(sockets.len(), 1);
    }

    #[tokio::test]
    async fn a_node_takes_over_whatever_the_deadline() {
        let source = RedisSource::cluster(["redis://127.0.0.1:1"]).unwrap();
        let cluster = Cluster::new(Arc::clone(source.seeds().unwrap()), Duration::MAX);

        let found = cluster.0.redirect(5, true, &Address::new("127.0.0.1", 1));

        assert!(found.is_some());
    }
}
