//! Measures what recording the activity costs Redis: its CPU time and the bytes of its append-only file per
//! request, with `activity_every` and without.
//!
//! `redis-activity --redis URL [--users N] [--requests N] [--rounds N]`. It needs an empty Redis with
//! `--appendonly yes`. In each round every user sends so many requests within about half a second, as a
//! page does. Rounds without a step and with a step of 1 s take turns.

use std::{convert::Infallible, time::Duration};

use axum::{
    body::Body,
    http::{
        Request, Response,
        header::{COOKIE, SET_COOKIE},
    },
};
use deadpool_redis::redis;
use peers::{BoxError, USER_AGENT, redis_pool, redis_store, sessions};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::Session;

const STEP: Duration = Duration::from_secs(1);

/// `/in/7` signs user 7 in, everything else reads the user.
async fn handle(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let session: Option<&Session> = request.extensions().get();
    let session = session.expect("the layer is there");
    match request.uri().path().strip_prefix("/in/") {
        Some(user) => session.log_in(user).expect("staged"),
        None => assert!(session.user_id().is_some(), "signed in"),
    }
    Ok(Response::default())
}

/// What Redis counted: CPU seconds, calls and microseconds of EVALSHA, calls of HSET, and bytes of the
/// append-only file.
#[derive(Clone, Copy)]
struct Counts([f64; 5]);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    let (mut url, mut users, mut requests, mut rounds) = (None, 200, 20, 5);
    let mut args = std::env::args().skip(1);
    while let (Some(flag), Some(value)) = (args.next(), args.next()) {
        match flag.as_str() {
            "--redis" => url = Some(value),
            "--users" => users = value.parse()?,
            "--requests" => requests = value.parse()?,
            "--rounds" => rounds = value.parse()?,
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    let pool = redis_pool(&url.ok_or("usage: redis-activity --redis URL")?)?;
    let mut connection = pool.get().await?;
    let keys: u64 = redis::cmd("DBSIZE").query_async(&mut connection).await?;
    if keys > 0 {
        return Err(format!("this Redis has {keys} keys: start an empty one").into());
    }
    let layer = sessions(redis_store(pool.clone())).activity_every(STEP);
    let mut stepped = layer.clone().layer(service_fn(handle));
    let mut each = layer
        .activity_every(Duration::ZERO)
        .layer(service_fn(handle));

    let mut cookies = Vec::new();
    for user in 0..users {
        let response = answer(&mut stepped, &format!("/in/{user}"), None).await?;
        let line = response.headers()[SET_COOKIE].to_str()?;
        cookies.push(line.split(';').next().unwrap_or(line).to_owned());
    }
    println!("step  evalsha µs  CPU µs  HSET  AOF bytes   (each per request)");
    for _ in 0..rounds {
        for (name, service) in [("0", &mut each), ("1 s", &mut stepped)] {
            // The activity of the round before is older than the step.
            tokio::time::sleep(STEP + Duration::from_millis(200)).await;
            let before = counts(&mut connection).await?;
            // By turns: of requests within a millisecond only the first is written anyway.
            for _ in 0..requests {
                for cookie in &cookies {
                    answer(service, "/me", Some(cookie)).await?;
                }
            }
            let after = counts(&mut connection).await?;
            let [cpu, calls, micros, sets, bytes] =
                std::array::from_fn(|at| after.0[at] - before.0[at]);
            println!(
                "{name:4}  {:10.2}  {:6.1}  {:4.2}  {:9.1}",
                micros / calls,
                cpu * 1e6 / calls,
                sets / calls,
                bytes / calls
            );
        }
    }
    Ok(())
}

async fn answer<S>(
    service: &mut S,
    path: &str,
    cookie: Option<&str>,
) -> Result<Response<Body>, BoxError>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    let mut request = Request::builder()
        .uri(path)
        .header("user-agent", USER_AGENT);
    if let Some(cookie) = cookie {
        request = request.header(COOKIE, cookie);
    }
    let response = service
        .ready()
        .await?
        .call(request.body(Body::empty())?)
        .await?;
    if !response.status().is_success() {
        return Err(format!("{path} answered {}", response.status()).into());
    }
    Ok(response)
}

async fn counts(connection: &mut deadpool_redis::Connection) -> Result<Counts, BoxError> {
    let info: String = redis::cmd("INFO")
        .arg("everything")
        .query_async(connection)
        .await?;
    let number = |name: &str| -> Result<f64, BoxError> {
        let rest = info.lines().find_map(|line| line.strip_prefix(name));
        let rest = rest.ok_or_else(|| format!("INFO without {name}: is `appendonly` on?"))?;
        let end = rest.find(',').unwrap_or(rest.len());
        Ok(rest[..end].trim().parse()?)
    };
    let evalsha = info
        .lines()
        .find(|line| line.starts_with("cmdstat_evalsha:"));
    let micros = evalsha.and_then(|line| line.split("usec=").nth(1));
    let micros = micros
        .and_then(|rest| rest.split(',').next())
        .ok_or("no EVALSHA")?;
    Ok(Counts([
        number("used_cpu_user:")? + number("used_cpu_sys:")?,
        number("cmdstat_evalsha:calls=")?,
        micros.parse()?,
        number("cmdstat_hset:calls=")?,
        number("aof_current_size:")?,
    ]))
}
