//! `RedisStore::check` finds what is wrong with a server before users do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::net::Ipv4Addr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_user_sessions::{
    RedisStore,
    store::{RedisCheck, RedisFinding, StoreErrorKind},
};

use crate::common::{
    cluster::Cluster,
    people::{ids, is_live, listed, signs_in},
    redis::{Server, free_port},
};

pub(crate) async fn check(url: &str) -> RedisCheck {
    let checks = RedisStore::connect(url).unwrap().check().await;
    assert_eq!(checks.len(), 1);
    checks.into_iter().next().unwrap()
}

/// All that is missing, for a user who may do all but this.
async fn without(server: &Server, rule: &str) -> RedisCheck {
    let _: () = server
        .ask(&format!(
            "ACL SETUSER app reset on >secret ~sessions:* +@all {rule}"
        ))
        .await;
    check(&format!("redis://app:secret@127.0.0.1:{}", server.port)).await
}

pub(crate) fn missing(check: &RedisCheck) -> Vec<&str> {
    let missing = check.findings().iter().map(|finding| match finding {
        RedisFinding::MissingCommand { command } => &command[..],
        other => panic!("{other}"),
    });
    missing.collect()
}

// T70
#[tokio::test]
async fn a_server_as_it_should_be_has_no_findings_and_no_key_is_left() {
    let server = Server::start();

    let check = check(&server.url()).await;

    assert!(check.findings().is_empty(), "{check}");
    assert!(check.not_known().is_empty(), "{check}");
    assert!(check.version().unwrap().starts_with("Redis 7"), "{check}");
    assert_eq!(check.server(), format!("127.0.0.1:{}", server.port));
    assert_eq!(server.ask::<usize>("DBSIZE").await, 0);
}

// T70
#[tokio::test]
async fn each_command_that_the_user_may_not_use_is_named() {
    let server = Server::start();
    for command in [
        "TIME", "HGET", "HKEYS", "HMGET", "HLEN", "HDEL", "PEXPIRE", "HSET", "EVAL", "EVALSHA",
    ] {
        let check = without(&server, &format!("-{}", command.to_lowercase())).await;

        let missing = missing(&check);
        // Without `HDEL` no write is tried, so nothing is left behind.
        assert_eq!(missing, [command], "{check}");
        assert!(
            check
                .to_string()
                .contains(&format!("+{}", command.to_lowercase()))
        );
        assert_eq!(server.ask::<usize>("DBSIZE").await, 0);
    }
}

// T70
#[tokio::test]
async fn a_database_that_the_user_may_not_choose_is_named_by_its_command() {
    let server = Server::start();
    let _: () = server
        .ask("ACL SETUSER app reset on >secret ~sessions:* +@all -select")
        .await;

    let check = check(&format!("redis://app:secret@127.0.0.1:{}/1", server.port)).await;

    assert_eq!(missing(&check), ["SELECT"], "{check}");
}

// T70
#[tokio::test]
async fn each_command_that_the_user_may_not_use_on_a_cluster_is_named() {
    let cluster = Cluster::of(3, &[]).await;
    let seeds = cluster.urls().into_iter();
    let seeds: Vec<String> = seeds
        .map(|url| url.replace("redis://", "redis://app:secret@"))
        .collect();
    for command in ["TIME", "HGET", "EVAL", "EVALSHA", "ASKING", "CLUSTER|NODES"] {
        let rule = format!("-{}", command.to_lowercase());
        // Each node has rules of its own.
        for (at, node) in cluster.nodes.iter().enumerate() {
            let rule = if at == 1 { &rule } else { "" };
            let _: () = node
                .ask(format!("ACL SETUSER app reset on >secret ~sessions:* +@all {rule}").trim())
                .await;
        }

        let checks = RedisStore::connect_cluster(&seeds).unwrap().check().await;

        let refuses = |check: &&RedisCheck| check.server() == address(&cluster.nodes[1]);
        let (one, others): (Vec<_>, Vec<_>) = checks.iter().partition(refuses);
        assert_eq!(missing(one[0]), [command], "{}", one[0]);
        assert_eq!((one.len(), others.len()), (1, 2));
        assert!(others.iter().all(|check| check.findings().is_empty()));
    }
}

