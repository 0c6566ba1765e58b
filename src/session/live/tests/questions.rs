//! Which sessions are asked for together, and when.

use std::{sync::Arc, time::Duration};

use tokio::time::sleep;

use super::{
    super::{
        book::{First, Times},
        registry::{Mark, Registry},
    },
    MINUTE, SECOND,
    sight::{Sight, ended, id, opened, tag},
};
use crate::{
    model::{EndReason, SessionId, Tag, Timestamp},
    session::live::LiveSession,
    store::{FeedMessage, FeedNews, FeedState, SharedStore},
};

const MS: Duration = Duration::from_millis(1);

/// A session that began at this moment.
fn opens(
    registry: &Arc<Registry>,
    of: (Tag, SessionId),
    began: Timestamp,
    mark: Option<&Mark>,
) -> LiveSession {
    let times = Times {
        began,
        expires: began.plus(MINUTE * 60),
        left: 50 * 60 * 1_000,
    };
    let opened = registry.open(of, times, mark, First::Now);
    opened.unwrap()
}

fn last(sight: &Sight) -> usize {
    sight.0.looks.lock().unwrap().last().unwrap().1.len()
}

#[tokio::test(start_paused = true)]
async fn an_opening_a_message_and_another_epoch_are_asked_for_within_milliseconds() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(0), MINUTE * 60);
    sight.live(id(1), MINUTE * 60);
    let _other = sight.open_of(&registry, tag(5), id(0), None);
    // The task sleeps.
    sleep(SECOND * 10 + MS * 300).await;
    let before = sight.looks();

    let _live = sight.open(&registry, id(1), None);
    sleep(MS * 20).await;
    assert_eq!(sight.looks(), before + 1);

    sleep(SECOND * 10 + MS * 300).await;
    sight.deliver(FeedNews::LookAgain);
    sleep(MS * 20).await;
    assert_eq!(sight.looks(), before + 2);

    sleep(SECOND * 10 + MS * 300).await;
    *sight.0.state.lock().unwrap() = FeedState::new(2, true);
    sight.0.feed.as_ref().unwrap().epoch_changed();
    sleep(MS * 20).await;
    assert_eq!(sight.looks(), before + 4);
}

#[tokio::test(start_paused = true)]
async fn one_question_about_a_user_is_on_its_way_at_once() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    *sight.0.delay.lock().unwrap() = SECOND * 3;
    let live = sight.open(&registry, id(1), None);
    for _ in 0..20 {
        sight.deliver(FeedNews::LookAgain);
        sleep(MS * 100).await;
    }
    assert_eq!(sight.looks(), 1);

    drop(live);
    let _live = sight.open(&registry, id(1), None);
    sleep(MS * 500).await;
    assert_eq!(sight.looks(), 1);
    sleep(SECOND).await;
    assert_eq!(sight.looks(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_closes_while_it_is_asked_for_leaves_nothing_behind() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    *sight.0.delay.lock().unwrap() = MS * 400;
    let live = sight.open(&registry, id(1), None);
    sleep(MS * 100).await;
    assert_eq!(sight.looks(), 1);

    drop(live);
    sleep(MINUTE * 2).await;

    assert!(!sight.0.feed.as_ref().unwrap().is_wanted());
    assert_eq!(Arc::strong_count(&registry), 1);
}

#[tokio::test(start_paused = true)]
async fn the_sessions_of_a_user_are_asked_for_together_and_none_twice_in_a_second() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    (1..4).for_each(|number| sight.live(id(number), MINUTE * 60));
    let _first = sight.open(&registry, id(1), None);
    sleep(SECOND * 10).await;
    let _second = sight.open(&registry, id(2), None);
    sleep(MS * 300).await;
    assert_eq!((sight.looks(), last(&sight)), (2, 2));

    let _third = sight.open(&registry, id(3), None);
    sleep(MS * 300).await;
    assert_eq!((sight.looks(), last(&sight)), (3, 1));
}

#[tokio::test(start_paused = true)]
async fn a_message_that_spares_one_session_makes_the_others_be_asked_for() {
    let (sight, _registry, live) = opened().await;

    sight.end(id(1), EndReason::Revoked);
    sight.deliver(FeedNews::EndedAllBut(id(2), EndReason::Revoked));

    assert_eq!(ended(&live, SECOND).await, Some("revoked"));
}

