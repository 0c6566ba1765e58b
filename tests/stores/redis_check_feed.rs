//! `RedisStore::check` names each command that the feed lacks.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use tower_user_sessions::{
    RedisStore,
    store::{RedisCheck, RedisFinding, RedisLive, RedisSource},
};

use super::redis_check::missing;
use crate::common::{
    cluster::Cluster,
    redis::{Server, pool},
};

/// What a store with the feed finds on each server, for a user who may do all but this.
async fn of_feed(
    servers: &[Server],
    live: RedisLive,
    sharded: bool,
    rule: &str,
) -> Vec<RedisCheck> {
    let rule = rule.to_lowercase();
    let rule = format!("ACL SETUSER app reset on >secret ~sessions:* &* +@all -{rule}");
    for server in servers {
        let _: () = server.ask(&rule).await;
    }
    let urls = servers.iter().map(Server::url);
    let urls = urls.map(|url| url.replace("redis://", "redis://app:secret@"));
    let urls: Vec<String> = urls.collect();
    let source = if sharded {
        RedisSource::cluster(urls)
    } else {
        RedisSource::url(&urls[0])
    };
    let store = RedisStore::builder(source.unwrap()).live(live);
    store.build().check().await
}

// T70
#[tokio::test]
async fn each_command_of_the_feed_that_the_user_may_not_use_is_named() {
    let (node, cluster) = (Server::start(), Cluster::of(3, &[]).await);
    let (all, shards) = (RedisLive::ends(), RedisLive::ends().shards(9));
    let node = &[node][..];
    for (servers, live, sharded, commands) in [
        (node, all, false, &["PUBLISH", "SUBSCRIBE", "PING"][..]),
        (node, shards, false, &["UNSUBSCRIBE", "SUBSCRIBE"]),
        (
            &cluster.nodes,
            all,
            true,
            &["SPUBLISH", "SSUBSCRIBE", "PING"],
        ),
        (&cluster.nodes, shards, true, &["SUNSUBSCRIBE"]),
    ] {
        for &command in commands {
            let checks = of_feed(servers, live, sharded, command).await;

            assert_eq!(checks.len(), servers.len());
            for check in &checks {
                assert_eq!(missing(check), [command], "{check}");
            }
        }
    }
}

// T70
#[tokio::test]
async fn a_server_that_does_not_let_a_store_listen_is_found() {
    let server = Server::start_with(&["--rename-command", "HELLO", ""]);
    let source = RedisSource::url(&server.url()).unwrap();
    let store = RedisStore::builder(source).live(RedisLive::ends()).build();

    let check = &store.check().await[0];

    let says = |finding: &RedisFinding| matches!(finding, RedisFinding::CannotListen { cause } if cause.contains("HELLO"));
    assert!(check.findings().iter().any(says), "{check}");
}

// T70
#[tokio::test]
async fn a_pool_whose_ends_are_not_heard_in_its_database_is_found() {
    let server = Server::start();
    for (database, found) in [(0, false), (1, true)] {
        let pool = pool(&format!("{}/{database}", server.url()));
        let store = RedisStore::builder(pool).live(RedisLive::ends()).build();

        let checks = store.check().await;

        let is_other =
            |finding: &RedisFinding| matches!(finding, RedisFinding::OtherChannel { database: 1 });
        assert_eq!(
            checks[0].findings().iter().any(is_other),
            found,
            "{}",
            checks[0]
        );
    }
}
