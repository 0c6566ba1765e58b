//! With every option of the layer on, an authenticated request is still one script.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{
    ClientClass, DeviceCookie, EndReason, Limit, RedisStore, SessionLayer, UserSessions, events,
};

use crate::common::{
    http::{Client, DAY, store, user},
    redis::Server,
};

/// How often each command was called since the last reset, without those of the test itself.
async fn calls(server: &Server) -> Vec<String> {
    let stats: String = server.ask("INFO commandstats").await;
    let commands = stats.lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let count = rest.split(',').next()?;
        Some(format!("{name} {count}"))
    });
    // These commands run inside the scripts.
    let inner = [
        "hget", "hset", "hmget", "hdel", "hkeys", "time", "pexpire", "info", "config",
    ];
    commands
        .filter(|line| {
            !inner.iter().any(|name| {
                line.starts_with(&format!("{name} ")) || line.starts_with(&format!("{name}|"))
            })
        })
        .collect()
}

#[tokio::test]
async fn with_every_option_on_a_request_is_one_evalsha_and_a_sign_in_too() {
    let server = Server::start();
    let (sender, _receiver) = events::channel(1_000);
    let layer = SessionLayer::new(RedisStore::new(server.pool()))
        .limit_of_async(|_user| async { Limit::at_most(3).of_class(ClientClass::new(1), 2) })
        .class_of(|_client| ClientClass::new(1))
        .rotate_after(Duration::from_secs(900))
        .device_cookie(DeviceCookie::new())
        .clear_site_data(true)
        .events(sender);
    let mut client = Client::signed_in(&layer, "alice").await;
    client.user().await;
    Client::signed_in(&layer, "alice").await;
    let _: () = server.ask("CONFIG RESETSTAT").await;

    for _ in 0..10 {
        assert_eq!(client.user().await.as_deref(), Some("alice"));
    }
    let reads = calls(&server).await;
    Client::signed_in(&layer, "alice").await;

    assert_eq!(reads, ["evalsha 10"]);
    assert_eq!(calls(&server).await, ["evalsha 11"]);
}

// T62 T63 T64
#[tokio::test]
async fn two_cookies_are_two_evalshas_only_if_the_first_is_dead_and_a_dead_one_is_remembered() {
    let server = Server::start();
    let (_, clock) = store();
    let layer = SessionLayer::new(server.store(clock.clone())).guest_idle(10 * DAY);
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut guest = Client::new(&layer);
    guest.insert("cart", "apple").await;
    // An unused one lives for 15 minutes.
    guest.get("cart").await;
    client.guest = guest.guest;
    let count = async || -> Vec<String> {
        let calls = calls(&server).await;
        let _: () = server.ask("CONFIG RESETSTAT").await;
        calls
    };
    client.user().await;
    count().await;

    assert_eq!(client.get("cart").await, None);
    assert_eq!(count().await, ["evalsha 1"]);
    clock.advance(DAY);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(count().await, ["evalsha 2"]);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
    assert_eq!(count().await, ["evalsha 1"]);
}

// T64
#[tokio::test]
async fn a_forgotten_reason_is_gone_from_redis_and_costs_one_script() {
    let server = Server::start();
    let (_, clock) = store();
    let redis = server.store(clock.clone());
    let layer = SessionLayer::new(redis.clone());
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut other_tab = client.clone();
    clock.advance(DAY / 24);
    let admin = UserSessions::new(redis, user("alice"));
    admin.end_all().await.unwrap();
    let reason = async |client: &mut Client| {
        let answer = client.send(|session| async move { session.ended().map(|it| it.reason) });
        answer.await.value()
    };
    for _ in 0..2 {
        assert_eq!(reason(&mut client).await, Some(EndReason::Administrator));
    }
    let _: () = server.ask("CONFIG RESETSTAT").await;

    client.method = http::Method::POST;
    let answer = client
        .send(|session| async move { session.forget().unwrap() })
        .await;

    assert!(answer.removes_cookie());
    // The script was never run before, so the server has to be given its text.
    let commands = calls(&server).await;
    assert!(commands.contains(&"evalsha 2".to_owned()), "{commands:?}");
    assert_eq!(reason(&mut other_tab).await, None);
}

// T76
#[tokio::test]
async fn a_request_of_another_client_is_one_more_script_and_the_next_one_is_not() {
    let server = Server::start();
    let (_, clock) = store();
    let layer = SessionLayer::new(server.store(clock.clone()));
    let mut client = Client::new(&layer);
    client.peer = Some("192.0.2.1".parse().unwrap());
    client.log_in("alice").await;
    client.user().await;
    let mut owner = client.clone();
    client.peer = Some("198.51.100.7".parse().unwrap());
    // The first one brings the script to the server.
    client.user().await;
    clock.advance(Duration::from_secs(60));
    let _: () = server.ask("CONFIG RESETSTAT").await;

    owner.user().await;
    assert_eq!(calls(&server).await, ["evalsha 2"]);
    // Within the same minute nothing more is written.
    for _ in 0..10 {
        client.user().await;
        owner.user().await;
    }
    assert_eq!(calls(&server).await, ["evalsha 22"]);
    clock.advance(Duration::from_secs(60));
    client.user().await;
    assert_eq!(calls(&server).await, ["evalsha 24"]);
}
