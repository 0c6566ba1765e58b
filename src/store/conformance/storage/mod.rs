//! Tests for storages: what a `SetStore` expects of its `SetStorage`.

mod apart;
mod atomic;
mod outage;

use std::time::Duration;

use bytes::Bytes;

pub use self::outage::storage_outage;
use self::{
    apart::{keeps_each_part_apart, keeps_each_set_apart},
    atomic::{
        begins_no_write_after_its_latest_moment, one_of_many_writers_wins, scans_in_order,
        writes_all_or_nothing,
    },
};
use crate::{
    model::{SessionId, Tag, Timestamp, UserId},
    store::{Row, SetStorage, Stored, Urgency, Version, Write, WriteKind, Written},
};

const KEPT: Duration = Duration::from_secs(600);

/// Tests the contract of [`SetStorage`], number by number.
///
/// Run it beside the suite for stores, which runs on a [`SetStore`](crate::store::SetStore) in your storage. It uses
/// random tags, so that several storages may share one server.
///
/// ```
/// # use std::{collections::HashMap, sync::Mutex};
/// # use bytes::Bytes;
/// # use tower_user_sessions::{SessionId, store::{SetStorage, StoreError, Stored, Tag, Version, Write, Written, conformance}};
/// # #[derive(Default)]
/// # struct MyStorage(Mutex<HashMap<Tag, (Version, Bytes, HashMap<SessionId, Bytes>)>>);
/// # impl SetStorage for MyStorage {
/// #     async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
/// #         Ok(match self.0.lock().unwrap().get(&tag) {
/// #             Some((version, head, parts)) => {
/// #                 Stored::new(*version, head.clone(), part.and_then(|id| parts.get(&id).cloned()))
/// #             }
/// #             None => Stored::absent(),
/// #         })
/// #     }
/// #     async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
/// #         let mut sets = self.0.lock().unwrap();
/// #         if sets.get(&tag).map(|(version, ..)| *version) != write.expect {
/// #             return Ok(Written::Lost);
/// #         }
/// #         let (.., mut parts) = sets.remove(&tag).unwrap_or((write.version, Bytes::new(), HashMap::new()));
/// #         if let Some(head) = write.head.clone() {
/// #             for (id, part) in write.parts.iter().cloned() {
/// #                 parts.remove(&id);
/// #                 parts.extend(part.map(|part| (id, part)));
/// #             }
/// #             sets.insert(tag, (write.version, head, parts));
/// #         }
/// #         Ok(Written::Written { when: None })
/// #     }
/// # }
/// # tokio_test::block_on(async {
/// conformance::storage(async || MyStorage::default()).await;
/// # });
/// ```
///
/// # Panics
///
/// If the storage breaks its contract. The message has the number of the contract.
pub async fn storage<S: SetStorage>(make: impl AsyncFn() -> S) {
    let storage = make().await;
    Box::pin(reads_what_one_write_left(&storage)).await;
    Box::pin(keeps_each_part_apart(&storage)).await;
    Box::pin(keeps_each_set_apart(&storage)).await;
    Box::pin(writes_only_the_expected_version(&storage)).await;
    Box::pin(makes_only_what_is_absent(&storage)).await;
    Box::pin(writes_all_or_nothing(&storage)).await;
    Box::pin(one_of_many_writers_wins(&storage)).await;
    Box::pin(begins_no_write_after_its_latest_moment(&storage)).await;
    Box::pin(scans_in_order(&storage)).await;
}

/// One session set of the storage.
#[derive(Debug)]
struct Trial<'a, S> {
    storage: &'a S,
    number: u8,
    tag: Tag,
}

#[track_caller]
fn broken(number: u8, what: &str) -> ! {
    panic!("storage contract {number}: {what}")
}

impl<'a, S: SetStorage> Trial<'a, S> {
    fn new(storage: &'a S, number: u8) -> Self {
        let Ok(tag) = Tag::random() else {
            broken(number, "the system has no random bytes")
        };
        Self {
            storage,
            number,
            tag,
        }
    }

    async fn read(&self, part: Option<SessionId>) -> Stored {
        match Box::pin(self.storage.read(self.tag, part)).await {
            Ok(stored) => stored,
            Err(error) => broken(self.number, &format!("a read failed: {error:?}")),
        }
    }

    async fn write(&self, write: &Write) -> Written {
        match Box::pin(self.storage.write(self.tag, write)).await {
            Ok(written) => written,
            Err(error) => broken(self.number, &format!("a write failed: {error:?}")),
        }
    }

    async fn now(&self) -> Timestamp {
        let stored = self.read(None).await;
        stored.now.unwrap_or_else(|| self.storage.now())
    }

    /// A write of this head and these parts.
    async fn prepared(
        &self,
        expect: Option<Version>,
        head: Option<&[u8]>,
        parts: &[(SessionId, Option<&[u8]>)],
    ) -> Write {
        let parts = parts.iter();
        Write {
            expect,
            version: Version::new(),
            head: head.map(Bytes::copy_from_slice),
            parts: parts
                .map(|(id, part)| (*id, part.map(Bytes::copy_from_slice)))
                .collect(),
            kept_until: self.now().await.plus(KEPT),
            latest: None,
            kind: WriteKind::Change,
            urgency: Urgency::Other,
            // An id of a user may have a NUL, which text columns of some databases refuse.
            row: Row {
                user: UserId::new("conformance\0storage").ok(),
                live: 1,
                last_activity: Some(Timestamp::from_millis(0)),
            },
            messages: Vec::new(),
        }
    }

