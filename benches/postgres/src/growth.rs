//! Sizes and growth.

use std::time::{Duration, Instant};

use deadpool_postgres::{Client as Connection, tokio_postgres::Statement};
use tokio::task::JoinSet;
use tower_user_sessions::{
    Client, PostgresStore, SessionStore, UserId,
    store::{Arrival, Authenticated, Create, Created, Resolve, Resolved, Token},
};

use crate::pool;

/// How many users are measured, of all.
const MEASURED: usize = 1_000;

/// How often each of them sends its request, after once to warm the caches.
const ROUNDS: usize = 9;

pub async fn signs_in(store: &PostgresStore, user: &str) -> Token {
    let user = UserId::new(user).unwrap();
    loop {
        let token = Token::random(store.tag(&user)).unwrap();
        let now = Authenticated::On(Arrival::now());
        let mut create = Create::new(&token, Some(user.clone()), now);
        let agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
        create.client = Client::default().with_user_agent(Some(agent.as_bytes()));
        // In a flood of the user's own requests a sign-in may come to its deadline.
        if let Ok(Created::Created(_)) = store.create(&create).await {
            return token;
        }
    }
}

async fn number(store_url: &str, sql: &str) -> i64 {
    let client = pool(store_url).get().await.unwrap();
    client.query_one(sql, &[]).await.unwrap().get(0)
}

fn median(mut all: Vec<Duration>) -> Duration {
    all.sort();
    all[all.len() / 2]
}

/// What a request takes, one at a time: its time, and the CPU of the server's processes for it.
#[derive(Clone, Copy, Debug)]
struct Cost {
    time: Duration,
    cpu: Duration,
}

/// CPU of all processes of the server that serve a connection. The server runs on this machine.
async fn cpu(url: &str) -> Duration {
    let client = pool(url).get().await.unwrap();
    let sql = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND datname = current_database() \
               AND pid <> pg_backend_pid()";
    let nanos = client
        .query(sql, &[])
        .await
        .unwrap()
        .iter()
        .map(|row| {
            let path = format!("/proc/{}/schedstat", row.get::<_, i32>(0));
            let spent = std::fs::read_to_string(path).unwrap_or_default();
            spent
                .split(' ')
                .next()
                .and_then(|nanos| nanos.parse().ok())
                .unwrap_or(0)
        })
        .sum();
    Duration::from_nanos(nanos)
}

/// What is done once with each token.
#[derive(Clone, Copy)]
enum Work {
    /// The control: nothing but what PostgreSQL needs to find a row by its key and to send it.
    LookUp,
    /// A request that writes nothing.
    Read,
    /// A request whose activity is written.
    Activity,
}

const WORKS: [(&str, Work); 3] = [
    ("control, a look-up by key", Work::LookUp),
    ("a read", Work::Read),
    ("with activity", Work::Activity),
];

/// Does this with each token. The control has a connection of its own, which stays open as those of the store do.
async fn run(
    url: &str,
    store: &PostgresStore,
    (client, look_up): (&Connection, &Statement),
    tokens: &[Token],
    work: Work,
) -> Cost {
    let mut times = Vec::new();
    let before = cpu(url).await;
    for token in tokens {
        let (tag, mut resolve) = (token.tag(), Resolve::new(token.clone()));
        resolve.activity = matches!(work, Work::Activity);
        let began = Instant::now();
        if let Work::LookUp = work {
            let row = client.query_one(look_up, &[&&tag.as_bytes()[..]]).await;
            times.push(began.elapsed());
            assert!(!row.unwrap().get::<_, Vec<u8>>("head").is_empty());
            continue;
        }
        let found = store.resolve(&resolve).await.unwrap();
        times.push(began.elapsed());
        assert!(matches!(found, Resolved::Live(_)), "{found:?}");
    }
    Cost {
        time: median(times),
        cpu: (cpu(url).await - before) / tokens.len() as u32,
    }
}

/// What the server counted for the updates of the sets: all, HOT ones, bytes and whole pages of WAL.
#[derive(Clone, Copy)]
struct Counted([i64; 4]);

