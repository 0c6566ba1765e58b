//! Session sets that were written last, in groups.
//!
//! Each set has its own place in its table, so a commit of 32 sets would change 32 pages in as many places of the disk.
//! Instead it adds one value to the log. The sets move to their table later, many at a time and in its order.

use std::{
    collections::BTreeMap,
    ops::{Range, RangeToInclusive},
    time::Duration,
};

use bytes::{Buf, BufMut, Bytes};
use redb::{ReadableTable, Table, TableDefinition};

use super::disk::Parts;
use crate::{
    model::{Tag, Timestamp},
    store::{StoreError, StoreErrorKind, session_set::SessionSet},
};

/// Groups of session sets without the data of their sessions, by the number of their commit.
pub(super) const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// How many bytes of sets are in the log before they move while others are written.
const BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long nobody writes before they move.
pub(super) const QUIET: Duration = Duration::from_secs(1);

/// The length that says that the set is gone.
const GONE: u32 = u32::MAX;

/// The bytes of a group that are the time of its commit.
const TIME: usize = 8;

/// The stored form of a session set, by its tag. `None`: there is no such set.
pub(super) type Heads = BTreeMap<[u8; 12], Option<Bytes>>;

/// What is in the log.
#[derive(Debug, Default)]
pub(super) struct Log {
    /// The number of the last commit.
    last: u64,
    /// The store's time at the last commit that is in the log.
    time: Option<Timestamp>,
    /// Sets of the log that do not move yet.
    newer: Heads,
    /// About how many bytes these are.
    bytes: usize,
    /// Those that move. Their groups have numbers up to this one, and no other set is in these groups.
    moving: Heads,
    up_to: u64,
}

/// The session sets of one commit. They become one value of the log.
pub(super) struct Group {
    /// The time of the commit, then each set with its tag.
    bytes: Vec<u8>,
    heads: Vec<([u8; 12], Option<Range<usize>>)>,
    pub(super) parts: Vec<PartsOf>,
    /// A set cannot be written, so the commit fails.
    error: Option<StoreError>,
}

/// The parts of a session set that may differ from those on the disk.
pub(super) struct PartsOf {
    pub(super) tag: Tag,
    /// `None`: it has none.
    pub(super) set: Option<SessionSet>,
    /// Whether it is not known which are on the disk.
    pub(super) all: bool,
}

impl Group {
    /// Has room for so many sets.
    pub(super) fn new(sets: usize) -> Self {
        let mut bytes = Vec::with_capacity(TIME + 512 * sets);
        bytes.put_bytes(0, TIME);
        Self {
            bytes,
            heads: Vec::with_capacity(sets),
            parts: Vec::new(),
            error: None,
        }
    }

    /// How many sets it has.
    pub(super) fn len(&self) -> usize {
        self.heads.len()
    }

    /// Adds a set. `None`: nothing is kept about it. Returns whether it has parts on the disk after the commit.
    pub(super) fn put(
        &mut self,
        tag: Tag,
        set: Option<&SessionSet>,
        parts: Parts,
        has_parts: bool,
    ) -> bool {
        if let Err(error) = self.put_head(tag, set) {
            self.error.get_or_insert(error);
        }
        if parts == Parts::Same {
            return has_parts;
        }
        let set = set.filter(|set| set.parts().next().is_some());
        let all = parts == Parts::All;
        if set.is_some() || has_parts || all {
            let set = set.cloned();
            self.parts.push(PartsOf { tag, set, all });
        }
        set.is_some()
    }

    fn put_head(&mut self, tag: Tag, set: Option<&SessionSet>) -> Result<(), StoreError> {
        let head = set.map(SessionSet::encode).transpose()?;
        self.bytes.put_slice(tag.as_bytes());
        let range = if let Some(head) = &head {
            let len = u32::try_from(head.len()).ok().filter(|len| *len < GONE);
            let len = len.ok_or(StoreError::new(StoreErrorKind::Full))?;
            self.bytes.put_u32(len);
            let from = self.bytes.len();
            self.bytes.put_slice(head);
            Some(from..self.bytes.len())
        } else {
            self.bytes.put_u32(GONE);
            None
        };
        self.heads.push((*tag.as_bytes(), range));
        Ok(())
    }

