//! The end of all sessions while the store's clock was ahead. Then it is set right.

use std::time::Duration;

use http::StatusCode;
use tower_user_sessions::{
    EndReason, Everyone, Lifetime, Login, MemoryStore, RedisStore, SessionLayer,
    store::{ManualClock, RedisSource, SessionStore, SharedStore, Timestamp},
};

use crate::{
    common::{
        cluster::Cluster,
        http::{Client, DAY, HOUR, user},
        postgres::Server as Postgres,
        redis::Server,
        shelf::Shelf,
    },
    file_restart::Place,
};

const MINUTE: Duration = Duration::from_secs(60);
const FRESH: Duration = Duration::from_secs(5 * 60);

fn clock() -> ManualClock {
    ManualClock::at(Timestamp::from_millis(1_764_000_000_000))
}

fn layer(store: &SharedStore) -> SessionLayer {
    SessionLayer::new(store.clone()).lifetime(Lifetime::new(14 * DAY, 30 * DAY))
}

/// The browser of a user who signs in. Its layer is dropped, because a file is closed with it.
async fn cookie(store: &SharedStore, id: &str) -> Option<String> {
    Client::signed_in(&layer(store), id).await.cookie
}

async fn why(layer: &SessionLayer, cookie: Option<&String>) -> Option<EndReason> {
    let mut client = Client::new(layer);
    client.cookie = cookie.cloned();
    let reason = client.send(|session| async move { session.ended().map(|it| it.reason) });
    reason.await.value()
}

async fn is_fresh(client: &mut Client) -> bool {
    let fresh = client.send(|session| async move { session.is_fresh(FRESH) });
    fresh.await.value()
}

/// The age of a request is real time, and is subtracted.
fn just_now(clock: &ManualClock, moment: Timestamp) -> bool {
    moment <= clock.now() && clock.now().since(moment) < MINUTE
}

/// All sessions end while the clock is so far ahead, then it is set right. Each store that `open` returns is that of a process
/// that has just started, or that has just read the moment.
async fn users_sign_in_after_the_clock_is_set_right(
    clock: &ManualClock,
    ahead: Duration,
    open: impl AsyncFn() -> SharedStore,
) {
    let old = cookie(&open().await, "old").await;
    let right = clock.now().plus(HOUR);
    clock.advance(ahead);
    let store = open().await;
    let before = cookie(&store, "before").await;
    clock.advance(MINUTE);
    Everyone::new(store.clone()).end_all().await.unwrap();
    clock.advance(MINUTE);
    let after = cookie(&store, "after").await;
    drop(store);

    clock.set(right);
    let store = open().await;
    let layer = layer(&store);
    let everyone = Everyone::new(store.clone());
    assert_eq!(everyone.ended_before().await.unwrap(), Some(right));
    clock.advance(MINUTE);

    let mut alice = Client::new(&layer);
    let answer = alice.send(|session| async move { session.log_in("alice").unwrap() });
    let answer = answer.await;
    let thirty_days = format!("Max-Age={}", 30 * DAY.as_secs());
    let [set] = answer.set_cookies()[..] else {
        panic!("{:?}", answer.set_cookies());
    };
    assert!(set.contains(&thirty_days), "{set}");
    let times = alice.send(|session| async move {
        [session.created_at(), session.authenticated_at()].map(Option::unwrap)
    });
    let [created, authenticated] = times.await.value();
    assert_eq!(created, clock.now());
    assert!(just_now(clock, authenticated), "{authenticated}");
    assert!(is_fresh(&mut alice).await);
    clock.advance(FRESH + MINUTE);
    assert!(!is_fresh(&mut alice).await);

    for ended in [&old, &before, &after] {
        assert_eq!(why(&layer, ended.as_ref()).await, Some(EndReason::Everyone));
    }

    // A sign-in of two steps.
    let first_step = clock.now().minus(MINUTE);
    let mut bob = Client::new(&layer);
    let login = Login::new(user("bob")).since(first_step);
    let answer = bob.send(move |session| {
        let login = login.clone();
        async move { session.log_in_with(login).unwrap() }
    });
    assert_eq!(answer.await.status, StatusCode::OK);
    assert_eq!(bob.user().await.as_deref(), Some("bob"));
    // One whose first step was before the end.
    let login = Login::new(user("carol")).since(right.minus(MINUTE));
    let answer = Client::new(&layer)
        .send(move |session| {
            let login = login.clone();
            async move { session.log_in_with(login).unwrap() }
        })
        .await;
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);

    let answer = alice.send(|session| async move { session.reauthenticated().unwrap() });
    assert_eq!(answer.await.status, StatusCode::OK);
    assert!(is_fresh(&mut alice).await);
    let at = alice.send(|session| async move { session.authenticated_at().unwrap() });
    assert!(just_now(clock, at.await.value()));
    clock.advance(FRESH + MINUTE);
    assert!(!is_fresh(&mut alice).await);
    assert_eq!(alice.user().await.as_deref(), Some("alice"));

    // The time comes at which they were made.
    clock.set(right.plus(ahead));
    for ended in [&before, &after] {
        assert_eq!(why(&layer, ended.as_ref()).await, Some(EndReason::Everyone));
    }
    let carol = cookie(&store, "carol").await;
    assert_eq!(why(&layer, carol.as_ref()).await, None);
    everyone.end_all().await.unwrap();
    assert_eq!(why(&layer, carol.as_ref()).await, Some(EndReason::Everyone));
    let mut again = Client::signed_in(&layer, "carol").await;
    assert_eq!(again.user().await.as_deref(), Some("carol"));
}

