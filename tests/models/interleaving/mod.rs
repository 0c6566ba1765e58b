//! Four tasks with interleaved steps: sign-ins, saves, rotations and ends, each with several
//! questions to the store. Replies get lost and questions are repeated. After each step the store
//! must answer as the model does.
//!
//! On Redis this also runs with a script that lacks one rule. The histories have to find that.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test fails by panicking, and prints its figures"
)]

mod aims;
mod mutant;
mod rules;
mod tasks;

use std::{fmt::Write as _, time::Duration};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use tokio::runtime::Runtime;
use tower_user_sessions::{
    MemoryStore,
    store::{FileStore, ManualClock, SessionStore, SetStore},
};

use self::{
    aims::Transition,
    mutant::Mutant,
    rules::MUTANTS,
    tasks::{START, Tasks},
};
use crate::{
    common::{
        self, postgres,
        redis::{self, Server},
        shelf::Shelf,
    },
    model::{Answer, NOTICE_KEPT},
    question::{Request, ask},
};

/// How many transitions a history has.
const STEPS: std::ops::RangeInclusive<usize> = 50..=60;

/// The answers of a store to a history, step by step.
type Story = Vec<(Transition, Request, Answer)>;

/// Replays histories with these numbers on this store. Returns the first that differs, shortened and step
/// by step, with its number.
///
/// A store with a server or a file is made once, and `store` clones it: each history has its own users.
fn histories<St: SessionStore>(
    runtime: &Runtime,
    numbers: impl IntoIterator<Item = u32>,
    shrink: u32,
    clock: &ManualClock,
    store: impl Fn() -> St,
) -> Result<(), (u32, String)> {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: shrink,
        ..Config::with_cases(1)
    };
    for number in numbers {
        let mut seed = [0; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
        let mut runner = TestRunner::new_with_rng(config.clone(), rng);
        let outcome = runner.run(&Tasks::sequential_strategy(STEPS), |(tasks, steps, _)| {
            clock.set(tasks.now());
            runtime
                .block_on(replay(&store(), clock, tasks, &steps))
                .map_err(TestCaseError::fail)
        });
        match outcome {
            Err(TestError::Fail(story, _)) => return Err((number, story.message().to_owned())),
            other => other.unwrap(),
        }
    }
    Ok(())
}

async fn replay<St: SessionStore>(
    store: &St,
    clock: &ManualClock,
    mut tasks: Tasks,
    steps: &[Transition],
) -> Result<(), String> {
    let mut story = Story::new();
    for step in steps {
        tasks = Tasks::apply(tasks, step);
        clock.set(tasks.now());
        for (request, expected) in tasks.asked() {
            let answer = ask(store, request).await;
            let differs = answer != *expected;
            story.push((step.clone(), request.clone(), answer));
            if differs {
                return Err(written(&story, expected));
            }
        }
    }
    Ok(())
}

fn written(story: &Story, expected: &Answer) -> String {
    let mut text = format!("the model says {expected:?}\n\n");
    for (step, request, answer) in story {
        writeln!(text, "{step:?}\n    {request:?}\n    {answer:?}").unwrap();
    }
    text
}

// T20 T21 T25 T26 T29 T36 T46 T47 T48 T54
#[test]
fn two_thousand_histories_of_four_tasks_on_memory_match_the_model() {
    let (runtime, clock) = (common::runtime(), ManualClock::at(START));

    let outcome = histories(
        &runtime,
        FIRST.into_iter().chain(0..2_000),
        2_000,
        &clock,
        || {
            MemoryStore::builder()
                .clock(clock.clone())
                .notice_kept(NOTICE_KEPT)
                .build()
        },
    );

    assert_eq!(outcome, Ok(()));
}

