//! Other writers of the same session set.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::task::JoinSet;
use tower_user_sessions::{
    EndReason, Limit, SessionId, SessionStore, Timestamp,
    store::{
        Changes, Created, End, Ended, ManualClock, Save, Saved, SetStorage, SetStore, StoreError,
        StoreErrorKind, Stored, Tag, Which, Write, Written,
    },
};

use super::{START, end_all, is_live, live, of, setup, sign_in, signed_in, tag};
use crate::common::shelf::{Broken, Fault, Shelf};

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

/// 200 saves of one session wait for their turn. Then the user signs in, and ends another session.
// T19 T25
#[tokio::test]
async fn an_end_and_a_sign_in_go_before_two_hundred_saves_that_wait() {
    let (clock, _, _) = setup();
    let shelf = Shelf::on(&clock).yielding();
    let store = shelf.store();
    let (saved, ended) = (
        signed_in(&store, &clock).await,
        signed_in(&store, &clock).await,
    );
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |what: &'static str| {
        let order = Arc::clone(&order);
        move || order.lock().unwrap().push(what)
    };
    for _ in 0..200 {
        let (store, id, note) = (store.clone(), saved.session_id(), note("save"));
        tokio::spawn(async move {
            let mut changes = Changes::default();
            changes.set("n", "1");
            let saved = store.save(&Save::new(tag(), id, changes)).await;
            assert!(matches!(saved, Ok(Saved::Saved { .. })), "{saved:?}");
            note();
        });
    }
    while of(&shelf.counts().lost) < 190 {
        tokio::task::yield_now().await;
    }
    let before = order.lock().unwrap().len();
    let (_, create) = sign_in(&clock);
    let end = End::new(tag(), Which::One(ended.session_id()), EndReason::LoggedOut);

    let (created, end) = tokio::join!(
        async {
            let created = store.create(&create).await;
            note("sign-in")();
            created
        },
        async {
            let ended = store.end(&end).await;
            note("end")();
            ended
        }
    );

    assert!(matches!(created, Ok(Created::Created(_))), "{created:?}");
    assert!(matches!(end, Ok(Ended::Ended { .. })), "{end:?}");
    let order = order.lock().unwrap();
    let at = |what| order.iter().position(|it| *it == what).unwrap() - before;
    assert!(at("end") < at("sign-in"), "{order:?}");
    // The save that has its turn, and one that is done before it is noted.
    assert!(at("sign-in") <= 3, "{order:?}");
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

/// A storage whose calls take their time.
#[derive(Clone)]
struct Slow(Shelf);

impl SetStorage for Slow {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.read(tag, part).await
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.0.write(tag, write).await
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

#[tokio::test]
async fn writers_that_wait_longer_than_the_patience_for_their_turn_are_busy_and_an_end_is_not() {
    let clock = ManualClock::at(START);
    let shelf = Shelf::on(&clock);
    let phone = signed_in(&shelf.store(), &clock).await;
    let store = SetStore::builder(Slow(shelf))
        .patience(Duration::from_millis(100))
        .build();
    let mut saves = JoinSet::new();
    for _ in 0..40 {
        let (store, id) = (store.clone(), phone.session_id());
        saves.spawn(async move {
            let mut changes = Changes::default();
            changes.set("theme", "dark");
            store.save(&Save::new(tag(), id, changes)).await.map(drop)
        });
    }
    tokio::task::yield_now().await;

    let ended = store.end(&end_all()).await;
    let saved = saves.join_all().await;

    // Each turn takes at least 10 ms, so ten of them fit.
    let busy = saved.iter().filter_map(|it| it.as_ref().err());
    let busy = busy.filter(|error| error.kind() == StoreErrorKind::Busy);
    assert!(busy.count() >= 20, "{saved:?}");
    assert!(matches!(ended, Ok(Ended::Ended { .. })), "{ended:?}");
}