    /// Says when the commit is. `None`: the clock may be wrong.
    ///
    /// # Errors
    ///
    /// If a set cannot be written.
    pub(super) fn seal(&mut self, time: Option<Timestamp>) -> Result<(), StoreError> {
        if let Some(bytes) = self.bytes.first_chunk_mut() {
            *bytes = time.map_or(i64::MIN, Timestamp::as_millis).to_be_bytes();
        }
        self.error.take().map_or(Ok(()), Err)
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl Log {
    /// Reads the log of a database.
    pub(super) fn read(table: &impl ReadableTable<u64, &'static [u8]>) -> Result<Self, ReadError> {
        let mut log = Self::default();
        for group in table.iter()? {
            let (number, group) = group?;
            log.last = number.value();
            let mut bytes = Bytes::copy_from_slice(group.value());
            log.bytes += bytes.len();
            let time = bytes.try_get_i64().ok().ok_or(ReadError::Torn)?;
            log.note(time);
            while !bytes.is_empty() {
                let (tag, head) = read(&mut bytes).ok_or(ReadError::Torn)?;
                log.newer.insert(tag, head);
            }
        }
        Ok(log)
    }

    fn note(&mut self, time: i64) {
        let time = (time > i64::MIN).then(|| Timestamp::from_millis(time));
        self.time = self.time.max(time);
    }

    /// The store's time at the last commit that is in the log.
    pub(super) fn time(&self) -> Option<Timestamp> {
        self.time
    }

    /// The sets in the log. They replace those in the table.
    pub(super) fn heads(&self) -> &Heads {
        &self.newer
    }

    /// The number of the next commit.
    pub(super) fn next(&mut self) -> u64 {
        // Also after a commit that failed: it may be in the file.
        self.last += 1;
        self.last
    }

    /// This group is on the disk.
    pub(super) fn keep(&mut self, group: Group) {
        let bytes = Bytes::from(group.bytes);
        self.bytes += bytes.len();
        if let Some(time) = bytes.first_chunk() {
            self.note(i64::from_be_bytes(*time));
        }
        let heads = group.heads.into_iter();
        let slice = |range: Range<usize>| bytes.slice(range);
        self.newer
            .extend(heads.map(|(tag, head)| (tag, head.map(slice))));
    }

    /// Whether no set has to move to its table.
    pub(super) fn is_empty(&self) -> bool {
        self.newer.is_empty() && self.moving.is_empty()
    }

    /// Whether sets have to move although others are written.
    pub(super) fn is_long(&self) -> bool {
        !self.moving.is_empty() || self.bytes >= BYTES_MAX
    }

    /// Puts so many sets into their table, and deletes groups that are done: those before this number. Say
    /// [`moved`](Self::moved) after the commit. Returns whether groups were deleted.
    pub(super) fn fold(
        &mut self,
        heads: &mut Table<'_, &'static [u8; 12], &'static [u8]>,
        log: &mut Table<'_, u64, &'static [u8]>,
        most: usize,
        before: u64,
    ) -> Result<bool, redb::StorageError> {
        if self.moving.is_empty() {
            self.moving = std::mem::take(&mut self.newer);
            self.bytes = 0;
            self.up_to = before.saturating_sub(1);
        }
        for (tag, head) in self.moving.iter().take(most) {
            match head {
                Some(head) => drop(heads.insert(tag, head.as_ref())?),
                None => drop(heads.remove(tag)?),
            }
        }
        let is_done = self.moving.len() <= most;
        if is_done {
            let done: RangeToInclusive<u64> = ..=self.up_to;
            log.retain_in(done, |_, _| false)?;
        }
        Ok(is_done)
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

fn read(bytes: &mut Bytes) -> Option<([u8; 12], Option<Bytes>)> {
    let tag = *bytes.first_chunk()?;
    bytes.advance(tag.len());
    let len = bytes.try_get_u32().ok()?;
    if len == GONE {
        return Some((tag, None));
    }
    let len = usize::try_from(len).ok()?;
    (len <= bytes.len()).then(|| (tag, Some(bytes.split_to(len))))
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;
    use crate::{
        model::{Arrival, Tag, Timestamp, Token, UserId},
        store::{
            Authenticated, Create, SessionSet,
            file::disk::{Disk, Times},
        },
    };

    type Sets = BTreeMap<[u8; 12], SessionSet>;

    fn tag(user: u8) -> Tag {
        Tag::from_bytes([user; 12])
    }

    fn group<'a>(rows: impl IntoIterator<Item = (u8, Option<&'a SessionSet>)>) -> Group {
        let mut group = Group::new(2);
        for (user, set) in rows {
            group.put(tag(user), set, Parts::Changed, true);
        }
        group
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
            let one = group([(user, Some(&set))]);
            disk.commit(one, Times::default(), 0).unwrap();
            expected.insert([user; 12], set);
        }
        for step in 0_u8..16 {
            // Sets move alone, or in the commit of others.
            let most = if step % 2 == 0 { 2 } else { 0 };
            disk.fold(2 - most).unwrap();
            if step < 6 {
                // One that has moved or has not, and one that is new.
                for user in [step, 20 + step] {
                    let set = more(user, expected.remove(&[user; 12]).unwrap_or_default());
                    let two = group([(user, Some(&set)), (9 - step, None)]);
                    disk.commit(two, Times::default(), most).unwrap();
                    expected.insert([user; 12], set);
                    expected.remove(&[9 - step; 12]);
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

        let read = |bytes: &[u8]| read(&mut Bytes::copy_from_slice(bytes));
        let set = Some(Bytes::from_static(b"set"));
        assert_eq!(read(&whole), Some(([7; 12], set)));
        assert_eq!(read(&gone), Some(([7; 12], None)));
        for end in 1..whole.len() {
            assert_eq!(read(&whole[..end]), None, "{end}");
        }
    }
}
