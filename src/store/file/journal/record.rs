//! The records of the journal, and what they say.

use std::io;

use bytes::{Buf, BufMut};

use super::{
    super::{
        medium::Medium,
        storage::{HEADER, START},
    },
    HALF, SIZE,
};

/// Records begin at multiples of this, so that a torn record damages none before it.
pub(super) const BLOCK: usize = 4_096;

/// The bytes of a record before what it has: a checksum, how many bytes follow the head, the epoch, its number.
pub(super) const HEAD: usize = 4 + 4 + 8 + 8;

/// What each thing in a record begins with.
const PAGES: u8 = 1;
const CHANGES: u8 = 2;

/// What the journal of a file says.
#[derive(Debug, Default)]
pub(in super::super) struct Replay {
    /// What to write to the database, in this order.
    pub(in super::super) writes: Vec<(u64, Vec<u8>)>,
    /// Changes that the database may not have.
    pub(super) waiting: Vec<u8>,
    pub(super) epoch: [u8; 8],
    pub(super) next: u64,
    pub(super) is_second: bool,
    /// The records.
    records: Vec<u8>,
}

impl Replay {
    /// Whether the journal began with changes that waited.
    #[cfg(test)]
    pub(in super::super) fn carries(&self) -> bool {
        let first = record(&self.records, |_, _| true);
        let mut things = first.map_or(&[][..], |first| first.things);
        std::iter::from_fn(|| thing(&mut things)).any(|it| matches!(it, Thing::Changes(..)))
    }

    /// Makes sure that the disk has the records, and not only who reads them.
    pub(in super::super) fn write_again(&self, medium: &dyn Medium) -> io::Result<()> {
        if self.records.is_empty() {
            return Ok(());
        }
        medium.write_through(
            HEADER + if self.is_second { HALF } else { 0 },
            &self.records,
        )
    }
}

/// Without the end of a page that has nothing. Few values of the log fill all pages that they take.
pub(super) fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    const ZEROS: [u8; 512] = [0; 512];
    while let Some((rest, &ZEROS)) = bytes.split_last_chunk() {
        bytes = rest;
    }
    bytes
}

/// Adds pages of so many bytes to a record. After these bytes they have zeros.
pub(super) fn put_page(record: &mut Vec<u8>, at: u64, len: u32, bytes: &[u8]) {
    record.put_u8(PAGES);
    record.put_u64(at);
    record.put_u32(len);
    record.put_u32(u32::try_from(bytes.len()).unwrap_or(len));
    record.put_slice(bytes);
}

/// Adds the changes of one commit to a record. They have the number of their first record.
pub(super) fn put_changes(record: &mut Vec<u8>, number: u64, changes: &[u8]) {
    record.put_u8(CHANGES);
    record.put_u64(number);
    record.put_u32(u32::try_from(changes.len()).unwrap_or(u32::MAX));
    record.put_slice(changes);
}

/// Writes the head of a record.
pub(super) fn seal(record: &mut [u8], epoch: [u8; 8], number: u64) -> io::Result<()> {
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
    things: &'a [u8],
}

/// The record at the start of these bytes.
fn record(bytes: &[u8], is_wanted: impl Fn([u8; 8], u64) -> bool) -> Option<Record<'_>> {
    let (sum, summed) = bytes.split_first_chunk()?;
    let mut head = summed;
    let len = usize::try_from(head.try_get_u32().ok()?).ok()?;
    let epoch = head.try_get_u64().ok()?.to_be_bytes();
    let number = head.try_get_u64().ok()?;
    let things = head.get(..len).filter(|_| is_wanted(epoch, number))?;
    let summed = summed.get(..HEAD - 4 + len)?;
    (crc32fast::hash(summed) == u32::from_be_bytes(*sum)).then_some(Record {
        epoch,
        number,
        things,
    })
}

/// A thing in a record.
enum Thing<'a> {
    /// Pages of so many bytes at this place of the database, and what they begin with.
    Pages(u64, u32, &'a [u8]),
    /// The changes of one commit, with their number.
    Changes(u64, &'a [u8]),
}

fn thing<'a>(rest: &mut &'a [u8]) -> Option<Thing<'a>> {
    let kind = rest.try_get_u8().ok()?;
    let number = rest.try_get_u64().ok()?;
    let len = match kind {
        PAGES => Some(rest.try_get_u32().ok()?),
        CHANGES => None,
        _ => return None,
    };
    let used = usize::try_from(rest.try_get_u32().ok()?).ok()?;
    let (bytes, after) = rest.split_at_checked(used)?;
    *rest = after;
    Some(match len {
        Some(len) => Thing::Pages(number, len, bytes),
        None => Thing::Changes(number, bytes),
    })
}

/// The changes among these that the database has not taken, if it took those up to this number. Each with its number.
pub(in super::super) fn changes(
    mut waiting: &[u8],
    taken: Option<u64>,
) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || thing(&mut waiting)).filter_map(move |thing| match thing {
        Thing::Changes(number, bytes) if taken.is_none_or(|taken| taken < number) => {
            Some((number, bytes))
        }
        _ => None,
    })
}

/// Reads the journal of a file. It does not change the file.
pub(in super::super) fn read(medium: &dyn Medium) -> io::Result<Replay> {
    let mut bytes = vec![0; usize::try_from(SIZE).map_err(io::Error::other)?];
    medium.read(HEADER, &mut bytes)?;
    let database = medium.len()?.saturating_sub(START);
    replay(&bytes, database).ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// `None`: a record is damaged.
fn replay(bytes: &[u8], database: u64) -> Option<Replay> {
    let (one, two) = bytes.split_at_checked(usize::try_from(HALF).ok()?)?;
    let first = |half| Some(record(half, |_, _| true)?.number);
    let is_second = first(two) > first(one);
    let half = if is_second { two } else { one };
    let mut replay = Replay {
        is_second,
        ..<_>::default()
    };
    let Some(first) = record(half, |_, _| true) else {
        // Only a file that is being made has none.
        return (database == 0).then_some(replay);
    };
    let epoch = first.epoch;
    let mut found = Some(first);
    let mut end = 0;
    while let Some(record) = found {
        replay.next = record.number + 1;
        replay.add(record.things, database)?;
        end += (HEAD + record.things.len()).next_multiple_of(BLOCK);
        let rest = half.get(end..).unwrap_or_default();
        found = self::record(rest, |its, number| its == epoch && number == replay.next);
    }
    replay.epoch = epoch;
    replay.records = half.get(..end)?.to_vec();
    // The next record may be torn. If there is one after it, it was whole.
    let is_later = |its, number| its == epoch && number > replay.next;
    let mut blocks = (0..bytes.len()).step_by(BLOCK);
    let has_later =
        blocks.any(|at| record(bytes.get(at..).unwrap_or_default(), is_later).is_some());
    (!has_later).then_some(replay)
}

impl Replay {
    /// Adds what a record has. `None`: it is damaged.
    fn add(&mut self, mut things: &[u8], database: u64) -> Option<()> {
        while !things.is_empty() {
            let whole = things;
            match thing(&mut things)? {
                Thing::Pages(at, len, used) => {
                    if at.checked_add(u64::from(len))? > database {
                        return None;
                    }
                    let mut page = used.to_vec();
                    page.resize(usize::try_from(len).ok()?, 0);
                    self.writes.push((at, page));
                }
                Thing::Changes(..) => {
                    let bytes = whole.len() - things.len();
                    self.waiting.extend_from_slice(whole.get(..bytes)?);
                }
            }
        }
        Some(())
    }
}