#[tokio::test(start_paused = true)]
async fn what_usually_ends_within_a_second_is_asked_for_after_it() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    let later = || sight.open_first(&registry, id(1), None, First::Later);
    let _live = later();
    sleep(MS * 900).await;
    assert_eq!(sight.looks(), 0);
    sleep(MS * 600).await;
    assert_eq!(sight.looks(), 1);

    sleep(SECOND * 10).await;
    let _again = later();
    sleep(MS * 900).await;
    assert_eq!(sight.looks(), 1);
    sleep(MS * 600).await;
    assert_eq!(sight.looks(), 2);
}

#[tokio::test(start_paused = true)]
async fn streams_that_opened_together_are_asked_for_apart() {
    const USERS: u32 = 600;
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(0), MINUTE * 60);
    let _other = sight.open_of(&registry, tag(USERS), id(0), None);
    sleep(SECOND * 2).await;
    let mut open = Vec::new();
    for number in 0..USERS {
        let id = id(number + 1);
        sight.live(id, MINUTE * 60);
        let mark = registry.mark(tag(number));
        open.push(sight.open_of(&registry, tag(number), id, mark.as_ref()));
    }
    sight.0.looks.lock().unwrap().clear();
    sleep(SECOND * 74).await;

    let looks = sight.0.looks.lock().unwrap();
    assert!(looks.len() > USERS as usize, "{}", looks.len());
    let most = looks.iter().map(|(from, _)| {
        let second = looks
            .iter()
            .filter(|(at, _)| (*from..*from + 1_000).contains(at));
        second.count()
    });
    // A lease is 48 to 72 s: 25 of them end in a second.
    assert!(most.max().unwrap() < 60);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_asked_for_before_streams_of_another_epoch_or_whose_lease_is_over() {
    const USERS: u32 = 5_000;
    for epoch in [true, false] {
        let sight = Sight::new(true);
        let registry = sight.registry();
        let mut open = Vec::new();
        for number in 0..USERS {
            sight.live(id(number), MINUTE * 60);
            open.push(sight.open_of(&registry, tag(number), id(number), None));
        }
        sleep(SECOND * 10).await;
        let feed = sight.0.feed.as_ref().unwrap();
        if epoch {
            *sight.0.state.lock().unwrap() = FeedState::new(2, true);
            feed.epoch_changed();
        } else {
            // The machine slept.
            tokio::time::advance(MINUTE * 2).await;
        }
        sleep(MS * 50).await;

        let those = || (0..20).map(|at| at * USERS / 20);
        for number in those() {
            sight.end(id(number), EndReason::Revoked);
            feed.deliver(&FeedMessage::new(tag(number), FeedNews::LookAgain));
        }
        // Some were asked for just before. All the others take more than two seconds.
        sleep(MS * 1_300).await;
        for number in those() {
            assert!(open[number as usize].end().is_some(), "{epoch}: {number}");
        }
        assert!(sight.looks() < 9_000);
    }
}

