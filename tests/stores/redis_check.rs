//! `RedisStore::check` finds what is wrong with a server before users do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{net::Ipv4Addr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_user_sessions::{
    RedisStore,
    store::{RedisCheck, RedisFinding, RedisSource, SessionStore, StoreErrorKind},
};

use crate::common::{
    people::{asks, ids, is_live, listed, signs_in, token},
    redis::{Server, free_port},
    replicas::{Group, Program},
};

async fn check(url: &str) -> RedisCheck {
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

fn missing(check: &RedisCheck) -> Vec<&str> {
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

async fn confirming(url: &str, replicas: u32) -> (RedisStore, RedisCheck) {
    let store = RedisStore::builder(RedisSource::url(url).unwrap());
    let store = store.confirm(replicas, Duration::from_millis(500)).build();
    let check = store.check().await.remove(0);
    (store, check)
}

// T71
#[tokio::test]
async fn what_confirmed_ends_need_is_asked_for_only_if_they_are_on() {
    let group = Group::start(Program::Redis, &[100]).await;
    let server = &group.master;
    let rule = "ACL SETUSER app reset on >secret ~sessions:* +@all -wait";
    let _: () = server.ask(rule).await;
    let denied = format!("redis://app:secret@127.0.0.1:{}", server.port);

    let off = check(&denied).await;
    let (_, may_not) = confirming(&denied, 1).await;
    let (_, enough) = confirming(&server.url(), 1).await;
    let (_, too_few) = confirming(&server.url(), 2).await;

    assert!(off.findings().is_empty(), "{off}");
    assert_eq!(missing(&may_not), ["WAIT"], "{may_not}");
    assert!(enough.findings().is_empty(), "{enough}");
    let [RedisFinding::CannotConfirm { cause }] = too_few.findings() else {
        panic!("{too_few}");
    };
    assert!(
        cause.contains("confirm: 2, that are connected: 1"),
        "{cause}"
    );
}

/// A proxy that leads each connection to the next of these.
async fn spreading(ports: [u16; 2]) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let ports = ports.into_iter().cycle();
    tokio::spawn(async move {
        for port in ports {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut server = TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .await
                .unwrap();
            tokio::spawn(async move {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            });
        }
    });
    url
}

// T70
#[tokio::test]
async fn a_proxy_that_spreads_calls_is_found() {
    let (one, other) = (Server::start(), Server::start());
    let url = spreading([one.port, other.port]).await;

    let check = check(&url).await;

    assert!(matches!(check.findings(), [RedisFinding::Proxy]), "{check}");
}

// T71
#[tokio::test]
async fn behind_a_proxy_that_was_found_nothing_is_confirmed_or_ended() {
    let group = Group::start(Program::Redis, &[100]).await;
    let other = Group::start(Program::Redis, &[100]).await;
    let url = spreading([group.master.port, other.master.port]).await;

    let (store, check) = confirming(&url, 1).await;

    assert!(
        matches!(
            check.findings(),
            [RedisFinding::Proxy, RedisFinding::CannotConfirm { .. }]
        ),
        "{check}"
    );
    let create = asks("alice", &token(&store, "alice"));
    let refused = store.create(&create).await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("a proxy that spreads calls"), "{cause}");
    for server in [&group.master, &other.master] {
        assert_eq!(server.ask::<usize>("DBSIZE").await, 0);
    }
}

// T70
#[tokio::test]
async fn two_clocks_show_a_proxy_where_no_process_may_be_asked_for() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for clock in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(read @ 1..) = client.read(&mut bytes).await {
                    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                    // The rest of a long script begins with no `*`.
                    let commands = text.starts_with('*').then(|| text.split("\r\n*"));
                    for command in commands.into_iter().flatten() {
                        let answer = if command.contains("\r\nTIME") {
                            format!("*2\r\n$4\r\n{}\r\n$1\r\n0\r\n", 1_000 + clock)
                        } else {
                            "-NOPERM no permissions\r\n".to_owned()
                        };
                        client.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });

    let check = check(&url).await;

    let found = |finding: &RedisFinding| matches!(finding, RedisFinding::Proxy);
    assert!(check.findings().iter().any(found), "{check}");
}

/// A server of version 6.2 that knows no scripts.
async fn old_server() -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(read @ 1..) = client.read(&mut bytes).await {
                    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                    for command in text.split('*').skip(1) {
                        let info = "redis_version:6.2.1\r\nrole:master\r\nmaxmemory_policy:noeviction\r\nrun_id:1\r\n";
                        let answer = if command.contains("INFO\r\n") && !command.contains("SETINFO")
                        {
                            format!("${}\r\n{info}\r\n", info.len())
                        } else if command.contains("EVAL") || command.contains("SCRIPT") {
                            "-ERR unknown command\r\n".to_owned()
                        } else {
                            "+OK\r\n".to_owned()
                        };
                        client.write_all(answer.as_bytes()).await.unwrap();
                    }
                }
            });
        }
    });
    url
}

// T70
#[tokio::test]
async fn an_old_server_without_scripts_is_found() {
    let check = check(&old_server().await).await;

    let found: Vec<String> = check.findings().iter().map(ToString::to_string).collect();
    assert!(found[0].contains("6.2.1"), "{check}");
    assert!(
        found.iter().any(|finding| finding.contains("EVAL")),
        "{check}"
    );
}

/// A relay to a server that does not know the first line of our scripts, as `KeyDB`.
async fn without_shebang(port: u16) -> String {
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
}
