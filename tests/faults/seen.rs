//! What an operator sees of the link to Redis: log lines, metrics, and the answer to a user.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, convert::Infallible};

use http::{Request, Response};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};
use tower_user_sessions::{
    RedisStore, SessionLayer,
    deadpool_redis::redis,
    store::{RedisSource, Resolve, SessionStore},
};

use crate::common::{
    cluster::{Cluster, node},
    crowd::names,
    feed::Reader,
    load::millis,
    load::offer,
    log::Log,
    people::{guest, is_live, signs_in, until},
    redis::Server,
    relay::Relay,
};

/// All that was measured of the way to a server, by name and labels.
pub(crate) fn measured(way: &str, recorder: &DebuggingRecorder) -> BTreeMap<String, i64> {
    let snapshot = recorder.snapshotter().snapshot().into_vec();
    let of_link = snapshot.into_iter().filter_map(|(key, _, _, value)| {
        let name = key
            .key()
            .name()
            .strip_prefix("tower_user_sessions_")?
            .strip_prefix(way)?;
        let labels: Vec<&str> = key.key().labels().map(metrics::Label::value).collect();
        let value = match value {
            DebugValue::Counter(count) => i64::try_from(count).unwrap(),
            DebugValue::Gauge(gauge) => format!("{:.0}", gauge.into_inner()).parse().unwrap(),
            DebugValue::Histogram(_) => return None,
        };
        Some((
            format!("{name} {}", labels.join(" ")).trim_end().to_owned(),
            value,
        ))
    });
    of_link.collect()
}

/// Runs this on a runtime of its own, and records its metrics.
pub(crate) fn recorded<T>(recorder: &DebuggingRecorder, work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(recorder, || runtime.block_on(work))
}

// T45 T70
#[test]
fn an_outage_is_two_log_lines_and_its_calls_are_counted() {
    let log = Log::start();
    let recorder = DebuggingRecorder::new();

    let port = recorded(&recorder, async {
        let mut server = Server::start_with(&["--requirepass", "hunter2"]);
        let url = format!("redis://:hunter2@127.0.0.1:{}", server.port);
        let store = RedisStore::connect(&url).unwrap();
        let token = signs_in(&store, "alice").await;
        tokio::time::sleep(millis(100)).await;

        server.kill();
        for _ in 0..20 {
            store
                .resolve(&Resolve::new(token.clone()))
                .await
                .unwrap_err();
        }
        server.restart();
        until("it is up again", async || {
            store.resolve(&Resolve::new(guest())).await.is_ok()
        })
        .await;
        server.port
    });

    let (down, up) = (log.at(" WARN "), log.at(" INFO "));
    assert_eq!((down.len(), up.len()), (1, 1), "{down:?} {up:?}");
    assert!(down[0].contains("the link to Redis is down"), "{down:?}");
    assert!(down[0].contains(&format!("127.0.0.1:{port}")), "{down:?}");
    assert!(up[0].contains("after_ms"), "{up:?}");
    assert!(!log.text().contains("hunter2"), "{}", log.text());
    let measured = measured("redis_", &recorder);
    assert_eq!(measured["changes_total down"], 1, "{measured:?}");
    assert_eq!(measured["changes_total up"], 1, "{measured:?}");
    assert!(measured["connects_total ok"] >= 3, "{measured:?}");
    assert!(measured["connects_total failed"] >= 1, "{measured:?}");
    assert!(measured["resent_total"] >= 1, "{measured:?}");
    assert_eq!(measured["in_flight"], 0, "{measured:?}");
}

/// The spare is missing, and the first connection still works. When that one breaks, nobody is served: an expired
/// certificate is found out in time by this line.
// T70
#[test]
fn a_server_that_takes_no_new_connection_is_a_log_line_before_the_last_one_breaks() {
    let log = Log::start();

    recorded(&DebuggingRecorder::new(), async {
        let server = Server::start();
        let store = RedisStore::connect(&server.url()).unwrap();
        let client = redis::Client::open(server.url()).unwrap();
        let mut other = client.get_multiplexed_async_connection().await.unwrap();
        store.resolve(&Resolve::new(guest())).await.unwrap();
        until("the second connection is there", async || {
            let list: String = server.ask("CLIENT LIST").await;
            list.matches("name=tower-user-sessions").count() == 2
        })
        .await;

        let list: String = redis::cmd("CLIENT")
            .arg("LIST")
            .query_async(&mut other)
            .await
            .unwrap();
        let mut lines = list
            .lines()
            .filter(|line| line.contains("name=tower-user-sessions"));
        let id = lines
            .next()
            .and_then(|line| line.strip_prefix("id=")?.split(' ').next());
        let mut both = redis::pipe();
        both.cmd("CONFIG").arg("SET").arg("maxclients").arg(2);
        both.cmd("CLIENT").arg("KILL").arg("ID").arg(id);
        let _: () = both.query_async(&mut other).await.unwrap();

        until("it is said", async || {
            store.resolve(&Resolve::new(guest())).await.unwrap();
            !log.at(" WARN ").is_empty()
        })
        .await;
    });

    let lines = log.at(" WARN ");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("no second connection to Redis"),
        "{lines:?}"
    );
}