// T70
#[tokio::test]
async fn a_cluster_of_which_no_node_may_be_asked_for_the_map_names_the_command() {
    let cluster = Cluster::of(3, &[]).await;
    for node in &cluster.nodes {
        let _: () = node
            .ask("ACL SETUSER app reset on >secret ~sessions:* +@all -cluster|nodes")
            .await;
    }
    let seeds = cluster.urls().into_iter();
    let seeds = seeds.map(|url| url.replace("redis://", "redis://app:secret@"));

    let checks = RedisStore::connect_cluster(seeds).unwrap().check().await;

    assert_eq!(checks.len(), 1);
    assert_eq!(missing(&checks[0]), ["CLUSTER|NODES"], "{}", checks[0]);
}

// T70
#[tokio::test]
async fn an_unreachable_primary_of_a_cluster_is_found_and_the_others_are_checked() {
    for kind in [StoreErrorKind::Timeout, StoreErrorKind::Unavailable] {
        // Else the others refuse all calls as soon as they notice.
        let mut cluster = Cluster::of(3, &["--cluster-require-full-coverage", "no"]).await;
        let lost = address(&cluster.nodes[1]);
        let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
        if kind == StoreErrorKind::Timeout {
            cluster.nodes[1].suspend();
        } else {
            cluster.nodes[1].kill();
        }

        let checks = store.check().await;

        let (one, others): (Vec<_>, Vec<_>) =
            checks.iter().partition(|check| check.server() == lost);
        assert_eq!((one.len(), others.len()), (1, 2), "{kind:?}");
        assert!(
            matches!(one[0].findings(), [RedisFinding::Unreachable(error)] if error.kind() == kind),
            "{}",
            one[0]
        );
        for check in others {
            assert!(check.findings().is_empty(), "{kind:?}: {check}");
        }
    }
}

fn address(server: &Server) -> String {
    format!("127.0.0.1:{}", server.port)
}

// T70
#[tokio::test]
async fn keys_that_the_user_may_not_use_are_one_finding() {
    let server = Server::start();

    let check = without(&server, "resetkeys ~other:*").await;

    assert!(
        matches!(check.findings(), [RedisFinding::KeysDenied]),
        "{check}"
    );
}

// T70
#[tokio::test]
async fn what_may_not_be_asked_is_not_known_and_no_finding() {
    let server = Server::start();

    let check = without(&server, "-info -script").await;

    assert!(check.findings().is_empty(), "{check}");
    assert!(check.not_known().contains(&"version"), "{check}");
    assert!(
        check.not_known().contains(&"whether the scripts load"),
        "{check}"
    );
}

// T70
#[tokio::test]
async fn a_policy_that_evicts_sessions_is_found() {
    let server = Server::start_with(&["--maxmemory-policy", "volatile-lru"]);

    let check = check(&server.url()).await;

    assert!(
        matches!(check.findings(), [RedisFinding::Evicts { policy }] if policy == "volatile-lru"),
        "{check}"
    );
}

// T70
#[tokio::test]
async fn a_replica_is_found() {
    let (master, replica) = (Server::start(), Server::start());
    let _: () = replica
        .ask(&format!("REPLICAOF 127.0.0.1 {}", master.port))
        .await;

    let check = check(&replica.url()).await;

    assert!(
        matches!(check.findings(), [RedisFinding::Replica]),
        "{check}"
    );
}

// T70
#[tokio::test]
async fn a_server_that_cannot_be_reached_or_refuses_the_password_is_found() {
    let away = check(&format!("redis://127.0.0.1:{}", free_port())).await;
    let server = Server::start_with(&["--requirepass", "open-sesame"]);
    let refused = check(&format!("redis://:hunter2@127.0.0.1:{}", server.port)).await;

    for (check, kind) in [
        (away, StoreErrorKind::Unavailable),
        (refused, StoreErrorKind::Denied),
    ] {
        assert!(
            matches!(check.findings(), [RedisFinding::Unreachable(error)] if error.kind() == kind),
            "{check}"
        );
        assert!(!format!("{check} {check:?}").contains("hunter2"));
    }
}

