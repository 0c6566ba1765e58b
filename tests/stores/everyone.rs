//! Two servers of one Redis: the sessions of all users end on both.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use deadpool_redis::redis;
use http::StatusCode;
use tokio::time::{Instant, sleep, timeout};
use tower_user_sessions::{
    EndReason, Everyone, RedisStore, SessionLayer,
    store::{FeedMessage, ManualClock, RedisLive, RedisSource, StoreErrorKind, Timestamp},
};

use crate::common::{
    cluster::Cluster,
    http::Client,
    people::until,
    redis::Server,
    relay::Relay,
    replicas::{Group, Program},
};

/// A server of the app.
fn node(url: &str) -> SessionLayer {
    SessionLayer::new(RedisStore::connect(url).unwrap())
}

async fn why(client: &mut Client) -> Option<EndReason> {
    let reason = client.send(|session| async move { session.ended().map(|it| it.reason) });
    reason.await.value()
}

/// How long a client that asks again and again has a route for users only; at most 6 s. Then it gets 401.
async fn stays(client: &Client) -> Duration {
    let began = Instant::now();
    let mut status = client.users_only().await;
    while status == StatusCode::OK && began.elapsed() < Duration::from_secs(6) {
        sleep(Duration::from_millis(20)).await;
        status = client.users_only().await;
    }
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    began.elapsed()
}

// T74
#[tokio::test]
async fn every_server_notices_the_end_of_all_within_five_seconds_and_a_new_one_at_once() {
    for server in [Program::Redis, Program::Valkey].map(|program| program.start(&[])) {
        let url = server.url();
        let (here, there) = (node(&url), node(&url));
        let mut alice = Client::signed_in(&here, "alice").await;
        let elsewhere = alice.before(&there);
        assert_eq!(elsewhere.users_only().await, StatusCode::OK);
        let quiet = Client::signed_in(&there, "quiet").await;
        let idle = node(&url);
        let late = quiet.before(&idle);
        assert_eq!(late.users_only().await, StatusCode::OK);

        let store = RedisStore::connect(&url).unwrap();
        Everyone::new(store).end_all().await.unwrap();

        // A server that starts afterwards, and one that was idle for longer than it believes what it knows.
        let started = quiet.before(&node(&url));
        assert_eq!(started.users_only().await, StatusCode::UNAUTHORIZED);
        let (first, second) = tokio::join!(stays(&alice), stays(&elsewhere));
        let longest = first.max(second);
        assert!(longest < Duration::from_secs(5), "{longest:?}");
        sleep(Duration::from_millis(5_100).saturating_sub(longest)).await;
        assert_eq!(late.users_only().await, StatusCode::UNAUTHORIZED);

        assert_eq!(why(&mut alice).await, Some(EndReason::Everyone));
        for layer in [&here, &there, &idle] {
            assert!(
                Client::signed_in(layer, "alice")
                    .await
                    .user()
                    .await
                    .is_some()
            );
        }
    }
}

// T74
#[tokio::test]
async fn servers_that_hear_the_feed_notice_the_end_of_all_within_a_second_and_others_within_five() {
    let server = Server::start();
    let store = || {
        let source = RedisSource::url(&server.url()).unwrap();
        RedisStore::builder(source).live(RedisLive::ends()).build()
    };
    let servers = [(); 3].map(|()| SessionLayer::new(store()));
    let mut clients = Vec::new();
    for layer in &servers {
        clients.push(Client::signed_in(layer, "alice").await);
    }
    // A server listens while it has an open stream. The last one has none.
    let mut streams = Vec::new();
    for client in &mut clients[..2] {
        let stream = client.send(|session| async move { session.live().unwrap() });
        streams.push(stream.await.value());
    }
    until("two servers listen", async || {
        server.listeners("sessions:live").await == 2
    })
    .await;
    for client in &clients {
        // It has just read the moment.
        assert_eq!(client.users_only().await, StatusCode::OK);
    }

    Everyone::new(store()).end_all().await.unwrap();
    let began = Instant::now();
    let ends = async {
        for stream in &streams {
            stream.ended().await;
        }
        began.elapsed()
    };
    let (first, second, streams, without) = tokio::join!(
        stays(&clients[0]),
        stays(&clients[1]),
        ends,
        stays(&clients[2])
    );

    let slowest = first.max(second).max(streams);
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    assert!(without < Duration::from_secs(5), "{without:?}");
}

