//! The suites for storages find the nine mistakes that the guide's page "Writing a store" names.
//!
//! A store that was written by hand passed the suite for stores and was wrong in eight places. With `SetStore` its rules
//! cannot be wrong. What is left are two methods, and each of these mistakes in them is found.

use std::{
    collections::HashMap,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use tower_user_sessions::{
    SessionId,
    store::{
        Clock, SetStorage, StoreError, StoreErrorKind, Stored, Tag, Timestamp, Version, Write,
        Written, conformance,
    },
};

/// A mistake, in the order of the guide's table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mistake {
    None,
    ComparesInOneStepAndWritesInAnother,
    CountsVersions,
    ComparesNamesWithoutCase,
    WritesHeadAndPartsInTwoTransactions,
    CallsALostReplyNothingRan,
    HasNoDeadline,
    FindsNothingInAnOutage,
    CachesReads,
    TakesTheTimeOfEachServer,
}

struct Set {
    version: Version,
    head: Bytes,
    parts: HashMap<SessionId, Bytes>,
}

/// The database.
#[derive(Default)]
struct Database {
    sets: Mutex<HashMap<Tag, Set>>,
    away: AtomicBool,
    processes: AtomicU32,
}

/// The storage of one process, with one mistake.
struct Storage {
    database: Arc<Database>,
    mistake: Mistake,
    cache: Mutex<HashMap<(Tag, Option<SessionId>), (Version, Bytes, Option<Bytes>)>>,
    process: u32,
}

impl Storage {
    fn of(database: &Arc<Database>, mistake: Mistake) -> Self {
        Self {
            database: Arc::clone(database),
            mistake,
            cache: Mutex::default(),
            process: database.processes.fetch_add(1, SeqCst),
        }
    }

    /// A message to the database, or from it.
    async fn travels(&self) -> Result<(), StoreError> {
        tokio::task::yield_now().await;
        if !self.database.away.load(SeqCst) {
            return Ok(());
        }
        if self.mistake == Mistake::HasNoDeadline {
            std::future::pending::<()>().await;
        }
        Err(StoreError::new(StoreErrorKind::Timeout))
    }

    /// The name under which a part is stored.
    fn named(&self, id: SessionId) -> SessionId {
        match self.mistake {
            Mistake::ComparesNamesWithoutCase => id.to_string().to_lowercase().parse().unwrap(),
            _ => id,
        }
    }

    fn version(&self, tag: Tag) -> Option<Version> {
        let sets = self.database.sets.lock().unwrap();
        sets.get(&tag).map(|set| set.version)
    }

    /// One transaction of the database.
    fn transaction(&self, tag: Tag, write: &Write, compares: bool) -> Written {
        let mut sets = self.database.sets.lock().unwrap();
        let before = sets.get(&tag).map(|set| set.version);
        if compares && before != write.expect {
            return Written::Lost;
        }
        let version = if self.mistake == Mistake::CountsVersions {
            let number = before.map_or(0, |version| u64::from_be_bytes(*version.as_bytes()));
            Version::from_bytes((number + 1).to_be_bytes())
        } else {
            write.version
        };
        let mut parts = sets.remove(&tag).map(|set| set.parts).unwrap_or_default();
        if let Some(head) = write.head.clone() {
            for (id, part) in write.parts.iter().cloned() {
                let id = self.named(id);
                parts.remove(&id);
                parts.extend(part.map(|part| (id, part)));
            }
            let set = Set {
                version,
                head,
                parts,
            };
            sets.insert(tag, set);
        }
        Written::Written { when: None }
    }

    async fn writes(&self, tag: Tag, write: &Write) -> Written {
        match self.mistake {
            Mistake::ComparesInOneStepAndWritesInAnother => {
                if self.version(tag) != write.expect {
                    return Written::Lost;
                }
                tokio::task::yield_now().await;
                self.transaction(tag, write, false)
            }
            Mistake::WritesHeadAndPartsInTwoTransactions => {
                let mut head = write.clone();
                head.parts.clear();
                let written = self.transaction(tag, &head, true);
                tokio::task::yield_now().await;
                if matches!(written, Written::Written { .. }) {
                    self.transaction(tag, write, false);
                }
                written
            }
            _ => self.transaction(tag, write, true),
        }
    }

