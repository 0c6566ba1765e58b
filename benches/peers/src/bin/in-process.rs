//! Measures ns, allocations and bytes of a request without sockets: this crate beside tower-sessions.
//!
//! `in-process [--rounds R] [--requests N] [--only VARIANT/SCENARIO]`
//!
//! tower-sessions runs with its `MemoryStore` and always-save, the setting that records the activity.
//! All variants wrap the same service and run in rounds (A B C A B C …) on one thread. Times are medians
//! over the rounds. `--only` runs one cell, for a profiler. Requests and loop are those of the harness's
//! `inproc`.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    convert::Infallible,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header},
    response::IntoResponse,
};
use peers::{BoxError, TTL_SECS, USER_AGENT, forwarded_for, sessions};
use tokio::runtime::{Builder, Runtime};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::{Caching, MemoryStore, SessionLayer, store::Near};

struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
static BYTES: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call is handed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as u64, Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Relaxed);
        BYTES.fetch_add(size as u64, Relaxed);
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static GLOBAL: Counting = Counting;

const SESSIONS: usize = 1000;

#[derive(Clone, Copy)]
enum Scenario {
    /// The request has no cookie, and the handler does not use the session.
    Anonymous,
    /// The request has a valid cookie, and the handler does not use the session.
    Untouched,
    /// The request has a valid cookie, and the handler reads the user id.
    Read,
}

const SCENARIOS: [(Scenario, &str); 3] = [
    (Scenario::Anonymous, "anonymous"),
    (Scenario::Untouched, "untouched"),
    (Scenario::Read, "read"),
];

/// The cost of one request.
#[derive(Clone, Copy)]
struct Sample {
    ns: f64,
    allocations: f64,
    bytes: f64,
}

/// Runs a scenario this many times.
type Run = Box<dyn FnMut(&Runtime, Scenario, usize) -> Sample>;

struct Variant {
    name: &'static str,
    run: Run,
}

fn request(path: &'static str, cookie: Option<&HeaderValue>) -> Request<Body> {
    let mut request = Request::builder()
        .uri(path)
        .body(Body::empty())
        .expect("valid request");
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", HeaderValue::from_static("203.0.113.7"));
    headers.insert("user-agent", HeaderValue::from_static(USER_AGENT));
    if let Some(cookie) = cookie {
        headers.insert(header::COOKIE, cookie.clone());
    }
    request
}

fn answer(user: Option<u64>) -> Result<Response<Body>, Infallible> {
    Ok(match user {
        Some(user) => user.to_string().into_response(),
        None => StatusCode::UNAUTHORIZED.into_response(),
    })
}

/// The cookie that a login set, as a `Cookie` header.
fn cookie(headers: &HeaderMap) -> HeaderValue {
    let line = headers.get(header::SET_COOKIE).expect("a login sets one");
    let pair = line.to_str().ok().and_then(|line| line.split(';').next());
    HeaderValue::from_str(pair.expect("text")).expect("valid header text")
}

