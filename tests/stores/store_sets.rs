//! `SetStore` keeps the contract of `SessionStore` on any storage that keeps that of `SetStorage`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::{
    panic::{self, AssertUnwindSafe},
    sync::Mutex,
};

use tower_user_sessions::{
    SessionId,
    store::{
        ManualClock, SetStorage, SetStore, StoreError, Stored, Tag, Write, Written, conformance,
    },
};

use crate::common::shelf::{Broken, Shelf};

async fn make(clock: ManualClock) -> SetStore<Shelf> {
    Shelf::on(&clock).yielding().store()
}

// T49
#[tokio::test]
async fn keeps_the_whole_contract() {
    conformance::all(make).await;
}

#[tokio::test]
async fn the_storage_of_the_tests_keeps_the_contract_of_storages() {
    conformance::storage(async || Shelf::default().yielding()).await;
}

/// A database runs a write although its caller went away: here after the next read.
#[derive(Default)]
struct Database {
    shelf: Shelf,
    runs: Mutex<Option<(Tag, Write)>>,
}

/// A write that was sent.
struct Sent<'a>(&'a Database, Option<(Tag, Write)>);

impl Drop for Sent<'_> {
    fn drop(&mut self) {
        if let Some(write) = self.1.take() {
            *self.0.runs.lock().unwrap() = Some(write);
        }
    }
}

impl SetStorage for Database {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        let stored = self.shelf.read(tag, part).await;
        if let Some((tag, write)) = self.runs.lock().unwrap().take() {
            self.shelf.put(tag, &write, true);
        }
        stored
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        let mut sent = Sent(self, Some((tag, write.clone())));
        tokio::task::yield_now().await;
        sent.1 = None;
        self.shelf.write(tag, write).await
    }
}

#[tokio::test]
async fn a_storage_may_run_a_write_after_its_caller_went_away() {
    conformance::storage(async || Database::default()).await;
}

/// The suite for stores would not find all of these: it asks one question after the other.
#[test]
fn the_suite_finds_each_broken_rule_of_a_storage() {
    let quiet = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let verdicts = BROKEN.map(|broken| (broken, verdict(broken)));
    panic::set_hook(quiet);

    for (broken, verdict) in verdicts {
        let found = verdict.is_some_and(|text| text.starts_with("storage contract"));
        assert!(found, "{broken:?} is not found");
    }
}

const BROKEN: [Broken; 10] = [
    Broken::WritesAnyway,
    Broken::WritesOverWhenAbsentIsExpected,
    Broken::CountsVersions,
    Broken::ComparesFirst,
    Broken::ReadsPartLater,
    Broken::KeepsOldParts,
    Broken::DropsOtherParts,
    Broken::KeepsPartsOfDeletedSets,
    Broken::WritesHeadFirst,
    Broken::HidesItsTime,
];

fn verdict(broken: Broken) -> Option<String> {
    let run = AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        runtime.block_on(conformance::storage(async || {
            Shelf::default().yielding().broken(broken)
        }));
    });
    let failed = panic::catch_unwind(run).err()?;
    failed.downcast_ref::<String>().cloned()
}