#[tokio::test(start_paused = true)]
async fn streams_of_the_same_epoch_are_not_asked_for_when_another_one_begins() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    let feed = sight.0.feed.as_ref().unwrap();
    sight.live(id(1), MINUTE * 60);
    let _live = sight.open(&registry, id(1), None);
    sleep(SECOND * 2).await;
    feed.epoch_changed();
    sleep(SECOND * 5).await;
    assert_eq!(sight.looks(), 1);

    *sight.0.state.lock().unwrap() = FeedState::new(2, true);
    for _ in 0..2 {
        feed.epoch_changed();
        sleep(SECOND * 5).await;
        assert_eq!(sight.looks(), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_of_another_epoch_is_asked_for_although_a_newer_one_opened_meanwhile() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    sight.live(id(2), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    sleep(SECOND * 2).await;
    *sight.0.state.lock().unwrap() = FeedState::new(2, true);
    // Its message was lost.
    sight.end(id(1), EndReason::Evicted);

    let mark = registry.mark(tag(0));
    let _newer = sight.open(&registry, id(2), mark.as_ref());
    sight.0.feed.as_ref().unwrap().epoch_changed();

    assert_eq!(ended(&live, SECOND * 3).await, Some("evicted"));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_opens_after_the_end_of_all_users_is_asked_for_at_once() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    let began = sight.now();
    sight.live(id(1), MINUTE * 60);
    sight.live(id(0), MINUTE * 60);
    sleep(MINUTE * 2).await;
    // It began a minute ago.
    let other = sight.open_of(&registry, tag(5), id(0), None);
    let moment = sight.now().minus(MINUTE);
    sight.end_everyone(moment);
    // A message of an earlier one is late.
    sight.deliver(FeedNews::Everyone(began.minus(MINUTE)));
    sleep(SECOND * 10).await;
    assert!(other.end().is_none(), "it began at that moment");
    let looks = sight.looks();

    let mark = registry.mark(tag(0));
    let live = opens(&registry, (tag(0), id(1)), began, mark.as_ref());
    sleep(MS * 20).await;
    assert_eq!(sight.looks(), looks + 1);
    sleep(SECOND * 5).await;
    assert!(live.end().is_none(), "the store says that it lives");

    // A message of an earlier moment is late, and takes nothing back.
    let looks = sight.looks();
    sight.deliver(FeedNews::Everyone(began.minus(MINUTE)));
    sleep(SECOND * 2).await;
    let mark = registry.mark(tag(0));
    let _another = opens(&registry, (tag(0), id(2)), began, mark.as_ref());
    sleep(MS * 20).await;
    assert_eq!(sight.looks(), looks + 1);
}

#[tokio::test(start_paused = true)]
async fn an_end_of_all_users_waits_for_the_question_that_is_on_its_way() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    sight.live(id(2), MINUTE * 60);
    *sight.0.delay.lock().unwrap() = SECOND * 3;
    let live = sight.open(&registry, id(1), None);
    sleep(MS * 500).await;
    assert_eq!(sight.looks(), 1);
    sight.end_everyone(sight.now());
    assert_eq!(ended(&live, SECOND).await, Some("everyone"));

    // One question about a user is on its way at once.
    let _next = opens(&registry, (tag(0), id(2)), sight.now(), None);
    sleep(MS * 500).await;
    assert_eq!(sight.looks(), 1);
    sleep(SECOND * 3).await;
    assert_eq!(sight.looks(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_session_that_began_again_outlives_an_earlier_end_of_all_users() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    sleep(MINUTE * 5).await;
    sight.live(id(1), MINUTE * 60);
    sight.deliver(FeedNews::LookAgain);
    sleep(SECOND * 2).await;

    sight.end_everyone(sight.now().minus(MINUTE * 3));

    assert_eq!(ended(&live, SECOND).await, None);
}

#[tokio::test(start_paused = true)]
async fn without_a_feed_an_end_of_all_users_ends_streams_once_the_process_knows_it() {
    let sight = Sight::new(false);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    sleep(SECOND * 2).await;

    sight.0.horizon.note(sight.now());

    assert_eq!(ended(&live, SECOND * 2).await, Some("everyone"));
    assert_eq!(sight.looks(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_may_be_longer_than_the_wheel() {
    let sight = Sight::new(false);
    let store = SharedStore::from(sight.clone());
    let registry = Registry::with_lease(&store, MINUTE * 10);
    sight.live(id(1), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    sleep(SECOND * 3).await;
    sight.end(id(1), EndReason::Evicted);

    assert_eq!(ended(&live, MINUTE * 7).await, None);
    assert_eq!(ended(&live, MINUTE * 6).await, Some("evicted"));
}

#[tokio::test(start_paused = true)]
async fn the_users_of_open_streams_are_held_without_a_gap_whatever_the_lease_is() {
    let sight = Sight::new(true);
    let store = SharedStore::from(sight.clone());
    let registry = Registry::with_lease(&store, MINUTE * 30);
    sight.live(id(1), MINUTE * 60);
    let live = sight.open(&registry, id(1), None);
    let taken = || std::mem::take(&mut *sight.0.held.lock().unwrap());
    let first = taken();
    let (tag, time) = first[0];

    for _ in 0..4 {
        sleep(time / 2).await;
        assert!(!taken().is_empty(), "held for {time:?}");
    }
    drop(live);
    sleep(SECOND * 2).await;
    taken();
    sleep(time).await;
    assert_eq!(taken(), [], "{tag:?} has no stream any more");
}

#[tokio::test(start_paused = true)]
async fn what_ends_within_a_second_holds_no_user_and_the_next_question_does() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    sight.live(id(1), MINUTE * 60);
    let held = || sight.0.held.lock().unwrap().len();
    let later = |mark: Option<&Mark>| sight.open_first(&registry, id(1), mark, First::Later);
    drop(later(None));
    let _live = later(None);
    sleep(MS * 900).await;
    assert_eq!((held(), sight.looks()), (0, 0));

    sleep(MS * 600).await;
    assert_eq!((held(), sight.looks()), (1, 1));

    // It is not asked for, so only a message can end it soon.
    let _known = later(registry.mark(tag(0)).as_ref());
    assert_eq!((held(), sight.looks()), (2, 1));
}
