//! Random histories on `FileStore`: it answers as `MemoryStore` does, opened once and opened again all the time.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    path::Path,
    sync::atomic::{AtomicU32, Ordering},
};

use tower_user_sessions::{
    MemoryStore,
    store::{FileStore, Look, Presence, SessionStore},
};

use crate::{
    common,
    histories::{CASES, check, memory, replay_on_both, same},
    history::{Op, histories},
    model::{Answer, NOTICE_KEPT},
    question::{Request, ask},
    world::World,
};

fn open(path: &Path, world: &World) -> FileStore {
    let builder = FileStore::builder().notice_kept(NOTICE_KEPT);
    builder.clock(world.clock.clone()).open(path).unwrap()
}

/// Runs histories, each on a file of its own.
fn on_files(
    cases: u32,
    replay: &impl AsyncFn(&Path, &[(usize, Op)], &mut World) -> Result<(), String>,
) {
    let directory = common::temporary();
    let files = AtomicU32::new(0);
    check(&histories(), cases, |history, world| {
        let file = files.fetch_add(1, Ordering::Relaxed).to_string();
        let path = directory.path().join(file);
        let outcome = tokio_test::block_on(replay(&path, history, world));
        std::fs::remove_file(path).unwrap();
        outcome
    });
}

/// What an operation did to its copy of a session set is in memory too, and not only in the file.
#[test]
fn random_histories_on_a_file_that_stays_open_match_the_model() {
    on_files(CASES, &async |path, history, world| {
        let store = open(path, world);
        replay_on_both("FileStore", &store, history, world).await
    });
}

/// The store is closed and opened again all the time. So the file has everything that memory has.
#[test]
fn random_histories_on_a_file_that_is_opened_again_match_the_model() {
    on_files(CASES / 8, &replay_on_file);
}

async fn replay_on_file(
    path: &Path,
    history: &[(usize, Op)],
    world: &mut World,
) -> Result<(), String> {
    let memory = memory(world);
    let mut store = open(path, world);
    for (set, op) in history {
        // The time of a file is never behind its last write. In memory it may be.
        if matches!(op, Op::StepBack(_)) {
            continue;
        }
        world.note(op.clone());
        drop(store);
        store = open(path, world);
        for request in world.requests(*set, op) {
            let in_memory = ask(&memory, &request).await;
            let in_file = ask(&store, &request).await;
            world.note((request.clone(), in_file.clone()));
            if in_file != in_memory && only_expired(&request, (&in_file, &in_memory), &memory).await
            {
                return Ok(());
            }
            same("FileStore", &in_file, "MemoryStore", &in_memory)?;
        }
    }
    Ok(())
}

/// How long the id of a session that expired is known is left to the store: a file that is opened drops what is over.
async fn only_expired(
    request: &Request,
    answers: (&Answer, &Answer),
    memory: &MemoryStore,
) -> bool {
    let Request::Create(create) = request else {
        return false;
    };
    let is_about_the_id = matches!(
        answers,
        (Answer::Created { .. }, Answer::AlreadyEnded)
            | (Answer::AlreadyEnded, Answer::Created { .. })
    );
    if !is_about_the_id {
        return false;
    }
    let look = Look::new(create.tag, [create.id]);
    let looked = memory.look(&look).await.unwrap();
    !matches!(looked.sessions[..], [Presence::Ended(_)])
}
