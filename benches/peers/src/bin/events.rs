//! Measures how much longer a sign-in takes with the event channel.
//!
//! `events [--rounds N] [--logins N]`
//!
//! One thread signs users in at the limit of three, as fast as it can. Another thread takes the events
//! out of the channel. A round is a block of sign-ins without the channel, one with it, and one without
//! it again.
//!
//! The program prints sign-ins per second and two medians over the rounds. The first is the block with
//! the channel over the mean of the other two. The second is the last block over the first, which is the
//! noise. All blocks use one store, because two stores differ as much as the channel costs.
//!
//! Then it checks that the events of a new store add up to the sessions in the store. A second run has a
//! channel of one event, and checks that dropped events are counted.

use std::{
    thread,
    time::{Duration, Instant},
};

use axum::{
    Json, Router,
    body::Body,
    http::{Request, StatusCode, header},
    routing::post,
};
use peers::{BoxError, USER_AGENT};
use serde::Deserialize;
use tokio::runtime::{Builder, Runtime};
use tower::Service;
use tower_user_sessions::{
    Limit, MemoryStore, Session, SessionLayer, UserId, UserSessions,
    events::{self, EventKind, EventReceiver},
};

const USERS: usize = 10_000;

/// The time between two batches of the consumer.
const PAUSE: Duration = Duration::from_millis(5);

#[derive(Deserialize)]
struct Credentials {
    user: u64,
}

fn number(name: &str, default: usize) -> usize {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    let value = arguments.nth(1).and_then(|value| value.parse().ok());
    value.unwrap_or(default)
}

async fn sign_in(session: Session, Json(credentials): Json<Credentials>) -> StatusCode {
    match session.log_in(credentials.user) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// CPU time of this thread, in ns (Linux). It excludes the consumer, which the scheduler may put on the
/// same core.
fn on_core() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    first.unwrap_or_default()
}

/// Signs users in, one after the other. Returns ns per sign-in: by the clock, and of CPU time.
#[expect(clippy::disallowed_methods, reason = "it measures")]
fn block(runtime: &Runtime, layer: &SessionLayer, logins: usize) -> [f64; 2] {
    let mut app: Router = Router::new()
        .route("/login", post(sign_in))
        .layer(layer.clone())
        .with_state(());
    let (began, core) = (Instant::now(), on_core());
    runtime.block_on(async {
        for login in 0..logins {
            let body = format!("{{\"user\":{}}}", login % USERS);
            let request = Request::post("/login")
                .header(header::CONTENT_TYPE, "application/json")
                .header(header::USER_AGENT, USER_AGENT)
                .body(Body::from(body))
                .unwrap_or_default();
            let Ok(answer) = app.call(request).await;
            assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        }
    });
    let taken = [began.elapsed().as_nanos() as f64, on_core() - core];
    taken.map(|ns| ns / logins as f64)
}

/// How many events came out of a channel.
#[derive(Default)]
struct Tally {
    taken: u64,
    began: u64,
    ended: u64,
    dropped: u64,
}

/// Takes events out until all senders are gone.
fn tally(mut events: EventReceiver) -> Result<Tally, std::io::Error> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let mut tally = Tally::default();
    runtime.block_on(async {
        loop {
            let batch = events.batch().await;
            if batch.is_empty() {
                break;
            }
            tally.taken += batch.len() as u64;
            for event in batch {
                match event.kind {
                    EventKind::Created => tally.began += 1,
                    EventKind::Ended => tally.ended += 1,
                    _ => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    tally.dropped = events.dropped();
    Ok(tally)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn layer(store: &MemoryStore) -> SessionLayer {
    SessionLayer::new(store.clone()).limit(Limit::at_most(3))
}

/// How much longer a sign-in takes with the channel.
fn cost(
    runtime: &Runtime,
    capacity: usize,
    rounds: usize,
    logins: usize,
) -> Result<Tally, BoxError> {
    let (sender, receiver) = events::channel(capacity);
    let consumer = thread::spawn(move || tally(receiver));
    let store = MemoryStore::new();
    let (without, with) = (layer(&store), layer(&store).events(sender));
    // Until each user has reached the limit.
    block(runtime, &without, 3 * USERS);
    block(runtime, &with, logins);
    let mut times = [const { Vec::new() }; 2];
    let mut ratios = [const { Vec::new() }; 3];
    for _ in 0..rounds {
        let before = block(runtime, &without, logins);
        let watched = block(runtime, &with, logins);
        let after = block(runtime, &without, logins);
        times[0].push(before[0]);
        times[1].push(watched[0]);
        ratios[0].push(2. * watched[0] / (before[0] + after[0]));
        ratios[1].push(2. * watched[1] / (before[1] + after[1]));
        ratios[2].push(after[0] / before[0]);
    }
    drop(with);
    for (name, ns) in ["without", "with"].into_iter().zip(times.map(median)) {
        println!("  {name}: {ns:.0} ns a sign-in, {:.0} a second", 1e9 / ns);
    }
    let [by_clock, of_core, noise] = ratios.map(median);
    println!("  with over without: {by_clock:.3} by the clock, {of_core:.3} of a core");
    println!("  without over without: {noise:.3}");
    Ok(consumer.join().map_err(|_| "the consumer panicked")??)
}

/// Checks that the events of a store add up to its sessions.
fn adds_up(runtime: &Runtime, capacity: usize, logins: usize) -> Result<Tally, BoxError> {
    let (sender, receiver) = events::channel(capacity);
    let consumer = thread::spawn(move || tally(receiver));
    let store = MemoryStore::new();
    let with = layer(&store).events(sender);
    block(runtime, &with, logins);
    drop(with);
    let tally = consumer.join().map_err(|_| "the consumer panicked")??;
    let mut stored = 0;
    for user in 0..USERS as u64 {
        let sessions = UserSessions::new(store.clone(), UserId::from(user));
        stored += runtime.block_on(sessions.count())? as u64;
    }
    let raised = 2 * logins as u64 - stored;
    let counted = tally.taken + tally.dropped;
    println!(
        "  a new store: {stored} sessions, {raised} events raised, {counted} taken or dropped"
    );
    if raised != counted || tally.dropped == 0 && tally.began - tally.ended != stored {
        return Err("the events do not add up to the sessions of the store".into());
    }
    Ok(tally)
}

fn main() -> Result<(), BoxError> {
    let (rounds, logins) = (number("--rounds", 15), number("--logins", 50_000));
    let runtime = Builder::new_current_thread().build()?;
    for capacity in [1 << 20, 1] {
        println!("channel of {capacity}:");
        let cost = cost(&runtime, capacity, rounds, logins)?;
        let whole = adds_up(&runtime, capacity, 10 * logins)?;
        let taken = cost.taken + whole.taken;
        let dropped = cost.dropped + whole.dropped;
        println!("  taken {taken}, dropped {dropped}");
    }
    Ok(())
}
