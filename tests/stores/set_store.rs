//! What `SetStore` does when others write, when the storage fails, and when it is full.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tower_user_sessions::{
    EndReason, Limit, SessionStore, Timestamp, UserId,
    store::{
        Authenticated, Changes, Create, Created, End, EndEveryone, Ended, List, ManualClock,
        Resolve, Resolved, Save, Saved, Scan, SetStore, StoreErrorKind, Tag, Token, Which,
    },
};

use crate::common::shelf::{Broken, Fault, Shelf};

const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn user() -> UserId {
    UserId::new("alice").unwrap()
}

fn tag() -> Tag {
    Tag::of(&user())
}

/// A sign-in of the user at the clock's moment.
fn sign_in(clock: &ManualClock) -> (Token, Create) {
    let token = Token::random(tag()).unwrap();
    let create = Create::new(&token, Some(user()), Authenticated::At(clock.now()));
    (token, create)
}

async fn signed_in(store: &impl SessionStore, clock: &ManualClock) -> Token {
    let (token, create) = sign_in(clock);
    assert!(matches!(
        store.create(&create).await,
        Ok(Created::Created(_))
    ));
    token
}

async fn is_live(store: &impl SessionStore, token: &Token) -> bool {
    let resolved = store.resolve(&Resolve::new(token.clone())).await.unwrap();
    matches!(resolved, Resolved::Live(_))
}

async fn live(store: &impl SessionStore) -> usize {
    store.list(&List::new(tag())).await.unwrap().len()
}

fn end_all() -> End {
    End::new(tag(), Which::All, EndReason::Administrator)
}

