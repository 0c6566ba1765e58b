//! Measures the memory of a session in Redis: bytes of `used_memory`, with several sessions per user.
//!
//! `redis-memory --redis URL [--users N] [--sessions N]`. It needs an empty Redis and refuses one with
//! keys.

use std::convert::Infallible;

use axum::{
    body::Body,
    http::{Request, Response},
};
use deadpool_redis::redis;
use peers::{BoxError, USER_AGENT, redis_pool, redis_store, sessions};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::{PeerAddr, Session};

const ADDRESS: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::new(203, 0, 113, 7));

/// The path contains the user id.
async fn login(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let session: Option<&Session> = request.extensions().get();
    let user = request.uri().path().trim_start_matches('/').parse::<u64>();
    let session = session.expect("the layer is there");
    session.log_in(user.expect("a number")).expect("staged");
    Ok(Response::default())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (mut url, mut users, mut each) = (None, 10_000, 3);
    let mut args = std::env::args().skip(1);
    while let (Some(flag), Some(value)) = (args.next(), args.next()) {
        match flag.as_str() {
            "--redis" => url = Some(value),
            "--users" => users = value.parse()?,
            "--sessions" => each = value.parse()?,
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    let pool = redis_pool(&url.ok_or("usage: redis-memory --redis URL")?)?;
    let mut connection = pool.get().await?;
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut connection).await?;
    if keys > 0 {
        return Err(
            format!("this Redis has {keys} keys: start an empty one for the measurement").into(),
        );
    }
    let limit = tower_user_sessions::Limit::at_most(each);
    let layer = sessions(redis_store(pool.clone())).limit(limit);
    let mut service = layer.layer(service_fn(login));

    // Connection and scripts must not count as memory of sessions.
    sign_in(&mut service, u64::MAX).await?;
    redis::cmd("FLUSHALL")
        .arg("SYNC")
        .query_async::<()>(&mut connection)
        .await?;
    let before = used_memory(&mut connection).await?;
    for user in 0..users {
        for _ in 0..each {
            sign_in(&mut service, user).await?;
        }
    }
    let after = used_memory(&mut connection).await?;

    let made = users * u64::from(each);
    println!("{:.0} bytes per session", (after - before) / made as f64);
    println!("({made} sessions, {each} per user)");
    Ok(())
}

async fn sign_in<S>(service: &mut S, user: u64) -> Result<(), BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let request = Request::builder()
        .uri(format!("/{user}"))
        .header("user-agent", USER_AGENT)
        .extension(PeerAddr::from(ADDRESS))
        .body(Body::empty())?;
    let response = service.ready().await?.call(request).await?;
    if !response.status().is_success() {
        return Err(format!("a sign-in answered {}", response.status()).into());
    }
    Ok(())
}

async fn used_memory(connection: &mut deadpool_redis::Connection) -> Result<f64, BoxError> {
    let info: String = redis::cmd("INFO")
        .arg("memory")
        .query_async(connection)
        .await?;
    let line = info
        .lines()
        .find_map(|line| line.strip_prefix("used_memory:"));
    Ok(line.ok_or("no used_memory")?.trim().parse()?)
}
