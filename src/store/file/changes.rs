//! What a commit changes in the tables of the database, as bytes, so that it can wait in the journal.

use std::{collections::BTreeMap, io};

use bytes::{Buf, BufMut};
use redb::{ReadableTable, Table, TableDefinition, WriteTransaction};

use super::{
    disk::Times,
    log::{Group, LOG, PartsOf, room},
};
use crate::{
    model::{SessionId, Tag},
    store::session_set::SessionSet,
};

/// The data of sessions, by tag and session id.
pub(super) const PARTS: TableDefinition<'_, &[u8; 24], &[u8]> = TableDefinition::new("parts");

/// The store's time at a commit, in milliseconds, and the cutoff of all users. Values of the [log](LOG) have a later time.
pub(super) const TIMES: TableDefinition<'_, &str, i64> = TableDefinition::new("times");
pub(super) const LAST: &str = "last";
pub(super) const EVERYONE: &str = "everyone";

/// What a change begins with.
const VALUE: u8 = 1;
const PART: u8 = 2;
const NO_PART: u8 = 3;
const MOMENT: u8 = 4;

type Key = [u8; 24];

/// The tables.
pub(super) struct Tables<'txn> {
    pub(super) log: Table<'txn, u64, &'static [u8]>,
    pub(super) parts: Table<'txn, &'static Key, &'static [u8]>,
    times: Table<'txn, &'static str, i64>,
    /// How many bytes of the data of sessions came and went.
    came: u64,
    went: u64,
}

/// Changes, in their order.
#[derive(Debug, Default)]
pub(super) struct Changes {
    bytes: Vec<u8>,
    /// The data of sessions among them.
    parts: Overlay,
}

/// Data of sessions that the table does not have yet, with their revision, and those that it has no longer.
#[derive(Debug, Default)]
pub(super) struct Overlay(BTreeMap<Key, Option<u64>>);

impl Overlay {
    /// These changes come after it.
    pub(super) fn and(mut self, changes: Changes) -> Self {
        self.0.extend(changes.parts.0);
        self
    }
}