fn setup() -> (ManualClock, Shelf, SetStore<Shelf>) {
    let clock = ManualClock::at(START);
    let shelf = Shelf::on(&clock);
    let store = shelf.store();
    (clock, shelf, store)
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// A writer reads a set and stalls. The set is deleted and made again, with a cutoff.
// T21
#[tokio::test]
async fn a_stale_writer_does_not_overwrite_a_set_that_was_deleted_and_made_again() {
    for broken in [Broken::Nothing, Broken::CountsVersions] {
        let clock = ManualClock::at(START);
        let shelf = Shelf::on(&clock).broken(broken);
        let store = shelf.store();
        let old = signed_in(&store, &clock).await;
        shelf.delay_later();
        shelf.fail([Fault::RunsLater]);
        shelf.set_reads(2);
        let (late, mut create) = sign_in(&clock);
        create.limit = Limit::at_most(5);
        assert!(store.create(&create).await.is_err());
        shelf.set_reads(0);
        shelf.delete(tag());
        store.end(&end_all()).await.unwrap();

        shelf.run_later();

        clock.advance(Duration::from_millis(1));
        let overwritten = is_live(&store, &late).await || is_live(&store, &old).await;

        assert_eq!(overwritten, broken == Broken::CountsVersions, "{broken:?}");
    }
}

#[tokio::test]
async fn of_a_hundred_sessions_with_64_kib_each_a_request_reads_and_writes_its_own() {
    let (clock, shelf, store) = setup();
    let mut tokens = Vec::new();
    for _ in 0..100 {
        let (token, mut create) = sign_in(&clock);
        create.changes.set("data", vec![7; 65_000]);
        store.create(&create).await.unwrap();
        tokens.push(token);
    }
    assert_eq!(shelf.parts(tag()), 100);
    for token in &tokens {
        assert!(is_live(&store, token).await);
    }
    let counts = shelf.counts();
    let head = shelf.head(tag()).unwrap().len() as u64;
    let (read, written) = (of(&counts.bytes_read), of(&counts.bytes_written));

    clock.advance(Duration::from_secs(2));
    assert!(is_live(&store, &tokens[50]).await);
    let (of_activity_read, of_activity) = (
        of(&counts.bytes_read) - read,
        of(&counts.bytes_written) - written,
    );
    let (read, written) = (of(&counts.bytes_read), of(&counts.bytes_written));
    let mut changes = Changes::default();
    changes.set("data", vec![8; 65_000]);
    let save = Save::new(tag(), tokens[50].session_id(), changes);
    assert!(matches!(store.save(&save).await, Ok(Saved::Saved { .. })));
    let (of_save_read, of_save) = (
        of(&counts.bytes_read) - read,
        of(&counts.bytes_written) - written,
    );

    assert!(head < 25_000, "{head}");
    assert!(
        of_activity <= head + 16,
        "activity wrote {of_activity} bytes"
    );
    for own in [of_activity_read, of_save_read, of_save] {
        assert!((65_000..65_100 + head).contains(&own), "{own} bytes");
    }
    let ended = store.end(&end_all()).await;
    assert!(matches!(ended, Ok(Ended::Ended { ids, .. }) if ids.len() == 100));
    assert_eq!(shelf.parts(tag()), 0);
}

/// 128 tasks send requests of the same user until it is signed out.
// T19
#[tokio::test]
async fn a_flood_of_requests_does_not_delay_a_sign_out() {
    let (clock, _, _) = setup();
    let shelf = Shelf::on(&clock).yielding();
    let store = shelf.store();
    for round in 0..20 {
        let token = signed_in(&store, &clock).await;
        assert!(is_live(&store, &token).await);
        let flood: Vec<_> = (0..128)
            .map(|_| {
                let (store, clock, token) = (store.clone(), clock.clone(), token.clone());
                tokio::spawn(async move {
                    while is_live(&store, &token).await {
                        clock.advance(Duration::from_millis(1));
                    }
                })
            })
            .collect();
        for _ in 0..round {
            tokio::task::yield_now().await;
        }
        let counts = shelf.counts();
        let (writes, reads) = (of(&counts.writes), of(&counts.reads));

        let ended = store.end(&end_all()).await;

        let (writes, reads) = (of(&counts.writes) - writes, of(&counts.reads) - reads);
        let ended =
            ended.is_ok_and(|ended| matches!(ended, Ended::Ended { ids, .. } if ids.len() == 1));
        assert!(ended, "round {round}");
        // It loses to those that are in flight, and not to those that come later.
        assert!(writes <= 3, "round {round}: {writes} tries");
        assert!(
            reads <= 6 * 128,
            "round {round}: {reads} requests were faster"
        );
        for task in flood {
            task.await.unwrap();
        }
    }
    assert!(of(&shelf.counts().lost) > 0, "nobody was in the way");
}

/// New requests that change data come without end, and each of them writes.
// T19
#[tokio::test]
async fn a_flood_of_changes_does_not_overtake_a_sign_out() {
    let (clock, _, _) = setup();
    let shelf = Shelf::on(&clock).yielding();
    let store = shelf.store();
    let token = signed_in(&store, &clock).await;
    let flood = tokio::spawn({
        let (store, id) = (store.clone(), token.session_id());
        async move {
            for _ in 0..10_000 {
                let store = store.clone();
                tokio::spawn(async move {
                    let mut changes = Changes::default();
                    changes.set("n", "1");
                    store.save(&Save::new(tag(), id, changes)).await
                });
                tokio::task::yield_now().await;
            }
        }
    });
    let counts = shelf.counts();
    while of(&counts.reads) < 20 {
        tokio::task::yield_now().await;
    }
    let reads = of(&counts.reads);

    let ended = store.end(&end_all()).await;

    flood.abort();
    assert!(matches!(ended, Ok(Ended::Ended { ids, .. }) if ids.len() == 1));
    let reads = of(&counts.reads) - reads;
    assert!(reads < 100, "{reads} others were faster");
}

// T25 T49
#[tokio::test]
async fn concurrent_sign_ins_never_exceed_the_limit_in_two_processes() {
    let (clock, _, _) = setup();
    let shelf = Shelf::on(&clock).yielding();
    // Two stores do not know of each other, as two processes.
    let stores = [shelf.store(), shelf.store()];
    let tasks: Vec<_> = (0..200)
        .map(|at| {
            let (store, clock) = (stores[at % 2].clone(), clock.clone());
            tokio::spawn(async move {
                let (_, mut create) = sign_in(&clock);
                create.limit = Limit::at_most(3);
                let created = store.create(&create).await;
                assert!(matches!(created, Ok(Created::Created(_))), "{created:?}");
                live(&store).await
            })
        })
        .collect();

    for task in tasks {
        assert!(task.await.unwrap() <= 3);
    }
    assert_eq!(live(&stores[0]).await, 3);
}

// T27 T49
#[tokio::test]
async fn of_a_refusing_limit_exactly_as_many_sign_ins_are_admitted() {
    let (clock, _, _) = setup();
    let shelf = Shelf::on(&clock).yielding();
    let stores = [shelf.store(), shelf.store()];
    let tasks: Vec<_> = (0..100)
        .map(|at| {
            let (store, clock) = (stores[at % 2].clone(), clock.clone());
            tokio::spawn(async move {
                let (_, mut create) = sign_in(&clock);
                create.limit = Limit::at_most(3).refuse();
                matches!(store.create(&create).await, Ok(Created::Created(_)))
            })
        })
        .collect();

    let mut admitted = 0;
    for task in tasks {
        admitted += usize::from(task.await.unwrap());
    }
    assert_eq!(admitted, 3);
}

// T57
#[tokio::test]
async fn a_sign_in_that_is_written_too_late_ends_and_is_an_error() {
    let (clock, shelf, store) = setup();
    let (token, create) = sign_in(&clock);
    shelf.fail([Fault::Slow(6_000)]);

    let created = store.create(&create).await;

    assert_eq!(created.unwrap_err().kind(), StoreErrorKind::Timeout);
    assert!(!is_live(&store, &token).await);
    assert_eq!(live(&store).await, 0);
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

    assert_eq!(store.drain().await, 0);
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
async fn a_set_of_a_newer_version_is_an_error_and_stays_as_it_is() {
    let (clock, shelf, store) = setup();
    let token = signed_in(&store, &clock).await;
    let mut newer = shelf.head(tag()).unwrap().to_vec();
    newer[0] = 2;
    shelf.put_head(tag(), newer.clone());
    let (_, create) = sign_in(&clock);
    let save = Save::new(tag(), token.session_id(), Changes::default());

    let kinds = [
        store.resolve(&Resolve::new(token)).await.map(drop),
        store.create(&create).await.map(drop),
        store.save(&save).await.map(drop),
        store.list(&List::new(tag())).await.map(drop),
        store.end(&end_all()).await.map(drop),
    ]
    .map(|answer| answer.unwrap_err().kind());

    assert_eq!(kinds, [StoreErrorKind::TooNew; 5]);
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
    assert_eq!(store.drain().await, 1);
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
