//! How long a session lives: by the store's time, not by the cookie's.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use tower_user_sessions::{Lifetime, Login, SessionLayer, store::ManualClock};

use crate::common::http::{Client, DAY, HOUR, ids, store, user};

const MILLI: Duration = Duration::from_millis(1);

/// A layer with lifetimes of 1 hour idle and 5 hours absolute.
fn brief() -> (SessionLayer, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).lifetime(Lifetime::new(HOUR, 5 * HOUR));
    (layer, clock)
}

// T14
#[tokio::test]
async fn a_session_lives_until_a_millisecond_before_its_idle_time_ends() {
    let (layer, clock) = brief();
    let mut client = Client::signed_in(&layer, "alice").await;

    clock.advance(HOUR - MILLI);

    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T11 T14 T19
#[tokio::test]
async fn a_session_expires_exactly_at_its_idle_time_and_its_cookie_stays() {
    let (layer, clock) = brief();
    let client = Client::signed_in(&layer, "alice").await;

    clock.advance(HOUR);
    let answer = client
        .request(|session| async move { session.user_id() })
        .await;

    assert!(answer.sets_no_cookie());
    assert_eq!(answer.value(), None);
}

// T11
#[tokio::test]
async fn a_live_session_goes_on_if_its_cookie_is_sent_past_its_max_age() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store).lifetime(Lifetime::new(5 * HOUR, 5 * HOUR));
    let mut client = Client::new(&layer);
    let signed_in = client.send(|session| async move { session.log_in("alice").unwrap() });
    assert!(signed_in.await.set_cookies()[0].contains("Max-Age=18000"));

    // The store's clock steps back, as in a failover. By the clock of the browser it is 6 hours later.
    let began = clock.now();
    clock.advance(3 * HOUR);
    assert!(client.user().await.is_some());
    clock.set(began);
    clock.advance(3 * HOUR);

    assert_eq!(client.user().await.as_deref(), Some("alice"));
}

// T14 T16
#[tokio::test]
async fn activity_renews_the_idle_lifetime() {
    let (layer, clock) = brief();
    let mut client = Client::signed_in(&layer, "alice").await;

    for _ in 0..4 {
        clock.advance(HOUR - MILLI);
        assert!(client.user().await.is_some());
    }
}

// T15
#[tokio::test]
async fn activity_does_not_renew_the_absolute_lifetime() {
    let (layer, clock) = brief();
    let mut client = Client::signed_in(&layer, "alice").await;

    for _ in 0..9 {
        clock.advance(HOUR / 2);
        assert!(client.user().await.is_some());
    }
    clock.advance(HOUR / 2 - MILLI);
    assert!(client.user().await.is_some());
    clock.advance(MILLI);

    assert_eq!(client.user().await, None);
}

// T15
#[tokio::test]
async fn data_and_commits_do_not_renew_the_absolute_lifetime() {
    let (layer, clock) = brief();
    let mut client = Client::signed_in(&layer, "alice").await;

    for _ in 0..5 {
        client.insert("cart", "apple").await;
        clock.advance(HOUR - MILLI);
    }
    clock.advance(5 * MILLI);

    assert_eq!(client.user().await, None);
}

// T15
#[tokio::test]
async fn signing_in_again_renews_both_lifetimes() {
    let (layer, clock) = brief();
    let mut client = Client::signed_in(&layer, "alice").await;

    clock.advance(HOUR - MILLI);
    client.log_in("alice").await;
    for _ in 0..4 {
        clock.advance(HOUR - MILLI);
        assert!(client.user().await.is_some());
    }
    clock.advance(HOUR - MILLI);

    assert!(client.user().await.is_some());
}

// T58
#[tokio::test]
async fn a_request_that_does_not_count_as_activity_is_served_without_prolonging_the_session() {
    let (layer, clock) = brief();
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut polling = client.before(&layer.clone().counts_as_activity(|_| false));

    clock.advance(HOUR - MILLI);
    let polled = polling.user().await;
    clock.advance(MILLI);

    assert_eq!(polled.as_deref(), Some("alice"));
    assert_eq!(client.user().await, None);
}

// T58
#[tokio::test]
async fn counts_as_activity_sees_the_request() {
    let (layer, clock) = brief();
    let layer = layer.counts_as_activity(|parts| !parts.headers.contains_key("x-poll"));
    let mut client = Client::signed_in(&layer, "alice").await;
    let mut polling = client.clone();
    polling.headers.insert("x-poll", "1".parse().unwrap());
    let began = clock.now();

    clock.advance(HOUR / 2);
    polling.user().await;
    let seen = |session: tower_user_sessions::Session| async move { session.last_activity() };
    let after_poll = polling.send(seen).await.value();
    let after_visit = client.send(seen).await.value();

    assert_eq!(after_poll, Some(began));
    assert_eq!(after_visit, Some(clock.now()));
}

// T17
#[tokio::test]
async fn the_presets_are_the_times_of_nist() {
    let presets = [
        (Lifetime::AAL1, 30 * DAY, 30 * DAY),
        (Lifetime::AAL2, HOUR, 24 * HOUR),
        (Lifetime::AAL3, HOUR / 4, 12 * HOUR),
    ];

    for (preset, idle, absolute) in presets {
        assert_eq!((preset.idle(), preset.absolute()), (idle, absolute));
    }
}