// T70
#[tokio::test]
async fn a_server_that_takes_no_writes_for_now_is_found_with_what_it_says() {
    let server = Server::start();
    let _: () = server.ask("CONFIG SET min-replicas-to-write 1").await;

    let check = check(&server.url()).await;

    assert!(
        matches!(check.findings(), [RedisFinding::Unreachable(error)] if error.kind() == StoreErrorKind::Unavailable),
        "{check}"
    );
    assert!(check.to_string().contains("replicas"), "{check}");
}

// T70
#[tokio::test]
async fn an_old_version_is_found() {
    let server = Server::start();
    let info: String = server.ask("INFO server").await;
    let line = info.lines().find(|line| line.starts_with("redis_version:"));
    let (own, old) = (line.unwrap(), "redis_version:6.2.1");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let (own, port) = (own.to_owned(), server.port);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await;
            let (mut from_client, mut to_client) = client.into_split();
            let (mut from_server, mut to_server) = server.unwrap().into_split();
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
            let own = own.clone();
            tokio::spawn(async move {
                let mut answer = vec![0; 262_144];
                while let Ok(read @ 1..) = from_server.read(&mut answer).await {
                    let text = String::from_utf8_lossy(&answer[..read]);
                    // As long as before: the reply says its length.
                    let old = format!("{old:<width$}", width = own.len());
                    let text = text.replace(&own, &old);
                    to_client.write_all(text.as_bytes()).await.unwrap();
                }
            });
        }
    });

    let check = check(&url).await;

    assert!(
        matches!(check.findings(), [RedisFinding::TooOld { version }] if version.trim() == "6.2.1"),
        "{check}"
    );
}

// T70
#[tokio::test]
async fn a_server_without_scripts_is_found() {
    let away = [
        "--rename-command",
        "EVAL",
        "",
        "--rename-command",
        "EVALSHA",
        "",
    ];
    let server = Server::start_with(&away);

    let check = check(&server.url()).await;

    assert!(
        matches!(check.findings(), [RedisFinding::NoScripts { cause }] if cause.contains("EVAL")),
        "{check}"
    );
}

/// A relay to a server that does not know the first line of our scripts, as `KeyDB`.
pub(crate) async fn without_shebang(port: u16) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .unwrap();
            tokio::spawn(async move {
                let (mut asked, mut answer) = (vec![0; 262_144], vec![0; 65_536]);
                loop {
                    tokio::select! {
                        Ok(read @ 1..) = client.read(&mut asked) => {
                            let asked = &asked[..read];
                            if asked.windows(5).any(|part| part == b"#!lua") {
                                let error = b"-ERR Error compiling script (new function): user_script:1: unexpected symbol near '#'\r\n";
                                client.write_all(error).await.unwrap();
                            } else {
                                server.write_all(asked).await.unwrap();
                            }
                        }
                        Ok(read @ 1..) = server.read(&mut answer) => {
                            client.write_all(&answer[..read]).await.unwrap();
                        }
                        else => return,
                    }
                }
            });
        }
    });
    url
}

// T70
#[tokio::test]
async fn a_server_that_does_not_know_the_first_line_of_scripts_is_sent_the_rest() {
    let server = Server::start();
    let url = without_shebang(server.port).await;
    let store = RedisStore::connect(&url).unwrap();

    let token = signs_in(&store, "alice").await;

    assert!(is_live(&store, &token).await);
    assert_eq!(listed(&store, token.tag()).await, ids(&[&token]));
    let check = check(&url).await;
    assert!(check.findings().is_empty(), "{check}");
    assert!(check.not_known().is_empty(), "{check}");
}
