//! Two processes share one Redis, and the wall clock of one is a day ahead or behind. Sessions do not
//! depend on it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{RedisStore, SessionInfo, Timestamp, UserId, UserSessions};

use crate::common::{app::App, curl::Curl, redis::Server, story};

/// Lifetimes that a clock one day off would end, idle and absolute.
const IDLE: u64 = 3_600;
const ABSOLUTE: u64 = 7_200;

/// A Redis, a node with the right time, and a node whose wall clock is a day ahead.
fn nodes() -> (Server, App, App) {
    nodes_of("+1d")
}

/// A Redis, a node with the right time, and a node whose wall clock is off by this.
fn nodes_of(off: &str) -> (Server, App, App) {
    let redis = Server::start();
    let (url, idle, absolute) = (redis.url(), IDLE.to_string(), ABSOLUTE.to_string());
    let settings = [
        ("REDIS_URL", url.as_str()),
        ("IDLE_SECS", &idle),
        ("ABSOLUTE_SECS", &absolute),
    ];
    let right = App::start(&settings);
    let wrong = App::start_with_clock(off, &settings);
    // If faketime did nothing, the test would prove nothing.
    let (days, ahead) = ([day(&wrong), day(&right)], off.starts_with('+'));
    assert!(
        days[0] != days[1] && (days[0] > days[1]) == ahead,
        "{days:?}"
    );
    (redis, right, wrong)
}

/// The date in a node's log. Text of this form sorts as its time does.
fn day(app: &App) -> String {
    let log = app.log();
    log[.."2026-11-25".len()].to_owned()
}

async fn listed(redis: &Server) -> Vec<SessionInfo> {
    let user = UserId::new("alice").unwrap();
    let sessions = UserSessions::new(RedisStore::new(redis.pool()), user);
    sessions.list().await.unwrap()
}

async fn time_of(redis: &Server) -> Timestamp {
    let (seconds, micros): (i64, i64) = redis.ask("TIME").await;
    Timestamp::from_millis(seconds * 1_000 + micros / 1_000)
}

// T52
#[test]
fn no_session_ends_early_when_one_nodes_clock_is_a_day_ahead_or_behind() {
    for off in ["+1d", "-1d"] {
        let (_redis, right, wrong) = nodes_of(off);

        let of_right = Curl::signed_in(&right, "alice", "Desktop/1.0");
        let of_wrong = Curl::signed_in(&wrong, "alice", "Phone/2.0");

        for node in [&wrong, &right, &wrong] {
            let live = [of_right.is_in(node), of_wrong.is_in(node)];
            assert_eq!(live, [true, true], "{off}");
        }
    }
}

// T52
#[tokio::test]
async fn no_session_lives_longer_when_one_nodes_clock_is_a_day_ahead_or_behind() {
    for off in ["+1d", "-1d"] {
        let (redis, right, wrong) = nodes_of(off);
        let before = time_of(&redis).await;

        let of_right = Curl::with_agent("Desktop/1.0").log_in(&right, "alice");
        let of_wrong = Curl::with_agent("Phone/2.0").log_in(&wrong, "alice");

        let (list, after) = (listed(&redis).await, time_of(&redis).await);
        for session in &list {
            assert!(before <= session.created_at() && session.created_at() <= after);
            let lives = session.idle_expires_at().since(session.last_activity());
            assert_eq!(lives, Duration::from_secs(IDLE), "{off}");
        }
        assert_eq!(list.len(), 2);
        for answer in [of_right, of_wrong] {
            let cookie = answer.header("set-cookie").unwrap();
            assert!(cookie.ends_with("; Max-Age=7200"), "{off}: {cookie}");
        }
        let keys: Vec<String> = redis.ask("KEYS *").await;
        for key in keys {
            let ttl: i64 = redis.ask(&format!("PTTL {key}")).await;
            assert!(0 < ttl && ttl <= 7_200_000, "{off}: {ttl}");
        }
    }
}

// T26 T35 T52
#[test]
fn list_and_eviction_follow_the_true_order_of_activity() {
    let (_redis, right, ahead) = nodes();

    story::the_fourth_sign_in_ends_the_least_recently_active_session_not_the_oldest(&ahead, &right);
}

// T35 T52
#[test]
fn the_list_follows_the_true_order_of_activity() {
    let (_redis, right, ahead) = nodes();

    story::the_list_has_three_with_the_current_one_marked(&ahead, &right);
}

// T21 T52
#[test]
fn a_password_change_on_a_node_a_day_ahead_rejects_no_later_sign_in() {
    let (_redis, right, ahead) = nodes();
    let desktop = Curl::signed_in(&right, "alice", "Desktop/1.0");

    let changed = desktop.change_password(&ahead);

    assert_eq!(changed.status, 200);
    assert!(Curl::signed_in(&right, "alice", "Phone/2.0").is_in(&ahead));
    assert!(desktop.is_in(&right));
}
