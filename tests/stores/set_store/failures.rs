//! A storage that fails, is late, is full, or has sets of a newer version.

use std::{pin::pin, time::Duration};

use tower_user_sessions::{
    EndReason, Limit, SessionId, SessionStore,
    store::{
        Authenticated, Changes, Create, Created, End, EndEveryone, Ended, List, Resolve, Save,
        Saved, Scan, StoreErrorKind, Tag, Token, Which,
    },
};

use super::{START, end_all, is_live, live, of, pauses, setup, sign_in, signed_in, tag};
use crate::common::shelf::{Fault, Shelf};

const MINUTE: Duration = Duration::from_secs(60);

// T57
#[tokio::test]
async fn a_sign_in_that_is_written_too_late_is_an_error_until_it_is_repeated_or_given_up() {
    let (clock, shelf, store) = setup();
    for repeats in [true, false] {
        let (token, create) = sign_in(&clock);
        shelf.fail([Fault::Slow(6_000)]);
        let late = store.create(&create).await;
        assert_eq!(late.unwrap_err().kind(), StoreErrorKind::Timeout);

        if repeats {
            let again = store.create(&create).await.unwrap();
            assert!(matches!(again, Created::Created(_)), "{again:?}");
        } else {
            store.end_undelivered(tag(), token.session_id());
            assert_eq!(store.drain(MINUTE).await, 0);
        }

        assert_eq!(is_live(&store, &token).await, repeats);
        assert_eq!(live(&store).await, 1);
    }
}

/// Its write is held back. The sign-in is given up, which changes the version that the write expects.
// T57
#[tokio::test]
async fn a_sign_in_that_answered_an_error_does_not_run_later() {
    let (clock, shelf, store) = setup();
    let phone = signed_in(&store, &clock).await;
    let (token, mut create) = sign_in(&clock);
    create.limit = Limit::at_most(1);
    shelf.fail([Fault::Vanishes, Fault::Vanishes, Fault::RunsLater]);
    assert!(store.create(&create).await.is_err());
    store.end_undelivered(tag(), token.session_id());
    shelf.delay_later();

    assert_eq!(store.drain(MINUTE).await, 0);
    shelf.run_later();

    assert!(!is_live(&store, &token).await);
    assert!(is_live(&store, &phone).await);
}

// T57
#[tokio::test]
async fn a_sign_in_whose_answer_was_lost_is_answered_as_if_it_was_not() {
    let (clock, shelf, store) = setup();
    let phone = signed_in(&store, &clock).await;
    let (token, mut create) = sign_in(&clock);
    create.limit = Limit::at_most(1);
    shelf.fail([Fault::AnswerLost]);

    let Ok(Created::Created(created)) = store.create(&create).await else {
        panic!("not created");
    };

    let evicted: Vec<_> = created.evicted.iter().map(|record| record.id).collect();
    assert_eq!(evicted, [phone.session_id()]);
    assert!(is_live(&store, &token).await);
}

// T19
#[tokio::test]
async fn an_end_is_repeated_until_it_is_known_to_have_run() {
    let (clock, shelf, store) = setup();
    let token = signed_in(&store, &clock).await;
    shelf.fail([Fault::Vanishes; 8]);
    shelf.fail([Fault::AnswerLost]);

    let ended = store.end(&end_all()).await.unwrap();

    assert!(matches!(ended, Ended::Ended { ids, .. } if ids == [token.session_id()]));
    assert!(!is_live(&store, &token).await);
}

/// Another write comes between: nobody can know whether the first one ran.
#[tokio::test]
async fn a_conditional_save_of_unknown_outcome_is_uncertain() {
    let (clock, shelf, store) = setup();
    let token = signed_in(&store, &clock).await;
    let mut changes = Changes::default();
    changes.set("n", "1");
    let mut save = Save::new(tag(), token.session_id(), changes.clone());
    save.expect = Some(0);
    shelf.fail([Fault::Vanishes, Fault::Vanishes, Fault::Vanishes]);

    let saved = store.save(&save).await;
    assert_eq!(saved.unwrap_err().kind(), StoreErrorKind::Uncertain);

    shelf.fail([Fault::AnswerLost]);
    assert_eq!(
        store.save(&save).await.unwrap(),
        Saved::Saved { revision: 1 }
    );
    // It is known not to have run.
    shelf.fail([Fault::NothingRan(StoreErrorKind::Denied)]);
    save.expect = Some(1);
    let saved = store.save(&save).await;
    assert_eq!(saved.unwrap_err().kind(), StoreErrorKind::Denied);
}

// T33
#[tokio::test]
async fn a_full_storage_refuses_sign_ins_evicts_nobody_and_lets_requests_go_on() {
    let (clock, shelf, store) = setup();
    let phone = signed_in(&store, &clock).await;
    shelf.fail([Fault::NothingRan(StoreErrorKind::Full); 3]);

    let (_, mut create) = sign_in(&clock);
    create.limit = Limit::at_most(1);
    let refused = store.create(&create).await.unwrap_err();
    // The first request with a token is a write too.
    let goes_on = is_live(&store, &phone).await;
    let next = store.create(&create).await;

    assert_eq!(refused.kind(), StoreErrorKind::Full);
    assert!(goes_on);
    assert_eq!(next.unwrap_err().kind(), StoreErrorKind::Full);
    assert!(is_live(&store, &phone).await);
    assert!(matches!(
        store.create(&create).await,
        Ok(Created::Created(_))
    ));
}

