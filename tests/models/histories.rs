//! Random histories: `MemoryStore` matches the model of the contract, and so do the other stores.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{collections::HashSet, time::Duration};

use proptest::{
    strategy::BoxedStrategy,
    test_runner::{Config, TestCaseError, TestError, TestRunner},
};
use tower_user_sessions::{
    Excess, MemoryStore, SessionId, Timestamp,
    store::{ManualClock, Record, SessionStore, SetStore, StoreErrorKind, Token},
};

use crate::{
    common::{
        self, postgres,
        redis::Server,
        shelf::{Fault, Shelf},
    },
    history::{Op, SESSION_SETS, With, histories, long_histories},
    model::{Answer, NOTICE_KEPT},
    names::resolves,
    question::{Request, ask},
    world::World,
};

/// How many histories each test tries.
pub(crate) const CASES: u32 = 512;

/// Runs histories. A failing one is shortened and printed with the answer to each step.
pub(crate) fn check(
    histories: &BoxedStrategy<Vec<(usize, Op)>>,
    cases: u32,
    replay: impl Fn(&[(usize, Op)], &mut World) -> Result<(), String>,
) {
    let mut runner = TestRunner::new(Config {
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..Config::with_cases(cases)
    });
    let outcome = runner.run(histories, |history| {
        let mut world = World::new();
        replay(&history, &mut world)
            .map_err(|problem| TestCaseError::fail(format!("{problem}\n\n{}", world.story())))
    });
    if let Err(TestError::Fail(story, _)) = outcome {
        panic!("{story}");
    }
    outcome.unwrap();
}

pub(crate) fn memory(world: &World) -> MemoryStore {
    MemoryStore::builder()
        .clock(world.clock.clone())
        .notice_kept(NOTICE_KEPT)
        .build()
}

// T14 T15 T19 T20 T21 T24 T25 T26 T27 T28 T29 T31 T32 T35 T42 T57 T58
#[test]
fn random_histories_on_memory_match_the_model() {
    check(&histories(), 2 * CASES, |history, world| {
        tokio_test::block_on(replay_on_memory(history, world))
    });
}

async fn replay_on_memory(history: &[(usize, Op)], world: &mut World) -> Result<(), String> {
    let store = memory(world);
    let mut seen = Seen::default();
    for (set, op) in history {
        world.note(op.clone());
        for request in world.requests(*set, op) {
            let (answer, expected) = (ask(&store, &request).await, world.expects(&request));
            world.note((request.clone(), answer.clone()));
            same("MemoryStore", &answer, "the contract", &expected)?;

            let live = audit(&store, world, *set, &mut seen).await?;
            if let (Request::Create(create), Answer::Created { .. }) = (&request, &answer)
                && create.user.is_some()
                && create.counts
                && create.limit.excess() == Excess::Evict
                // Signing in with the same session again frees no place.
                && !matches!(op, Op::Create { again: Some(_), .. })
            {
                let ids = || live.iter().map(|record| record.id);
                holds(
                    ids().any(|id| id == create.id),
                    "the new session is not live",
                )?;
                let own = live.iter().filter(|record| record.is_in(create.realm));
                let counted = own.filter(|record| record.counts);
                let most = usize::from(create.limit.sessions());
                holds(
                    counted.clone().count() <= most,
                    "more are live than the limit allows",
                )?;
                let of_class = counted.filter(|record| record.class == create.class);
                let most = create.limit.class_sessions(create.class);
                let most = most.map_or(usize::MAX, usize::from);
                holds(
                    of_class.count() <= most,
                    "more of a class are live than its limit allows",
                )?;
            }
        }
    }
    for set in 0..SESSION_SETS {
        for token in world.tokens(set).to_vec() {
            let mut resolve = resolves(token);
            resolve.not_before = world.not_before;
            let request = Request::Resolve(resolve);
            let (answer, expected) = (ask(&store, &request).await, world.expects(&request));
            world.note((request.clone(), answer.clone()));
            same("MemoryStore", &answer, "the contract", &expected)?;
        }
    }
    Ok(())
}

/// Two re-authentications, with the clock a millisecond back in between. A random history found this:
/// the model set the time of the older token twice.
#[test]
fn an_invalid_token_keeps_its_time_when_the_clock_steps_back() {
    let create = Op::Create {
        name: '-',
        again: None,
        replaces: None,
        limit: 1,
        refuse: false,
        lifetime: 5,
        authenticated_ago: 0,
        changes: Vec::new(),
        data_limit: 1_000,
        with: With {
            class: 0,
            client: 0,
            class_limit: None,
            counts: true,
            device: None,
            elsewhere: false,
            admin: false,
            knows: false,
            redeem: None,
        },
    };
    let reauthenticate = |pick, short| Op::Rotate {
        pick,
        forged: false,
        proven: true,
        again: false,
        short,
        reuse_ends: false,
    };
    let history = [
        (0, create),
        (0, reauthenticate(0, true)),
        (0, Op::StepBack(1)),
        (0, reauthenticate(2, false)),
    ];

    let done = tokio_test::block_on(replay_on_memory(&history, &mut World::new()));

    assert_eq!(done, Ok(()));
}