/// Signs [`SESSIONS`] users in and makes the loop over the service.
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn variant<S>(runtime: &Runtime, name: &'static str, mut service: S) -> Variant
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + 'static,
{
    let cookies: Vec<HeaderValue> = runtime.block_on(async {
        let mut cookies = Vec::with_capacity(SESSIONS);
        for _ in 0..SESSIONS {
            let ready = service.ready().await.expect("infallible");
            let response = ready.call(request("/login", None)).await;
            cookies.push(cookie(response.expect("infallible").headers()));
        }
        cookies
    });
    let run = move |runtime: &Runtime, scenario, requests: usize| {
        runtime.block_on(async {
            let (allocations, bytes) = (ALLOCATIONS.load(Relaxed), BYTES.load(Relaxed));
            let start = Instant::now();
            for n in 0..requests {
                let cookie = &cookies[n % SESSIONS];
                let request = match scenario {
                    Scenario::Anonymous => request("/noop", None),
                    Scenario::Untouched => request("/noop", Some(cookie)),
                    Scenario::Read => request("/me", Some(cookie)),
                };
                let ready = service.ready().await.expect("infallible");
                let response = ready.call(request).await.expect("infallible");
                assert!(response.status().is_success(), "{name}");
            }
            let each = |total: f64| total / requests as f64;
            Sample {
                ns: each(start.elapsed().as_nanos() as f64),
                allocations: each((ALLOCATIONS.load(Relaxed) - allocations) as f64),
                bytes: each((BYTES.load(Relaxed) - bytes) as f64),
            }
        })
    };
    Variant {
        name,
        run: Box::new(run),
    }
}

/// The service without a layer.
fn none(runtime: &Runtime) -> Variant {
    let service = service_fn(|request: Request<Body>| async move {
        let mut response = answer(Some(7))?;
        if request.uri().path() == "/login" {
            let cookie = HeaderValue::from_static("sid=00000000000000000000000000000000");
            response.headers_mut().insert(header::SET_COOKIE, cookie);
        }
        Ok(response)
    });
    variant(runtime, "none", service)
}

fn tower_sessions(runtime: &Runtime) -> Variant {
    use tower_sessions::{Expiry, MemoryStore, Session, SessionManagerLayer};

    let service = service_fn(|request: Request<Body>| async move {
        let (parts, _) = request.into_parts();
        let session = parts.extensions.get::<Session>().cloned();
        let session = session.expect("the layer is there");
        match parts.uri.path() {
            "/login" => {
                let address = forwarded_for(&parts.headers);
                session.insert("user", 7).await.expect("stored");
                session.insert("ip", address).await.expect("stored");
                session.insert("ua", USER_AGENT).await.expect("stored");
                answer(Some(7))
            }
            "/me" => answer(session.get("user").await.expect("read")),
            _ => answer(Some(7)),
        }
    });
    let idle = time::Duration::seconds(TTL_SECS as i64);
    let layer = SessionManagerLayer::new(MemoryStore::default())
        .with_secure(false)
        .with_expiry(Expiry::OnInactivity(idle))
        .with_always_save(true);
    variant(runtime, "ts-memory-touch", layer.layer(service))
}

fn ours(runtime: &Runtime) -> Variant {
    ours_with(runtime, "ours", sessions(MemoryStore::new()))
}

/// Without the two headers for caches, which a layer before them did not write.
fn ours_uncached(runtime: &Runtime) -> Variant {
    let layer = sessions(MemoryStore::new()).caching(Caching::Unchanged);
    ours_with(runtime, "ours-uncached", layer)
}

/// Answered by a near cache, with the longest lease: few requests ask its store.
fn ours_near(runtime: &Runtime) -> Variant {
    let near = Near::builder(MemoryStore::new()).lease(Duration::from_secs(60));
    let layer = sessions(near.build()).near(|request| request.uri.path() != "/login");
    ours_with(runtime, "ours-near", layer)
}

fn ours_with(runtime: &Runtime, name: &'static str, layer: SessionLayer) -> Variant {
    use tower_user_sessions::Session;

    static USER: AtomicU64 = AtomicU64::new(0);

    // One user per session, because the sessions of one user would reach the limit.
    let user = || USER.fetch_add(1, Relaxed);
    let service = service_fn(move |request: Request<Body>| async move {
        let session: Option<&Session> = request.extensions().get();
        let session = session.expect("the layer is there");
        match request.uri().path() {
            "/login" => {
                session.log_in(user()).expect("staged");
                answer(Some(7))
            }
            "/me" => answer(
                session
                    .user_id()
                    .and_then(|user| user.as_str().parse().ok()),
            ),
            _ => answer(Some(7)),
        }
    });
    variant(runtime, name, layer.layer(service))
}

type Build = fn(&Runtime) -> Variant;

const VARIANTS: [(&str, Build); 5] = [
    ("none", none),
    ("ts-memory-touch", tower_sessions),
    ("ours", ours),
    ("ours-uncached", ours_uncached),
    ("ours-near", ours_near),
];

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The least time: other programs on the machine disturb it least.
fn least_ns(samples: &[Sample]) -> f64 {
    samples
        .iter()
        .map(|sample| sample.ns)
        .fold(f64::INFINITY, f64::min)
}

fn main() -> Result<(), BoxError> {
    let (mut rounds, mut requests, mut only) = (9, 20_000, None);
    let mut args = std::env::args().skip(1);
    while let (Some(flag), Some(value)) = (args.next(), args.next()) {
        match flag.as_str() {
            "--rounds" => rounds = value.parse()?,
            "--requests" => requests = value.parse()?,
            "--only" => only = Some(value),
            _ => return Err(format!("unknown flag {flag}").into()),
        }
    }
    let wanted = |variant: &str, scenario: &str| {
        only.as_ref()
            .is_none_or(|only| *only == format!("{variant}/{scenario}"))
    };
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut variants: Vec<Variant> = VARIANTS
        .iter()
        .filter(|(name, _)| SCENARIOS.iter().any(|(_, scenario)| wanted(name, scenario)))
        .map(|(_, build)| build(&runtime))
        .collect();

    let mut cells: Vec<(&str, &str, Vec<Sample>)> = Vec::new();
    for round in 0..=rounds {
        for Variant { name, run } in &mut variants {
            for (scenario, label) in SCENARIOS {
                if !wanted(name, label) {
                    continue;
                }
                let sample = run(&runtime, scenario, requests);
                let of = |cell: &&mut (&str, &str, _)| (cell.0, cell.1) == (*name, label);
                match cells.iter_mut().find(of) {
                    Some((_, _, samples)) => samples.push(sample),
                    // The first round warms up.
                    None => cells.push((*name, label, Vec::with_capacity(round + rounds))),
                }
            }
        }
    }

    let cell = |name: &str, label: &str, of: fn(&[Sample]) -> f64| {
        let found = cells.iter().find(|cell| (cell.0, cell.1) == (name, label));
        found.map(|(_, _, samples)| of(samples))
    };
    let over =
        |name: &str, label: &str, of| Some(cell(name, label, of)? - cell("none", label, of)?);
    let rounded =
        |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.0}"));
    let median_ns = |samples: &[Sample]| median(samples, |sample| sample.ns);
    let allocations = |samples: &[Sample]| median(samples, |sample| sample.allocations);
    let bytes = |samples: &[Sample]| median(samples, |sample| sample.bytes);

    println!(
        "| variant | scenario | ns | over none | least ns | over none | allocations | over none | bytes |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for (name, label, _) in &cells {
        println!(
            "| {name} | {label} | {} | {} | {} | {} | {} | {} | {} |",
            rounded(cell(name, label, median_ns)),
            rounded(over(name, label, median_ns)),
            rounded(cell(name, label, least_ns)),
            rounded(over(name, label, least_ns)),
            rounded(cell(name, label, allocations)),
            rounded(over(name, label, allocations)),
            rounded(cell(name, label, bytes)),
        );
    }
    println!("\nours over ts-memory-touch, both less none:");
    for (_, label) in SCENARIOS {
        let ratio = |of| Some(over("ours", label, of)? / over("ts-memory-touch", label, of)?);
        if let (Some(median), Some(least)) = (ratio(median_ns), ratio(least_ns)) {
            println!("{label}: {median:.3} (of the least times: {least:.3})");
        }
    }
    Ok(())
}
