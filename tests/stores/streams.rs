//! Random histories of open streams on a node, while sessions end on other ones, the feed is cut, and messages are lost.
//!
//! Each history has its own keys and its own way to the server. `STREAMS_HISTORIES` says how many there are, and
//! `STREAMS_SEED` which one is the first.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

use std::{
    env,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::Semaphore,
    task::{JoinHandle, JoinSet},
    time::{Instant, sleep, timeout},
};
use tower_user_sessions::{
    EndReason, Everyone, Limit, LiveSession, RedisStore, Session, SessionLayer, UserSessions,
    store::{RedisLive, RedisSource},
};

use crate::common::{
    http::{Client, user},
    random::Random,
    redis::Server,
    relay::Relay,
};

/// How many histories each change needs.
const HISTORIES: u64 = 60;

const STEPS: u32 = 24;

const USERS: usize = 4;

/// A lease of 1 s stands for one of 60 s.
const LEASE: Duration = Duration::from_secs(1);

/// 20 % more, two looks with a second between, an end of everyone that nobody reported, and a busy machine.
const LONGEST: Duration = Duration::from_secs(10);

/// A session, and its streams on the node that is watched.
struct Kept {
    client: Client,
    streams: Vec<LiveSession>,
}

struct World {
    seed: u64,
    dice: Random,
    relay: Relay,
    /// The node with the streams, behind the relay.
    a: SessionLayer,
    /// A node that reports ends, and one that does not.
    b: [(SessionLayer, RedisStore); 2],
    users: Vec<Option<Kept>>,
    /// Streams whose session ended: how long they stayed open after that.
    closing: Vec<JoinHandle<Duration>>,
    /// How often sessions of each user ended. With the next sign-in only the newest notice is kept.
    ends: [Arc<AtomicU32>; USERS],
    /// Everyone was ended once. A node that does not know it yet may end such a session again, or forget it.
    everyone: Arc<AtomicBool>,
}

impl World {
    async fn new(seed: u64, server: &Server) -> Self {
        let relay = Relay::start(server.port).await;
        let prefix = format!("history-{seed}");
        let store = |url: String, reports: bool| {
            let builder = RedisStore::builder(RedisSource::url(&url).unwrap()).prefix(&prefix);
            let live = if seed.is_multiple_of(2) {
                RedisLive::ends()
            } else {
                RedisLive::ends().shards(3)
            };
            if reports {
                builder.live(live).build()
            } else {
                builder.build()
            }
        };
        let layer = |store: &RedisStore| {
            SessionLayer::new(store.clone())
                .limit(Limit::at_most(1))
                .rotation_grace(Duration::ZERO)
                .look_every(LEASE)
        };
        let b = [true, false].map(|reports| {
            let store = store(server.url(), reports);
            (layer(&store), store)
        });
        // What connects while others do is an outage for its first requests.
        for (layer, _) in &b {
            signs_in(layer, "early").await;
        }
        Self {
            seed,
            dice: Random(seed),
            a: layer(&store(relay.url(), true)),
            relay,
            b,
            users: (0..USERS).map(|_| None).collect(),
            closing: Vec::new(),
            ends: Default::default(),
            everyone: Arc::default(),
        }
    }

    /// One node in three reports nothing.
    fn other(&mut self) -> (SessionLayer, RedisStore) {
        let silent = self.dice.is_one_in(3);
        self.b[usize::from(silent)].clone()
    }

    async fn step(&mut self) {
        let at = self.dice.place(USERS);
        match self.dice.below(16) {
            0..4 => self.opens(at).await,
            4..8 => self.ends(at).await,
            8 => self.opens_while_it_ends(at).await,
            9 => self.changes_token(at).await,
            10 => self.closes_some(at),
            11 => self.relay.cut_listeners(self.dice.is_one_in(2)),
            12 => self.relay.silence_listeners(self.dice.is_one_in(2)),
            13 => self.relay.lose_messages(1 + self.dice.count(3)),
            14 => self.relay.cut(),
            _ if self.dice.is_one_in(3) => self.ends_everyone().await,
            _ => self.relay.go_away(self.dice.millis(300)).await,
        }
        let pause = self.dice.millis(120);
        sleep(pause).await;
        for kept in self.users.iter().flatten() {
            let is_open = |live: &LiveSession| live.end().is_none();
            let seed = self.seed;
            assert!(
                kept.streams.iter().all(is_open),
                "seed {seed}: a live session"
            );
        }
    }

