//! Makes the log shorter: the latest versions of sets move from its start to its end, and the older ones go.

use std::collections::HashSet;

use redb::{StorageError, Table};

use super::{
    Log,
    group::{Group, Value, What},
    room,
};
use crate::model::Tag;

/// How much of the file the log takes at least before it is cleaned.
const LEAST: u64 = if cfg!(test) { 4 } else { 32 * 1024 } * 1024;

/// A cleaning removes so many times the bytes that were added since the last one. The first values may have no older
/// versions, so this is more than what [`Log::most`] needs at the average.
const TIMES: u64 = 4;

/// While the disk is nearly full, a cleaning removes so many bytes at least.
const AT_ONCE: u64 = if cfg!(test) { 8 } else { 1024 } * 1024;

/// Adds a set to a group as it is now, with all activity. Returns whether there is one.
pub(in super::super) type Current<'a> = &'a dyn Fn(Tag, &mut Group) -> bool;

/// What the cleaning of a commit changes.
#[derive(Debug, Default)]
pub(in super::super) struct Cleaned {
    /// The number of the last value that is gone.
    up_to: u64,
    /// Tags of which the log has nothing any more.
    gone: Vec<[u8; 12]>,
}

impl Log {
    /// How much of the file the log may take.
    pub(super) fn most(&self, is_low: bool) -> u64 {
        match is_low {
            false => LEAST + self.live + self.live / 2,
            true => LEAST / 16 + self.live + self.live / 8,
        }
    }

    /// Whether there is something to clean while the disk is nearly full.
    pub(in super::super) fn has_older(&self) -> bool {
        let first = self.values.front().map(|(number, _)| *number);
        first.is_some_and(|first| first <= self.pass) && self.bytes > self.most(true)
    }

    /// After much has gone, one more pass over the whole log finds all of it.
    fn begin_pass(&mut self, is_low: bool) {
        if !is_low {
            (self.pass, self.pass_live) = (0, 0);
        } else if self.pass_live == 0 || self.live < self.pass_live - self.pass_live / 64 {
            (self.pass, self.pass_live) = (self.last, self.live);
        }
    }

    /// Removes some of the oldest values from the table, if the log is long, and adds those sets of which they have the latest
    /// version to this group of new sets. Say [`cleaned`](Self::cleaned) after the commit.
    ///
    /// It reads what is in the table: a commit that failed may have added values that are not known here, and removed others.
    pub(in super::super) fn clean(
        &mut self,
        table: &mut Table<'_, u64, &'static [u8]>,
        group: &mut Group,
        current: Current<'_>,
        is_low: bool,
    ) -> Result<Cleaned, StorageError> {
        let mut cleaned = Cleaned::default();
        let new = group.values().iter().map(|value| room(value.len()));
        let mut enough = TIMES * (self.added + new.map(u64::from).sum::<u64>());
        if is_low {
            enough = enough.max(AT_ONCE);
        }
        self.begin_pass(is_low);
        let most = self.most(is_low);
        let mut removed = 0;
        let mut newer: HashSet<_> = group.heads().iter().map(|head| head.tag).collect();
        while removed < enough && self.bytes > most + removed {
            let Some((number, bytes)) = table.pop_first()? else {
                // A commit that failed has removed those that are known.
                cleaned.up_to = self.last;
                break;
            };
            let (number, bytes) = (number.value(), bytes.value());
            removed += u64::from(room(bytes.len()));
            cleaned.up_to = number;
            let torn = |_| StorageError::Corrupted("a value of the log is torn".to_owned());
            let value = Value::read(bytes).map_err(torn)?;
            // A commit that failed may have written it when the clock was ahead.
            self.note(value.time);
            for entry in value {
                let entry = entry.map_err(torn)?;
                // The latest version of a set is in no value before this one. So it has this activity, or gets it now.
                if matches!(entry.what, What::Seen(..))
                    || !self.is_latest(entry.tag, number)
                    || !newer.insert(entry.tag)
                {
                    continue;
                }
                match entry.what {
                    What::Head(_) if current(Tag::from_bytes(entry.tag), group) => {}
                    What::Head(head) => group.copy(entry.tag, head),
                    // There is no older version that it hides.
                    What::Gone | What::Seen(..) => cleaned.gone.push(entry.tag),
                }
            }
        }
        Ok(cleaned)
    }

    /// Whether no later value than this one has the set. This one may be a copy by a commit that failed and is in the file
    /// all the same. Then it is later than the value in the index.
    fn is_latest(&self, tag: [u8; 12], value: u64) -> bool {
        let place = self.index.get(&tag);
        place.is_none_or(|place| u64::from_be_bytes(place.value) <= value)
    }

    /// The commit with this cleaning is on the disk.
    pub(in super::super) fn cleaned(&mut self, cleaned: &Cleaned) {
        while let Some((number, room)) = self.values.front()
            && *number <= cleaned.up_to
        {
            self.bytes -= u64::from(*room);
            self.values.pop_front();
        }
        for tag in &cleaned.gone {
            self.index.remove(tag);
        }
        self.added = 0;
    }
}