// T70
#[test]
fn a_cluster_that_is_away_is_a_log_line_of_its_map_or_of_its_links() {
    let log = Log::start();
    let recorder = DebuggingRecorder::new();

    // On one thread, whose lines are read.
    recorded(&recorder, async {
        let mut seed = node(&[]);
        let _: () = seed.ask("CLUSTER ADDSLOTSRANGE 0 16383").await;
        seed.kill();
        let store = RedisStore::connect_cluster([seed.url()]).unwrap();
        for _ in 0..20 {
            store.resolve(&Resolve::new(guest())).await.unwrap_err();
        }
        assert_eq!(log.at(" INFO "), [""; 0]);

        seed.restart();
        until("it answers", async || {
            store.resolve(&Resolve::new(guest())).await.is_ok()
        })
        .await;
        until("it is said", async || !log.at(" INFO ").is_empty()).await;

        // Away once its map is known: the link says so, and the map is whole.
        seed.kill();
        until("its link is down", async || {
            let _ = store.resolve(&Resolve::new(guest())).await;
            log.at(" WARN ").len() > 1
        })
        .await;
        tokio::time::sleep(millis(600)).await;
    });

    let (down, up) = (log.at(" WARN "), log.at(" INFO "));
    assert_eq!((down.len(), up.len()), (2, 1), "{down:?} {up:?}");
    assert!(down[1].contains("the link to Redis is down"), "{down:?}");
    assert!(down[0].contains("no node of the Redis Cluster"), "{down:?}");
    assert!(down[0].contains("127.0.0.1:"), "{down:?}");
    assert!(down[0].contains("Connection refused"), "{down:?}");
    assert!(up[0].contains("after_ms"), "{up:?}");
    let measured = measured("redis_", &recorder);
    assert_eq!(measured["changes_total down"], 2, "{measured:?}");
    assert_eq!(measured["changes_total up"], 1, "{measured:?}");
}

// T70
#[test]
fn the_outage_of_a_primary_that_is_lost_is_two_log_lines_too() {
    let log = Log::start();
    let recorder = DebuggingRecorder::new();

    let port = recorded(&recorder, async {
        let mut cluster = Cluster::start(&["--cluster-require-full-coverage", "no"]).await;
        let store = RedisStore::connect_cluster(cluster.urls()).unwrap();
        let user = names(&store, "user", true, 1).remove(0);
        let token = signs_in(&store, &user).await;

        cluster.nodes[0].kill();
        until("a replica takes over", async || {
            store.resolve(&Resolve::new(token.clone())).await.is_ok()
        })
        .await;
        until("its end is logged", async || !log.at(" INFO ").is_empty()).await;
        cluster.nodes[0].port
    });

    let (down, up) = (log.at(" WARN "), log.at(" INFO "));
    assert_eq!((down.len(), up.len()), (1, 1), "{down:?} {up:?}");
    let server = format!("127.0.0.1:{port}");
    assert!(down[0].contains("the link to Redis is down"), "{down:?}");
    assert!(down[0].contains(&server), "{down:?}");
    assert!(up[0].contains("other nodes of the Redis Cluster"), "{up:?}");
    assert!(up[0].contains(&server), "{up:?}");
    assert!(up[0].contains("after_ms"), "{up:?}");
    let measured = measured("redis_", &recorder);
    assert_eq!(measured["changes_total down"], 1, "{measured:?}");
    assert_eq!(measured["changes_total up"], 1, "{measured:?}");
}

#[tokio::test]
async fn the_log_says_that_the_password_is_refused_and_not_that_the_user_may_not_publish() {
    let log = Log::start();
    let server = Server::start();
    let allowed = "ACL SETUSER app on >secret ~* &* +@all";
    let _: () = server.ask(allowed).await;
    let url = server.url().replace("redis://", "redis://app:secret@");
    let store = super::feed::live(&url);
    let _reader = Reader::trusting(&store, guest().tag()).await;

    let _: () = server.ask("ACL SETUSER app resetpass >other").await;
    // The connection that listens is of another type.
    let _: u32 = server.ask("CLIENT KILL TYPE normal").await;

    let line = || log.at(" WARN ").into_iter().find(|line| is_of_feed(line));
    until("it is said", async || line().is_some()).await;
    let line = line().unwrap();
    assert!(line.contains("authentication failed"), "{line}");
    assert!(!line.contains("publish"), "{line}");
}