    /// Writes, and returns the new version.
    #[track_caller]
    fn wins(&self, written: &Written, write: &Write, what: &str) -> Version {
        if !matches!(written, Written::Written { .. }) {
            broken(
                self.number,
                &format!("{what}: expected that it is written, found {written:?}"),
            );
        }
        write.version
    }

    #[track_caller]
    fn loses(&self, written: &Written, what: &str) {
        if !matches!(written, Written::Lost) {
            broken(
                self.number,
                &format!("{what}: expected that it is lost, found {written:?}"),
            );
        }
    }

    /// Expects this version and head, and this part.
    async fn has(
        &self,
        found: Option<(Version, &[u8])>,
        id: SessionId,
        part: Option<&[u8]>,
        what: &str,
    ) {
        let stored = self.read(Some(id)).await;
        let head = stored.found.as_ref();
        if head.map(|(version, head)| (*version, &head[..])) != found {
            broken(
                self.number,
                &format!("{what}: another version or head, or none"),
            );
        }
        if stored.part.as_deref() != part {
            broken(self.number, &format!("{what}: another part, or none"));
        }
    }
}

fn id(number: u8) -> SessionId {
    SessionId::from_bytes([number; 12])
}

async fn reads_what_one_write_left<S: SetStorage>(storage: &S) {
    let trial = Trial::new(storage, 1);
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    trial.has(None, id(1), None, "a tag without a set").await;

    let mut first = trial
        .prepared(
            None,
            Some(&bytes),
            &[(id(1), Some(&bytes)), (id(2), Some(b"two"))],
        )
        .await;
    // As a number it is negative.
    first.version = Version::from_bytes([255; 8]);
    let version = trial.wins(&trial.write(&first).await, &first, "a new set");
    let head = Some((version, &bytes[..]));
    trial.has(head, id(1), Some(&bytes), "a new set").await;
    trial
        .has(head, id(2), Some(b"two"), "its second part")
        .await;
    trial
        .has(head, id(3), None, "a part that was not written")
        .await;

    let parts: [(_, Option<&[u8]>); 2] = [(id(1), None), (id(3), Some(b""))];
    let second = trial.prepared(Some(version), Some(b"2"), &parts).await;
    let version = trial.wins(&trial.write(&second).await, &second, "a second write");
    let head = Some((version, &b"2"[..]));
    trial
        .has(head, id(1), None, "a part that was removed")
        .await;
    trial
        .has(head, id(2), Some(b"two"), "a part that stays")
        .await;
    trial
        .has(head, id(3), Some(b""), "a part that is empty")
        .await;
    let other = Trial::new(storage, 1);
    other
        .has(None, id(2), None, "a part under another tag")
        .await;
}

async fn writes_only_the_expected_version<S: SetStorage>(storage: &S) {
    let trial = Trial::new(storage, 2);
    let first = trial
        .prepared(None, Some(b"1"), &[(id(1), Some(b"one"))])
        .await;
    let old = trial.wins(&trial.write(&first).await, &first, "a new set");
    let second = trial
        .prepared(Some(old), Some(b"2"), &[(id(1), Some(b"two"))])
        .await;
    let version = trial.wins(&trial.write(&second).await, &second, "the expected version");
    let present = Some((version, &b"2"[..]));

    for (kind, what) in [
        (WriteKind::Change, "an earlier version"),
        (WriteKind::Activity, "activity with an earlier version"),
    ] {
        let mut stale = trial
            .prepared(Some(old), Some(b"3"), &[(id(1), Some(b"three"))])
            .await;
        stale.kind = kind;
        trial.loses(&trial.write(&stale).await, what);
        trial.has(present, id(1), Some(b"two"), what).await;
    }
    let deletes = trial.prepared(Some(old), None, &[]).await;
    trial.loses(
        &trial.write(&deletes).await,
        "a deletion with an earlier version",
    );
    trial
        .has(present, id(1), Some(b"two"), "after a deletion that lost")
        .await;

    let mut activity = trial.prepared(Some(version), Some(b"4"), &[]).await;
    activity.kind = WriteKind::Activity;
    let version = trial.wins(&trial.write(&activity).await, &activity, "activity");
    trial
        .has(Some((version, b"4")), id(1), Some(b"two"), "after activity")
        .await;
}

async fn makes_only_what_is_absent<S: SetStorage>(storage: &S) {
    let trial = Trial::new(storage, 3);
    let first = trial
        .prepared(None, Some(b"1"), &[(id(1), Some(b"one"))])
        .await;
    let version = trial.wins(&trial.write(&first).await, &first, "a new set");
    let again = trial.prepared(None, Some(b"2"), &[]).await;
    trial.loses(&trial.write(&again).await, "a new set where there is one");
    trial
        .has(
            Some((version, b"1")),
            id(1),
            Some(b"one"),
            "a set that was there",
        )
        .await;

    let deletes = trial.prepared(Some(version), None, &[]).await;
    trial.wins(&trial.write(&deletes).await, &deletes, "a deletion");
    trial.has(None, id(1), None, "a deleted set").await;
    let stale = trial.prepared(Some(version), Some(b"3"), &[]).await;
    trial.loses(&trial.write(&stale).await, "a write to a deleted set");
    trial.loses(
        &trial.write(&deletes).await,
        "a deletion of a set that was deleted",
    );

    let made = trial.prepared(None, Some(b"4"), &[]).await;
    let version = trial.wins(&trial.write(&made).await, &made, "a set that is made again");
    let what = "a set that was made again, without its earlier parts";
    trial.has(Some((version, b"4")), id(1), None, what).await;
    trial.loses(
        &trial.write(&stale).await,
        "the version of a set that was deleted",
    );
}
