//! The pages of the last commits, one commit after the other in one place of the file.
//!
//! A commit changes pages in many places, and waiting for all of them takes several times as long as for one. So a commit
//! waits only until one record with all its pages is on the disk. The pages are written to their places too, and the disk
//! may take its time with them. When the journal is full, the whole file is synced and the journal begins again.
//!
//! What a loss of power leaves, and why nothing is missing after [`read`] and a replay of the records in their order:
//!
//! - **Within a record.** Its checksum is wrong, so it does not count. It is the last one, and its
//!   commit was not acknowledged.
//! - **After records 1 to k, with any of their pages in place or not.** The replay writes all of them again. Pages of commit
//!   k + 1 may be in place too: the database writes them where the state of commit k has nothing. Its header is in each
//!   record, so it is that of commit k.
//! - **While the whole file is synced.** The same: the records are there until all pages are.
//! - **As the journal begins again.** The first record is the old one, the new one or torn. All pages are in place then, so
//!   each of the three is right. After an old one, the later records count too, and they lead to commit k.
//! - **After an error.** The database is closed. To open it again is the same as after a loss of power. A page that the operating
//!   system could not write, and dropped, is in the journal. The header in the first record is for the case that there is
//!   no other record.
//! - **As the file grows or shrinks.** The journal begins again before, so no record has a page that is not in the file.

use std::io;

use bytes::{Buf, BufMut};

use super::{
    medium::Medium,
    storage::{HEADER, START},
};
use crate::model::random;

/// The bytes of the journal, after the header of the file.
pub(super) const SIZE: u64 = START - HEADER;

/// Records begin at multiples of this, so that a torn record damages none before it.
const BLOCK: usize = 4_096;

/// The bytes of a record before its pages: a checksum, how many bytes follow the head, the journal, its number in it.
const HEAD: usize = 4 + 4 + 8 + 8;

/// The part of the database's first page that has its header. The first record fits into one sector with it.
const SNAPSHOT: u32 = 472;

/// What was written since the last sync, and where its record goes.
#[derive(Debug)]
pub(super) struct Journal {
    /// Random, so that no bytes of an older journal or of a client are taken for a record.
    epoch: [u8; 8],
    /// The number of the next record.
    next: u64,
    at: u64,
    record: Vec<u8>,
    /// Whether the record has everything that was written.
    is_whole: bool,
    /// After an error, only the journal of the same file that is opened again goes on.
    is_broken: bool,
}

/// What the journal of a file says.
#[derive(Debug, Default)]
pub(super) struct Replay {
    /// What to write to the database, in this order.
    pub(super) writes: Vec<(u64, Vec<u8>)>,
}

impl Journal {
    /// A journal that begins with the next sync.
    pub(super) fn new() -> Self {
        Self {
            epoch: [0; 8],
            next: 0,
            at: SIZE,
            record: vec![0; HEAD],
            is_whole: false,
            is_broken: false,
        }
    }

    /// This is written to the database.
    pub(super) fn note(&mut self, at: u64, bytes: &[u8]) {
        let most = usize::try_from(SIZE / 2).unwrap_or(usize::MAX);
        let len = u32::try_from(bytes.len()).ok();
        if let Some(len) = len.filter(|_| self.is_whole && self.record.len() + bytes.len() < most) {
            put(&mut self.record, at, len, without_zeros(bytes));
        } else {
            self.is_whole = false;
        }
    }

    /// The file is no longer as the records say, until the next sync.
    pub(super) fn skip(&mut self) {
        self.is_whole = false;
    }

    /// A write failed, so nothing may be written before the records were replayed.
    pub(super) fn fail(&mut self) {
        self.is_broken = true;
    }

    /// Waits until everything that was written is on the disk.
    pub(super) fn sync(&mut self, medium: &dyn Medium) -> io::Result<()> {
        if !self.is_broken && self.is_whole && self.record.len() == HEAD {
            return Ok(());
        }
        let len = self.record.len().next_multiple_of(BLOCK);
        let end = self.at + u64::try_from(len).unwrap_or(SIZE);
        if self.is_broken || !self.is_whole || end > SIZE {
            return self.begin(medium);
        }
        let done = self.append(medium, len);
        self.is_broken |= done.is_err();
        done
    }

    /// Nothing is written any more. The file needs no journal then.
    pub(super) fn close(&mut self, medium: &dyn Medium) -> io::Result<()> {
        if self.is_broken || self.is_whole && self.record.len() == HEAD && self.next == 1 {
            return Ok(());
        }
        self.begin(medium)
    }

    /// Begins again, after the whole file is on the disk.
    pub(super) fn begin(&mut self, medium: &dyn Medium) -> io::Result<()> {
        if self.is_broken {
            return Err(io::Error::other("a write to the file failed before"));
        }
        let done = self.begin_now(medium);
        self.is_broken |= done.is_err();
        done
    }

