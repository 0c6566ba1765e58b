//! Compares `FileStore` with `MemoryStore`, in process and in turn: a request, and sign-ins that wait for the disk.
//!
//! Run it with `cargo bench -p benches --bench file`. The file is in `TMPDIR`: put it on the disk that
//! you want to know about. With the argument `million` it opens the file of a million users, as a crash leaves it. With
//! `million data` their sessions have data.
//! With `flood` it ends all sessions of a user while 128 tasks send requests of that user. With `growth` it compares a
//! request and a sign-in with a thousand users and with up to a million.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a benchmark fails by panicking, and its table is the result"
)]

use std::{
    convert::Infallible,
    fs,
    hint::black_box,
    io::Read,
    net::IpAddr,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use http::{
    HeaderValue, Request, Response, Uri,
    header::{COOKIE, SET_COOKIE, USER_AGENT},
};
use tokio::runtime::Runtime;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_user_sessions::{
    Client, EndReason, Limit, MemoryStore, Session, SessionLayer, UserId,
    store::{
        Arrival, Authenticated, Changes, Create, Created, End, Ended, FileStore, Resolve, Resolved,
        Save, SessionStore, Token, Which,
    },
};

const USERS: u32 = 1_000;
const CONNECTIONS: u32 = 32;
const ROUNDS: usize = 9;
const REQUESTS: u32 = 100_000;
/// Bytes of data of a session, if it has data.
const DATA: usize = 200;
const ROUND: Duration = Duration::from_millis(1_500);
const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                       Chrome/140.0.0.0 Safari/537.36 benches/00000000";

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let has = |argument: &str| arguments.iter().any(|it| it == argument);
    if has("fill") {
        let runtime = Runtime::new().unwrap();
        return runtime.block_on(fill(arguments[2].as_ref(), has("data")));
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("sessions.db");
    if has("million") {
        return million(&path, has("data"));
    }
    if has("flood") {
        let runtime = Runtime::new().unwrap();
        return runtime.block_on(flood(FileStore::open(&path).unwrap()));
    }
    if has("growth") {
        let runtime = Runtime::new().unwrap();
        return runtime.block_on(growth(FileStore::open(&path).unwrap()));
    }
    let file = FileStore::open(&path).unwrap();
    let limit = Limit::at_most(3);
    let layers = [
        SessionLayer::new(MemoryStore::new()).limit(limit),
        SessionLayer::new(file).limit(limit),
    ];
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_time().build().unwrap();

    let cookies = layers
        .each_ref()
        .map(|layer| runtime.block_on(cookies(layer)));
    let hits = compare(|which| hits(&runtime, &layers[which], &cookies[which]));
    print("GET /me, requests a second", &hits);
    let sign_ins = compare(|which| runtime.block_on(sign_ins(&layers[which])));
    print(
        "POST /login, sign-ins a second at 32 connections",
        &sign_ins,
    );
    let bytes = fs::metadata(&path).unwrap().len();
    println!("{bytes} bytes for 3 sessions and up to 3 end notices of {USERS} users");
}

/// Both stores in turn. Returns the rates of the rounds, the store in memory first.
fn compare(mut round: impl FnMut(usize) -> f64) -> Vec<[f64; 2]> {
    round(0);
    round(1);
    (0..ROUNDS).map(|_| [round(0), round(1)]).collect()
}

fn print(what: &str, rounds: &[[f64; 2]]) {
    let median = |of: &dyn Fn(&[f64; 2]) -> f64| {
        let mut all: Vec<f64> = rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        (all[all.len() / 2], all[0], all[all.len() - 1])
    };
    let (memory, ..) = median(&|round| round[0]);
    let (file, ..) = median(&|round| round[1]);
    let (ratio, least, most) = median(&|round| round[1] / round[0]);
    println!("{what}: memory {memory:.0}, file {file:.0}, ratio {ratio:.3} ({least:.3}–{most:.3})");
}

/// `/in/N` signs user N in, other paths read the user.
async fn handle(request: Request<()>) -> Result<Response<()>, Infallible> {
    let session: &Session = request.extensions().get().unwrap();
    match request.uri().path().strip_prefix("/in/") {
        Some(user) => session.log_in(user.parse::<u32>().unwrap()).unwrap(),
        None => drop(black_box(session.user_id().unwrap())),
    }
    Ok(Response::new(()))
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

async fn signs_in(layer: &SessionLayer, user: u32) -> HeaderValue {
    let service = layer.layer(service_fn(handle));
    let response = service.oneshot(request(&format!("/in/{user}"), None)).await;
    let response = response.unwrap();
    assert!(response.status().is_success());
    let line = response.headers()[SET_COOKIE].to_str().unwrap();
    HeaderValue::from_str(line.split(';').next().unwrap()).unwrap()
}

async fn cookies(layer: &SessionLayer) -> Vec<HeaderValue> {
    let mut cookies = Vec::new();
    for user in 0..USERS {
        cookies.push(signs_in(layer, user).await);
    }
    cookies
}

/// Requests a second of one thread.
fn hits(runtime: &Runtime, layer: &SessionLayer, cookies: &[HeaderValue]) -> f64 {
    let mut service = layer.layer(service_fn(handle));
    let requests: Vec<_> = cookies.iter().map(|it| request("/me", Some(it))).collect();
    let mut requests = requests.iter().cycle();
    runtime.block_on(async {
        let start = Arrival::now();
        for _ in 0..REQUESTS {
            let request = requests.next().unwrap().clone();
            service.ready().await.unwrap().call(request).await.unwrap();
        }
        f64::from(REQUESTS) / start.age().as_secs_f64()
    })
}

/// Sign-ins a second of as many tasks as there are connections.
async fn sign_ins(layer: &SessionLayer) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let start = Arrival::now();
    let mut tasks = tokio::task::JoinSet::new();
    for connection in 0..CONNECTIONS {
        let (layer, done) = (layer.clone(), Arc::clone(&done));
        tasks.spawn(async move {
            let mut user = connection;
            while start.age() < ROUND {
                user = user.wrapping_mul(1_103_515_245).wrapping_add(12_345);
                signs_in(&layer, (user >> 8) % USERS).await;
                done.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    while tasks.join_next().await.is_some() {}
    let done = u32::try_from(done.load(Ordering::Relaxed)).unwrap();
    f64::from(done) / start.age().as_secs_f64()
}

/// Opens the file of a million users as kill -9 leaves it, and again after it was closed.
fn million(path: &Path, with_data: bool) {
    let own = std::env::current_exe().unwrap();
    let mut filling = Command::new(own)
        .arg("fill")
        .arg(path)
        .args(with_data.then_some("data"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut done = [0; 5];
    let start = Arrival::now();
    filling
        .stdout
        .take()
        .unwrap()
        .read_exact(&mut done)
        .unwrap();
    println!("a million sign-ins, 10,000 at a time: {:.1?}", start.age());
    filling.kill().unwrap();
    filling.wait().unwrap();

    for after in ["kill -9", "it was closed"] {
        let start = Arrival::now();
        let store = FileStore::open(path).unwrap();
        let (took, sets) = (start.age(), store.sets());
        let bytes = fs::metadata(path).unwrap().len();
        println!("opened after {after}: {sets} users in {took:.2?}, {bytes} bytes");
        assert_eq!(sets, 1_000_000);
        assert!(took < Duration::from_secs(5), "it takes too long");
    }
}

/// Signs a million users in, says so, and waits to be killed.
async fn fill(path: &Path, with_data: bool) {
    let data = with_data.then(|| vec![b'x'; DATA]);
    let store = FileStore::open(path).unwrap();
    for from in (0..1_000_000).step_by(10_000) {
        let mut tasks = tokio::task::JoinSet::new();
        for user in from..from + 10_000 {
            let (store, data) = (store.clone(), data.clone());
            tasks.spawn(async move { drop(sign_in_with(&store, user, data).await) });
        }
        while tasks.join_next().await.is_some() {}
    }
    println!("done");
    std::future::pending::<()>().await;
}

/// A request and a sign-in of any user, with more and more users.
async fn growth(store: FileStore) {
    let mut before = 0;
    for users in [1_000, 10_000, 100_000, 1_000_000] {
        let mut tokens = Vec::new();
        for from in (before..users).step_by(1_000) {
            let mut tasks = tokio::task::JoinSet::new();
            for user in from..from + 1_000 {
                let store = store.clone();
                tasks.spawn(async move { sign_in(&store, user).await });
            }
            let all = tasks.join_all().await;
            tokens.extend(all.into_iter().step_by(50));
        }
        before = users;
        // The log is short again.
        tokio::time::sleep(Duration::from_secs(5)).await;
        let mut rounds = Vec::new();
        for round in 0..5 {
            let (start, cpu) = (Arrival::now(), cpu());
            let requests = 500_000;
            for at in 0..requests {
                let token = &tokens[at * 7_919 % tokens.len()];
                black_box(store.resolve_now(&Resolve::new(token.clone())));
            }
            let requests = (start.age() / 500_000, (self::cpu() - cpu) / 500_000);
            let (start, cpu) = (Arrival::now(), self::cpu());
            let mut tasks = tokio::task::JoinSet::new();
            for task in 0..CONNECTIONS {
                let store = store.clone();
                tasks.spawn(async move {
                    for n in 0..500 {
                        let any = (round * 500 + n) * CONNECTIONS + task;
                        sign_in(&store, any.wrapping_mul(2_654_435_769) % users).await;
                    }
                });
            }
            tasks.join_all().await;
            let sign_ins = (start.age() / 16_000, (self::cpu() - cpu) / 16_000);
            rounds.push((requests, sign_ins));
        }
        let median = |of: &dyn Fn(&((Duration, Duration), (Duration, Duration))) -> Duration| {
            let mut all: Vec<Duration> = rounds.iter().map(of).collect();
            all.sort_unstable();
            all[2]
        };
        println!(
            "{users} users: a request {:.2?} (CPU {:.2?}), a sign-in {:.2?} (CPU {:.2?}), 32 at once",
            median(&|round| round.0.0),
            median(&|round| round.0.1),
            median(&|round| round.1.0),
            median(&|round| round.1.1),
        );
    }
}

/// The CPU time of this process.
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let (_, fields) = stat.rsplit_once(')').unwrap();
    let mut ticks = fields.split_whitespace().skip(11).take(2);
    let mut next = || ticks.next().unwrap().parse::<u64>().unwrap();
    Duration::from_millis(10 * (next() + next()))
}

async fn sign_in(store: &FileStore, user: u32) -> Token {
    sign_in_with(store, user, None).await
}

async fn sign_in_with(store: &FileStore, user: u32, data: Option<Vec<u8>>) -> Token {
    let id = UserId::from(user);
    let token = Token::random(store.tag(&id)).unwrap();
    let mut create = Create::new(&token, Some(id), Authenticated::On(Arrival::now()));
    create.client = Client::new()
        .with_address(Some(IpAddr::from(user.to_be_bytes())))
        .with_user_agent(Some(BROWSER.as_bytes()));
    if let Some(data) = data {
        create.changes.set("cart", data);
    }
    let created = store.create(&create).await.unwrap();
    assert!(matches!(created, Created::Created(_)));
    token
}

/// How long it takes to end all sessions of a user, a hundred times without other requests and a hundred times with
/// 128 tasks that send them. Each third request changes data.
async fn flood(store: FileStore) {
    let mut longest = [Duration::ZERO; 2];
    for (tasks, longest) in [0, 128].into_iter().zip(&mut longest) {
        let mut all = Vec::new();
        for _ in 0..100 {
            // After the cutoff of the round before.
            tokio::time::sleep(Duration::from_millis(2)).await;
            let token = sign_in(&store, 7).await;
            let mut requests = tokio::task::JoinSet::new();
            for _ in 0..tasks {
                requests.spawn(sends(store.clone(), token.clone()));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
            let end = End::new(token.tag(), Which::All, EndReason::Administrator);
            let start = Arrival::now();
            let ended = store.end(&end).await.unwrap();
            all.push(start.age());
            assert!(matches!(ended, Ended::Ended { ids, .. } if ids.len() == 1));
            while let Some(done) = requests.join_next().await {
                done.unwrap();
            }
        }
        all.sort_unstable();
        *longest = all[99];
        println!(
            "end_all beside {tasks} tasks: half {:.2?}, longest {longest:.2?}",
            all[50]
        );
    }
    assert!(longest[1] < longest[0] + Duration::from_millis(100));
}

/// Sends requests with this token until it is signed out.
async fn sends(store: FileStore, token: Token) {
    for n in 0_u32.. {
        if n.is_multiple_of(3) {
            let mut changes = Changes::default();
            changes.set("n", n.to_string());
            let save = Save::new(token.tag(), token.session_id(), changes);
            store.save(&save).await.unwrap();
        }
        let resolve = Resolve::new(token.clone());
        if !matches!(store.resolve(&resolve).await, Ok(Resolved::Live(_))) {
            return;
        }
        tokio::task::yield_now().await;
    }
}