    fn stored(&self, tag: Tag, part: Option<SessionId>) -> Stored {
        let sets = self.database.sets.lock().unwrap();
        let mut cache = self.cache.lock().unwrap();
        let found = sets.get(&tag).map(|set| {
            let part = part.and_then(|id| set.parts.get(&self.named(id)).cloned());
            (set.version, set.head.clone(), part)
        });
        let key = (tag, part);
        let found = match found {
            Some(found) if self.mistake == Mistake::CachesReads => {
                Some(cache.entry(key).or_insert(found).clone())
            }
            found => found,
        };
        let stored = found.map_or_else(Stored::absent, |(version, head, part)| {
            Stored::new(version, head, part)
        });
        match self.mistake {
            Mistake::TakesTheTimeOfEachServer => stored,
            _ => stored.at(Clock::system().now()),
        }
    }
}

impl SetStorage for Storage {
    async fn read(&self, tag: Tag, part: Option<SessionId>) -> Result<Stored, StoreError> {
        match self.travels().await {
            Err(_) if self.mistake == Mistake::FindsNothingInAnOutage => Ok(Stored::absent()),
            Err(error) => Err(error),
            Ok(()) => Ok(self.stored(tag, part)),
        }
    }

    async fn write(&self, tag: Tag, write: &Write) -> Result<Written, StoreError> {
        // Nothing is sent.
        if let Err(error) = self.travels().await {
            return Ok(Written::NothingRan(error));
        }
        // A process sees its own writes in its cache.
        self.cache.lock().unwrap().clear();
        let written = self.writes(tag, write).await;
        match self.travels().await {
            Ok(()) => Ok(written),
            Err(error) if self.mistake == Mistake::CallsALostReplyNothingRan => {
                Ok(Written::NothingRan(error))
            }
            Err(error) => Err(error),
        }
    }

    fn now(&self) -> Timestamp {
        // The clock of each further server is a minute ahead.
        let ahead = Duration::from_secs(60) * self.process;
        Clock::system().now().plus(ahead)
    }
}

/// What the suites say of a storage with this mistake.
fn verdict(mistake: Mistake) -> Option<String> {
    let run = AssertUnwindSafe(|| {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().build().unwrap();
        let database = Arc::<Database>::default();
        let make = async || Storage::of(&database, mistake);
        runtime.block_on(async {
            conformance::storage(make).await;
            conformance::storage_outage(make, async |away| database.away.store(away, SeqCst)).await;
        });
    });
    let failed = panic::catch_unwind(run).err()?;
    Some(failed.downcast_ref::<String>().cloned().unwrap_or_default())
}

// T49
#[test]
fn the_suites_find_each_mistake_of_the_guide() {
    let found = [
        (
            Mistake::ComparesInOneStepAndWritesInAnother,
            "storage contract 2: round 0: 16 of 16 writers of one version won",
        ),
        (
            Mistake::CountsVersions,
            "storage contract 1: a new set: another version or head, or none",
        ),
        (
            Mistake::ComparesNamesWithoutCase,
            "storage contract 1: one of many parts: another part, or none",
        ),
        (
            Mistake::WritesHeadAndPartsInTwoTransactions,
            "storage contract 1: head and part are of two writes, read while another write ran",
        ),
        (
            Mistake::CallsALostReplyNothingRan,
            "storage contract 9: a write ran, and its answer says that nothing ran",
        ),
        (
            Mistake::HasNoDeadline,
            "storage contract 9: a read in an outage has no deadline",
        ),
        (
            Mistake::FindsNothingInAnOutage,
            "storage contract 9: a read in an outage finds that there is no set",
        ),
        (
            Mistake::CachesReads,
            "storage contract 5: a read after a write of another process: another version or head, or none",
        ),
        (
            Mistake::TakesTheTimeOfEachServer,
            "storage contract 10: two processes have different times",
        ),
    ];

    let said = found.map(|(mistake, _)| (mistake, verdict(mistake)));

    assert_eq!(
        said,
        found.map(|(mistake, text)| (mistake, Some(text.to_owned())))
    );
    assert_eq!(verdict(Mistake::None), None);
}