#[tokio::test]
async fn the_default_lifetime_is_a_day_idle_and_thirty_days_in_all() {
    let (store, clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;

    for _ in 0..30 {
        clock.advance(DAY - MILLI);
        assert!(client.user().await.is_some());
    }
    clock.advance(30 * MILLI);

    assert_eq!(client.user().await, None);
}

// T17
#[tokio::test]
async fn remember_me_is_a_longer_lifetime_of_the_login() {
    let (layer, clock) = brief();
    let mut client = Client::new(&layer);

    let answer = client.send(|session| async move {
        let login = Login::new(user("alice")).lifetime(Lifetime::AAL1);
        session.log_in_with(login).unwrap();
    });
    let answer = answer.await;
    clock.advance(30 * DAY - MILLI);
    let before = client.user().await;
    clock.advance(MILLI);

    assert!(answer.set_cookies()[0].ends_with("Max-Age=2592000"));
    assert_eq!(before.as_deref(), Some("alice"));
    assert_eq!(client.user().await, None);
}

// T23
#[tokio::test]
async fn not_before_rejects_earlier_sessions_of_all_users_and_no_later_ones() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    let alice = Client::signed_in(&layer, "alice").await;
    let bob = Client::signed_in(&layer, "bob").await;
    clock.advance(HOUR);
    let moment = clock.now();
    // A sign-in proves who the user is when it arrives, which is earlier than it is stored.
    clock.advance(HOUR);
    let carol = Client::signed_in(&layer, "carol").await;

    let layer = layer.not_before(moment);

    assert_eq!(alice.before(&layer).user().await, None);
    assert_eq!(bob.before(&layer).user().await, None);
    assert_eq!(carol.before(&layer).user().await.as_deref(), Some("carol"));
}

// T23
#[tokio::test]
async fn not_before_in_the_future_makes_no_session_that_outlives_its_time() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).lifetime(Lifetime::new(HOUR, DAY));
    let earlier = Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR / 2);
    let layer = layer.not_before(clock.now().plus(365 * DAY));
    assert_eq!(earlier.before(&layer).user().await, None);

    for guest in [true, false] {
        let mut client = Client::new(&layer);
        if guest {
            client.insert("cart", "apple").await;
        } else {
            client.log_in("bob").await;
        }
        let began = clock.now();
        let found = client.send(|session| async move {
            let fresh = session.is_fresh(HOUR);
            (session.created_at(), session.expires_at(), fresh)
        });
        let wanted = (Some(began), Some(began.plus(DAY)), !guest);
        assert_eq!(found.await.value(), wanted, "{guest}");
        assert_eq!(earlier.before(&layer).user().await, None);

        clock.advance(HOUR - MILLI);
        let later = client.send(|session| async move { session.is_fresh(MILLI) });
        assert!(!later.await.value(), "{guest}");
        clock.advance(MILLI);
    }
}

// T23 T28
#[tokio::test]
async fn sessions_rejected_by_not_before_are_neither_listed_nor_counted() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone());
    // An unused session would not count anyway.
    Client::signed_in(&layer, "alice").await.user().await;
    clock.advance(HOUR);
    let limit = tower_user_sessions::Limit::at_most(1).refuse();
    let layer = layer.not_before(clock.now()).limit(limit);

    let mut client = Client::signed_in(&layer, "alice").await;
    let listed = client.send(|session| async move {
        session.user_sessions().unwrap().list().await.unwrap().len()
    });

    assert_eq!(listed.await.value(), 1);
    assert_eq!(ids(&store, "alice").await.len(), 1);
}

// T52
#[tokio::test]
async fn a_store_clock_that_steps_back_signs_no_user_out() {
    let (layer, clock) = brief();
    let mut client = Client::signed_in(&layer, "alice").await;
    let began = clock.now();

    clock.set(began.minus(DAY));
    let found = client.send(|session| async move { session.last_activity() });

    assert_eq!(found.await.value(), Some(began));
}

// T14
#[tokio::test]
async fn requests_of_other_users_remove_expired_sessions_from_memory() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone());
    for _ in 0..200 {
        Client::new(&layer).insert("cart", "apple").await;
    }
    clock.advance(31 * DAY);

    for _ in 0..2_000 {
        Client::new(&layer).insert("cart", "apple").await;
    }

    assert_eq!(store.sets(), 2_000);
}

// T23
#[tokio::test]
async fn a_user_does_not_see_sessions_rejected_by_not_before() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store);
    Client::signed_in(&layer, "alice").await;
    clock.advance(HOUR);
    let moment = clock.now();
    // A sign-in proves who the user is when it arrives, which is earlier than it is stored.
    clock.advance(HOUR);
    let client = Client::signed_in(&layer, "alice").await;
    let layer = layer.not_before(moment);

    let listed = client.before(&layer).request(|session| async move {
        session.user_sessions().unwrap().list().await.unwrap().len()
    });

    assert_eq!(listed.await.value(), 1);
}

// T18: by default no throttle shortens or extends the lifetime.
#[tokio::test]
async fn each_request_renews_the_idle_lifetime_however_soon_it_comes() {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone()).lifetime(Lifetime::new(HOUR, DAY));
    let mut client = Client::signed_in(&layer, "alice").await;
    for _ in 0..3 {
        clock.advance(MILLI);
        client.user().await;
    }

    clock.advance(HOUR - MILLI);
    let before = ids(&store, "alice").await.len();
    clock.advance(MILLI);
    let after = ids(&store, "alice").await.len();

    assert_eq!((before, after), (1, 0));
}
