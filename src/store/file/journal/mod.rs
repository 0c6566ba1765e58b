//! What the last commits changed, one commit after the other in one place of the file.
//!
//! A commit of the database changes pages in many places, and waiting for all of them takes several times as long as for one.
//! So the session sets of a commit wait in the journal: it is done as soon as one record with its changes is on the disk.
//! One commit of the database takes the changes of many records. Its pages go into a record too, and only this record is
//! waited for. The disk may take its time with the pages in their places.
//!
//! The journal has two halves. When one is full, the whole file is synced, and the journal begins again in the other half.
//! The first record there has all changes that the database has not taken yet. So they are never in no half.
//!
//! What a loss of power leaves, and why nothing is missing after [`read`], a replay of the pages in their order, and the
//! changes that the database has not taken:
//!
//! - **Within a record.** Its checksum is wrong, so it does not count. It is the last one, and its commit was not
//!   acknowledged.
//! - **After records 1 to k, with any of their pages in place or not.** The replay writes all pages of these records again.
//!   Pages of a commit after them may be in place too: the database writes them where its last commit has nothing. Its header
//!   is in each record with pages, so it is that of its last commit. The changes after that commit are in this half.
//! - **While the whole file is synced.** The same: the records are there until all pages are.
//! - **As the journal begins again.** The half whose first record is whole and has the higher number counts. While the new
//!   one is torn, this is the old half: the same as before. As soon as the new one is whole, all pages are in place, and its
//!   first record has the header and the changes. Nothing is written to the old half before that.
//! - **While the database takes changes.** Its commit also says the number of the last ones. If it is there, those up to this
//!   number do not count. If it is not there, all count. Also if the journal began again meanwhile, because the file grew or
//!   the half was full: the changes leave the journal only after the commit is on the disk.
//! - **After an error.** Nothing is written any more and the database is closed. To open it again is the same as after a loss
//!   of power. A page that the operating system could not write, and dropped, is in the journal. So may be a record
//!   that a reader gets although the disk does not have it: the half is written again before the other half begins.
//! - **As the file grows or shrinks.** The journal begins again before, so no record has a page that is not in the file.
//!
//! Numbers of records go on for ever, and so does the epoch, which is random and only in the file. So a record from
//! before, or bytes of a client, are never taken for the next one, and a damaged record is noticed by those after it.

use std::{io, mem, sync::Arc};

use bytes::BufMut;

mod record;

use self::record::{BLOCK, HEAD, put_changes, put_page, seal, without_zeros};
pub(super) use self::record::{Replay, changes, read};
use super::{
    medium::Medium,
    storage::{HEADER, START},
};
use crate::model::random;

/// The bytes of the journal, after the header of the file.
pub(super) const SIZE: u64 = START - HEADER;

/// The bytes of one half.
const HALF: u64 = SIZE / 2;

/// The most bytes of changes that wait. They fit into a half several times.
pub(super) const WAITING: usize = if cfg!(test) { 24 } else { 512 } * 1024;

/// The part of the database's first page that has its header.
const SNAPSHOT: u32 = 472;

/// What was written since the last sync, and where its record goes.
#[derive(Debug)]
pub(super) struct Journal {
    /// Random, so that no bytes of a client are taken for a record.
    epoch: [u8; 8],
    /// The number of the next record.
    next: u64,
    /// Whether the records are in the second half.
    is_second: bool,
    /// Where the next record goes in its half.
    at: u64,
    /// Whether the half has only its first record.
    is_new: bool,
    pages: Vec<u8>,
    /// Whether `pages` has everything that was written.
    is_whole: bool,
    /// What the database has not taken yet, as it is in records.
    waiting: Arc<Vec<u8>>,
    /// The memory of the last record with changes.
    spare: Vec<u8>,
    /// After an error, only the journal of the same file that is opened again goes on.
    is_broken: bool,
}

impl Journal {
    /// A journal that goes on after this one, in the other half.
    pub(super) fn after(replay: &mut Replay) -> Self {
        Self {
            epoch: replay.epoch,
            next: replay.next,
            is_second: replay.is_second,
            at: HALF,
            is_new: false,
            pages: vec![0; HEAD],
            is_whole: false,
            waiting: Arc::new(mem::take(&mut replay.waiting)),
            spare: Vec::new(),
            is_broken: false,
        }
    }

    /// This is written to the database.
    pub(super) fn note(&mut self, at: u64, bytes: &[u8]) {
        let most = usize::try_from(HALF / 2).unwrap_or(usize::MAX);
        let len = u32::try_from(bytes.len()).ok();
        if let Some(len) = len.filter(|_| self.is_whole && self.pages.len() + bytes.len() < most) {
            put_page(&mut self.pages, at, len, without_zeros(bytes));
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

    /// An error, after one.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.is_broken {
            true => Err(io::Error::other("a write to the file failed before")),
            false => Ok(()),
        }
    }