// T74
#[tokio::test]
async fn a_server_with_a_stream_and_no_requests_notices_the_end_of_all_without_a_message() {
    let server = Server::start();
    let mut alice = Client::signed_in(&node(&server.url()), "alice").await;
    let stream = alice.send(|session| async move { session.live().unwrap() });
    let stream = stream.await.value();

    let store = RedisStore::connect(&server.url()).unwrap();
    Everyone::new(store).end_all().await.unwrap();

    // Else it would be the next look at the session itself, a minute later.
    let end = timeout(Duration::from_secs(15), stream.ended())
        .await
        .unwrap();
    assert_eq!(end.notice().unwrap().reason, EndReason::Everyone);
}

// T74
#[tokio::test]
async fn neither_a_forged_message_nor_the_end_of_all_in_another_database_signs_anybody_out() {
    let server = Server::start();
    let store = |database: u8| {
        let source = RedisSource::url(&format!("{}/{database}", server.url())).unwrap();
        RedisStore::builder(source).live(RedisLive::ends()).build()
    };
    let layer = SessionLayer::new(store(0));
    let mut alice = Client::signed_in(&layer, "alice").await;
    let stream = alice.send(|session| async move { session.live().unwrap() });
    let stream = stream.await.value();
    let listens = async || server.ask::<Vec<String>>("PUBSUB CHANNELS *").await.len() > 1;
    until("the server listens", listens).await;

    Everyone::new(store(1)).end_all().await.unwrap();
    let forged = Timestamp::from_millis(253_402_300_799_000);
    let forged = FeedMessage::everyone(forged).encode();
    let client = redis::Client::open(server.url()).unwrap();
    let mut forger = client.get_multiplexed_async_connection().await.unwrap();
    let mut publish = redis::cmd("PUBLISH");
    publish.arg("sessions:live").arg(&forged);
    let reads = async || {
        let calls: String = server.ask("INFO commandstats").await;
        let (_, calls) = calls.split_once("cmdstat_hget:calls=").unwrap();
        calls.split(',').next().unwrap().parse::<u32>().unwrap()
    };
    let before = reads().await;
    let began = Instant::now();
    let mut heard = 0;
    while began.elapsed() < Duration::from_secs(3) {
        heard += publish.query_async::<u32>(&mut forger).await.unwrap();
        sleep(Duration::from_millis(10)).await;
    }

    assert!(heard > 100, "{heard}");
    let read = reads().await - before;
    assert!(
        read <= 20,
        "a flood of messages makes few questions: {read}"
    );
    assert!(alice.user().await.is_some());
    assert!(stream.end().is_none());
    assert!(!server.ask::<bool>("EXISTS sessions:{everyone}").await);
}

// T74
#[tokio::test]
async fn a_request_costs_one_evalsha_and_a_reading_every_two_seconds_rides_beside() {
    let server = Server::start();
    let layer = node(&server.url());
    let mut alice = Client::signed_in(&layer, "alice").await;
    Everyone::new(RedisStore::connect(&server.url()).unwrap())
        .end_all()
        .await
        .unwrap();
    stays(&alice).await;
    alice = Client::signed_in(&layer, "alice").await;
    alice.user().await;
    let _: () = server.ask("CONFIG RESETSTAT").await;

    let (began, mut requests) = (Instant::now(), 0);
    while began.elapsed() < Duration::from_millis(4_500) {
        assert!(alice.user().await.is_some());
        requests += 1;
    }

    let stats: String = server.ask("INFO commandstats").await;
    let calls = stats
        .lines()
        .find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls: u32 = calls.unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(
        (1..=3).contains(&(calls - requests)),
        "{calls} for {requests} requests"
    );
}

// T74
#[tokio::test]
async fn a_server_that_is_cut_off_answers_no_request_with_what_it_knew() {
    let server = Server::start();
    let relay = Relay::start(server.port).await;
    let layer = node(&relay.url());
    let mut alice = Client::signed_in(&layer, "alice").await;
    assert!(alice.user().await.is_some());

    relay.become_a_black_hole();
    Everyone::new(RedisStore::connect(&server.url()).unwrap())
        .end_all()
        .await
        .unwrap();
    sleep(Duration::from_millis(5_100)).await;
    let cut_off = alice
        .request(|session| async move { session.user_id() })
        .await;
    relay.leave_the_black_hole();

    assert_eq!(cut_off.status, StatusCode::SERVICE_UNAVAILABLE);
    let mut status = StatusCode::SERVICE_UNAVAILABLE;
    for _ in 0..200 {
        let answer = alice
            .request(|session| async move { session.user_id() })
            .await;
        status = answer.status;
        if status == StatusCode::OK {
            assert_eq!(answer.value(), None);
            break;
        }
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status, StatusCode::OK);
}

