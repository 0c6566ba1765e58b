//! Five hundred sign-ins of one user at once, through two processes that share one Redis.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Mutex,
    task::{JoinHandle, JoinSet},
};
use tower_user_sessions::{ClientClass, RedisStore, SessionInfo, UserId, UserSessions};

use crate::common::{
    app::App,
    browser::{self, Answer},
    redis::Server,
};

const SIGN_INS: usize = 500;

/// Long enough for the watchers to look often, and a tenth of a real check.
const CHECK: (&str, &str) = ("PASSWORD_KIB", "2048");

/// Between two looks of a watcher. A look takes longer than a sign-in in Redis, so that watchers without a
/// rest would take most of the CPU.
const PAUSE: Duration = Duration::from_millis(1);

/// Longer than the whole test takes.
const PATIENCE: Duration = Duration::from_secs(300);

/// Both tests use all cores, so they run one after the other.
static TURN: Mutex<()> = Mutex::const_new(());

/// Lists alice's sessions all the time, from a third node.
struct Watcher {
    done: Arc<AtomicBool>,
    watching: JoinHandle<Seen>,
}

/// The highest number of live sessions, and the number of looks.
struct Seen {
    most: usize,
    looks: usize,
}

impl Watcher {
    fn of(sessions: UserSessions) -> Self {
        let done = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&done);
        let watching = tokio::spawn(async move {
            let mut seen = Seen { most: 0, looks: 0 };
            while !stop.load(Ordering::Relaxed) {
                // While all start at once, a first connection may take too long. The next look makes another one.
                if let Ok(live) = sessions.list().await {
                    seen.most = seen.most.max(live.len());
                    seen.looks += 1;
                }
                tokio::time::sleep(PAUSE).await;
            }
            seen
        });
        Self { done, watching }
    }

    async fn stop(self) -> Seen {
        self.done.store(true, Ordering::Relaxed);
        self.watching.await.unwrap()
    }
}

/// The view of the third node, which may wait while all cores check passwords.
fn alice(redis: &Server) -> UserSessions {
    let user = UserId::new("alice").unwrap();
    let store = RedisStore::builder(redis.pool()).deadline(PATIENCE).build();
    UserSessions::new(store, user)
}

/// Sends all sign-ins at once, alternating between the two nodes.
async fn sign_in_all(nodes: &[App; 2]) -> Vec<Answer> {
    let client = browser::patient(PATIENCE);
    let mut racers = JoinSet::new();
    for racer in 0..SIGN_INS {
        let url = nodes[racer % 2].url("/login");
        let client = client.clone();
        racers.spawn(async move { browser::log_in(&client, url, "Racer/1.0").await });
    }
    racers.join_all().await
}

fn statuses<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> BTreeMap<u16, usize> {
    let mut counted = BTreeMap::new();
    for answer in answers {
        *counted.entry(answer.status).or_default() += 1;
    }
    counted
}

/// The response of `/me` to each token.
async fn me_of_all(node: &App, tokens: &[String]) -> Vec<Answer> {
    let client = browser::patient(PATIENCE);
    let mut answers = Vec::new();
    for token in tokens {
        answers.push(browser::get(&client, node.url("/me"), Some(token)).await);
    }
    answers
}

// T25 T28
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_sign_ins_at_once_never_more_than_three_are_live() {
    let _turn = TURN.lock().await;
    let redis = Server::start();
    let url = redis.url();
    let settings = [CHECK, ("REDIS_URL", url.as_str()), ("MAX_SESSIONS", "3")];
    let nodes = [0, 1].map(|_| App::start(&settings));
    let watcher = Watcher::of(alice(&redis));

    let answers = sign_in_all(&nodes).await;

    let seen = watcher.stop().await;
    assert_eq!(statuses(&answers), BTreeMap::from([(200, SIGN_INS)]));
    assert_eq!(
        (seen.most, alice(&redis).list().await.unwrap().len()),
        (3, 3)
    );
    assert!(seen.looks > 20, "only {} looks", seen.looks);
    let tokens: Vec<String> = answers.iter().map(Answer::token).collect();
    let live = statuses(&me_of_all(&nodes[0], &tokens).await);
    assert_eq!(live, BTreeMap::from([(200, 3), (401, SIGN_INS - 3)]));
}

