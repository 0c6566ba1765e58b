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
    reason = "a test fails by panicking"
)]

mod aims;
mod mutant;
mod tasks;

use std::fmt::Write as _;

use proptest::test_runner::{Config, TestCaseError, TestError, TestRng, TestRunner};
use proptest_state_machine::ReferenceStateMachine;
use tokio::runtime::Runtime;
use tower_user_sessions::{
    MemoryStore, RedisStore,
    store::{ManualClock, SessionStore},
};

use self::{
    aims::Transition,
    mutant::{MUTANTS, Mutant},
    tasks::Tasks,
};
use crate::{
    common::redis::{self, Server},
    model::NOTICE_KEPT,
    question::ask,
};

/// How many transitions a history has.
const STEPS: std::ops::RangeInclusive<usize> = 50..=60;

/// Replays histories on the stores of `make`. Returns the first that differs, shortened and step by
/// step.
fn histories<St: SessionStore>(
    runtime: &Runtime,
    cases: u32,
    shrink: u32,
    make: impl Fn(ManualClock) -> St,
) -> Result<(), String> {
    let config = Config {
        failure_persistence: None,
        max_shrink_iters: shrink,
        ..Config::with_cases(cases)
    };
    let mut runner = TestRunner::new_with_rng(
        config.clone(),
        TestRng::deterministic_rng(config.rng_algorithm),
    );
    let outcome = runner.run(&Tasks::sequential_strategy(STEPS), |(tasks, steps, _)| {
        let clock = ManualClock::at(tasks.now());
        let store = make(clock.clone());
        runtime
            .block_on(replay(&store, &clock, tasks, &steps))
            .map_err(TestCaseError::fail)
    });
    match outcome {
        Err(TestError::Fail(story, _)) => Err(story.message().to_owned()),
        other => {
            other.unwrap();
            Ok(())
        }
    }
}

async fn replay<St: SessionStore>(
    store: &St,
    clock: &ManualClock,
    mut tasks: Tasks,
    steps: &[Transition],
) -> Result<(), String> {
    let mut story = String::new();
    for step in steps {
        tasks = Tasks::apply(tasks, step);
        clock.set(tasks.now());
        for (request, expected) in tasks.asked() {
            let answer = ask(store, request).await;
            writeln!(story, "{step:?}\n    {request:?}\n    {answer:?}").unwrap();
            if answer != *expected {
                return Err(format!("the model says {expected:?}\n\n{story}"));
            }
        }
    }
    Ok(())
}

fn memory(clock: ManualClock) -> MemoryStore {
    MemoryStore::builder()
        .clock(clock)
        .notice_kept(NOTICE_KEPT)
        .build()
}

// T20 T21 T25 T26 T29 T36 T46 T47 T48 T54
#[test]
fn ten_thousand_histories_of_four_tasks_on_memory_match_the_model() {
    let runtime = Runtime::new().unwrap();

    let outcome = histories(&runtime, 10_000, 2_000, memory);

    assert_eq!(outcome, Ok(()));
}

// T20 T21 T25 T26 T29 T36 T46 T47 T48 T49 T54
#[test]
fn five_hundred_histories_of_four_tasks_on_redis_match_the_model() {
    let runtime = Runtime::new().unwrap();
    let server = Server::start();
    let pool = server.pool();

    let outcome = histories(&runtime, 500, 500, |clock| {
        RedisStore::builder(pool.clone())
            .clock(clock)
            .notice_kept(NOTICE_KEPT)
            .build()
    });

    assert_eq!(outcome, Ok(()));
}

// The histories would detect each of these missing rules.
#[test]
fn a_script_without_one_of_its_rules_fails_the_histories() {
    let runtime = Runtime::new().unwrap();
    let server = Server::start();
    let mut unnoticed = Vec::new();
    for mutant in MUTANTS {
        // Scripts that the server has are not sent to it again.
        let _: () = runtime.block_on(server.ask("FLUSHALL"));
        let _: () = runtime.block_on(server.ask("SCRIPT FLUSH"));
        let proxy = runtime.block_on(Mutant::start(server.port, *mutant));
        let pool = redis::pool(&proxy.url());

        let outcome = histories(&runtime, 6_000, 0, |clock| {
            RedisStore::builder(pool.clone())
                .clock(clock)
                .notice_kept(NOTICE_KEPT)
                .build()
        });

        assert!(proxy.altered() > 0, "no script has {:?}", mutant.line);
        if outcome.is_ok() {
            unnoticed.push(mutant.what);
        }
    }
    assert_eq!(unnoticed, [""; 0]);
}