    /// The user, who signs in if need be.
    async fn signed_in(&mut self, at: usize) -> &mut Kept {
        if self.users[at].is_none() {
            let (layer, _) = self.other();
            let client = signs_in(&layer, &format!("user-{at}")).await;
            let streams = Vec::new();
            self.users[at] = Some(Kept { client, streams });
        }
        self.users[at].as_mut().unwrap()
    }

    async fn opens(&mut self, at: usize) {
        let a = self.a.clone();
        let kept = self.signed_in(at).await;
        let live = |session: Session| async move { session.live().unwrap() };
        let answer = kept.client.before(&a).request(live).await;
        // In an outage none can be opened.
        if answer.reached() {
            kept.streams.push(answer.value());
        }
    }

    fn closes_some(&mut self, at: usize) {
        if let Some(kept) = &mut self.users[at] {
            let left = self.dice.below(kept.streams.len() as u64 + 1);
            kept.streams.truncate(usize::try_from(left).unwrap());
        }
    }

    /// Its streams stay open.
    async fn changes_token(&mut self, at: usize) {
        let (layer, _) = self.other();
        let kept = self.signed_in(at).await;
        kept.client = kept.client.before(&layer);
        let rotate = |session: Session| async move { session.rotate().unwrap() };
        kept.client.send(rotate).await;
        assert!(kept.client.user().await.is_some());
    }

    /// The user, whose session ends now.
    async fn leaves(&mut self, at: usize) -> Kept {
        self.signed_in(at).await;
        self.ends[at].fetch_add(1, SeqCst);
        self.users[at].take().unwrap()
    }

    async fn ends(&mut self, at: usize) {
        let (layer, store) = self.other();
        let how = self.dice.below(4);
        let mut kept = self.leaves(at).await;
        let name = format!("user-{at}");
        let reason = match how {
            0 => {
                let client = signs_in(&layer, &name).await;
                let streams = Vec::new();
                self.users[at] = Some(Kept { client, streams });
                "evicted"
            }
            1 => {
                let mut client = kept.client.before(&layer);
                let out = |session: Session| async move { session.log_out().unwrap() };
                succeeds(&mut client, out).await;
                "logged_out"
            }
            2 => {
                kept.client = kept.client.before(&layer);
                let mut stolen = kept.client.clone();
                let rotate = |session: Session| async move { session.rotate().unwrap() };
                kept.client.send(rotate).await;
                assert!(kept.client.user().await.is_some());
                sleep(Duration::from_millis(5)).await;
                assert_eq!(stolen.user().await, None);
                "token_reuse"
            }
            _ => {
                let all = UserSessions::new(store, user(&name)).because(EndReason::Disabled);
                all.end_all().await.unwrap();
                "disabled"
            }
        };
        self.has_ended(at, kept, reason);
    }

    /// The end overtakes the opening, or not.
    async fn opens_while_it_ends(&mut self, at: usize) {
        let (_, store) = self.other();
        let (opens_after, ends_after) = (self.dice.millis(6), self.dice.millis(6));
        let mut kept = self.leaves(at).await;
        let before = kept.client.before(&self.a);
        let opening = before.request(move |session: Session| async move {
            sleep(opens_after).await;
            session.live().ok()
        });
        let ending = async {
            sleep(ends_after).await;
            let all = UserSessions::new(store, user(&format!("user-{at}")));
            all.end_all().await.unwrap();
        };
        let (answer, ()) = tokio::join!(opening, ending);
        if answer.reached() {
            kept.streams.extend(answer.value());
        }
        self.has_ended(at, kept, "administrator");
    }

