//! Measures time and allocations of a request through the layer, without sockets, on `MemoryStore`.
//!
//! Run it with `cargo bench --bench in_process`. `bare` is the same service without the layer: subtract
//! it from the others.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a benchmark fails by panicking"
)]

use std::{
    convert::Infallible,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use criterion::{BatchSize, Criterion};
use http::{
    HeaderValue, Request, Response, Uri,
    header::{COOKIE, SET_COOKIE, USER_AGENT},
};
use tower::{Layer, Service, service_fn};
use tower_user_sessions::{Limit, MemoryStore, Session, SessionLayer};

const USERS: u16 = 1_000;
const LIMIT: u16 = 3;
/// As long as the user agent of a browser: 120 characters.
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/140.0.0.0 Safari/537.36 benches/00000000";

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    let layer = SessionLayer::new(MemoryStore::new())
        .limit(Limit::at_most(LIMIT))
        .resolve_if(|parts| parts.uri.path() != "/static");
    let cookies = sign_in_all(&layer);
    let guest = [request("/", None)];
    let sent = |path| -> Vec<_> { cookies.iter().map(|it| request(path, Some(it))).collect() };
    let sessions = || layer.layer(service_fn(handle));

    let bare = service_fn(handle);
    let mut rows = vec![
        measure(&mut criterion, "bare", bare, &sent("/")),
        measure(&mut criterion, "let pass", sessions(), &sent("/static")),
        measure(&mut criterion, "no token", sessions(), &guest),
        measure(&mut criterion, "memory hit", sessions(), &sent("/")),
        measure(&mut criterion, "hit, user read", sessions(), &sent("/me")),
    ];
    // From here on each sign-in reaches the limit.
    for _ in 1..LIMIT {
        sign_in_all(&layer);
    }
    let at_limit = measure(&mut criterion, "login at limit", sessions(), &sign_ins());
    rows.push(at_limit);
    criterion.final_summary();
    print(&rows);
}

/// `/in/N` signs user N in, `/me` reads the user, other paths do not use the session.
async fn handle(request: Request<()>) -> Result<Response<()>, Infallible> {
    let session: Option<&Session> = request.extensions().get();
    match request.uri().path() {
        "/" | "/static" => {}
        "/me" => drop(black_box(session.unwrap().user_id().unwrap())),
        path => {
            let user: u16 = path.strip_prefix("/in/").unwrap().parse().unwrap();
            session.unwrap().log_in(user).unwrap();
        }
    }
    Ok(Response::new(()))
}

/// The name of a case and its allocations per request.
type Row = (&'static str, f64);

fn measure<S>(
    criterion: &mut Criterion,
    name: &'static str,
    mut service: S,
    requests: &[Request<()>],
) -> Row
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    // The first round allocates what is kept.
    count(&mut service, requests);
    let allocations = count(&mut service, requests);

    let mut requests = requests.iter().cycle();
    criterion.bench_function(name, |bencher| {
        bencher.iter_batched(
            || requests.next().unwrap().clone(),
            |request| answer(&mut service, request),
            BatchSize::SmallInput,
        );
    });
    (name, allocations)
}

/// Allocations per request, without those of the request itself.
#[expect(clippy::cast_precision_loss, reason = "a mean")]
fn count<S>(service: &mut S, requests: &[Request<()>]) -> f64
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let each = requests.iter().map(|request| {
        let request = request.clone();
        let counted = allocation_counter::measure(|| drop(answer(service, request)));
        counted.count_total
    });
    each.sum::<u64>() as f64 / requests.len() as f64
}

/// Polls once, without a runtime, because nothing here waits.
fn answer<S>(service: &mut S, request: Request<()>) -> Response<()>
where
    S: Service<Request<()>, Response = Response<()>, Error = Infallible>,
{
    let mut task = Context::from_waker(Waker::noop());
    assert!(service.poll_ready(&mut task).is_ready());
    match pin!(service.call(request)).poll(&mut task) {
        Poll::Ready(Ok(response)) => response,
        Poll::Ready(Err(never)) => match never {},
        Poll::Pending => panic!("nothing here waits"),
    }
}

fn request(path: &str, cookie: Option<&HeaderValue>) -> Request<()> {
    let mut request = Request::new(());
    *request.uri_mut() = Uri::try_from(path).unwrap();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(BROWSER));
    if let Some(cookie) = cookie {
        headers.insert(COOKIE, cookie.clone());
    }
    request
}

fn sign_ins() -> Vec<Request<()>> {
    let paths = (0..USERS).map(|user| format!("/in/{user}"));
    paths.map(|path| request(&path, None)).collect()
}

/// The cookies of one new session for each user.
fn sign_in_all(layer: &SessionLayer) -> Vec<HeaderValue> {
    let mut service = layer.layer(service_fn(handle));
    let cookie = |login| {
        let response = answer(&mut service, login);
        let line = response.headers()[SET_COOKIE].to_str().unwrap();
        HeaderValue::from_str(line.split(';').next().unwrap()).unwrap()
    };
    sign_ins().into_iter().map(cookie).collect()
}

#[expect(clippy::print_stdout, reason = "the table is the result")]
fn print(rows: &[Row]) {
    println!("allocations per request");
    for (name, allocations) in rows {
        println!("{name:<20}{allocations:>6.2}");
    }
}