// T20 T21 T25 T26 T29 T36 T46 T47 T48 T49 T54
#[test]
fn two_thousand_histories_of_four_tasks_on_session_sets_in_a_storage_match_the_model() {
    let (runtime, clock) = (common::runtime(), ManualClock::at(START));

    let outcome = histories(
        &runtime,
        FIRST.into_iter().chain(0..2_000),
        500,
        &clock,
        || {
            SetStore::builder(Shelf::on(&clock))
                .notice_kept(NOTICE_KEPT)
                .activity_every(Duration::ZERO)
                .build()
        },
    );

    assert_eq!(outcome, Ok(()));
}

// T20 T21 T25 T26 T29 T36 T46 T47 T48 T54 T75
#[test]
fn five_hundred_histories_of_four_tasks_on_a_file_match_the_model() {
    let (runtime, clock) = (common::runtime(), ManualClock::at(START));
    let directory = common::temporary();
    let builder = FileStore::builder().notice_kept(NOTICE_KEPT);
    let builder = builder.clock(clock.clone());
    let store = builder.open(directory.path().join("sessions")).unwrap();

    let outcome = histories(&runtime, 0..500, 500, &clock, || store.clone());

    assert_eq!(outcome, Ok(()));
}

// T20 T21 T25 T26 T29 T36 T46 T47 T48 T49 T54
#[test]
fn fifty_histories_of_four_tasks_on_postgres_match_the_model() {
    let (runtime, clock) = (common::runtime(), ManualClock::at(START));
    let server = postgres::Server::start();
    let pool = server.pool();
    let store = common::postgres_store(pool.clone(), &clock);
    runtime.block_on(store.migrate()).unwrap();

    let outcome = histories(&runtime, 0..50, 50, &clock, || {
        runtime.block_on(common::settled(&pool));
        store.clone()
    });

    assert_eq!(outcome, Ok(()));
}

// T20 T21 T25 T26 T29 T36 T46 T47 T48 T49 T54
#[test]
fn five_hundred_histories_of_four_tasks_on_redis_match_the_model() {
    let (runtime, clock) = (common::runtime(), ManualClock::at(START));
    let server = Server::start();
    let store = common::redis_store(server.pool(), &clock);
    // A history runs once on a server.
    let numbers = (0..500).chain(FIRST.into_iter().filter(|number| *number >= 500));

    let outcome = histories(&runtime, numbers, 500, &clock, || store.clone());

    assert_eq!(outcome, Ok(()));
}

/// These histories find all missing rules. They run first, because some rules take thousands of others to
/// find. After a change of what tasks do, the numbers that the test prints belong here: old ones cost time only.
const FIRST: [u32; 22] = [
    0, 987, 164, 1, 296, 12, 124, 125, 735, 64, 520, 10, 3, 4, 18, 27, 38, 101, 460, 1023, 3050,
    4350,
];

// The histories detect each of these missing rules.
#[test]
fn a_script_without_one_of_its_rules_fails_the_histories() {
    let mut unnoticed = Vec::new();
    for mutant in MUTANTS {
        // A server of its own, because the same histories run again. Scripts that a server has are not sent to it.
        let (runtime, clock) = (common::runtime(), ManualClock::at(START));
        let server = Server::start();
        let proxy = runtime.block_on(Mutant::start(server.port, *mutant));
        let store = common::redis_store(redis::pool(&proxy.url()), &clock);
        let others = (0..6_000).filter(|number| !FIRST.contains(number));

        let outcome = histories(&runtime, FIRST.into_iter().chain(others), 0, &clock, || {
            store.clone()
        });

        let altered = proxy.altered();
        assert!(!altered.is_empty(), "no script has {:?}", mutant.line);
        // Histories fail, too, with a script that is no program any more. That would prove nothing about the rule.
        let url = server.url();
        for script in &altered {
            let load = ["SCRIPT", "LOAD", script];
            let loaded = runtime.block_on(redis::try_ask::<String>(&url, &load));
            loaded.expect(mutant.what);
        }
        match outcome {
            Ok(()) => unnoticed.push(mutant.what),
            Err((number, _)) => println!("{number}: {}", mutant.what),
        }
    }
    assert_eq!(unnoticed, [""; 0]);
}
