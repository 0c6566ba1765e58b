//! `RedisStore::check` finds a proxy, and what confirmed ends need.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    iter,
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tower_user_sessions::{
    RedisStore,
    store::{RedisCheck, RedisFinding, RedisSource, SessionStore},
};

use super::redis_check::{check, missing};
use crate::common::{
    people::{asks, token},
    redis::Server,
    replicas::{Group, Program},
};

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

/// Leads each connection to the next of these.
async fn leading(ports: impl Iterator<Item = u16> + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
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
    let url = leading([one.port, other.port].into_iter().cycle()).await;

    let check = check(&url).await;

    assert!(matches!(check.findings(), [RedisFinding::Proxy]), "{check}");
}

// T71
#[tokio::test]
async fn behind_a_proxy_that_was_found_nothing_is_confirmed_or_ended() {
    let group = Group::start(Program::Redis, &[100]).await;
    let other = Group::start(Program::Redis, &[100]).await;
    let ports = [group.master.port, other.master.port];
    let url = leading(ports.into_iter().cycle()).await;

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

// T71
#[tokio::test]
async fn a_server_that_takes_over_during_the_check_is_no_proxy() {
    let before = Group::start(Program::Redis, &[100]).await;
    let now = Group::start(Program::Redis, &[100]).await;
    let ports = iter::once(before.master.port).chain(iter::repeat(now.master.port));
    let url = leading(ports).await;

    let (store, check) = confirming(&url, 1).await;

    assert!(check.findings().is_empty(), "{check}");
    let [unknown] = check.not_known() else {
        panic!("{check}");
    };
    assert!(unknown.contains("took over"), "{check}");
    let create = asks("alice", &token(&store, "alice"));
    store.create(&create).await.unwrap();
    assert_eq!(now.master.ask::<usize>("DBSIZE").await, 1);
}

// T70 T71
#[tokio::test]
async fn two_clocks_show_a_proxy_where_no_process_may_be_asked_for_until_it_is_known_that_there_is_none()
 {
    let has_no_clock = Arc::new(AtomicBool::new(false));
    let no_clock = Arc::clone(&has_no_clock);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for clock in 0.. {
            let (mut client, _) = listener.accept().await.unwrap();
            let no_clock = Arc::clone(&no_clock);
            tokio::spawn(async move {
                let mut bytes = vec![0; 65_536];
                while let Ok(read @ 1..) = client.read(&mut bytes).await {
                    let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
                    // The rest of a long script begins with no `*`.
                    let commands = text.starts_with('*').then(|| text.split("\r\n*"));
                    for command in commands.into_iter().flatten() {
                        let has_clock = !no_clock.load(SeqCst);
                        let answer = if command.contains("\r\nTIME") && has_clock {
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

    let (store, check) = confirming(&url, 1).await;

    let found = |finding: &RedisFinding| matches!(finding, RedisFinding::Proxy);
    assert!(check.findings().iter().any(found), "{check}");

    has_no_clock.store(true, SeqCst);
    let check = store.check().await.remove(0);
    assert!(!check.findings().iter().any(found), "{check}");
    let create = asks("alice", &token(&store, "alice"));
    let refused = store.create(&create).await.unwrap_err();
    let cause = std::error::Error::source(&refused).unwrap().to_string();
    assert!(cause.contains("a proxy that spreads calls"), "{cause}");
}
