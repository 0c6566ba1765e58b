//! A user with the ACL rules of the guide can do all that a store does.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use deadpool_redis::{Runtime, cluster, redis::RedisConnectionInfo, sentinel};
use tower_user_sessions::{
    EndReason, Everyone, RedisStore,
    store::{
        End, ManualClock, RedisLive, RedisSource, SessionStore, StoreErrorKind, Which, conformance,
    },
};

use crate::common::{
    cluster::Cluster,
    feed::Reader,
    people::{signs_in, token, until},
    redis::{Server, ask, patient},
    replicas::{Group, Program},
    sentinels::Sentinels,
};

const GUIDE: &str = include_str!("../../src/guide/operations.md");

/// The line of the guide, with what its table adds for one topology.
fn line(more: &str) -> String {
    let mut lines = GUIDE.lines();
    let line = lines
        .find(|line| line.starts_with("ACL SETUSER shop"))
        .unwrap();
    assert!(GUIDE.contains(&more.replace('|', "\\|")));
    format!("{line} {more}")
}

async fn keeps_the_contract(source: RedisSource) {
    conformance::all(async |clock: ManualClock| {
        patient(source.clone()).prefix("shop").clock(clock).build()
    })
    .await;
}

/// What was refused to the user, beside what only names the client.
async fn refused(server: &str) -> Vec<String> {
    let log: Vec<deadpool_redis::redis::Value> = ask(server, "ACL LOG").await;
    let entries = log.iter().map(|entry| format!("{entry:?}"));
    entries
        .filter(|entry| !entry.contains("client|set"))
        .collect()
}

// T70
#[tokio::test]
async fn the_rules_of_the_guide_are_enough_on_one_node() {
    let newer = [Program::Redis8, Program::Valkey8, Program::Valkey];
    for program in [Program::Redis].into_iter().chain(newer) {
        the_rules_are_enough(&program.start(&[])).await;
    }
}

async fn the_rules_are_enough(server: &Server) {
    let _: () = server.ask(&line("+scan +dbsize +info")).await;
    let url = format!("redis://shop:password@127.0.0.1:{}", server.port);

    keeps_the_contract(RedisSource::url(&url).unwrap()).await;
    let _: () = server.ask("ACL SETUSER shop -scan -dbsize -info").await;

    assert!(refused(&server.url()).await.is_empty());
    let store = RedisStore::builder(RedisSource::url(&url).unwrap());
    let checks = store.prefix("shop").build().check().await;
    assert!(checks[0].findings().is_empty(), "{}", checks[0]);
    assert!(!checks[0].not_known().is_empty(), "INFO is not allowed");
    let _: () = server.ask(&line("+info +script|load")).await;
    let store = RedisStore::builder(RedisSource::url(&url).unwrap());
    let checks = store.prefix("shop").build().check().await;
    assert!(checks[0].findings().is_empty(), "{}", checks[0]);
    assert!(checks[0].not_known().is_empty(), "{}", checks[0]);
}

#[tokio::test]
async fn without_info_no_page_is_read_because_its_cursor_could_skip_users_after_a_failover() {
    let server = Server::start();
    let _: () = server.ask(&line("+scan +dbsize +info")).await;
    let _: () = server.ask("ACL SETUSER shop -info").await;
    let url = format!("redis://shop:password@127.0.0.1:{}", server.port);
    let store = RedisStore::builder(RedisSource::url(&url).unwrap());
    let store = store.prefix("shop").build();
    signs_in(&store, "alice").await;

    let page = Everyone::new(store).page(None).await;

    // Servers differ in the code of the error.
    let kind = page.unwrap_err().kind();
    assert!(
        matches!(kind, StoreErrorKind::Denied | StoreErrorKind::Unavailable),
        "{kind:?}"
    );
}

