//! Whether a write is one step, and what a storage may leave out.

use std::time::Duration;

use super::{Trial, broken, id};
use crate::{
    model::Tag,
    store::{
        SetStorage, StoreErrorKind, Version, Write, Written,
        conformance::join::{begin_and_drop, together},
    },
};

/// How many writers race for one set.
const WRITERS: usize = 16;

pub(super) async fn writes_all_or_nothing<S: SetStorage>(storage: &S) {
    let trial = Trial::new(storage, 4);
    let mut version = None;
    let mut written = Vec::new();
    for number in 0..20_u8 {
        // Every other write is given up when it has begun.
        if number % 2 == 0 {
            writes(&trial, version, number).await;
        } else {
            let write = filled(&trial, version, number).await;
            begin_and_drop(Box::pin(storage.write(trial.tag, &write))).await;
        }
        let stored = trial.read(Some(id(1))).await;
        let (found, head) = stored.found.unwrap_or_else(|| broken(4, "the set is gone"));
        if stored.part.as_deref() != Some(&head[..]) {
            broken(4, "head and part are of two writes");
        }
        version = Some(found);
        written.push(found);
    }
    written.dedup();
    if written.len() < 10 {
        broken(5, "a read after a write does not see it");
    }

    let writer = async {
        version = Some(writes(&trial, version, 20).await);
        for number in 21..60_u8 {
            let write = filled(&trial, version, number).await;
            match trial.write(&write).await {
                Written::Written { .. } => version = Some(write.version),
                other => broken(2, &format!("the only writer: {other:?}")),
            }
        }
    };
    let reader = async {
        for _ in 0..60 {
            let stored = trial.read(Some(id(1))).await;
            if stored.part != stored.found.map(|(_, head)| head) {
                broken(
                    1,
                    "head and part are of two writes, read while another write ran",
                );
            }
        }
    };
    together::<()>(vec![Box::pin(writer), Box::pin(reader)]).await;
}

/// Head and part are these bytes.
async fn filled<S: SetStorage>(trial: &Trial<'_, S>, expect: Option<Version>, number: u8) -> Write {
    let bytes = [number; 100];
    trial
        .prepared(expect, Some(&bytes), &[(id(1), Some(&bytes))])
        .await
}

/// Writes after a write that was given up. That one may run until this one does, so it may be lost once. Returns the version.
async fn writes<S: SetStorage>(
    trial: &Trial<'_, S>,
    expect: Option<Version>,
    number: u8,
) -> Version {
    let mut write = filled(trial, expect, number).await;
    let mut written = trial.write(&write).await;
    if matches!(written, Written::Lost) {
        let newest = trial.read(None).await.found.map(|(version, _)| version);
        write = filled(trial, newest, number).await;
        written = trial.write(&write).await;
    }
    trial.wins(&written, &write, "a write")
}

pub(super) async fn one_of_many_writers_wins<S: SetStorage>(storage: &S) {
    let trial = Trial::new(storage, 2);
    let mut expect = None;
    for round in 0..8 {
        let mut writes = Vec::new();
        for number in 0..WRITERS {
            let bytes = [u8::try_from(number).unwrap_or_default(); 8];
            writes.push(
                trial
                    .prepared(expect, Some(&bytes), &[(id(1), Some(&bytes))])
                    .await,
            );
        }
        let race = writes.iter().map(|write| Box::pin(trial.write(write)) as _);
        let outcomes: Vec<Written> = together(race.collect()).await;

        let won = |outcome: &Written| matches!(outcome, Written::Written { .. });
        let winners = outcomes.iter().filter(|outcome| won(outcome)).count();
        if winners != 1 {
            broken(
                2,
                &format!("round {round}: {winners} of {WRITERS} writers of one version won"),
            );
        }
        let stored = trial.read(Some(id(1))).await;
        let winner = outcomes.iter().position(won).and_then(|at| writes.get(at));
        let found = stored.found.as_ref().map(|(version, _)| *version);
        if found != winner.map(|write| write.version) {
            broken(5, "the set has another version than the writer that won");
        }
        if stored.part != stored.found.map(|(_, head)| head) {
            broken(4, "head and part are of two writers");
        }
        expect = found;
    }
}

pub(super) async fn begins_no_write_after_its_latest_moment<S: SetStorage>(storage: &S) {
    let trial = Trial::new(storage, 7);
    let first = trial.prepared(None, Some(b"1"), &[]).await;
    let version = trial.wins(&trial.write(&first).await, &first, "a new set");
    let latest = trial.now().await.minus(Duration::from_secs(1));
    let mut late = trial.prepared(Some(version), Some(b"2"), &[]).await;
    late.latest = Some(latest);

    match trial.write(&late).await {
        Written::NothingRan(_) => {
            let what = "a write that came too late";
            trial.has(Some((version, b"1")), id(1), None, what).await;
        }
        Written::Written { when } if when.unwrap_or_else(|| storage.now()) > latest => {}
        other => broken(7, &format!("a write after its latest moment: {other:?}")),
    }
}

pub(super) async fn scans_in_order<S: SetStorage>(storage: &S) {
    let mut missing = Vec::new();
    for _ in 0..5 {
        let trial = Trial::new(storage, 8);
        let write = trial.prepared(None, Some(trial.tag.as_bytes()), &[]).await;
        trial.wins(&trial.write(&write).await, &write, "a new set");
        missing.push(trial.tag);
    }
    let mut after: Option<Tag> = None;
    loop {
        let part = match Box::pin(storage.scan(after, 2)).await {
            Ok(part) => part,
            Err(error) if error.kind() == StoreErrorKind::Unsupported => return,
            Err(error) => broken(8, &format!("a scan failed: {error:?}")),
        };
        if part.is_empty() {
            break;
        }
        for (tag, head) in part {
            if after.is_some_and(|after| after.as_bytes() >= tag.as_bytes()) {
                broken(8, "the tags of a scan are not in order");
            }
            if missing.contains(&tag) && head != tag.as_bytes()[..] {
                broken(8, "a scan has the head of another set");
            }
            missing.retain(|missed| *missed != tag);
            after = Some(tag);
        }
    }
    if !missing.is_empty() {
        broken(8, &format!("a scan left out {} of 5 sets", missing.len()));
    }
}
