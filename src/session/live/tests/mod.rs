//! When streams ask the store, and what they learn. Time is paused.

mod histories;
mod orders;
mod questions;
mod room;
mod sight;
mod trouble;
mod waiting;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{sleep, timeout};

use self::sight::{Sight, ended, id, opened, opened_in_an_idle_runtime, tag};
use super::{
    LiveEnd, LiveSession,
    book::{First, Times},
    registry::Registry,
};
use crate::{
    model::{EndReason, Timestamp},
    store::{FeedNews, FeedState, MemoryStore, SharedStore},
};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const DAY: i64 = 24 * 60 * 60 * 1_000;

#[tokio::test(start_paused = true)]
async fn a_stream_whose_feed_is_unchanged_since_before_its_resolve_asks_with_its_lease() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    let first = sight.open(&registry, id(1), registry.mark(tag(0)).as_ref());
    sleep(SECOND * 2).await;
    assert_eq!(sight.looks(), 1, "nothing was known before");

    let second = sight.open(&registry, id(1), registry.mark(tag(0)).as_ref());
    sleep(SECOND * 40).await;
    assert_eq!(sight.looks(), 1);
    sleep(SECOND * 33).await;
    assert_eq!(sight.looks(), 2);

    sight.0.state.lock().unwrap().trusted = false;
    let third = sight.open(&registry, id(1), registry.mark(tag(0)).as_ref());
    sleep(SECOND * 2).await;
    assert_eq!(sight.looks(), 3);
    drop((first, second, third));
}

