//! `SetStore` keeps the contract of `SessionStore` on any storage that keeps that of `SetStorage`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::sync::Mutex;

use tower_user_sessions::{
    SessionId,
    store::{
        ManualClock, SetStorage, SetStore, StoreError, Stored, Tag, Write, Written, conformance,
    },
};

use crate::{
    common::shelf::{Broken, Shelf},
    verdict::{quietly, verdict},
};

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
    let verdicts = quietly(|| BROKEN.map(|broken| (broken, of(broken))));

    for (broken, verdict) in verdicts {
        let found = verdict.is_some_and(|text| text.starts_with("storage contract"));
        assert!(found, "{broken:?} is not found");
    }
}

const BROKEN: [Broken; 11] = [
    Broken::WritesAnyway,
    Broken::WritesOverWhenAbsentIsExpected,
    Broken::CountsVersions,
    Broken::ComparesFirst,
    Broken::ReadsPartLater,
    Broken::KeepsOldParts,
    Broken::DropsOtherParts,
    Broken::ReadsPartOfAnother,
    Broken::KeepsPartsOfDeletedSets,
    Broken::WritesHeadFirst,
    Broken::HidesItsTime,
];

fn of(broken: Broken) -> Option<String> {
    verdict(conformance::storage(async || {
        Shelf::default().yielding().broken(broken)
    }))
}

/// A database that takes some names for the same.
struct Named {
    shelf: Shelf,
    of_set: fn(Tag) -> Tag,
    of_part: fn(SessionId) -> SessionId,
}

impl SetStorage for Named {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        let part = part.map(self.of_part);
        self.shelf.read((self.of_set)(tag), part).await
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        let mut write = write.clone();
        for (id, _) in &mut write.parts {
            *id = (self.of_part)(*id);
        }
        self.shelf.write((self.of_set)(tag), &write).await
    }
}

fn first_eight(mut name: [u8; 12]) -> [u8; 12] {
    name[8..].fill(0);
    name
}

#[test]
fn the_suite_finds_a_storage_that_takes_two_names_for_one() {
    let (set, part): (fn(Tag) -> Tag, fn(SessionId) -> SessionId) = (|tag| tag, |id| id);
    let storages = [
        (
            (|tag: Tag| Tag::from_bytes(first_eight(*tag.as_bytes()))) as fn(Tag) -> Tag,
            part,
        ),
        (set, |id| SessionId::from_bytes(first_eight(*id.as_bytes()))),
        (set, |id| id.to_string().to_lowercase().parse().unwrap()),
        (set, part),
    ];
    let verdicts = quietly(|| {
        storages.map(|(of_set, of_part)| {
            verdict(conformance::storage(async || Named {
                shelf: Shelf::default(),
                of_set,
                of_part,
            }))
        })
    });

    let a_set = "storage contract 1: a set with a similar tag: another version or head, or none";
    let a_part = "storage contract 1: one of many parts: another part, or none";
    let wanted = [Some(a_set), Some(a_part), Some(a_part), None];
    assert_eq!(verdicts, wanted.map(|text| text.map(str::to_owned)));
}