// T51 T74
#[tokio::test]
async fn a_moment_that_a_failover_lost_is_written_back_by_a_server_that_knew_it() {
    let server = Server::start();
    let layer = node(&server.url());
    let mut alice = Client::signed_in(&layer, "alice").await;
    let store = RedisStore::connect(&server.url()).unwrap();
    let moment = Everyone::new(store).end_all().await.unwrap();
    stays(&alice).await;
    let key = "sessions:{everyone}";
    let ttl: i64 = server.ask(&format!("PTTL {key}")).await;
    assert_eq!(ttl, -1, "it is kept for ever");

    // As a replica that was promoted without it, or eviction.
    let _: u32 = server.ask(&format!("DEL {key}")).await;

    let mut found: Option<i64> = None;
    for _ in 0..80 {
        assert_eq!(alice.user().await, None);
        found = server.ask(&format!("HGET {key} moment")).await;
        if found.is_some() {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(found, Some(moment.as_millis()));
    let mut fresh = alice.before(&node(&server.url()));
    assert_eq!(fresh.user().await, None);
}

// T74
#[tokio::test]
async fn a_clock_of_redis_five_seconds_back_rejects_no_new_sign_in() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let store = server.store(clock.clone());
    let layer = SessionLayer::new(store.clone());
    let mut old = Client::signed_in(&layer, "alice").await;
    let everyone = Everyone::new(store);
    let first = everyone.end_all().await.unwrap();

    clock.set(clock.now().minus(Duration::from_secs(5)));

    let mut new = Client::signed_in(&layer, "alice").await;
    let stored = new.send(|session| async move {
        session.reauthenticated().unwrap();
        (session.created_at(), session.authenticated_at())
    });
    assert_eq!(stored.await.value(), (Some(first), Some(first)));
    assert!(new.user().await.is_some(), "also after a re-authentication");
    assert_eq!(old.user().await, None);
    let second = everyone.end_all().await.unwrap();
    assert!(second > first, "the next one ends that session too");
    assert_eq!(new.user().await, None);
}

// T74
#[tokio::test]
async fn on_a_cluster_all_copies_have_the_moment_and_one_is_enough_to_read_it() {
    let cluster = Cluster::of(3, &["--cluster-require-full-coverage", "no"]).await;
    let source = || RedisSource::cluster(cluster.urls()).unwrap();
    let layer = SessionLayer::new(RedisStore::new(source()));
    let mut clients = Vec::new();
    for number in 0..12 {
        clients.push(Client::signed_in(&layer, &format!("user {number}")).await);
    }
    let store = RedisStore::new(source());
    let moment = Everyone::new(store.clone()).end_all().await.unwrap();

    let mut copies = 0;
    for node in &cluster.nodes {
        let keys: Vec<String> = node.ask("KEYS *everyone*").await;
        for key in keys {
            let found: i64 = node.ask(&format!("HGET {key} moment")).await;
            assert_eq!(found, moment.as_millis());
            copies += 1;
        }
    }
    assert_eq!(copies, 8);
    // Within the second by which clocks may differ a sign-in on a server that does not know it would be over.
    sleep(Duration::from_millis(1_100)).await;
    let mut fresh = Client::signed_in(&SessionLayer::new(RedisStore::new(source())), "new").await;
    assert!(fresh.user().await.is_some());

    // Users of the others do not depend on this primary, for longer than a server believes what it knows.
    cluster.nodes[1].suspend();
    let other = SessionLayer::new(RedisStore::new(
        RedisSource::cluster([cluster.nodes[0].url()]).unwrap(),
    ));
    let began = Instant::now();
    let mut served = 0;
    while began.elapsed() < Duration::from_secs(7) {
        for client in &clients {
            let answer = client
                .before(&other)
                .request(|session| async move { session.user_id() });
            let answer = answer.await;
            if answer.status == StatusCode::OK {
                assert_eq!(answer.value(), None);
                served += 1;
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
    let end = Everyone::new(store).end_all().await;
    cluster.nodes[1].resume();
    assert!(served > 100, "{served}");
    assert!(matches!(
        end.map_err(|error| error.kind()),
        Err(StoreErrorKind::Timeout | StoreErrorKind::Unavailable)
    ));
}

// T74
#[tokio::test]
async fn with_confirmed_ends_the_moment_survives_a_failover() {
    let mut group = Group::start(Program::Redis, &[100]).await;
    let store = RedisStore::builder(RedisSource::url(&group.master.url()).unwrap())
        .confirm(1, Duration::from_secs(5))
        .build();
    let moment = Everyone::new(store).end_all().await.unwrap();

    let promoted = group.fails_over().await;

    let store = RedisStore::connect(&promoted.url()).unwrap();
    let found = Everyone::new(store).ended_before().await.unwrap();
    assert_eq!(found, Some(moment));
}