/// The sessions that have been live, and those of them that have ended since.
#[derive(Default)]
struct Seen {
    live: HashSet<SessionId>,
    dead: HashSet<SessionId>,
}

/// Checks what must hold at every moment, independent of the model. Returns the live sessions.
async fn audit(
    store: &MemoryStore,
    world: &World,
    set: usize,
    seen: &mut Seen,
) -> Result<Vec<Record>, String> {
    let now = world.clock.now();
    let listed = store.list(&world.list(set)).await.unwrap();
    for record in &listed {
        let idle_end = record.last_activity.plus(record.idle);
        holds(now < record.deadline, "one is live past its deadline")?;
        holds(now < idle_end, "one is live past its idle time")?;
    }
    let live: HashSet<SessionId> = listed.iter().map(|record| record.id).collect();
    holds(live.is_disjoint(&seen.dead), "one came back to life")?;
    let here: HashSet<SessionId> = world.tokens(set).iter().map(Token::session_id).collect();
    seen.live.extend(&live);
    seen.dead.extend(
        seen.live
            .iter()
            .filter(|id| here.contains(id) && !live.contains(id)),
    );
    Ok(listed)
}

// T49 and what the history of `MemoryStore` names
#[test]
fn random_histories_on_redis_match_the_model() {
    let runtime = common::runtime();
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(0));
    let redis = common::redis_store(server.pool(), &clock);

    check(&histories(), CASES, |history, world| {
        world.share(&clock);
        runtime.block_on(replay_on_both("RedisStore", &redis, history, world))
    });
}

// T49 and what the history of `MemoryStore` names
#[test]
fn long_random_histories_of_one_user_on_redis_match_the_model() {
    let runtime = common::runtime();
    let server = Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(0));
    let redis = common::redis_store(server.pool(), &clock);

    check(&long_histories(), CASES / 32, |history, world| {
        world.share(&clock);
        runtime.block_on(replay_on_both("RedisStore", &redis, history, world))
    });
}

// T49 and what the history of `MemoryStore` names
#[test]
fn random_histories_on_postgres_match_the_model() {
    let runtime = common::runtime();
    let server = postgres::Server::start();
    let clock = ManualClock::at(Timestamp::from_millis(0));
    let pool = server.pool();
    let store = common::postgres_store(pool.clone(), &clock);
    runtime.block_on(store.migrate()).unwrap();

    // The rules are those of `SetStore`. Here it is the statements that may be wrong.
    check(&histories(), CASES / 4, |history, world| {
        world.share(&clock);
        runtime.block_on(async {
            common::settled(&pool).await;
            replay_on_both("PostgresStore", &store, history, world).await
        })
    });
}

// T49 and what the history of `MemoryStore` names
#[test]
fn random_histories_on_session_sets_in_a_storage_match_the_model() {
    check(&histories(), 2 * CASES, |history, world| {
        let store = on_a_shelf(&Shelf::on(&world.clock));
        tokio_test::block_on(replay_on_both("SetStore", &store, history, world))
    });
}

/// Every third write fails: its answer is lost, it never runs, or it reports that nothing ran.
#[test]
fn random_histories_on_a_storage_that_fails_match_the_model() {
    use Fault::{AnswerLost, NothingRan, Runs, RunsLater, Vanishes};
    let unavailable = NothingRan(StoreErrorKind::Unavailable);
    let faults = [
        AnswerLost,
        Runs,
        Vanishes,
        Runs,
        Runs,
        RunsLater,
        Runs,
        Runs,
        unavailable,
    ];
    check(&histories(), 2 * CASES, |history, world| {
        let shelf = Shelf::on(&world.clock);
        shelf.fail(faults.into_iter().cycle().take(50 * faults.len()));
        let store = on_a_shelf(&shelf);
        tokio_test::block_on(replay_on_both("SetStore", &store, history, world))
    });
}

fn on_a_shelf(shelf: &Shelf) -> SetStore<Shelf> {
    SetStore::builder(shelf.clone())
        .notice_kept(NOTICE_KEPT)
        .activity_every(Duration::ZERO)
        .build()
}

pub(crate) async fn replay_on_both<St: SessionStore>(
    name: &str,
    store: &St,
    history: &[(usize, Op)],
    world: &mut World,
) -> Result<(), String> {
    let memory = memory(world);
    for (set, op) in history {
        world.note(op.clone());
        for request in world.requests(*set, op) {
            let expected = world.expects(&request);
            let in_memory = ask(&memory, &request).await;
            let in_store = ask(store, &request).await;
            world.note((request.clone(), in_store.clone()));
            same(name, &in_store, "MemoryStore", &in_memory)?;
            same("MemoryStore", &in_memory, "the contract", &expected)?;
        }
    }
    Ok(())
}

pub(crate) fn same(left: &str, a: &Answer, right: &str, b: &Answer) -> Result<(), String> {
    if a == b {
        return Ok(());
    }
    Err(format!("{left} says {a:#?}\n{right} says {b:#?}"))
}

fn holds(condition: bool, what: &str) -> Result<(), String> {
    condition.then_some(()).ok_or_else(|| what.to_owned())
}
