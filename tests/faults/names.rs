//! The names of servers: a name that changes, and a look-up that hangs.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering::SeqCst},
    },
};

use deadpool_redis::redis::{AsyncConnectionConfig, Client, RedisFuture, io::AsyncDNSResolver};
use tower_user_sessions::{
    RedisStore,
    store::{Resolve, SessionStore, StoreErrorKind},
};

use crate::common::{
    load::{kinds, median, millis, offer},
    people::{guest, is_live, signs_in, until},
    redis::Server,
};

/// Leads every name to one port of the loopback, or hangs while that is 0.
#[derive(Clone, Default)]
struct Names {
    port: Arc<AtomicU16>,
    asked: Arc<AtomicU32>,
}

impl AsyncDNSResolver for Names {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _host: &'b str,
        _port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        self.asked.fetch_add(1, SeqCst);
        Box::pin(async {
            let port = self.port.load(SeqCst);
            if port == 0 {
                std::future::pending::<()>().await;
            }
            let found = std::iter::once((Ipv4Addr::LOCALHOST, port).into());
            Ok(Box::new(found) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}

fn store(names: &Names) -> RedisStore {
    let client = Client::open("redis://redis.example").unwrap();
    let config = AsyncConnectionConfig::new().set_dns_resolver(names.clone());
    RedisStore::new((client, config))
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_changes_is_followed_at_the_next_connect() {
    let (mut old, new) = (Server::start(), Server::start());
    let names = Names::default();
    names.port.store(old.port, SeqCst);
    let store = store(&names);
    let token = signs_in(&store, "alice").await;
    until("the second connection is there", async || {
        names.asked.load(SeqCst) == 2
    })
    .await;

    names.port.store(new.port, SeqCst);
    assert!(is_live(&store, &token).await, "connections stay");
    old.kill();

    assert!(!is_live(&store, &token).await, "the new one is empty");
    signs_in(&store, "bob").await;
    assert_eq!(new.ask::<usize>("DBSIZE").await, 1);
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn a_look_up_that_hangs_is_an_outage_that_ends_with_it() {
    let server = Server::start();
    let names = Names::default();
    let store = store(&names);

    let all = offer(200, millis(3_000), |_| {
        let store = store.clone();
        async move { store.resolve(&Resolve::new(guest())).await.map(drop) }
    })
    .await;
    assert_eq!(kinds(&all), [(StoreErrorKind::Timeout, 600)]);
    let late = all.iter().filter(|told| told.at > millis(1_500));
    assert!(median(late.map(|told| told.took).collect()) < millis(10));
    assert!(names.asked.load(SeqCst) <= 5, "one at a time");
    names.port.store(server.port, SeqCst);

    until("it is found", async || {
        store.resolve(&Resolve::new(guest())).await.is_ok()
    })
    .await;
}

// T70
#[tokio::test(flavor = "multi_thread")]
async fn the_system_looks_names_up() {
    let server = Server::start();
    let url = format!("redis://localhost:{}", server.port);
    let store = RedisStore::connect(&url).unwrap();
    signs_in(&store, "alice").await;

    let unknown = RedisStore::connect("redis://no-such-name.invalid").unwrap();
    let error = unknown.resolve(&Resolve::new(guest())).await.unwrap_err();
    assert!(matches!(
        error.kind(),
        StoreErrorKind::Unavailable | StoreErrorKind::Timeout
    ));
}