    async fn ends_everyone(&mut self) {
        let (_, store) = self.other();
        self.everyone.store(true, SeqCst);
        Everyone::new(store).end_all().await.unwrap();
        for at in 0..USERS {
            if let Some(kept) = self.users[at].take() {
                self.has_ended(at, kept, "everyone");
            }
        }
    }

    fn has_ended(&mut self, at: usize, kept: Kept, reason: &'static str) {
        let (ended, seed, this) = (Instant::now(), self.seed, self.ends[at].load(SeqCst));
        for live in kept.streams {
            let (ends, everyone) = (Arc::clone(&self.ends[at]), Arc::clone(&self.everyone));
            let closing = tokio::spawn(async move {
                let said = live.ended().await.reason();
                let is_known = match said {
                    "ended" => ends.load(SeqCst) > this || everyone.load(SeqCst),
                    "everyone" | "evicted" => said == reason || everyone.load(SeqCst),
                    _ => said == reason,
                };
                assert!(is_known, "seed {seed}: {said} and not {reason}");
                ended.elapsed()
            });
            self.closing.push(closing);
        }
    }
}

/// Sends it, at once or a little later: on a busy machine the answer may take as long as an outage.
async fn succeeds<F, Fut>(client: &mut Client, handler: F)
where
    F: Fn(Session) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    for _ in 0..200 {
        if client.send(handler.clone()).await.status.is_success() {
            return;
        }
        sleep(Duration::from_millis(20)).await;
    }
    panic!("a request does not succeed");
}

/// Signs in. Where the answer takes long, the sign-in seems to come from before the end of all sessions, and is rejected.
async fn signs_in(layer: &SessionLayer, name: &str) -> Client {
    let (mut client, user) = (Client::new(layer), user(name));
    let log_in = move |session: Session| {
        let user = user.clone();
        async move { session.log_in(user).unwrap() }
    };
    succeeds(&mut client, log_in).await;
    assert_eq!(client.user().await.as_deref(), Some(name));
    client
}

/// Returns how long each stream stayed open after the end of its session.
async fn history(seed: u64, server: Arc<Server>) -> Vec<Duration> {
    let mut world = World::new(seed, &server).await;
    for _ in 0..STEPS {
        world.step().await;
    }
    let mut took = Vec::new();
    for closing in std::mem::take(&mut world.closing) {
        let closed = timeout(LONGEST, closing).await;
        let closed = closed.unwrap_or_else(|_| panic!("seed {seed}: a stream stayed open"));
        took.push(closed.unwrap());
    }
    for kept in world.users.iter().flatten() {
        assert!(
            kept.streams.iter().all(|live| live.end().is_none()),
            "seed {seed}"
        );
    }
    took
}

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |text| text.parse().unwrap())
}

// T41 T72
#[tokio::test(flavor = "multi_thread")]
async fn in_random_histories_with_cuts_and_lost_messages_no_end_is_missed() {
    let server = Arc::new(Server::start());
    let (count, first) = (
        number("STREAMS_HISTORIES", HISTORIES),
        number("STREAMS_SEED", 0),
    );
    let at_once = Arc::new(Semaphore::new(20));
    let mut running = JoinSet::new();
    for seed in first..first + count {
        let place = Arc::clone(&at_once).acquire_owned().await.unwrap();
        let server = Arc::clone(&server);
        running.spawn(async move {
            let took = history(seed, server).await;
            drop(place);
            took
        });
    }
    let mut took = running.join_all().await.concat();

    took.sort();
    let [half, p99, last] = [took.len() / 2, took.len() * 99 / 100, took.len() - 1];
    println!("| histories | first seed | streams closed | half, s | p99, s | last, s |");
    let [half, p99, last] = [half, p99, last].map(|at| took[at].as_secs_f64());
    println!(
        "| {count} | {first} | {} | {half:.2} | {p99:.2} | {last:.2} |",
        took.len()
    );
    assert!(u64::try_from(took.len()).unwrap() > count * 2);
    assert!(last < LONGEST.as_secs_f64());
}
