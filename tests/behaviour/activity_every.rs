//! `activity_every`: activity is written at most once in each step, and no session expires too early.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::time::Duration;

use proptest::prelude::*;
use tower_user_sessions::{
    Lifetime, Limit, MemoryStore, Session, SessionLayer, Timestamp, UserSessions,
    store::ManualClock,
};

use crate::common::http::{Client, DAY, HOUR, ids, store, user};

const MS: Duration = Duration::from_millis(1);
const STEP: Duration = Duration::from_secs(2);

/// A layer with a step of two seconds, and lifetimes of 1 hour idle and 1 day absolute.
fn world() -> (SessionLayer, MemoryStore, ManualClock) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store.clone())
        .lifetime(Lifetime::new(HOUR, DAY))
        .guest_idle(HOUR)
        .activity_every(STEP);
    (layer, store, clock)
}

/// A client of alice that has sent its token, which is always written.
async fn signed_in(layer: &SessionLayer) -> Client {
    let mut client = Client::signed_in(layer, "alice").await;
    client.user().await;
    client
}

async fn last_activity(client: &mut Client) -> Option<Timestamp> {
    let seen = client.send(|session: Session| async move { session.last_activity() });
    seen.await.value()
}

#[tokio::test]
async fn a_request_within_the_step_writes_nothing_and_has_its_user() {
    let (layer, store, clock) = world();
    let began = clock.now();
    let mut client = signed_in(&layer).await;
    let sessions = UserSessions::new(store, user("alice"));

    clock.advance(STEP);
    let within = (client.user().await, last_activity(&mut client).await);
    let listed = sessions.list().await.unwrap()[0].last_activity();
    clock.advance(MS);
    let after = last_activity(&mut client).await;

    assert_eq!(within, (Some("alice".to_owned()), Some(began)));
    assert_eq!(listed, began);
    assert_eq!(after, Some(clock.now()));
}

#[tokio::test]
async fn by_default_each_request_is_written() {
    let (store, clock) = store();
    let mut client = Client::signed_in(&SessionLayer::new(store), "alice").await;

    for _ in 0..3 {
        clock.advance(MS);
        assert_eq!(last_activity(&mut client).await, Some(clock.now()));
    }
}

// T46
#[tokio::test]
async fn the_first_request_with_a_new_token_is_written_within_the_step_too() {
    let (layer, _store, clock) = world();
    let mut client = signed_in(&layer).await;
    client
        .send(|session| async move { session.rotate().unwrap() })
        .await;
    clock.advance(MS);

    let first = last_activity(&mut client).await;
    let used = clock.now();
    clock.advance(MS);

    assert_eq!(first, Some(used));
    assert_eq!(last_activity(&mut client).await, Some(used));
    // A token that counts as unused would be rotated again.
    let answer = client.send(|_session| async {}).await;
    assert!(answer.sets_no_cookie());
}

// T58
#[tokio::test]
async fn a_request_that_does_not_count_is_not_written_after_the_step_either() {
    let (layer, _store, clock) = world();
    let began = clock.now();
    let client = signed_in(&layer).await;
    let mut polling = client.before(&layer.clone().counts_as_activity(|_| false));

    clock.advance(STEP * 3);

    assert_eq!(last_activity(&mut polling).await, Some(began));
}

// T26
#[tokio::test]
async fn the_order_of_eviction_is_that_of_the_written_activity() {
    let (layer, store, clock) = world();
    let layer = layer.limit(Limit::at_most(2));
    let mut first = signed_in(&layer).await;
    clock.advance(MS);
    let mut second = signed_in(&layer).await;
    // Within the step of both: the first stays the least recently active one.
    clock.advance(MS);
    first.user().await;

    signed_in(&layer).await;

    assert_eq!(first.user().await, None);
    assert_eq!(second.user().await.as_deref(), Some("alice"));
    assert_eq!(ids(&store, "alice").await.len(), 2);
}

// T26
#[tokio::test]
async fn a_request_later_than_the_step_makes_its_session_the_most_recently_active() {
    let (layer, _store, clock) = world();
    let layer = layer.limit(Limit::at_most(2));
    let mut first = signed_in(&layer).await;
    clock.advance(MS);
    let mut second = signed_in(&layer).await;
    clock.advance(STEP);
    first.user().await;

    signed_in(&layer).await;

    assert_eq!(first.user().await.as_deref(), Some("alice"));
    assert_eq!(second.user().await, None);
}