#[tokio::test]
async fn a_set_of_a_newer_version_is_an_error_and_is_left_alone() {
    let (clock, shelf, store) = setup();
    let token = signed_in(&store, &clock).await;
    let mut newer = shelf.head(tag()).unwrap().to_vec();
    newer[0] = 2;
    shelf.put_head(tag(), newer.clone());
    let (_, create) = sign_in(&clock);
    let save = Save::new(tag(), token.session_id(), Changes::default());
    let before = of(&shelf.counts().reads);

    let kinds = [
        store.resolve(&Resolve::new(token)).await.map(drop),
        store.create(&create).await.map(drop),
        store.save(&save).await.map(drop),
        store.list(&List::new(tag())).await.map(drop),
        store.end(&end_all()).await.map(drop),
    ]
    .map(|answer| answer.unwrap_err().kind());

    assert_eq!(kinds, [StoreErrorKind::TooNew; 5]);
    assert_eq!(of(&shelf.counts().reads) - before, 5, "none is tried again");
    // A sign-in that was given up there is not tried again by each operation of other users.
    store.end_undelivered(tag(), SessionId::from_bytes([7; 12]));
    let before = of(&shelf.counts().reads);
    for _ in 0..10 {
        let guest = Token::random(Tag::random().unwrap()).unwrap();
        assert!(!is_live(&store, &guest).await);
    }
    assert_eq!(of(&shelf.counts().reads) - before, 1);
    assert_eq!(shelf.head(tag()).unwrap(), newer);
}

// T57
#[tokio::test]
async fn sign_ins_that_were_given_up_end_by_the_next_operation_or_by_a_task() {
    let (clock, shelf, store) = setup();
    let other = signed_in(&store, &clock).await;
    let [first, second] = [
        signed_in(&store, &clock).await,
        signed_in(&store, &clock).await,
    ];
    shelf.set_down(true);
    store.end_undelivered(tag(), first.session_id());
    assert_eq!(store.drain(MINUTE).await, 1);
    shelf.set_down(false);
    assert_eq!(live(&store).await, 3);

    assert!(is_live(&store, &other).await);
    assert_eq!(live(&store).await, 2);

    let task = tokio::spawn({
        let store = store.clone();
        async move { store.run().await }
    });
    tokio::task::yield_now().await;
    store.end_undelivered(tag(), second.session_id());
    while live(&store).await > 1 {
        tokio::task::yield_now().await;
    }
    assert!(!is_live(&store, &second).await);
    task.abort();
}

// T57
#[tokio::test]
async fn a_drain_begins_no_end_after_its_time_and_leaves_what_it_did_not_end() {
    let (clock, shelf, store) = setup();
    let mut given_up = Vec::new();
    for _ in 0..3 {
        given_up.push(signed_in(&store, &clock).await.session_id());
    }
    for id in given_up {
        store.end_undelivered(tag(), id);
    }
    assert_eq!(live(&store).await, 3);

    assert_eq!(store.drain(Duration::ZERO).await, 3);
    shelf.set_down(true);
    assert_eq!(store.drain(MINUTE).await, 3);
    shelf.set_down(false);
    assert_eq!(store.drain(MINUTE).await, 0);

    assert_eq!(live(&store).await, 0);
}

// T57
#[tokio::test]
async fn a_drain_that_is_dropped_loses_none_that_it_was_ending() {
    let (clock, _, _) = setup();
    let shelf = Shelf::on(&clock).yielding();
    let store = shelf.store();
    let phone = signed_in(&store, &clock).await;
    store.end_undelivered(tag(), phone.session_id());

    {
        let mut drain = pin!(store.drain(MINUTE));
        pauses(&mut drain).await;
    }

    assert_eq!(store.drain(Duration::ZERO).await, 1);
    assert_eq!(store.drain(MINUTE).await, 0);
    assert_eq!(live(&store).await, 0);
}

#[tokio::test]
async fn what_nobody_needs_any_more_is_deleted() {
    let (clock, shelf, store) = setup();
    let guest = Token::random(Tag::random().unwrap()).unwrap();
    let create = Create::new(&guest, None, Authenticated::At(clock.now()));
    store.create(&create).await.unwrap();
    signed_in(&store, &clock).await;
    assert_eq!(shelf.sets(), 2);

    clock.advance(Duration::from_secs(16 * 60));
    shelf.purge();
    assert_eq!(shelf.sets(), 1);
    clock.advance(Duration::from_secs(3 * 24 * 60 * 60));
    let mut end = End::new(tag(), Which::One(guest.session_id()), EndReason::Revoked);
    end.by = None;
    assert_eq!(store.end(&end).await.unwrap(), Ended::Unknown);
    shelf.purge();
    assert_eq!(shelf.sets(), 0);
}

// T74
#[tokio::test]
async fn the_sessions_of_all_users_end_and_are_read_part_by_part() {
    let (clock, _, store) = setup();
    assert_eq!(store.everyone(None).await.unwrap(), None);
    signed_in(&store, &clock).await;

    let scanned = store.scan(&Scan::new()).await.unwrap();
    assert_eq!(scanned.sets.len(), 1);
    let moment = store.end_everyone(EndEveryone::Now).await.unwrap();

    assert_eq!(moment, START.plus(Duration::from_millis(1)));
    assert_eq!(store.everyone(None).await.unwrap(), Some(moment));
    let mut scan = Scan::new();
    scan.not_before = Some(moment);
    scan.cursor = scanned.next;
    let mut sets = scanned.sets.len();
    while let Some(next) = {
        let part = store.scan(&scan).await.unwrap();
        sets += part.sets.len();
        part.next
    } {
        scan.cursor = Some(next);
    }
    assert_eq!(sets, 1);
    assert_eq!(store.estimate().await.unwrap(), 2);
}