impl Changes {
    /// What a group changes, apart from the data of sessions. Its values have these numbers, and this is the time. Data with
    /// these keys go.
    pub(super) fn of(
        group: &Group,
        numbers: &[u64],
        times: Times,
        stray: &[Key],
    ) -> io::Result<Self> {
        let bytes = group.values().iter().map(|value| value.len() + 32).sum();
        let mut changes = Self {
            bytes: Vec::with_capacity(bytes),
            parts: Overlay::default(),
        };
        for (number, value) in numbers.iter().zip(group.values()) {
            changes.bytes.put_u8(VALUE);
            changes.bytes.put_u64(*number);
            changes.put(value)?;
        }
        for key in stray {
            changes.no_part(*key);
        }
        // Each value has the time of its commit.
        changes.times(Times {
            last: times.last.filter(|_| numbers.is_empty()),
            ..times
        });
        Ok(changes)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes the data of the sessions of these sets what they are. The table has data, and `overlay` comes after it.
    pub(super) fn parts(
        &mut self,
        of: &[PartsOf],
        table: &impl ReadableTable<&'static Key, &'static [u8]>,
        overlay: &Overlay,
    ) -> Result<(), redb::Error> {
        for PartsOf { tag, set, all } in of {
            let known = stored(table, overlay, *tag)?;
            let has = |id: SessionId| set.as_ref().is_some_and(|set| set.has_part(id));
            for (id, _) in known.iter().filter(|(id, _)| !has(*id)) {
                self.no_part(key(*tag, *id));
            }
            for (id, revision) in set.iter().flat_map(SessionSet::parts) {
                if !all && known.contains(&(id, Some(revision))) {
                    continue;
                }
                if let Some(bytes) = set.as_ref().and_then(|set| set.encode_part(id)) {
                    let key = key(*tag, id);
                    self.bytes.put_u8(PART);
                    self.bytes.put_slice(&key);
                    self.put(&bytes)?;
                    self.parts.0.insert(key, Some(revision));
                }
            }
        }
        Ok(())
    }

    /// Removes the data of a session. Its id was random, so no session has it again.
    pub(super) fn no_part(&mut self, key: Key) {
        self.bytes.put_u8(NO_PART);
        self.bytes.put_slice(&key);
        self.parts.0.insert(key, None);
    }

    /// Makes the moments in the file these, if they are later.
    pub(super) fn times(&mut self, times: Times) {
        for (is_everyone, time) in [(0, times.last), (1, times.everyone)] {
            if let Some(time) = time {
                self.bytes.put_u8(MOMENT);
                self.bytes.put_u8(is_everyone);
                self.bytes.put_i64(time.as_millis());
            }
        }
    }

    fn put(&mut self, value: &[u8]) -> io::Result<()> {
        self.bytes
            .put_u32(u32::try_from(value.len()).map_err(io::Error::other)?);
        self.bytes.put_slice(value);
        Ok(())
    }
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(write: &'txn WriteTransaction) -> Result<Self, redb::Error> {
        Ok(Self {
            log: write.open_table(LOG)?,
            parts: write.open_table(PARTS)?,
            times: write.open_table(TIMES)?,
            came: 0,
            went: 0,
        })
    }

    /// How much of the file the data of sessions takes, if it was so much before.
    pub(super) fn parts_after(&self, before: u64) -> u64 {
        (before + self.came).saturating_sub(self.went)
    }

    /// Makes these changes, also if they were made before.
    pub(super) fn make(&mut self, mut changes: &[u8]) -> Result<(), redb::Error> {
        while !changes.is_empty() {
            let done = self.next(&mut changes)?;
            done.ok_or_else(|| {
                redb::Error::Corrupted("changes in the journal are torn".to_owned())
            })?;
        }
        Ok(())
    }

    /// `None`: the bytes end in the middle of a change.
    fn next(&mut self, rest: &mut &[u8]) -> Result<Option<()>, redb::Error> {
        match rest.try_get_u8() {
            Ok(VALUE) => {
                if let (Ok(number), Some(value)) = (rest.try_get_u64(), value(rest)) {
                    self.log.insert(number, value)?;
                    return Ok(Some(()));
                }
            }
            Ok(PART) => {
                if let (Some(key), Some(value)) = (array(rest), value(rest)) {
                    self.came += part_room(value);
                    if let Some(before) = self.parts.insert(&key, value)? {
                        self.went += part_room(before.value());
                    }
                    return Ok(Some(()));
                }
            }
            Ok(NO_PART) => {
                if let Some(key) = array(rest) {
                    if let Some(before) = self.parts.remove(&key)? {
                        self.went += part_room(before.value());
                    }
                    return Ok(Some(()));
                }
            }
            Ok(MOMENT) => {
                if let (Ok(is_everyone), Ok(time)) = (rest.try_get_u8(), rest.try_get_i64()) {
                    self.moment(if is_everyone == 0 { LAST } else { EVERYONE }, time)?;
                    return Ok(Some(()));
                }
            }
            _ => {}
        }
        Ok(None)
    }

    fn moment(&mut self, name: &str, time: i64) -> Result<(), redb::Error> {
        let before = self.times.get(name)?.map(|at| at.value());
        if before.is_none_or(|before| before < time) {
            self.times.insert(name, time)?;
        }
        Ok(())
    }
}

/// How much of the file the data of a session takes.
pub(super) fn part_room(part: &[u8]) -> u64 {
    u64::from(room(size_of::<Key>() + part.len()))
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (array, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*array)
}

fn value<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let len = usize::try_from(rest.try_get_u32().ok()?).ok()?;
    let (value, after) = rest.split_at_checked(len)?;
    *rest = after;
    Some(value)
}

/// The parts of a set that are on the disk, and the revision of each.
fn stored(
    table: &impl ReadableTable<&'static Key, &'static [u8]>,
    overlay: &Overlay,
    tag: Tag,
) -> Result<Vec<(SessionId, Option<u64>)>, redb::Error> {
    let first = key(tag, SessionId::from_bytes([0; 12]));
    let last = key(tag, SessionId::from_bytes([255; 12]));
    let mut known = Vec::new();
    for part in table.range::<&Key>(&first..=&last)? {
        let (key, part) = part?;
        let revision = part.value().get(1..).and_then(|rest| rest.first_chunk());
        if !overlay.0.contains_key(key.value()) {
            let revision = revision.map(|revision| u64::from_be_bytes(*revision));
            known.push((session(key.value()), revision));
        }
    }
    for (key, revision) in overlay.0.range(first..=last) {
        if revision.is_some() {
            known.push((session(key), *revision));
        }
    }
    Ok(known)
}

fn key(tag: Tag, id: SessionId) -> Key {
    let mut key = [0; 24];
    let (of, session) = key.split_at_mut(12);
    of.copy_from_slice(tag.as_bytes());
    session.copy_from_slice(id.as_bytes());
    key
}

fn session(key: &Key) -> SessionId {
    SessionId::from_bytes(key.last_chunk().copied().unwrap_or_default())
}
