//! Calls `scan.lua` and `slots.lua`: reads all session sets, part by part.

use std::{
    collections::{HashSet, VecDeque},
    error::Error,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use deadpool_redis::redis::Cmd;
use tokio::task::JoinSet;

use super::{
    super::{
        cluster::{SLOTS, served, slot_of},
        link::{Call, Link, NotHere},
        reply::Reply,
        route::Primary,
    },
    Scripts,
};
use crate::{
    model::{Record, Tag},
    store::{List, Scan, Scanned, StoreError, StoreErrorKind, nonce},
};

/// How many session sets are read at once, and how many may be on one part.
const AT_ONCE: usize = 16;
const MOST: usize = 10_000;

/// How often all primaries are asked again while slots go from one to another, and how long after: then the map has been read.
const AGAIN: u32 = 40;
const PAUSE: Duration = Duration::from_millis(50);

/// How many keys an estimate looks at on each server.
const SAMPLE: usize = 1_000;

/// A sign before the cursor, so that the cursor of one kind of store is none of the other.
const OF_SCAN: char = 's';
const OF_SLOT: char = 'c';

/// Where a part begins.
enum Place {
    /// A cursor of SCAN, and the process that gave it.
    Cursor(String, String),
    /// A slot of a Cluster.
    Slot(u16),
}

/// What one server found.
struct Found {
    process: String,
    cursor: String,
    keys: u64,
    looked_at: u64,
    names: Vec<String>,
}

impl Scripts {
    /// Reads one part of all session sets.
    ///
    /// On a Cluster a part is some slots, whatever node has them: the cursor stays good when slots move.
    pub(in super::super) async fn scan(&self, scan: &Scan) -> Result<Scanned, StoreError> {
        let (names, next) = self.found_at_last(|| self.part(scan)).await?;
        // SCAN may name a key twice.
        let names: HashSet<String> = names.into_iter().collect();
        let tags = names.iter().filter_map(|name| self.0.keys.tag(name));
        let sets = self.listed(tags.collect(), scan).await?;
        Ok(Scanned { sets, next })
    }

    /// The keys on one part, and where the next one begins.
    async fn part(&self, scan: &Scan) -> Result<(Vec<String>, Option<String>), StoreError> {
        let primaries = self.0.route.primaries(&self.0.keys).await?;
        let most = scan.most.clamp(1, MOST);
        match (place(scan.cursor.as_deref(), &primaries)?, &primaries[..]) {
            (Place::Cursor(process, cursor), [primary]) => {
                let found = self.found(primary, &process, &cursor, most).await?;
                let next = format!("{OF_SCAN}{}.{}", found.process, found.cursor);
                Ok((found.names, (found.cursor != "0").then_some(next)))
            }
            (Place::Slot(from), _) => {
                let (names, next) = self.in_slots(&primaries, from, most).await?;
                Ok((names, (next < SLOTS).then(|| format!("{OF_SLOT}{next}"))))
            }
            (Place::Cursor(..), _) => Err(StoreError::new(StoreErrorKind::Unsupported)),
        }
    }

    /// Asks again, and lets the map be read again before, as long as keys are elsewhere.
    async fn found_at_last<T, F: Future<Output = Result<T, StoreError>>>(
        &self,
        ask: impl Fn() -> F,
    ) -> Result<T, StoreError> {
        let is_elsewhere =
            |error: &StoreError| error.source().is_some_and(|source| source.is::<NotHere>());
        for _ in 0..AGAIN {
            match ask().await {
                Err(error) if is_elsewhere(&error) => {}
                answer => return answer,
            }
            self.0.route.doubt();
            tokio::time::sleep(PAUSE).await;
        }
        ask().await
    }

    /// How many session sets there are, by a sample of the keys of each server.
    pub(in super::super) async fn estimate(&self) -> Result<u64, StoreError> {
        self.found_at_last(|| self.estimate_now()).await
    }

    async fn estimate_now(&self) -> Result<u64, StoreError> {
        let mut all = 0;
        for primary in &self.0.route.primaries(&self.0.keys).await? {
            let found = self.found(primary, "", "0", SAMPLE).await?;
            let own = u64::try_from(found.names.len()).unwrap_or(u64::MAX);
            all += found
                .keys
                .saturating_mul(own)
                .checked_div(found.looked_at)
                .unwrap_or(0);
        }
        Ok(all)
    }

    /// Runs `lua/scan.lua`.
    async fn found(
        &self,
        primary: &Primary<'_>,
        process: &str,
        cursor: &str,
        most: usize,
    ) -> Result<Found, StoreError> {
        let (of, prefix) = (nonce(), self.0.keys.before_tag());
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(cursor)
                .arg(process)
                .arg(most)
                .arg(&prefix)
                .arg(&of[..]);
        };
        let call = Call::new(&self.0.all.scan, primary.key(), of);
        let mut reply = at(primary.link(), &call, arguments).await?;
        Ok(Found {
            process: reply.text()?,
            cursor: reply.text()?,
            keys: reply.count()?,
            looked_at: reply.count()?,
            names: reply.texts()?,
        })
    }

    /// The keys in the slots from this one on, and the slot to go on with.
    ///
    /// A key that moves from one primary to another meanwhile may be missed by both. So all are asked twice, the second
    /// time after all have answered. A slot may also go to a primary that is not known yet: then none of the others says
    /// any more that it serves it.
    async fn in_slots(
        &self,
        primaries: &[Primary<'_>],
        from: u16,
        most: usize,
    ) -> Result<(Vec<String>, u16), StoreError> {
        let (mut names, mut next, mut times) = (Vec::new(), SLOTS, Vec::new());
        for _ in 0..2 {
            let mut holds = vec![false; SLOTS.into()];
            for primary in primaries {
                let (found, to) = self.in_slots_of(primary, from, most, &mut holds).await?;
                names.extend(found);
                next = next.min(to);
            }
            times.push(holds);
        }
        let part = usize::from(from.min(next))..usize::from(next);
        let all = |holds: &Vec<bool>| {
            holds
                .get(part.clone())
                .is_some_and(|part| !part.contains(&false))
        };
        if !times.iter().all(all) {
            return Err(StoreError::new(StoreErrorKind::Unavailable).with_source(NotHere));
        }
        names.retain(|name| slot_of(name) < next);
        Ok((names, next))
    }

    /// Runs `lua/slots.lua`. Marks the slots that the primary serves by its own word.
    async fn in_slots_of(
        &self,
        primary: &Primary<'_>,
        from: u16,
        most: usize,
        holds: &mut [bool],
    ) -> Result<(Vec<String>, u16), StoreError> {
        let (of, prefix) = (nonce(), self.0.keys.before_tag());
        let arguments = |cmd: &mut Cmd, _latest: Option<i64>| {
            cmd.arg(from).arg(most).arg(&prefix).arg(&of[..]);
        };
        let call = Call::new(&self.0.all.slots, primary.key(), of);
        let mut reply = at(primary.link(), &call, arguments).await?;
        let next = u16::try_from(reply.count()?).map_err(|_error| Reply::unexpected())?;
        let own = served(&reply.text()?).ok_or_else(Reply::unexpected)?;
        for slot in own.slots() {
            if let Some(holds) = holds.get_mut(usize::from(slot)) {
                *holds = true;
            }
        }
        Ok((reply.texts()?, next))
    }

    /// The live sessions of each of these session sets.
    async fn listed(
        &self,
        tags: VecDeque<Tag>,
        scan: &Scan,
    ) -> Result<Vec<Vec<Record>>, StoreError> {
        let (left, mut readers) = (Arc::new(Mutex::new(tags)), JoinSet::new());
        for _ in 0..AT_ONCE {
            let (scripts, left, not_before) = (self.clone(), Arc::clone(&left), scan.not_before);
            readers.spawn(async move {
                let mut sets = Vec::new();
                loop {
                    let next = left
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .pop_front();
                    let Some(tag) = next else {
                        return Ok(sets);
                    };
                    let mut list = List::new(tag);
                    list.not_before = not_before;
                    let records = scripts.list(&list).await?;
                    if !records.is_empty() {
                        sets.push(records);
                    }
                }
            });
        }
        let parts: Result<Vec<_>, StoreError> = readers.join_all().await.into_iter().collect();
        Ok(parts?.concat())
    }
}

/// Runs a script on this server.
async fn at(
    link: &Link,
    call: &Call<'_>,
    arguments: impl Fn(&mut Cmd, Option<i64>),
) -> Result<Reply, StoreError> {
    link.run(call, &arguments).await.0
}

/// The place that a cursor names.
fn place(cursor: Option<&str>, primaries: &[Primary<'_>]) -> Result<Place, StoreError> {
    let is_cluster = primaries.iter().any(Primary::is_member);
    let place = match cursor {
        None if is_cluster => Some(Place::Slot(0)),
        None => Some(Place::Cursor(String::new(), "0".to_owned())),
        Some(cursor) if is_cluster => cursor
            .strip_prefix(OF_SLOT)
            .and_then(|slot| slot.parse().ok())
            .map(Place::Slot),
        Some(cursor) => cursor.strip_prefix(OF_SCAN).and_then(|cursor| {
            let (process, cursor) = cursor.split_once('.')?;
            let cursor: u64 = cursor.parse().ok()?;
            Some(Place::Cursor(process.to_owned(), cursor.to_string()))
        }),
    };
    place.ok_or(StoreError::new(StoreErrorKind::Unsupported))
}