// T18
#[tokio::test]
async fn all_operations_have_the_same_idle_end_which_includes_the_step() {
    let (layer, store, clock) = world();
    let layer = layer.limit(Limit::at_most(1).refuse());
    let mut client = signed_in(&layer).await;
    let end = clock.now().plus(HOUR + STEP);
    clock.advance(STEP);

    let found = client
        .send(|session: Session| async move { session.idle_expires_at() })
        .await
        .value();
    let sessions = UserSessions::new(store.clone(), user("alice"));
    let listed = sessions.list().await.unwrap()[0].idle_expires_at();
    clock.set(end.minus(MS));
    let refused = Client::new(&layer)
        .send(|session| async move { session.log_in("alice").unwrap() })
        .await;
    let live = ids(&store, "alice").await.len();
    clock.advance(MS);
    let gone = ids(&store, "alice").await.len();

    assert_eq!((found, listed), (Some(end), end));
    assert_eq!(refused.status, http::StatusCode::CONFLICT);
    assert_eq!((live, gone), (1, 0));
    assert_eq!(client.user().await, None);
}

// T18
#[tokio::test]
async fn a_guest_session_does_not_expire_before_its_idle_time_either() {
    let (layer, _store, clock) = world();
    let mut client = Client::new(&layer);
    client.insert("cart", "apple").await;
    clock.advance(STEP);
    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));

    clock.advance(HOUR - MS);

    assert_eq!(client.get("cart").await.as_deref(), Some("apple"));
}

// T18
#[tokio::test]
async fn a_shortened_or_re_authenticated_session_does_not_expire_too_early_either() {
    let brief = Lifetime::new(HOUR / 4, DAY);
    for again in [false, true] {
        let (layer, store, clock) = world();
        let mut client = signed_in(&layer).await;
        clock.advance(STEP);
        let changed = client.send(move |session| async move {
            session.shorten(brief).unwrap();
            if again {
                session.reauthenticated().unwrap();
            }
        });
        assert_eq!(changed.await.status, http::StatusCode::OK);

        clock.advance(HOUR / 4 - MS);
        let before = ids(&store, "alice").await.len();
        clock.advance(STEP + MS);
        let after = ids(&store, "alice").await.len();

        assert_eq!((before, after), (1, 0), "{again}");
    }
}

// T18
#[tokio::test]
async fn a_step_longer_than_a_sixteenth_of_the_idle_time_counts_as_that() {
    let (layer, store, clock) = world();
    let layer = layer.activity_every(DAY);
    let mut client = signed_in(&layer).await;
    let began = clock.now();

    clock.advance(HOUR / 16);
    let within = last_activity(&mut client).await;
    clock.advance(HOUR - MS);
    let before = ids(&store, "alice").await.len();
    clock.advance(MS);

    assert_eq!(within, Some(began));
    assert_eq!((before, ids(&store, "alice").await.len()), (1, 0));
}

// T18
#[tokio::test]
async fn a_session_stored_without_a_step_expires_too_early_by_the_step_at_most() {
    let (with_step, store, clock) = world();
    let without = with_step.clone().activity_every(Duration::ZERO);
    let mut client = signed_in(&without).await.before(&with_step);
    clock.advance(STEP);
    client.user().await;

    clock.advance(HOUR - STEP - MS);
    let before = ids(&store, "alice").await.len();
    clock.advance(MS);

    assert_eq!((before, ids(&store, "alice").await.len()), (1, 0));
}

/// Runs a session of this idle time, with requests after these gaps, and checks T18 at each: the session is
/// live until its idle time is over, and not longer than by the step.
async fn never_shortened_nor_stretched_by_more(idle: Duration, step: Duration, gaps: &[Duration]) {
    let (store, clock) = store();
    let layer = SessionLayer::new(store)
        .lifetime(Lifetime::new(idle, 300 * DAY))
        .activity_every(step);
    let mut client = signed_in(&layer).await;
    let slack = step.min(idle / 16);
    let mut last = clock.now();
    for gap in gaps {
        clock.advance(*gap);
        let idle_for = clock.now().since(last);
        let live = client.user().await.is_some();
        if idle_for < idle {
            assert!(
                live,
                "expired after {idle_for:?} of {idle:?}, step {step:?}"
            );
        } else if idle_for >= idle + slack {
            assert!(!live, "live after {idle_for:?} of {idle:?}, step {step:?}");
        }
        if !live {
            return;
        }
        last = clock.now();
    }
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

    // T18
    #[test]
    fn no_activity_is_lost_and_none_is_stretched_by_more_than_the_step(
        idle in millis(1..2_000),
        step in millis(0..300),
        // Most gaps are about a step or about the idle time.
        gaps in prop::collection::vec((any::<bool>(), 0..400_u64), 1..40),
    ) {
        let most = step.min(idle / 16);
        let gaps: Vec<Duration> = gaps
            .into_iter()
            .map(|(long, by)| {
                let about = if long { idle + most } else { most * 2 };
                let by = by * u64::try_from(about.as_millis()).unwrap() / 390;
                Duration::from_millis(by)
            })
            .collect();

        tokio_test::block_on(never_shortened_nor_stretched_by_more(idle, step, &gaps));
    }
}
