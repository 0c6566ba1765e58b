//! The session sets on the disk, in the order in which they were written.
//!
//! A commit adds its sets at the end, in one place of the file whatever users they are of. An older version of a set stays in
//! the log until the log is [cleaned](Log::clean) from its start. An index in memory says which version is the latest one.
//!
//! If only the last activity of a session changed, the log gets just that. It counts until a later value has the whole set: each
//! version has all activity that was written before it. Cleaning adds sets as requests see them, so it needs to copy no activity.

use std::collections::{HashMap, VecDeque};

use redb::TableDefinition;

mod clean;
mod group;
#[cfg(test)]
mod seen;
#[cfg(test)]
mod tests;

pub(super) use self::{
    clean::Current,
    group::{Activity, Entry, Group, PartsOf, Torn, Value, What, latest},
};
use crate::model::Timestamp;

/// Session sets without the data of their sessions, many in a value. Values with a higher number were written later.
pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// A page of the database.
const PAGE: usize = 4 * 1024;

/// What the database adds to a value.
const ADDED: usize = 16;

/// What is in the log.
#[cfg_attr(test, derive(Clone))]
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The highest number of a value, also in a commit that failed: it may be in the file.
    last: u64,
    /// The store's time at the last commit.
    time: Option<Timestamp>,
    /// Where the latest version of each set is, also of those that are gone.
    index: HashMap<[u8; 12], Place>,
    /// How many bytes these versions have.
    live: u64,
    /// The values that are known to be in the file, and how much of it each takes. In their order.
    values: VecDeque<(u64, u32)>,
    /// How much of the file all values take.
    bytes: u64,
    /// How much of it those take that were added since the last cleaning.
    added: u64,
    /// While the disk is full, the log is cleaned up to this value whatever is added.
    pass: u64,
    /// How many bytes the latest versions had when that began. 0: it has not.
    pass_live: u64,
}

/// Where the latest version of a set is. Small, because each set has one.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// The number of the value.
    value: [u8; 8],
    /// How many bytes the set has there. 0: it is gone.
    bytes: u32,
}

impl Log {
    /// This value is in the file, before all that were found. Hands those sets to `take` of which it has the latest version,
    /// and all activity.
    pub(super) fn found<E: From<Torn>>(
        &mut self,
        number: u64,
        bytes: &[u8],
        mut take: impl FnMut(Entry<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.last = self.last.max(number);
        let room = room(bytes.len());
        self.values.push_front((number, room));
        self.bytes += u64::from(room);
        let value = Value::read(bytes)?;
        self.note(value.time);
        for entry in value {
            let entry = entry?;
            if !matches!(entry.what, What::Seen(..)) {
                if self.index.contains_key(&entry.tag) {
                    continue;
                }
                self.place(entry.tag, number, entry.bytes());
            }
            take(entry)?;
        }
        Ok(())
    }

    /// The store's time was this at a commit.
    pub(super) fn note(&mut self, time: Option<Timestamp>) {
        self.time = self.time.max(time);
    }

    /// The store's time at the last commit.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// Numbers for so many new values. None of them was used before.
    pub(super) fn next(&mut self, values: usize) -> impl Iterator<Item = u64> + use<> {
        let first = self.last + 1;
        self.last += u64::try_from(values).unwrap_or_default();
        first..=self.last
    }

    /// This group is on the disk, as the values with these numbers.
    pub(super) fn keep(&mut self, group: &Group, numbers: &[u64]) {
        for (number, value) in numbers.iter().zip(group.values()) {
            let room = room(value.len());
            self.values.push_back((*number, room));
            self.bytes += u64::from(room);
            self.added += u64::from(room);
        }
        for head in group.heads() {
            if let Some(number) = numbers.get(head.value) {
                self.place(head.tag, *number, head.bytes);
            }
        }
    }

    /// How much of the file all values take.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The number of the oldest value that is known to be in the file.
    #[cfg(test)]
    pub(super) fn oldest(&self) -> Option<u64> {
        self.values.front().map(|(number, _)| *number)
    }

    fn place(&mut self, tag: [u8; 12], value: u64, bytes: usize) {
        let place = Place {
            value: value.to_be_bytes(),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
        };
        let before = self.index.insert(tag, place);
        self.live += u64::from(place.bytes);
        self.live -= before.map_or(0, |before| u64::from(before.bytes));
    }
}

/// How much of the file a value of so many bytes takes. Small ones share a page, and a larger one has a power of two of them.
pub(super) fn room(bytes: usize) -> u32 {
    let bytes = bytes.saturating_add(ADDED);
    let room = match bytes > PAGE {
        true => bytes.checked_next_power_of_two(),
        false => Some(bytes),
    };
    room.and_then(|room| room.try_into().ok())
        .unwrap_or(u32::MAX)
}
