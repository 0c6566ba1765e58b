//! Session sets that were written last, in groups.
//!
//! Each set has its own place in its table, so a commit of 32 sets would change 32 pages in as many places of the disk.
//! Instead it adds one value to the log. The sets move to their table later, many at a time and in its order.

use std::{collections::BTreeMap, ops::RangeToInclusive, time::Duration};

use bytes::{Buf, BufMut};
use redb::{ReadableTable, Table, TableDefinition};

use super::disk::Row;
use crate::store::{StoreError, StoreErrorKind};

/// Groups of session sets without the data of their sessions, by the number of their commit.
pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// How many bytes of sets are in the log before they move while others are written.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long nobody writes before they move.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// The length that says that the set is gone.
const GONE: u32 = u32::MAX;

/// The stored form of a session set, by its tag. `None`: there is no such set.
pub(super) type Heads = BTreeMap<[u8; 12], Option<Vec<u8>>>;

/// What is in the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The number of the last commit.
    last: u64,
    /// Sets of the log that do not move yet.
    newer: Heads,
    /// About how many bytes these are.
    bytes: usize,
    /// Those that move. Their groups have numbers up to this one, and no other set is in these groups.
    moving: Heads,
    up_to: u64,
}

/// One commit of the log.
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    heads: Vec<([u8; 12], Option<Vec<u8>>)>,
}

impl Log {
    /// Reads the log of a database.
    pub(super) fn read(table: &impl ReadableTable<u64, &'static [u8]>) -> Result<Self, ReadError> {
        let mut log = Self::default();
        for group in table.iter()? {
            let (number, group) = group?;
            log.last = number.value();
            let mut bytes = group.value();
            log.bytes += bytes.len();
            while !bytes.is_empty() {
                let (tag, head) = read(&mut bytes).ok_or(ReadError::Torn)?;
                log.newer.insert(tag, head);
            }
        }
        Ok(log)
    }

    /// The sets in the log. They replace those in the table.
    pub(super) fn heads(&self) -> &Heads {
        &self.newer
    }

    /// These session sets as the next group.
    pub(super) fn group(&mut self, rows: &[Row]) -> Result<Group, StoreError> {
        // Also after a commit that failed: it may be in the file.
        self.last += 1;
        let mut bytes = Vec::with_capacity(512 * rows.len());
        let mut heads = Vec::with_capacity(rows.len());
        for Row { tag, set, .. } in rows {
            let head = set.as_ref().map(|set| set.encode()).transpose()?;
            bytes.put_slice(tag.as_bytes());
            match &head {
                Some(head) => {
                    let len = u32::try_from(head.len()).ok();
                    bytes.put_u32(len.ok_or(StoreError::new(StoreErrorKind::Full))?);
                    bytes.put_slice(head);
                }
                None => bytes.put_u32(GONE),
            }
            heads.push((*tag.as_bytes(), head));
        }
        Ok(Group {
            number: self.last,
            bytes,
            heads,
        })
    }

    /// This group is on the disk.
    pub(super) fn keep(&mut self, group: Group) {
        self.bytes += group.bytes.len();
        self.newer.extend(group.heads);
    }

    /// Whether no set has to move to its table.
    pub(super) fn is_empty(&self) -> bool {
        self.newer.is_empty() && self.moving.is_empty()
    }

    /// Whether sets have to move although others are written.
    pub(super) fn is_long(&self) -> bool {
        !self.moving.is_empty() || self.bytes >= BYTES_MAX
    }

    /// Puts so many sets into their table, and deletes groups that are done. Say [`moved`](Self::moved) after the commit.
    pub(super) fn fold(
        &mut self,
        heads: &mut Table<'_, &'static [u8; 12], &'static [u8]>,
        log: &mut Table<'_, u64, &'static [u8]>,
        most: usize,
    ) -> Result<(), redb::StorageError> {
        if self.moving.is_empty() {
            self.moving = std::mem::take(&mut self.newer);
            self.bytes = 0;
            self.up_to = self.last;
        }
        for (tag, head) in self.moving.iter().take(most) {
            match head {
                Some(head) => drop(heads.insert(tag, head.as_slice())?),
                None => drop(heads.remove(tag)?),
            }
        }
        if self.moving.len() <= most {
            let done: RangeToInclusive<u64> = ..=self.up_to;
            log.retain_in(done, |_, _| false)?;
        }
        Ok(())
    }

