//! With every option of the layer on, an authenticated request is still one script.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{ClientClass, DeviceCookie, Limit, RedisStore, SessionLayer, events};

use crate::common::{http::Client, redis::Server};

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