// T74
#[tokio::test]
async fn users_of_a_memory_store_sign_in_after_its_clock_is_set_right() {
    let clock = clock();
    let store = MemoryStore::builder().clock(clock.clone()).build();
    users_sign_in_after_the_clock_is_set_right(&clock, 13 * HOUR, async || {
        store.everyone(None).await.unwrap();
        store.clone().into()
    })
    .await;
}

// T74
#[tokio::test]
async fn users_of_a_file_sign_in_after_its_clock_is_set_right() {
    let place = Place::new();
    users_sign_in_after_the_clock_is_set_right(&place.clock, 50 * DAY, async || {
        place.open().into()
    })
    .await;
}

// T74
#[tokio::test]
async fn users_of_a_set_store_sign_in_after_its_clock_is_set_right_also_on_a_server_that_runs_on() {
    let clock = clock();
    let shelf = Shelf::on(&clock);
    let open = async || shelf.store().into();
    users_sign_in_after_the_clock_is_set_right(&clock, 50 * DAY, open).await;

    let store: SharedStore = shelf.store().into();
    clock.advance(100 * DAY);
    users_sign_in_after_the_clock_is_set_right(&clock, 13 * HOUR, async || {
        Everyone::new(store.clone()).ended_before().await.unwrap();
        store.clone()
    })
    .await;
}

// T74
#[tokio::test]
async fn users_of_a_redis_sign_in_after_its_clock_is_set_right() {
    let (clock, server) = (clock(), Server::start());
    let open = async || server.store(clock.clone()).into();
    users_sign_in_after_the_clock_is_set_right(&clock, 13 * HOUR, open).await;
}

// T74
#[tokio::test]
async fn users_of_a_cluster_sign_in_after_its_clock_is_set_right() {
    let (clock, cluster) = (clock(), Cluster::start(&[]).await);
    let open = async || {
        let source = RedisSource::cluster(cluster.urls()).unwrap();
        RedisStore::builder(source)
            .clock(clock.clone())
            .build()
            .into()
    };
    users_sign_in_after_the_clock_is_set_right(&clock, 13 * HOUR, open).await;
}

// T74
#[tokio::test]
async fn users_of_a_postgres_sign_in_after_its_clock_is_set_right() {
    let (clock, server) = (clock(), Postgres::start());
    let open = async || server.store_at(clock.clone()).await.into();
    users_sign_in_after_the_clock_is_set_right(&clock, 13 * HOUR, open).await;
}