impl Counted {
    async fn now(url: &str) -> Self {
        // A connection that closes reports what it did, a moment later.
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let sql = "SELECT n_tup_upd, n_tup_hot_upd, wal_bytes::bigint, wal_fpi FROM pg_stat_wal, pg_stat_user_tables \
                   WHERE relname = 'tower_user_sessions'";
        let client = pool(url).get().await.unwrap();
        let row = client.query_one(sql, &[]).await.unwrap();
        Self([0, 1, 2, 3].map(|at| row.get(at)))
    }
}

/// The medians of so many rounds, of each kind of work.
///
/// The first round does not count. In it each process of the server touches each page for the first time, which costs a page
/// fault.
async fn rounds(url: &str, tokens: &[Token], rounds: usize) -> [Cost; 3] {
    let client = pool(url).get().await.unwrap();
    client.batch_execute("CHECKPOINT").await.unwrap();
    let builder = PostgresStore::builder(pool(url));
    let store = builder.activity_every(Duration::ZERO).build();
    let sql = "SELECT version, head FROM tower_user_sessions WHERE tag = $1";
    let look_up = client.prepare(sql).await.unwrap();
    let mut all = [const { Vec::new() }; WORKS.len()];
    let before = Counted::now(url).await;
    for _ in 0..=rounds {
        for (costs, (_, work)) in all.iter_mut().zip(WORKS) {
            costs.push(run(url, &store, (&client, &look_up), tokens, work).await);
        }
    }
    drop(store);
    let after = Counted::now(url).await;
    let [updates, hot, bytes, pages] = [0, 1, 2, 3].map(|at| after.0[at] - before.0[at]);
    println!(
        "  {updates} updates, {hot} of them HOT, {} bytes of WAL for each, {pages} whole pages in it",
        bytes / updates.max(1)
    );
    all.map(|costs| {
        println!("  first round {:?}, then {:?}", costs[0], &costs[1..]);
        Cost {
            time: median(costs[1..].iter().map(|cost| cost.time).collect()),
            cpu: median(costs[1..].iter().map(|cost| cost.cpu).collect()),
        }
    })
}

/// The figures for so many users, with the depth of the index by which a set is found.
async fn described(url: &str, users: usize) {
    let client = pool(url).get().await.unwrap();
    client
        .batch_execute("CREATE EXTENSION IF NOT EXISTS pageinspect")
        .await
        .unwrap();
    client
        .batch_execute("VACUUM ANALYZE tower_user_sessions")
        .await
        .unwrap();
    let size = number(url, "SELECT pg_total_relation_size('tower_user_sessions')").await;
    let level = "SELECT level::bigint FROM bt_metap('tower_user_sessions_pkey')";
    println!(
        "{users} users with one session each: {} bytes of disk for each, {} levels of the index",
        size / users as i64,
        number(url, level).await + 1
    );
}

pub async fn growth(url: &str, few: usize, many: usize) {
    let store = PostgresStore::new(pool(url));
    store.migrate().await.unwrap();
    let mut made = JoinSet::new();
    for part in 0..16 {
        let store = store.clone();
        made.spawn(async move {
            let mut tokens = Vec::new();
            for user in (part..few).step_by(16) {
                tokens.push(signs_in(&store, &format!("user-{user}")).await);
            }
            tokens
        });
    }
    let tokens: Vec<Token> = made.join_all().await.concat();
    let measured = &tokens[..MEASURED.min(few)];
    described(url, few).await;
    let small = rounds(url, measured, ROUNDS).await;
    let fill = format!(
        "INSERT INTO tower_user_sessions (tag, version, head, kept_until, user_id, live, last_activity) \
         SELECT decode(substr(md5(i::text), 1, 24), 'hex'), 1, head, kept_until, user_id, live, last_activity FROM (SELECT * FROM tower_user_sessions LIMIT 1) AS one, generate_series(1, {}) AS i",
        many - few
    );
    let client = pool(url).get().await.unwrap();
    client.execute(&fill, &[]).await.unwrap();
    described(url, many).await;
    let large = rounds(url, measured, ROUNDS).await;
    for (at, (what, _)) in WORKS.into_iter().enumerate() {
        let (small, large) = (small[at], large[at]);
        for (of, small, large) in [
            ("time", small.time, large.time),
            ("CPU of the server", small.cpu, large.cpu),
        ] {
            let ratio = large.as_secs_f64() / small.as_secs_f64();
            println!("{what}, {of}: {small:?} with {few} users, {large:?} with {many}: {ratio:.2}");
        }
    }
}
