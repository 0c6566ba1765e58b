//! One story in twelve steps, from one table. It runs over axum, bare hyper with HTTP/1 and HTTP/2,
//! and tonic, on memory and on Redis.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod door;
mod grpc;
mod http_client;
pub(crate) mod http_server;
mod origin;
mod table;

use std::time::Duration;

use tower_user_sessions::{Limit, MemoryStore, SessionLayer, store::ManualClock};

use self::{
    door::{Deed, Door, Outcome, Who},
    grpc::Grpc,
    http_client::Http,
    table::story,
};
use crate::{
    common::{
        faulty::{Fault, FaultyStore, Method},
        http,
        redis::{self, Server as Redis},
    },
    pb, service,
};

/// How long a call waits for Redis, as two of the story do that meet a server that was suspended.
const DEADLINE: Duration = Duration::from_secs(3);

/// The store under the story, and how it fails.
enum Ground {
    Memory(FaultyStore),
    Redis(Redis),
}

impl Ground {
    fn fail(&self) {
        match self {
            Self::Memory(store) => store.always(
                [Method::Create, Method::End, Method::List, Method::Resolve],
                Fault::Fail,
            ),
            Self::Redis(server) => server.suspend(),
        }
    }

    fn mend(&self) {
        match self {
            Self::Memory(store) => store.mend(),
            Self::Redis(server) => server.resume(),
        }
    }
}

fn on_memory() -> (Ground, SessionLayer, ManualClock) {
    let (store, clock): (MemoryStore, _) = http::store();
    let faulty = FaultyStore::new(&store);
    let layer = SessionLayer::new(faulty.clone());
    (Ground::Memory(faulty), settings(layer), clock)
}

fn on_redis() -> (Ground, SessionLayer, ManualClock) {
    let (_, clock) = http::store();
    let server = Redis::start();
    let store = redis::patient(server.pool()).clock(clock.clone());
    let layer = SessionLayer::new(store.deadline(DEADLINE).build());
    (Ground::Redis(server), settings(layer), clock)
}

fn settings(layer: SessionLayer) -> SessionLayer {
    layer.limit(Limit::at_most(3))
}

async fn run(mut door: impl Door, ground: Ground, clock: ManualClock) {
    for (number, (title, deeds)) in (1..).zip(story()) {
        for (who, deed, expected) in deeds {
            // So that the order of last activity is clear.
            clock.advance(Duration::from_secs(1));
            let outcome = match deed {
                Deed::StoreFails => {
                    ground.fail();
                    Outcome::Done
                }
                Deed::StoreMends => {
                    ground.mend();
                    settled(&mut door, who).await
                }
                deed => door.act(who, deed).await,
            };
            assert_eq!(
                outcome, expected,
                "step {number}, {title}: {who:?} {deed:?}"
            );
        }
    }
}

/// The outcome of `WhoAmI` once the store works again.
async fn settled(door: &mut impl Door, who: Who) -> Outcome {
    for _ in 0..50 {
        let outcome = door.act(who, Deed::WhoAmI).await;
        if outcome != Outcome::Unavailable {
            return outcome;
        }
        // While the link is down, each answer comes at once.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the store does not come back");
}

// T10 T19 T26 T27 T35 T42 T53 T59
#[tokio::test]
async fn axum_on_memory() {
    let (ground, layer, clock) = on_memory();
    run(Http::to_axum(layer).await, ground, clock).await;
}

// T10 T19 T26 T27 T35 T42 T53 T59
#[tokio::test]
async fn axum_on_redis() {
    let (ground, layer, clock) = on_redis();
    run(Http::to_axum(layer).await, ground, clock).await;
}

// T10 T19 T26 T27 T35 T42 T53 T59
#[tokio::test]
async fn hyper_http1_on_memory() {
    let (ground, layer, clock) = on_memory();
    run(Http::to_hyper_http1(layer).await, ground, clock).await;
}

// T10 T19 T26 T27 T35 T42 T53 T59
#[tokio::test]
async fn hyper_http1_on_redis() {
    let (ground, layer, clock) = on_redis();
    run(Http::to_hyper_http1(layer).await, ground, clock).await;
}

// T10 T19 T26 T27 T35 T42 T53 T59
#[tokio::test]
async fn hyper_http2_on_memory() {
    let (ground, layer, clock) = on_memory();
    run(Http::to_hyper_http2(layer).await, ground, clock).await;
}

// T10 T19 T26 T27 T35 T42 T53 T59
#[tokio::test]
async fn hyper_http2_on_redis() {
    let (ground, layer, clock) = on_redis();
    run(Http::to_hyper_http2(layer).await, ground, clock).await;
}

// T10 T19 T26 T27 T35 T42 T53 T59
#[tokio::test]
async fn tonic_on_memory() {
    let (ground, layer, clock) = on_memory();
    run(Grpc::start(layer).await, ground, clock).await;
}

// T10 T19 T26 T27 T35 T42 T53 T59
#[tokio::test]
async fn tonic_on_redis() {
    let (ground, layer, clock) = on_redis();
    run(Grpc::start(layer).await, ground, clock).await;
}