    fn begin_now(&mut self, medium: &dyn Medium) -> io::Result<()> {
        medium.sync()?;
        let database = medium.len()?.saturating_sub(START);
        let mut header = [0; SNAPSHOT as usize];
        let has_header = database >= u64::from(SNAPSHOT);
        if has_header {
            medium.read(START, &mut header)?;
        }
        (self.next, self.at) = (0, 0);
        self.epoch = random::bytes().map_err(io::Error::other)?;
        self.record.truncate(HEAD);
        if has_header {
            put(&mut self.record, 0, SNAPSHOT, &header);
        }
        self.is_whole = true;
        self.append(medium, BLOCK)
    }

    fn append(&mut self, medium: &dyn Medium, len: usize) -> io::Result<()> {
        seal(&mut self.record, self.epoch, self.next)?;
        self.record.resize(len, 0);
        medium.write_through(HEADER + self.at, &self.record)?;
        self.next += 1;
        self.at += u64::try_from(len).unwrap_or(SIZE);
        self.record.truncate(HEAD);
        Ok(())
    }
}

/// Without the end of a page that has nothing. Few values of the log fill all pages that they take.
fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    const ZEROS: [u8; 512] = [0; 512];
    while let Some((rest, &ZEROS)) = bytes.split_last_chunk() {
        bytes = rest;
    }
    bytes
}

/// Adds pages of so many bytes to a record. After these bytes they have zeros.
fn put(record: &mut Vec<u8>, at: u64, len: u32, bytes: &[u8]) {
    record.put_u64(at);
    record.put_u32(len);
    record.put_u32(u32::try_from(bytes.len()).unwrap_or(len));
    record.put_slice(bytes);
}

/// Writes the head of a record.
fn seal(record: &mut [u8], epoch: [u8; 8], number: u64) -> io::Result<()> {
    let len = u32::try_from(record.len() - HEAD).map_err(io::Error::other)?;
    let mut rest = record.get_mut(4..).unwrap_or_default();
    rest.put_u32(len);
    rest.put_slice(&epoch);
    rest.put_u64(number);
    let summed = crc32fast::hash(record.get(4..).unwrap_or_default());
    if let Some(sum) = record.first_chunk_mut() {
        *sum = summed.to_be_bytes();
    }
    Ok(())
}

/// A record that is whole.
struct Record<'a> {
    epoch: [u8; 8],
    number: u64,
    pages: &'a [u8],
}

/// The record at the start of these bytes.
fn record(bytes: &[u8], is_wanted: impl Fn([u8; 8], u64) -> bool) -> Option<Record<'_>> {
    let (sum, summed) = bytes.split_first_chunk()?;
    let mut head = summed;
    let len = usize::try_from(head.try_get_u32().ok()?).ok()?;
    let epoch = head.try_get_u64().ok()?.to_be_bytes();
    let number = head.try_get_u64().ok()?;
    let pages = head.get(..len).filter(|_| is_wanted(epoch, number))?;
    let summed = summed.get(..HEAD - 4 + len)?;
    (crc32fast::hash(summed) == u32::from_be_bytes(*sum)).then_some(Record {
        epoch,
        number,
        pages,
    })
}

/// Reads the journal of a file. It does not change the file.
pub(super) fn read(medium: &dyn Medium) -> io::Result<Replay> {
    let mut bytes = vec![0; usize::try_from(SIZE).map_err(io::Error::other)?];
    medium.read(HEADER, &mut bytes)?;
    let database = medium.len()?.saturating_sub(START);
    replay(&bytes, database).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `None`: a record is damaged, because there is one after it.
fn replay(mut bytes: &[u8], database: u64) -> Option<Replay> {
    let mut replay = Replay::default();
    let Some(first) = record(bytes, |_, number| number == 0) else {
        return Some(replay);
    };
    let epoch = first.epoch;
    let mut found = Some(first);
    let mut next = 0;
    while let Some(record) = found {
        next = record.number + 1;
        let mut pages = record.pages;
        while !pages.is_empty() {
            let at = pages.try_get_u64().ok()?;
            let len = pages.try_get_u32().ok()?;
            let used = pages.try_get_u32().ok()?;
            let (page, rest) = pages.split_at_checked(usize::try_from(used).ok()?)?;
            if at.checked_add(u64::from(len))? > database {
                return None;
            }
            let mut page = page.to_vec();
            page.resize(usize::try_from(len).ok()?, 0);
            replay.writes.push((at, page));
            pages = rest;
        }
        let len = (HEAD + record.pages.len()).next_multiple_of(BLOCK);
        bytes = bytes.get(len..).unwrap_or_default();
        found = self::record(bytes, |its, number| its == epoch && number == next);
    }
    let is_later = |its, number| its == epoch && number > next;
    let mut rest = bytes.chunks(BLOCK).enumerate().map(|(block, _)| block);
    rest.all(|block| {
        let rest = bytes.get(block * BLOCK..).unwrap_or_default();
        record(rest, is_later).is_none()
    })
    .then_some(replay)
}