#[tokio::test]
async fn a_server_that_repeats_the_password_in_an_error_does_not_bring_it_into_the_log() {
    let log = Log::start();
    let renamed = ["--rename-command", "HELLO", "", "--requirepass", "hunter2"];
    let server = Server::start_with(&renamed);
    let url = format!("redis://:hunter2@127.0.0.1:{}", server.port);
    let store = super::feed::live(&url);

    let _reader = Reader::of(&store);

    let said = async || log.at(" WARN ").iter().any(|line| line.contains("HELLO"));
    until("it is said", said).await;
    let check = &store.check().await[0];
    assert!(check.to_string().contains("HELLO"), "{check}");
    assert!(!check.to_string().contains("hunter2"), "{check}");
    assert!(!log.text().contains("hunter2"), "{}", log.text());
}

#[test]
fn a_feed_that_is_lost_and_trusted_again_is_one_log_line_each() {
    let log = Log::start();
    let recorder = DebuggingRecorder::new();

    recorded(&recorder, async {
        let server = Server::start();
        let relay = Relay::start(server.port).await;
        let a = super::feed::live(&relay.url());
        let tag = guest().tag();
        let reader = Reader::trusting(&a, tag).await;
        until("it is said", async || log.at(" INFO ").len() == 1).await;

        relay.go_away(millis(1_000)).await;
        reader.trusts(tag).await;
        let again = async || {
            log.at(" INFO ")
                .iter()
                .filter(|line| is_of_feed(line))
                .count()
                == 2
        };
        until("it is said again", again).await;
    });

    let lost: Vec<String> = log
        .at(" WARN ")
        .into_iter()
        .filter(|line| is_of_feed(line))
        .collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    assert!(
        lost[0].contains("is not trusted") && lost[0].contains("error="),
        "{lost:?}"
    );
    let snapshot = recorder.snapshotter().snapshot().into_vec();
    let changes = snapshot.iter().filter_map(|(key, _, _, value)| {
        let key = key.key();
        let label = key.labels().next()?.value().to_owned();
        (key.name() == "tower_user_sessions_feed_changes_total").then_some((label, value))
    });
    let changes: BTreeMap<String, &DebugValue> = changes.collect();
    assert_eq!(changes["trusted"], &DebugValue::Counter(2));
    assert_eq!(changes["untrusted"], &DebugValue::Counter(1));
}

fn is_of_feed(line: &str) -> bool {
    line.contains("the feed of Redis")
}

// T70
#[test]
fn what_an_overload_refuses_is_counted_and_answered_503_with_a_time_to_come_back() {
    let _log = Log::start();
    let recorder = DebuggingRecorder::new();

    let (busy, others) =
        recorded(&recorder, async {
            let server = Server::start();
            let relay = Relay::start(server.port).await;
            let store = RedisStore::builder(RedisSource::url(&relay.url()).unwrap())
                .deadline(millis(400))
                .build();
            let token = signs_in(&store, "alice").await;
            let cookie = format!("__Host-session={}", token.encode().as_str());
            let layer = SessionLayer::new(store.clone());
            let service = ServiceBuilder::new().layer(layer).service(service_fn(
                async |_: Request<String>| Ok::<_, Infallible>(Response::new(String::new())),
            ));
            let (sender, mut answers) = tokio::sync::mpsc::unbounded_channel();
            relay.carry(100);
            offer(400, millis(1_500), |_| {
                let (mut service, cookie, sender) =
                    (service.clone(), cookie.clone(), sender.clone());
                async move {
                    let mut request = Request::new(String::new());
                    request
                        .headers_mut()
                        .insert("cookie", cookie.parse().unwrap());
                    let answer = service.ready().await.unwrap().call(request).await.unwrap();
                    let retry = answer.headers().get("retry-after").is_some();
                    sender.send((answer.status().as_u16(), retry)).unwrap();
                    Ok(())
                }
            })
            .await;
            relay.carry(0);
            until("it is as before", async || is_live(&store, &token).await).await;
            drop((service, store));
            let (mut busy, mut others) = (0_i64, 0);
            while let Ok(answer) = answers.try_recv() {
                match answer {
                    (503, true) => busy += 1,
                    (200, false) => others += 1,
                    other => panic!("{other:?}"),
                }
            }
            (busy, others)
        });

    let measured = measured("redis_", &recorder);
    assert!(busy > 100 && others > 100, "{busy} {others}");
    // At first the limit is not found yet, and some come too late.
    let late = measured.get("given_up_total").copied().unwrap_or(0);
    assert_eq!(measured["busy_total"] + late, busy, "{measured:?}");
}