// T70
#[tokio::test]
async fn the_rules_of_the_guide_are_enough_for_the_feed() {
    let server = Server::start();
    let _: () = server
        .ask(&line("+publish +subscribe +ping &shop:live*"))
        .await;
    let url = format!("redis://shop:password@127.0.0.1:{}", server.port);
    feeds(&[&server], None, RedisSource::url(&url).unwrap()).await;
    // What `check` tried is in the log.
    for more in ["ACL SETUSER shop +unsubscribe", "ACL LOG RESET"] {
        let _: () = server.ask(more).await;
    }
    let source = RedisSource::url(&url).unwrap();
    feeds(&[&server], Some(64), source).await;

    let cluster = Cluster::of(3, &[]).await;
    let sharded = line("+spublish +ssubscribe +ping &shop:live*");
    for node in &cluster.nodes {
        let _: () = node.ask(&format!("{sharded} +cluster|nodes +asking")).await;
    }
    let seeds = cluster.urls().into_iter();
    let seeds = seeds.map(|url| url.replace("redis://", "redis://shop:password@"));
    let nodes: Vec<&Server> = cluster.nodes.iter().collect();
    let seeds: Vec<String> = seeds.collect();
    feeds(&nodes, None, RedisSource::cluster(&seeds).unwrap()).await;
    for node in &cluster.nodes {
        for more in ["ACL SETUSER shop +sunsubscribe", "ACL LOG RESET"] {
            let _: () = node.ask(more).await;
        }
    }
    let source = RedisSource::cluster(&seeds).unwrap();
    feeds(&nodes, Some(64), source).await;
}

/// An end arrives, and nothing is refused.
async fn feeds(servers: &[&Server], shards: Option<u16>, source: RedisSource) {
    let live = shards.map_or(RedisLive::all(), |count| RedisLive::all().shards(count));
    let store = patient(source).prefix("shop").live(live).build();
    let alice = signs_in(&store, "alice").await;
    let reader = Reader::trusting(&store, alice.tag()).await;
    let which = Which::One(alice.session_id());
    let end = End::new(alice.tag(), which, EndReason::LoggedOut);
    store.end(&end).await.unwrap();
    reader.news(alice.tag()).await;
    if shards.is_some() {
        // Held for a moment, and let go.
        let brief = token(&store, "bob").tag();
        until("it is trusted", async || {
            reader.feed.hold(brief, Duration::from_millis(1_200));
            reader.is_trusted(brief)
        })
        .await;
        reader.doubts(brief).await;
    }

    for server in servers {
        assert!(refused(&server.url()).await.is_empty());
    }
    let checks = store.check().await;
    assert!(!checks.is_empty());
    for check in checks {
        assert!(check.findings().is_empty(), "{check}");
    }
}

// T71
#[tokio::test]
async fn the_rules_of_the_guide_are_enough_for_confirmed_ends() {
    let group = Group::start(Program::Redis, &[100]).await;
    let server = &group.master;
    let _: () = server.ask(&line("+wait")).await;
    let url = format!("redis://shop:password@127.0.0.1:{}", server.port);
    let store = RedisStore::builder(RedisSource::url(&url).unwrap()).prefix("shop");
    let store = store.confirm(1, Duration::from_secs(5)).build();

    let token = signs_in(&store, "alice").await;
    let which = Which::One(token.session_id());
    let end = End::new(token.tag(), which, EndReason::LoggedOut);
    store.end(&end).await.unwrap();

    assert!(refused(&server.url()).await.is_empty());
    let checks = store.check().await;
    assert!(checks[0].findings().is_empty(), "{}", checks[0]);
}

