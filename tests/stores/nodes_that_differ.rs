//! Nodes of one app with other settings, as during a deployment that changes them. The guide's page `new_versions` says what
//! happens then.

use std::time::Duration;

use http::StatusCode;
use tower_user_sessions::{
    EndReason, Lifetime, Limit, RedisStore, SessionLayer, UserId, UserSessions,
    store::{End, Ended, ManualClock, SessionStore, TagKey, Timestamp, Which},
};

use crate::common::{
    http::Client,
    redis::{Server, patient},
};

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const MINUTE: Duration = Duration::from_secs(60);

/// A store as each node makes its own, on one server.
fn node(server: &Server, clock: &ManualClock) -> RedisStore {
    patient(server.pool()).clock(clock.clone()).build()
}

async fn count(store: &RedisStore, user: &str) -> usize {
    let sessions = UserSessions::new(store.clone(), UserId::new(user).unwrap());
    sessions.count().await.unwrap()
}

/// A browser that has used its session.
async fn signs_in(layer: &SessionLayer, clock: &ManualClock) -> Client {
    clock.advance(Duration::from_secs(1));
    let mut browser = Client::signed_in(layer, "alice").await;
    assert_eq!(browser.user().await.as_deref(), Some("alice"));
    browser
}

// T31
#[tokio::test]
async fn the_node_of_a_sign_in_decides_about_the_limit_and_who_goes_first_is_the_same_on_all() {
    let (server, clock) = (Server::start(), ManualClock::at(NOW));
    let store = node(&server, &clock);
    let three = SessionLayer::new(store.clone()).limit(Limit::at_most(3));
    let five = SessionLayer::new(node(&server, &clock)).limit(Limit::at_most(5));
    let refuses = SessionLayer::new(node(&server, &clock)).limit(Limit::at_most(3).refuse());
    let mut browsers = Vec::new();

    for _ in 0..6 {
        browsers.push(signs_in(&five, &clock).await);
    }
    assert_eq!(count(&store, "alice").await, 5);
    let mut refused = Client::new(&refuses);
    let answer = refused.send(|session| async move { session.log_in("alice").unwrap() });
    assert_eq!(answer.await.status, StatusCode::CONFLICT);
    assert_eq!(count(&store, "alice").await, 5);
    browsers.push(signs_in(&three, &clock).await);
    assert_eq!(count(&store, "alice").await, 3);
    browsers.push(signs_in(&five, &clock).await);
    assert_eq!(count(&store, "alice").await, 4);

    let mut live = Vec::new();
    for browser in &browsers {
        live.push(browser.before(&three).user().await.is_some());
    }
    assert_eq!(live, [false, false, false, false, true, true, true, true]);
}

#[tokio::test]
async fn a_session_keeps_its_lifetime_on_nodes_with_another_one() {
    let (server, clock) = (Server::start(), ManualClock::at(NOW));
    let of = |idle: u32| {
        let lifetime = Lifetime::new(idle * MINUTE, 60 * MINUTE);
        SessionLayer::new(node(&server, &clock)).lifetime(lifetime)
    };
    let (short, long) = (of(5), of(30));
    let of_short = signs_in(&short, &clock).await;
    let of_long = signs_in(&long, &clock).await;

    for _ in 0..3 {
        clock.advance(4 * MINUTE);
        assert!(of_short.before(&long).user().await.is_some());
        assert!(of_long.before(&short).user().await.is_some());
    }
    clock.advance(6 * MINUTE);

    assert!(of_short.before(&long).user().await.is_none());
    assert!(of_long.before(&short).user().await.is_some());
}

#[tokio::test]
async fn tokens_that_one_node_replaces_work_on_a_node_that_replaces_none() {
    let (server, clock) = (Server::start(), ManualClock::at(NOW));
    let plain = SessionLayer::new(node(&server, &clock));
    let rotates = SessionLayer::new(node(&server, &clock)).rotate_after(MINUTE);
    let first = signs_in(&plain, &clock).await;

    let mut browser = first.clone();
    for _ in 0..5 {
        clock.advance(2 * MINUTE);
        browser = browser.before(&rotates);
        assert!(browser.user().await.is_some());
        clock.advance(2 * MINUTE);
        browser = browser.before(&plain);
        assert!(browser.user().await.is_some());
    }

    assert_ne!(browser.token(), first.token());
}

/// Why the guide says to stop all nodes before one gets a key.
#[tokio::test]
async fn what_a_node_without_a_tag_key_ends_does_not_reach_sessions_made_with_one() {
    let (server, clock) = (Server::start(), ManualClock::at(NOW));
    let plain = node(&server, &clock);
    let key = TagKey::new("sixteen bytes, or more").unwrap();
    let with_key = patient(server.pool()).clock(clock.clone()).tag_key(key);
    let (old, new) = (
        SessionLayer::new(plain.clone()),
        SessionLayer::new(with_key.build()),
    );
    let (of_old, of_new) = (signs_in(&old, &clock).await, signs_in(&new, &clock).await);
    assert!(of_old.before(&new).user().await.is_none());
    assert!(of_new.before(&old).user().await.is_some());

    let all = UserSessions::new(plain, UserId::new("alice").unwrap());
    assert_eq!(all.end_all().await.unwrap(), 1);

    assert!(of_old.before(&old).user().await.is_none());
    assert!(of_new.before(&old).user().await.is_some());
    assert!(of_new.before(&new).user().await.is_some());
}

#[tokio::test]
async fn an_end_that_is_sent_again_takes_the_cutoff_of_an_older_node_for_no_cutoff_of_its_own() {
    let (server, clock) = (Server::start(), ManualClock::at(NOW));
    let store = node(&server, &clock);
    let tag = store.tag(&UserId::new("alice").unwrap());
    let end = End::new(tag, Which::All, EndReason::Revoked);
    store.end(&end).await.unwrap();
    clock.advance(MINUTE);
    // It does not say which call set it.
    let (key, other) = (format!("sessions:{{{tag}}}"), clock.now());
    let cut = format!("HSET {key} cut {}", other.as_millis());
    let _: i64 = server.ask(&cut).await;

    let again = store.end(&end).await.unwrap();

    let Ended::Ended { before, now, .. } = again else {
        panic!("{again:?}");
    };
    assert_eq!(before, Some(other));
    assert!(now > other, "{now:?}");
}