    /// So many sets are in their table.
    pub(super) fn moved(&mut self, most: usize) {
        for _ in 0..most {
            self.moving.pop_first();
        }
    }
}

/// Why a log cannot be read.
pub(super) enum ReadError {
    Database(redb::StorageError),
    /// A group ends in the middle of a set.
    Torn,
}

impl From<redb::StorageError> for ReadError {
    fn from(source: redb::StorageError) -> Self {
        Self::Database(source)
    }
}

fn read(bytes: &mut &[u8]) -> Option<([u8; 12], Option<Vec<u8>>)> {
    let (tag, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    let len = bytes.try_get_u32().ok()?;
    if len == GONE {
        return Some((*tag, None));
    }
    let (head, rest) = bytes.split_at_checked(usize::try_from(len).ok()?)?;
    *bytes = rest;
    Some((*tag, Some(head.to_vec())))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{
        model::{Arrival, Tag, Timestamp, Token, UserId},
        store::{
            Authenticated, Create, SessionSet,
            file::disk::{Disk, Parts, Times},
        },
    };

    type Sets = BTreeMap<[u8; 12], SessionSet>;

    fn tag(user: u8) -> Tag {
        Tag::from_bytes([user; 12])
    }

    fn row(user: u8, set: Option<SessionSet>) -> Row {
        let (tag, parts) = (tag(user), Parts::Changed);
        Row { tag, set, parts }
    }

    /// A set with one more session that has data.
    fn more(user: u8, mut set: SessionSet) -> SessionSet {
        let token = Token::random(tag(user)).unwrap();
        let proof = Authenticated::On(Arrival::now());
        let mut create = Create::new(&token, UserId::new("alice").ok(), proof);
        create.changes.set("theme", "dark");
        let (now, hour) = (
            Timestamp::from_millis(1_764_000_000_000),
            Duration::from_secs(3_600),
        );
        set.create(&create, now, hour);
        set
    }

    fn open(path: &Path) -> (Disk, Sets) {
        let mut sets = Sets::new();
        let opened = Disk::open(path, Times::default(), |tag, set| {
            sets.insert(*tag.as_bytes(), set);
        });
        (opened.unwrap().0, sets)
    }

    // T75
    #[test]
    fn a_crash_while_sets_move_to_their_table_loses_none_of_them() {
        let directory = tempfile::tempdir().unwrap();
        let (path, crashed) = (directory.path().join("one"), directory.path().join("two"));
        let (mut disk, _) = open(&path);
        let mut expected = Sets::new();
        for user in 0..10 {
            let set = more(user, SessionSet::default());
            expected.insert([user; 12], set.clone());
            let rows = [row(user, Some(set))];
            disk.commit(&rows, Times::default()).unwrap();
        }
        for step in 0_u8..16 {
            disk.fold(2).unwrap();
            if step < 6 {
                // One that has moved or has not, and one that is new.
                for user in [step, 20 + step] {
                    let set = more(user, expected.remove(&[user; 12]).unwrap_or_default());
                    expected.insert([user; 12], set.clone());
                    let rows = [row(user, Some(set)), row(9 - step, None)];
                    expected.remove(&[9 - step; 12]);
                    disk.commit(&rows, Times::default()).unwrap();
                }
            }
            fs::copy(&path, &crashed).unwrap();

            let (_, found) = open(&crashed);

            assert!(found == expected, "step {step}");
        }
        assert!(disk.log().is_empty());
    }

    #[test]
    fn a_log_that_ends_in_the_middle_of_a_set_is_damaged() {
        let whole = [&[7; 12][..], &3_u32.to_be_bytes(), b"set"].concat();
        let gone = [&[7; 12][..], &GONE.to_be_bytes()].concat();

        assert_eq!(read(&mut &*whole), Some(([7; 12], Some(b"set".to_vec()))));
        assert_eq!(read(&mut &*gone), Some(([7; 12], None)));
        for end in 1..whole.len() {
            assert_eq!(read(&mut &whole[..end]), None, "{end}");
        }
    }
}