    /// Waits until everything that was written is on the disk.
    pub(super) fn sync(&mut self, medium: &dyn Medium) -> io::Result<()> {
        if !self.is_broken && self.is_whole && self.pages.len() == HEAD {
            return Ok(());
        }
        if self.is_broken || !self.is_whole || !self.has_room(self.pages.len()) {
            return self.begin(medium);
        }
        let pages = mem::take(&mut self.pages);
        self.pages = self.append(medium, pages)?;
        Ok(())
    }

    /// Whether so many bytes of changes can wait too.
    pub(super) fn has_place(&self, bytes: usize) -> bool {
        self.waiting.len() + bytes <= WAITING
    }

    /// Waits until these changes are on the disk. They wait for the database.
    pub(super) fn add(&mut self, medium: &dyn Medium, changes: &[u8]) -> io::Result<()> {
        self.check()?;
        let mut record = mem::take(&mut self.spare);
        record.clear();
        record.put_bytes(0, HEAD);
        put_changes(&mut record, self.next, changes);
        let waiting = Arc::make_mut(&mut self.waiting);
        waiting.extend_from_slice(record.get(HEAD..).unwrap_or_default());
        if !self.has_room(record.len()) {
            return self.begin(medium);
        }
        self.spare = self.append(medium, record)?;
        Ok(())
    }

    /// The changes that the database has not taken.
    pub(super) fn waiting(&self) -> Arc<Vec<u8>> {
        Arc::clone(&self.waiting)
    }

    /// The database took those up to this number before.
    pub(super) fn took(&mut self, taken: u64) {
        let mut waiting = Vec::new();
        for (number, bytes) in changes(&self.waiting, Some(taken)) {
            put_changes(&mut waiting, number, bytes);
        }
        self.waiting = Arc::new(waiting);
    }

    /// The database has taken all changes, and its commit is on the disk.
    pub(super) fn taken(&mut self) {
        match Arc::get_mut(&mut self.waiting) {
            Some(waiting) => waiting.clear(),
            None => self.waiting = Arc::default(),
        }
    }

    /// Nothing is written any more. The file needs no journal then.
    pub(super) fn close(&mut self, medium: &dyn Medium) -> io::Result<()> {
        if self.is_broken || self.is_whole && self.pages.len() == HEAD && self.is_new {
            return Ok(());
        }
        self.begin(medium)
    }

    /// Begins again in the other half, after the whole file is on the disk.
    pub(super) fn begin(&mut self, medium: &dyn Medium) -> io::Result<()> {
        self.check()?;
        let done = self.begin_now(medium);
        self.is_broken |= done.is_err();
        done
    }

    fn begin_now(&mut self, medium: &dyn Medium) -> io::Result<()> {
        medium.sync()?;
        let database = medium.len()?.saturating_sub(START);
        let mut record = mem::take(&mut self.pages);
        record.clear();
        record.put_bytes(0, HEAD);
        if database >= u64::from(SNAPSHOT) {
            let mut header = [0; SNAPSHOT as usize];
            medium.read(START, &mut header)?;
            put_page(&mut record, 0, SNAPSHOT, &header);
        }
        record.extend_from_slice(&self.waiting);
        if self.next == 0 {
            self.epoch = random::bytes().map_err(io::Error::other)?;
        }
        (self.is_second, self.at) = (!self.is_second, 0);
        self.pages = self.append(medium, record)?;
        (self.is_whole, self.is_new) = (true, true);
        Ok(())
    }

    fn has_room(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes.next_multiple_of(BLOCK));
        bytes.is_ok_and(|bytes| self.at.saturating_add(bytes) <= HALF)
    }

    /// Waits until this record is on the disk. Returns an empty one with the same memory.
    fn append(&mut self, medium: &dyn Medium, mut record: Vec<u8>) -> io::Result<Vec<u8>> {
        self.is_broken = true;
        if !self.has_room(record.len()) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        seal(&mut record, self.epoch, self.next)?;
        record.resize(record.len().next_multiple_of(BLOCK), 0);
        medium.write_through(self.start() + self.at, &record)?;
        self.is_broken = false;
        self.next += 1;
        self.at += u64::try_from(record.len()).unwrap_or(HALF);
        self.is_new = false;
        record.truncate(HEAD);
        Ok(record)
    }

    fn start(&self) -> u64 {
        HEADER + if self.is_second { HALF } else { 0 }
    }
}