#[tokio::test(start_paused = true)]
async fn a_layer_that_is_dropped_with_its_streams_leaves_its_store() {
    let (_sight, registry, live) = opened().await;
    let left = Arc::downgrade(&registry);

    drop((live, registry));
    sleep(SECOND * 2).await;

    assert!(left.upgrade().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_messages_costs_one_look_a_second() {
    let (sight, _registry, live) = opened().await;
    let before = sight.looks();

    for _ in 0..10_000 {
        sight.deliver(FeedNews::LookAgain);
        sleep(Duration::from_millis(1)).await;
    }
    let looks = sight.looks() - before;
    assert!((8..=11).contains(&looks), "{looks} looks in 10 s");

    // The last message is not lost in the flood.
    sight.end(id(1), EndReason::Revoked);
    sight.deliver(FeedNews::LookAgain);
    assert_eq!(ended(&live, SECOND * 2).await, Some("revoked"));
}

#[tokio::test(start_paused = true)]
async fn a_message_during_a_look_makes_another_look_follow() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    *sight.0.delay.lock().unwrap() = Duration::from_millis(400);
    let live = sight.open(&registry, id(1), None);
    while sight.0.on_the_way.load(Ordering::SeqCst) == 0 {
        sleep(Duration::from_millis(1)).await;
    }

    // The store has read the session, and its answer is on the way.
    sight.end(id(1), EndReason::Administrator);
    sight.deliver(FeedNews::Ended(vec![(id(1), EndReason::Administrator)]));

    assert_eq!(ended(&live, SECOND * 2).await, Some("administrator"));
}

#[tokio::test(start_paused = true)]
async fn a_message_about_another_session_asks_nothing() {
    let (sight, _registry, _live) = opened().await;

    sight.deliver(FeedNews::Ended(vec![(id(2), EndReason::Evicted)]));
    sight.deliver(FeedNews::EndedAllBut(id(1), EndReason::Revoked));
    sight.deliver(FeedNews::Renewed(id(1)));
    sleep(SECOND * 5).await;

    assert_eq!(sight.looks(), 1);
}

#[tokio::test(start_paused = true)]
async fn without_a_feed_an_end_is_found_within_the_lease() {
    let sight = Sight::new(false);
    let registry = sight.registry();
    for number in 0..50 {
        sight.live(id(number), MINUTE * 600);
        let live = sight.open_of(&registry, tag(number), id(number), None);
        sleep(Duration::from_millis(u64::from(number) * 700)).await;
        sight.end(id(number), EndReason::Evicted);
        assert_eq!(ended(&live, SECOND * 75).await, Some("evicted"), "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_the_store_decides() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), SECOND * 30);
    let live = sight.open(&registry, id(1), None);
    sleep(SECOND * 20).await;

    // Another request was activity.
    sight.live(id(1), SECOND * 30);
    assert_eq!(ended(&live, SECOND * 29).await, None);

    sight.forget_it(id(1));
    let before = sight.millis();
    assert_eq!(ended(&live, SECOND * 3).await, Some("expired"));
    assert!(sight.millis() - before < 2_500);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_is_gone_before_its_deadline_ended_for_an_unknown_reason() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    let live = sight.open(&registry, id(1), None);

    assert_eq!(live.ended().await, LiveEnd::Ended(None));
    assert_eq!(live.end(), Some(&LiveEnd::Ended(None)));
}

#[tokio::test(start_paused = true)]
async fn streams_stay_open_in_an_outage_of_four_minutes_and_end_after_five() {
    let (sight, _registry, live) = opened().await;

    sight.0.is_down.store(true, Ordering::SeqCst);
    assert_eq!(ended(&live, MINUTE * 4).await, None);
    sight.0.is_down.store(false, Ordering::SeqCst);
    sleep(MINUTE * 2).await;

    sight.0.is_down.store(true, Ordering::SeqCst);
    let looks = sight.looks();
    assert_eq!(ended(&live, MINUTE * 3).await, None);
    assert_eq!(ended(&live, MINUTE * 4).await, Some("out_of_sight"));
    assert!(sight.looks() - looks < 30, "{}", sight.looks() - looks);
}

#[tokio::test(start_paused = true)]
async fn after_the_machine_slept_one_question_without_answer_ends_no_stream() {
    let (sight, _registry, live) = opened().await;

    // No timer runs meanwhile. The connection of before is dead.
    sight.0.is_down.store(true, Ordering::SeqCst);
    let looks = sight.looks();
    tokio::time::advance(MINUTE * 6).await;
    sleep(SECOND).await;
    assert_eq!(sight.looks() - looks, 1);
    sight.0.is_down.store(false, Ordering::SeqCst);

    assert_eq!(ended(&live, MINUTE * 10).await, None);
}

#[tokio::test(start_paused = true)]
async fn after_a_change_of_epoch_all_streams_ask_and_those_of_a_user_together() {
    const USERS: u32 = 5_000;
    let sight = Sight::new(true);
    let registry = sight.registry();
    let mut open = Vec::new();
    for number in 0..USERS * 2 {
        sight.live(id(number), MINUTE * 60);
        open.push(sight.open_of(&registry, tag(number / 2), id(number), None));
    }
    sleep(SECOND * 10).await;
    sight.0.looks.lock().unwrap().clear();

    // The second one: only the streams of another epoch ask.
    for _ in 0..2 {
        *sight.0.state.lock().unwrap() = FeedState::new(2, true);
        sight.0.feed.as_ref().unwrap().epoch_changed();
    }
    sight.end(id(77), EndReason::Evicted);
    sleep(SECOND * 10).await;

    let looks = std::mem::take(&mut *sight.0.looks.lock().unwrap());
    assert_eq!(looks.len(), USERS as usize);
    assert!(looks.iter().all(|(_, ids)| ids.len() == 2));
    let most = looks.iter().map(|(from, _)| {
        let second = looks
            .iter()
            .filter(|(at, _)| at >= from && *at < *from + 1_000);
        second.count()
    });
    assert!(most.max().unwrap() <= 2_000);
    assert_eq!(open[77].end().map(LiveEnd::reason), Some("evicted"));
    assert_eq!(open.iter().filter(|live| live.end().is_some()).count(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_of_all_users_asks_the_store_for_none() {
    let (sight, _registry, live) = opened().await;

    sight.end_everyone(sight.now().minus(MINUTE * 2));
    assert_eq!(ended(&live, SECOND).await, None);
    // The store does not confirm this one.
    sight.deliver(FeedNews::Everyone(sight.now()));
    assert_eq!(ended(&live, SECOND).await, None);
    sight.end_everyone(sight.now().minus(SECOND));

    assert_eq!(ended(&live, SECOND).await, Some("everyone"));
    assert_eq!(sight.looks(), 1);
}

#[tokio::test(start_paused = true)]
async fn every_clone_learns_the_end_and_a_dropped_wait_loses_nothing() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    let clones: Vec<LiveSession> = (0..5).map(|_| live.clone()).collect();
    let waiting: Vec<_> = clones
        .into_iter()
        .map(|live| tokio::spawn(async move { live.ended().await.reason() }))
        .collect();
    for _ in 0..100 {
        assert_eq!(ended(&live, Duration::from_millis(3)).await, None);
    }

    sight.end(id(1), EndReason::Revoked);
    sight.deliver(FeedNews::LookAgain);

    for waiting in waiting {
        assert_eq!(waiting.await.unwrap(), "revoked");
    }
    assert_eq!(ended(&live, SECOND).await, Some("revoked"));
}

#[tokio::test(start_paused = true)]
async fn without_streams_no_task_runs_and_the_feed_is_not_wanted() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    let feed = sight.0.feed.clone().unwrap();
    sight.live(id(1), MINUTE * 60);
    assert!(!feed.is_wanted());
    let live = sight.open(&registry, id(1), None);
    let mark = registry.mark(tag(0)).unwrap();
    assert!(feed.is_wanted());

    drop(live);
    sleep(SECOND * 30).await;
    assert!(feed.is_wanted(), "another one may open soon");
    sleep(MINUTE * 2).await;
    assert!(!feed.is_wanted() && registry.mark(tag(0)).is_none());
    assert_eq!(Arc::strong_count(&registry), 1);

    // Messages in between were not heard, so the mark from before proves nothing.
    let _live = sight.open(&registry, id(1), Some(&mark));
    let looks = sight.looks();
    sleep(SECOND * 2).await;
    assert_eq!(sight.looks(), looks + 1);
}

#[test]
fn a_stream_goes_on_when_the_runtime_of_another_one_ends() {
    let runtime = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_time().start_paused(true).build().unwrap()
    };
    let (first, second) = (runtime(), runtime());
    let (sight, registry, live) = first.block_on(async {
        let sight = Sight::new(false);
        let registry = sight.registry();
        sight.live(id(1), MINUTE * 60);
        let live = sight.open(&registry, id(1), None);
        sleep(SECOND).await;
        (sight, registry, live)
    });
    let waiting = second.spawn({
        let live = live.clone();
        async move { live.ended().await.reason() }
    });
    second.block_on(async { sleep(SECOND).await });
    drop(first);
    sight.end(id(1), EndReason::Evicted);

    let reason = second.block_on(async { timeout(SECOND * 75, waiting).await });

    assert_eq!(reason.unwrap().unwrap(), "evicted");
    drop((registry, live));
}

#[test]
fn a_stream_goes_on_when_nothing_drives_the_runtime_of_another_one() {
    let (_idle, sight, registry, live) = opened_in_an_idle_runtime();
    assert_eq!(sight.looks(), 0);
    sight.end(id(1), EndReason::Evicted);

    let busy = tokio::runtime::Runtime::new().unwrap();
    let end = busy.block_on(async { timeout(SECOND * 20, live.ended()).await });

    assert_eq!(end.unwrap().reason(), "evicted");
    drop(registry);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_replaced_while_it_runs_takes_no_question_with_it() {
    let sight = Sight::new(false);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    let before = registry.next_run();
    let lost = registry.turn(before, 9).unwrap().asked;
    assert_eq!(lost.len(), 1);

    // A runtime that is busy seems to run nothing, and the task is stopped where it waits next.
    let now = registry.next_run();
    sleep(SECOND * 2).await;

    assert!(registry.turn(before, 9).is_none());
    assert_eq!(registry.turn(now, 9).unwrap().asked.len(), 1);
    assert!(registry.answered(before, &lost[0], None).is_empty());
    drop(live);
}

#[test]
fn outside_of_a_runtime_no_stream_opens() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let sight = runtime.block_on(async { Sight::new(false) });
    let registry = sight.registry();
    let times = Times {
        began: Timestamp::default(),
        expires: Timestamp::default(),
        left: 0,
    };

    let opened = registry.open((tag(0), id(0)), times, None, First::Now);

    assert!(opened.is_none());
}

#[test]
fn a_lease_is_at_least_100_ms_and_at_most_an_hour() {
    let store = SharedStore::from(MemoryStore::new());
    let lease = |lease| Registry::with_lease(&store, lease).lease();

    assert_eq!(lease(Duration::ZERO), Duration::from_millis(100));
    assert_eq!(lease(Duration::MAX), MINUTE * 60);
}