// T70
#[tokio::test]
async fn the_rules_of_the_guide_are_enough_on_a_cluster() {
    let cluster = Cluster::start(&[]).await;
    for node in &cluster.nodes {
        let _: () = node.ask(&line("+cluster|nodes +asking")).await;
        for more in [
            "+scan +dbsize +info",
            "+cluster|countkeysinslot +cluster|getkeysinslot",
        ] {
            assert!(GUIDE.contains(&more.replace('|', "\\|")));
            let _: () = node.ask(&format!("ACL SETUSER shop {more}")).await;
        }
    }
    let seeds = cluster.urls().into_iter();
    let seeds = seeds.map(|url| url.replace("redis://", "redis://shop:password@"));
    let seeds: Vec<String> = seeds.collect();

    keeps_the_contract(RedisSource::cluster(&seeds).unwrap()).await;

    for node in &cluster.nodes {
        assert!(refused(&node.url()).await.is_empty());
        let _: () = node.ask(&line("+cluster|slots +ping +asking")).await;
    }
    let pool = cluster::Config::from_urls(seeds).create_pool(Some(Runtime::Tokio1));
    keeps_the_contract(pool.unwrap().into()).await;
    for node in &cluster.nodes {
        assert!(refused(&node.url()).await.is_empty());
    }
}

// T70
#[tokio::test]
async fn the_rules_of_the_guide_are_enough_behind_sentinel() {
    let servers = Sentinels::alone().await;
    let plain = servers.urls().remove(0);
    let master = servers.master.url();
    let (rule, reports) = (
        "+sentinel|get-master-addr-by-name +sentinel|master",
        "+subscribe &+switch-master",
    );
    for rule in [rule, reports] {
        assert!(GUIDE.contains(&rule.replace('|', "\\|")));
    }
    let watch = |rule: &str| format!("ACL SETUSER watch on >secret -@all {rule}");
    let _: () = ask(&plain, &watch(&format!("{rule} {reports}"))).await;
    let _: () = ask(&master, &line("")).await;
    let login = RedisConnectionInfo::default()
        .set_username("shop")
        .set_password("password");
    let url = plain.replace("//", "//watch:secret@");

    let source = RedisSource::sentinel([&*url], "master0", login).unwrap();
    let store = RedisStore::builder(source).prefix("shop").build();
    signs_in(&store, "alice").await;

    assert!(refused(&master).await.is_empty());
    assert!(refused(&plain).await.is_empty());

    let rule = "+sentinel|masters +role";
    assert!(GUIDE.contains(&rule.replace('|', "\\|")));
    let _: () = ask(&plain, &watch(rule)).await;
    let _: () = ask(&master, &line("+role")).await;
    let login = deadpool_redis::RedisConnectionInfo {
        username: Some("shop".to_owned()),
        password: Some("password".to_owned()),
        ..Default::default()
    };
    let mut config = sentinel::Config::from_urls(
        vec![url],
        "master0".to_owned(),
        sentinel::SentinelServerType::Master,
    );
    config.node_connection_info = Some(sentinel::SentinelNodeConnectionInfo {
        tls_mode: None,
        redis_connection_info: Some(login),
    });
    let pool = config.create_pool(Some(Runtime::Tokio1)).unwrap();
    let store = RedisStore::builder(pool).prefix("shop").build();
    signs_in(&store, "bob").await;

    assert!(refused(&master).await.is_empty());
    assert!(refused(&plain).await.is_empty());
}

// T70
#[tokio::test]
async fn a_command_that_the_user_may_not_use_on_the_sentinels_is_named() {
    let servers = Sentinels::alone().await;
    let plain = servers.urls().remove(0);
    let url = plain.replace("//", "//watch:secret@");
    for command in ["SENTINEL|GET-MASTER-ADDR-BY-NAME", "SENTINEL|MASTER"] {
        let rule = command.to_lowercase();
        let _: () = ask(
            &plain,
            &format!("ACL SETUSER watch reset on >secret +@all -{rule}"),
        )
        .await;

        let store = RedisStore::connect_sentinel([&*url], "master0").unwrap();
        let checks = store.check().await;

        let said = checks[0].to_string();
        assert_eq!((checks.len(), checks[0].findings().len()), (1, 1), "{said}");
        assert!(said.contains(&format!("add +{rule} to its ACL")), "{said}");
    }
}