// T27
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusing_limit_admits_exactly_three_and_evicts_none() {
    let _turn = TURN.lock().await;
    let redis = Server::start();
    let url = redis.url();
    let settings = [CHECK, ("REDIS_URL", url.as_str()), ("EXCESS", "refuse")];
    let nodes = [0, 1].map(|_| App::start(&settings));
    let watcher = Watcher::of(alice(&redis));

    let answers = sign_in_all(&nodes).await;

    let seen = watcher.stop().await;
    let expected = BTreeMap::from([(200, 3), (409, SIGN_INS - 3)]);
    assert_eq!((seen.most, statuses(&answers)), (3, expected));
    let (admitted, refused): (Vec<_>, Vec<_>) =
        answers.into_iter().partition(|answer| answer.status == 200);
    let tokens: Vec<String> = admitted.iter().map(Answer::token).collect();
    let live = statuses(&me_of_all(&nodes[1], &tokens).await);
    assert_eq!(live, BTreeMap::from([(200, 3)]));
    let cookies = refused.iter().filter(|answer| answer.cookie.is_some());
    assert_eq!(cookies.count(), 0);
}

const AGENTS: [&str; 3] = [
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
    "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) \
     Chrome/142.0.0.0 Mobile Safari/537.36",
    "curl/8.5.0",
];

/// The number of alice's sessions by class (computers, phones, others) and in total.
fn by_class(list: &[SessionInfo]) -> [usize; 4] {
    let of = |number| {
        let class = ClientClass::new(number);
        list.iter().filter(|info| info.class() == class).count()
    };
    [of(1), of(2), of(3), list.len()]
}

// T30
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mixed_classes_never_exceed_their_limits_or_the_total() {
    let _turn = TURN.lock().await;
    let redis = Server::start();
    let url = redis.url();
    let settings = [
        CHECK,
        ("REDIS_URL", url.as_str()),
        ("MAX_SESSIONS", "6"),
        ("MAX_BROWSERS", "2"),
        ("MAX_PHONES", "1"),
        ("MAX_TOOLS", "5"),
    ];
    let nodes = [0, 1].map(|_| App::start(&settings));
    let (sessions, done) = (alice(&redis), Arc::new(AtomicBool::new(false)));
    let stop = Arc::clone(&done);
    let watching = tokio::spawn(async move {
        let (mut most, mut looks) = ([0; 4], 0);
        while !stop.load(Ordering::Relaxed) {
            if let Ok(live) = sessions.list().await {
                most.iter_mut()
                    .zip(by_class(&live))
                    .for_each(|(most, live)| *most = live.max(*most));
                looks += 1;
            }
            tokio::time::sleep(PAUSE).await;
        }
        (most, looks)
    });
    let client = browser::patient(PATIENCE);
    let mut racers = JoinSet::new();
    for racer in 0..SIGN_INS {
        let (url, client) = (nodes[racer % 2].url("/login"), client.clone());
        let agent = AGENTS[racer / 2 % 3];
        racers.spawn(async move { browser::log_in(&client, url, agent).await });
    }

    let answers = racers.join_all().await;

    done.store(true, Ordering::Relaxed);
    let (most, looks) = watching.await.unwrap();
    assert_eq!(statuses(&answers), BTreeMap::from([(200, SIGN_INS)]));
    let within = most
        .iter()
        .zip([2, 1, 5, 6])
        .all(|(most, limit)| *most <= limit);
    assert!(within, "{most:?}");
    assert!(looks > 20, "only {looks} looks");
    assert_eq!(by_class(&alice(&redis).list().await.unwrap())[3], 6);
}
