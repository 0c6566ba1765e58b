//! What streams do while the store does not answer.

use std::{sync::atomic::Ordering::SeqCst, time::Duration};

use tokio::time::sleep;

use super::{
    MINUTE, SECOND,
    sight::{Sight, ended, id, opened, tag},
};
use crate::{
    model::EndReason,
    store::{FeedNews, FeedState, Looked, Presence},
};

#[tokio::test(start_paused = true)]
async fn a_message_or_another_epoch_ends_the_pause_of_an_outage() {
    for epoch in [false, true] {
        let (sight, _registry, live) = opened().await;
        sight.0.is_down.store(true, SeqCst);
        sight.deliver(FeedNews::LookAgain);
        sleep(MINUTE * 2).await;
        let looks = sight.looks();
        while sight.looks() == looks {
            sleep(Duration::from_millis(100)).await;
        }
        // The next look is half a minute away.
        sight.0.is_down.store(false, SeqCst);
        sight.end(id(1), EndReason::Revoked);
        if epoch {
            *sight.0.state.lock().unwrap() = FeedState::new(2, true);
            sight.0.feed.as_ref().unwrap().epoch_changed();
        } else {
            sight.deliver(FeedNews::LookAgain);
        }

        assert_eq!(ended(&live, SECOND * 2).await, Some("revoked"), "{epoch}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_question_that_failed_is_asked_again_soon_also_after_an_outage() {
    let (sight, _registry, live) = opened().await;
    sight.0.is_down.store(true, SeqCst);
    sight.deliver(FeedNews::LookAgain);
    sleep(MINUTE * 2).await;
    sight.0.is_down.store(false, SeqCst);
    sight.deliver(FeedNews::LookAgain);
    sleep(SECOND * 2).await;

    sight.0.is_down.store(true, SeqCst);
    sight.deliver(FeedNews::LookAgain);
    sleep(SECOND / 2).await;
    sight.0.is_down.store(false, SeqCst);
    sight.end(id(1), EndReason::Revoked);

    assert_eq!(ended(&live, SECOND * 3).await, Some("revoked"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_panics_or_never_answers_is_asked_again() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    (1..3).for_each(|number| sight.live(id(number), MINUTE * 60));
    sight.0.panics.store(true, SeqCst);
    let live = sight.open(&registry, id(1), None);
    sleep(SECOND).await;
    sight.0.panics.store(false, SeqCst);
    sight.end(id(1), EndReason::Revoked);
    assert_eq!(ended(&live, SECOND * 5).await, Some("revoked"));

    *sight.0.delay.lock().unwrap() = MINUTE * 60;
    let live = sight.open_of(&registry, tag(1), id(2), None);
    sleep(SECOND).await;
    *sight.0.delay.lock().unwrap() = Duration::from_millis(1);
    sight.end(id(2), EndReason::Revoked);
    assert_eq!(ended(&live, SECOND * 15).await, Some("revoked"));
}

#[tokio::test(start_paused = true)]
async fn at_most_256_questions_are_on_their_way() {
    let sight = Sight::new(true);
    let registry = sight.registry();
    *sight.0.delay.lock().unwrap() = SECOND * 5;
    let mut open = Vec::new();
    for number in 0..1_000 {
        sight.live(id(number), MINUTE * 60);
        open.push(sight.open_of(&registry, tag(number), id(number), None));
    }

    sleep(SECOND * 3).await;

    assert_eq!(sight.looks(), 256);
}

#[tokio::test(start_paused = true)]
async fn a_question_of_a_task_that_was_replaced_is_asked_again_and_its_answer_does_not_count() {
    let (sight, registry, live) = opened().await;
    let before = registry.next_run();
    sight.deliver(FeedNews::LookAgain);
    let lost = registry.turn(before, 9).unwrap().asked;
    assert_eq!(lost.len(), 1);

    let now = registry.next_run();
    sleep(SECOND * 2).await;
    assert_eq!(registry.turn(now, 9).unwrap().asked.len(), 1);

    let answer = Looked::new(vec![Presence::Unknown], sight.now());
    assert!(registry.answered(before, &lost[0], Some(answer)).is_empty());
    drop(live);
}
