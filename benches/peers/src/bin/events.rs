//! What the event channel costs a sign-in: blocks of sign-ins with it and without it, by turns.
//!
//! `events [--pairs N] [--logins N]`
//!
//! One thread signs users in, at the limit of three, as fast as it can; another takes the events out.
//! Prints sign-ins per second and the median of the paired ratios, what was dropped, and whether the
//! events add up to what the store has at the end. A second run with a channel of one event shows that
//! drops are counted.

use std::{
    collections::HashMap,
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

/// Between two batches that the consumer takes.
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

/// What this thread has had of a core, in ns (Linux). The machine has two, and what the consumer takes of
/// the other must not count when the scheduler puts both on one.
fn on_core() -> f64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = stat.split(' ').next().and_then(|ns| ns.parse().ok());
    first.unwrap_or_default()
}

/// Signs in so many users, one after the other; how long one took, in ns: by the clock, and of a core.
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

/// Counts what began less what ended, until all senders are gone.
fn counted(mut events: EventReceiver) -> Result<(i64, u64, u64), std::io::Error> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let (mut live, mut received) = (0, 0);
    runtime.block_on(async {
        loop {
            let batch = events.batch().await;
            if batch.is_empty() {
                break;
            }
            received += batch.len() as u64;
            for event in batch {
                live += match event.kind {
                    EventKind::Created => 1,
                    EventKind::Ended => -1,
                    _ => 0,
                };
            }
            tokio::time::sleep(PAUSE).await;
        }
    });
    Ok((live, received, events.dropped()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() -> Result<(), BoxError> {
    let (pairs, logins) = (number("--pairs", 15), number("--logins", 100_000));
    let users: Vec<UserId> = (0..USERS as u64).map(UserId::from).collect();
    let runtime = Builder::new_current_thread().build()?;
    let (plain, watched) = (MemoryStore::new(), MemoryStore::new());
    let layer = |store: &MemoryStore| SessionLayer::new(store.clone()).limit(Limit::at_most(3));

    for capacity in [1 << 20, 1] {
        let (sender, receiver) = events::channel(capacity);
        let consumer = thread::spawn(move || counted(receiver));
        let (without, with) = (layer(&plain), layer(&watched).events(sender));
        block(&runtime, &without, logins);
        block(&runtime, &with, logins);
        let (mut ratios, mut of_core) = (Vec::new(), Vec::new());
        let mut times = HashMap::<&str, Vec<f64>>::new();
        for _ in 0..pairs {
            let before = block(&runtime, &without, logins);
            let after = block(&runtime, &with, logins);
            ratios.push(after[0] / before[0]);
            of_core.push(after[1] / before[1]);
            times.entry("without").or_default().push(before[0]);
            times.entry("with").or_default().push(after[0]);
        }
        drop(with);
        let (live, received, dropped) = consumer.join().map_err(|_| "the consumer fell")??;
        println!("channel of {capacity}:");
        for (name, values) in times {
            let ns = median(values);
            println!("  {name}: {ns:.0} ns a sign-in, {:.0} a second", 1e9 / ns);
        }
        let (by_clock, of_core) = (median(ratios), median(of_core));
        println!("  paired ratio, median: {by_clock:.3} by the clock, {of_core:.3} of a core");
        println!("  received {received}, dropped {dropped}");
        if capacity > 1 {
            let mut stored = 0;
            for user in &users {
                let sessions = UserSessions::new(watched.clone(), user.clone());
                stored += i64::try_from(runtime.block_on(sessions.count())?)?;
            }
            println!("  began less ended: {live}, in the store: {stored}");
        }
    }
    Ok(())
}
