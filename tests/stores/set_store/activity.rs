//! Activity that loses to other writers of the same session set.

use std::time::Duration;

use tower_user_sessions::{
    Lifetime, SessionStore,
    store::{ManualClock, Save, SetStore, Token},
};

use super::{START, is_live, of, pauses, setup, sign_in, tag};
use crate::common::{people::set, shelf::Shelf};

/// A user who comes after 10 s, and again 16 s later, to a session that expires after 17 s without a request.
async fn comes_twice(store: &SetStore<Shelf>, clock: &ManualClock, token: &Token) -> bool {
    clock.advance(Duration::from_secs(10));
    assert!(is_live(store, token).await);
    clock.advance(Duration::from_secs(16));
    is_live(store, token).await
}

/// A session in use that expires after 17 s without a request.
async fn short_session(store: &SetStore<Shelf>, clock: &ManualClock) -> Token {
    let (token, mut create) = sign_in(clock);
    create.lifetime = Lifetime::new(Duration::from_secs(17), Duration::from_secs(3_600));
    store.create(&create).await.unwrap();
    assert!(is_live(store, &token).await);
    token
}

// T14
#[tokio::test]
async fn activity_that_lost_to_another_write_is_written_where_the_session_would_expire_early() {
    let (clock, shelf, store) = setup();
    let token = short_session(&store, &clock).await;

    shelf.lose_activity(2);

    assert!(comes_twice(&store, &clock, &token).await);
}

// T14
#[tokio::test]
async fn activity_that_loses_each_time_is_tried_twice_again() {
    let (clock, shelf, store) = setup();
    let token = short_session(&store, &clock).await;
    let before = of(&shelf.counts().activity);

    shelf.lose_activity(9);
    clock.advance(Duration::from_secs(10));
    assert!(is_live(&store, &token).await);

    assert_eq!(of(&shelf.counts().activity), before + 3);
}

// T14
#[tokio::test]
async fn a_request_whose_activity_lost_has_its_answer_although_the_storage_cannot_be_read_again() {
    let (clock, shelf, store) = setup();
    let token = short_session(&store, &clock).await;

    shelf.lose_activity(1);
    shelf.set_reads(2);
    clock.advance(Duration::from_secs(10));

    assert!(is_live(&store, &token).await);
}

// T14
#[tokio::test]
async fn activity_of_the_last_moments_is_not_written_again_after_it_lost() {
    let (clock, shelf, store) = setup();
    let token = short_session(&store, &clock).await;
    let before = of(&shelf.counts().activity);

    shelf.lose_activity(1);
    clock.advance(Duration::from_secs(1));
    assert!(is_live(&store, &token).await);

    assert_eq!(of(&shelf.counts().activity), before + 1);
}

// T14
#[tokio::test]
async fn activity_is_written_while_others_take_turns_where_the_session_would_expire_early() {
    let clock = ManualClock::at(START);
    let shelf = Shelf::on(&clock).yielding();
    let (store, other) = (shelf.store(), shelf.store());
    let token = short_session(&store, &clock).await;
    let save = Save::new(tag(), token.session_id(), set("key", "value"));
    let mut waits = std::pin::pin!(store.save(&save));
    // Once it has lost, it keeps its turn.
    while of(&shelf.counts().lost) == 0 {
        other.save(&save).await.unwrap();
        pauses(&mut waits).await;
    }

    assert!(comes_twice(&store, &clock, &token).await);
}
