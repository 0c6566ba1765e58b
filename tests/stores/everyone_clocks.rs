//! The end of all sessions, where the clocks of the primaries of a Cluster differ, or a clock was ahead.

use std::time::Duration;

use tower_user_sessions::{
    EndReason, Everyone, RedisStore, SessionLayer, UserId, UserSessions,
    store::{ManualClock, RedisFinding, RedisSource, Resolve, Resolved, SessionStore, Timestamp},
};

use crate::common::{
    cluster::{Cluster, node, node_of, slot},
    http::Client,
    people::signs_in,
    redis::Server,
    server_clock::ServerClock,
};

const HOUR: Duration = Duration::from_secs(3_600);

async fn seconds(server: &Server) -> i64 {
    let (seconds, _): (i64, i64) = server.ask("TIME").await;
    seconds
}

/// Three primaries. The clock of the second one is ahead.
async fn one_is_ahead() -> Cluster {
    let clock = ServerClock::right();
    // By more than the second that `end_all` allows for.
    clock.steps_ahead();
    let nodes = vec![node(&[]), node_of(&clock.program()), node(&[])];
    let cluster = Cluster::joined(nodes).await;
    let apart = seconds(&cluster.nodes[1]).await - seconds(&cluster.nodes[0]).await;
    // Else the tests would prove nothing.
    assert!(apart > 10, "{apart}");
    cluster
}

// T74
#[tokio::test]
async fn the_check_finds_a_primary_whose_clock_is_ahead() {
    let cluster = one_is_ahead().await;
    let store = RedisStore::new(RedisSource::cluster(cluster.urls()).unwrap());

    let checks = store.check().await;

    let address = |at: usize| format!("127.0.0.1:{}", cluster.nodes[at].port);
    for check in &checks {
        match check.findings() {
            [RedisFinding::ClockAhead { of, by }] => {
                assert_eq!(check.server(), address(1));
                assert!([address(0), address(2)].contains(of), "{check}");
                assert!((10..=20).contains(&by.as_secs()), "{check}");
                assert!(
                    check.to_string().contains(" s ahead of the one of "),
                    "{check}"
                );
            }
            findings => {
                assert_ne!(check.server(), address(1), "{check}");
                assert!(findings.is_empty(), "{check}");
            }
        }
    }
    assert_eq!(checks.len(), 3);
}

// T74
#[tokio::test]
async fn the_end_of_all_ends_the_sessions_of_a_primary_whose_clock_is_ahead_and_rejects_no_new_sign_in()
 {
    let cluster = one_is_ahead().await;
    let store = RedisStore::new(RedisSource::cluster(cluster.urls()).unwrap());
    let mut tokens = Vec::new();
    let mut ahead = 0;
    for number in 0..12 {
        let user = format!("user {number}");
        tokens.push(signs_in(&store, &user).await);
        let tag = store.tag(&UserId::new(&user).unwrap());
        ahead += usize::from((5_461..=10_922).contains(&slot(tag)));
    }
    assert!((1..12).contains(&ahead), "{ahead}");

    let everyone = Everyone::new(store.clone());
    let moment = everyone.end_all().await.unwrap();

    for token in &tokens {
        let mut resolve = Resolve::new(token.clone());
        resolve.not_before = Some(moment);
        let found = store.resolve(&resolve).await.unwrap();
        let Resolved::Ended(notice) = found else {
            panic!("{found:?}");
        };
        assert_eq!(notice.reason, EndReason::Everyone);
    }
    // On the others the moment is still to come.
    let layer = SessionLayer::new(store);
    for number in 0..12 {
        let mut client = Client::signed_in(&layer, &format!("user {number}")).await;
        assert!(client.user().await.is_some(), "user {number}");
    }
}

// T74
#[tokio::test]
async fn what_began_while_the_clock_was_ahead_is_listed_and_ends_one_by_one_or_a_clock_later() {
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(1_764_000_000_000));
    let store = server.store(clock.clone());
    let layer = SessionLayer::new(store.clone());
    let everyone = Everyone::new(store.clone());
    clock.advance(HOUR);
    let mut ahead = Client::signed_in(&layer, "alice").await;
    let mut other = Client::signed_in(&layer, "bob").await;
    clock.set(clock.now().minus(HOUR));
    let mut usual = Client::signed_in(&layer, "carol").await;

    everyone.end_all().await.unwrap();

    assert_eq!(usual.user().await, None);
    assert!(ahead.user().await.is_some() && other.user().await.is_some());
    let page = everyone.page(None).await.unwrap();
    let mut users: Vec<&str> = page.users.iter().map(|it| it.user.as_str()).collect();
    users.sort_unstable();
    assert_eq!(users, ["alice", "bob"]);
    let alice = UserSessions::new(store, UserId::new("alice").unwrap());
    assert_eq!(alice.end_all().await.unwrap(), 1);
    assert_eq!(ahead.user().await, None);
    clock.advance(HOUR);
    everyone.end_all().await.unwrap();
    assert_eq!(other.user().await, None);
}
