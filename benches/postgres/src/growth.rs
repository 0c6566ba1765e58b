//! Sizes and growth.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tower_user_sessions::{
    Client, PostgresStore, SessionStore, UserId,
    store::{Arrival, Authenticated, Create, Created, Resolve, Resolved, Token},
};

use crate::pool;

/// How many users are measured, of all.
const MEASURED: usize = 1_000;

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

/// How long a request takes, one at a time: reading alone, and with the activity.
async fn requests(url: &str, tokens: &[Token]) -> [Duration; 2] {
    let reads = PostgresStore::new(pool(url));
    let writes = PostgresStore::builder(pool(url))
        .activity_step(Duration::ZERO)
        .build();
    let mut medians = [Duration::ZERO; 2];
    for (at, store) in [reads, writes].iter().enumerate() {
        let mut times = Vec::new();
        for token in tokens {
            let mut resolve = Resolve::new(token.clone());
            resolve.activity = at == 1;
            let began = Instant::now();
            let found = store.resolve(&resolve).await.unwrap();
            times.push(began.elapsed());
            assert!(matches!(found, Resolved::Live(_)), "{found:?}");
        }
        medians[at] = median(times);
    }
    medians
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
    requests(url, measured).await;
    let small = requests(url, measured).await;
    let fill = format!(
        "INSERT INTO tower_user_sessions SELECT decode(md5(i::text), 'hex'), 1, head, kept_until, user_id, live, last_activity \
         FROM (SELECT * FROM tower_user_sessions LIMIT 1) AS one, generate_series(1, {}) AS i",
        many - few
    );
    let client = pool(url).get().await.unwrap();
    client
        .execute("VACUUM tower_user_sessions", &[])
        .await
        .unwrap();
    let before = number(url, "SELECT pg_total_relation_size('tower_user_sessions')").await;
    println!(
        "{few} users with one session each: {} bytes of disk for each",
        before / few as i64
    );
    client.execute(&fill, &[]).await.unwrap();
    client
        .execute("VACUUM ANALYZE tower_user_sessions", &[])
        .await
        .unwrap();
    let after = number(url, "SELECT pg_total_relation_size('tower_user_sessions')").await;
    println!("{many} users: {} bytes for each", after / many as i64);
    let large = requests(url, measured).await;
    for (what, small, large) in [
        ("a read", small[0], large[0]),
        ("with activity", small[1], large[1]),
    ] {
        let ratio = large.as_secs_f64() / small.as_secs_f64();
        println!("{what}: {small:?} with {few} users, {large:?} with {many}: {ratio:.2}");
    }
}
