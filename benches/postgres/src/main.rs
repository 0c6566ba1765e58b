//! Compares the stores of this crate with tower-sessions' store on sqlx. See the README.

mod bouncer;
mod flood;
mod growth;
mod load;
mod tls;

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    extract::Query,
    http::StatusCode,
    routing::{get, post},
};
use deadpool_postgres::{Config, Pool, PoolConfig, Runtime, tokio_postgres::NoTls};
use tower_sessions_sqlx_store::{PostgresStore as SqlxStore, sqlx::postgres::PgPoolOptions};
use tower_user_sessions::{
    FileStore, Limit, MemoryStore, PostgresStore, RedisStore, Session, SessionLayer, SessionStore,
    store::RedisSource,
};

use load::{Work, cookies, rate};

/// How many connections to the server each store has.
const POOL: u32 = 16;

const USERS: u64 = 2_000;

const TIME: Duration = Duration::from_secs(3);

/// The step of activity that writes that of each request.
const EACH: Duration = Duration::ZERO;

pub fn pool(url: &str) -> Pool {
    let mut config = Config::new();
    config.url = Some(url.to_owned());
    config.pool = Some(PoolConfig::new(POOL as usize));
    config.create_pool(Some(Runtime::Tokio1), NoTls).unwrap()
}

#[derive(serde::Deserialize)]
struct Login {
    user: u64,
}

async fn postgres(url: &str, prepared: bool) -> PostgresStore {
    let store = PostgresStore::builder(pool(url)).prepared(prepared).build();
    store.migrate().await.unwrap();
    store
}

/// A file in a new folder, on the disk of the folder for such.
fn file() -> FileStore {
    let folder = std::env::temp_dir().join(format!("compare-{}", std::process::id()));
    std::fs::create_dir(&folder).unwrap();
    FileStore::open(folder.join("sessions.db")).unwrap()
}

/// This crate, with a limit of three sessions.
///
/// An activity that is older than this step is written. `FileStore` and `PostgresStore` have a step of their own, of a second.
fn ours(store: impl SessionStore + Clone, step: Duration) -> Router {
    async fn login(session: Session, Query(login): Query<Login>) {
        session.log_in(login.user).unwrap();
    }
    async fn me(session: Session) -> Result<String, StatusCode> {
        let user = session.user_id().ok_or(StatusCode::UNAUTHORIZED)?;
        Ok(user.as_str().to_owned())
    }
    Router::new()
        .route("/login", post(login))
        .route("/me", get(me))
        .layer(
            SessionLayer::new(store)
                .limit(Limit::at_most(3))
                .activity_every(step),
        )
}

/// tower-sessions on sqlx.
async fn theirs(url: &str, always_save: bool) -> Router {
    use tower_sessions::{Expiry, Session, SessionManagerLayer};
    let pool = PgPoolOptions::new()
        .max_connections(POOL)
        .connect(url)
        .await
        .unwrap();
    let store = SqlxStore::new(pool);
    store.migrate().await.unwrap();
    async fn login(session: Session, Query(login): Query<Login>) {
        session.cycle_id().await.unwrap();
        session.insert("user", login.user).await.unwrap();
    }
    async fn me(session: Session) -> Result<String, StatusCode> {
        let user: Option<u64> = session.get("user").await.unwrap();
        Ok(user.ok_or(StatusCode::UNAUTHORIZED)?.to_string())
    }
    Router::new()
        .route("/login", post(login))
        .route("/me", get(me))
        .layer(
            SessionManagerLayer::new(store)
                .with_always_save(always_save)
                .with_expiry(Expiry::OnInactivity(time::Duration::days(1))),
        )
}

async fn serve(app: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    let listener = axum::serve::ListenerExt::tap_io(listener, |socket| {
        let _ = socket.set_nodelay(true);
    });
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    address
}

fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Names of the apps, each with how often it writes the activity of a session. The last two need a Redis.
const APPS: [&str; 7] = [
    "MemoryStore, each activity",
    "FileStore, once a second",
    "PostgresStore, once a second",
    "sqlx, always-save",
    "sqlx, no activity",
    "RedisStore, each activity",
    "RedisStore, once a second",
];

/// Which of them is divided by which.
const RATIOS: [(usize, usize); 6] = [(1, 0), (2, 3), (2, 4), (2, 5), (2, 6), (6, 5)];

async fn compare(url: &str, redis: Option<&str>, rounds: usize, prepared: bool) {
    let mut apps = vec![
        serve(ours(MemoryStore::new(), EACH)).await,
        serve(ours(file(), EACH)).await,
        serve(ours(postgres(url, prepared).await, EACH)).await,
        serve(theirs(url, true).await).await,
        serve(theirs(url, false).await).await,
    ];
    if let Some(redis) = redis {
        for (prefix, step) in [("each", EACH), ("second", Duration::from_secs(1))] {
            let source = RedisSource::url(redis).unwrap();
            let store = RedisStore::builder(source).prefix(prefix).build();
            apps.push(serve(ours(store, step)).await);
        }
    }
    let mut works = Vec::new();
    for &app in &apps {
        works.push([Work::Me(cookies(app, USERS).await), Work::LogIn(USERS)]);
    }
    for (at, what) in ["GET /me", "POST /login"].into_iter().enumerate() {
        let mut rates = vec![Vec::new(); apps.len()];
        for _ in 0..rounds {
            for (number, app) in apps.iter().copied().enumerate() {
                rates[number].push(rate(app, &works[number][at], TIME).await);
            }
        }
        for (name, rates) in APPS.iter().zip(&rates) {
            println!(
                "{what:12} {name:28} {:8.0} requests/s",
                median(rates.clone())
            );
        }
        for (this, other) in RATIOS {
            if other >= apps.len() {
                continue;
            }
            let pairs = rates[this].iter().zip(&rates[other]);
            let mut ratios: Vec<f64> = pairs.map(|(this, other)| this / other).collect();
            ratios.sort_by(f64::total_cmp);
            println!(
                "{what:12} {} / {}: {:.2} ({:.2} to {:.2})",
                APPS[this],
                APPS[other],
                median(ratios.clone()),
                ratios[0],
                ratios[ratios.len() - 1]
            );
        }
    }
}

fn main() {
    let is_redis = |text: &String| text.starts_with("redis");
    let (redis, arguments): (Vec<String>, Vec<String>) =
        std::env::args().skip(1).partition(is_redis);
    let redis = redis.first().map(String::as_str);
    let number = |at: usize| arguments.get(at).map(|text| text.parse::<usize>().unwrap());
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
            ["compare", url, rounds, "unprepared"] => {
                compare(url, redis, rounds.parse().unwrap(), false).await;
            }
            ["compare", url, ..] => compare(url, redis, number(2).unwrap_or(3), true).await,
            ["pgbouncer", url, ..] => {
                bouncer::bouncer(url, number(2).unwrap_or(10)).await;
                bouncer::feed(url, 20).await;
            }
            ["tls", url, certificate] => tls::tls(url, certificate).await,
            ["flood", url] => flood::flood(url).await,
            ["growth", url, ..] => {
                growth::growth(url, number(2).unwrap(), number(3).unwrap()).await
            }
            _ => eprintln!("see benches/postgres/README.md"),
        }
    });
}
