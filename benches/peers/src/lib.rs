//! Settings and helpers that the programs share.

use std::{net::IpAddr, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, Request},
};
use tower_user_sessions::{
    Lifetime, Limit, PeerAddr, RedisStore, SessionLayer, store::SharedStore,
};

/// The idle time of a session, in seconds.
pub const TTL_SECS: u64 = 3600;

/// As long as the user agent of a browser: 120 characters.
pub const USER_AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 perfbase/1.0000000";
const _: () = assert!(USER_AGENT.len() == 120);

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// At most three sessions per user, and an hour of idle time.
pub fn sessions(store: impl Into<SharedStore>) -> SessionLayer {
    let absolute = Lifetime::default().absolute();
    SessionLayer::new(store)
        .limit(Limit::at_most(3))
        .lifetime(Lifetime::new(Duration::from_secs(TTL_SECS), absolute))
}

/// The store on one Redis.
pub fn redis_store(pool: deadpool_redis::Pool) -> RedisStore {
    RedisStore::builder(pool).build()
}

/// A pool for one Redis.
pub fn redis_pool(url: &str) -> Result<deadpool_redis::Pool, BoxError> {
    let runtime = Some(deadpool_redis::Runtime::Tokio1);
    Ok(deadpool_redis::Config::from_url(url).create_pool(runtime)?)
}

/// Takes the peer's address from `X-Forwarded-For`, which is safe only in a benchmark.
pub fn note_peer(mut request: Request<Body>) -> Request<Body> {
    if let Some(peer) = forwarded_for(request.headers()) {
        request.extensions_mut().insert(PeerAddr::from(peer));
    }
    request
}

/// The address in `X-Forwarded-For`.
pub fn forwarded_for(headers: &HeaderMap) -> Option<IpAddr> {
    headers.get("x-forwarded-for")?.to_str().ok()?.parse().ok()
}
