//! The session sets and the activity of one commit, as values of the log.

use bytes::{Buf, BufMut};

use super::super::disk::Parts;
use crate::{
    model::{SessionId, Tag, Timestamp},
    store::{StoreError, StoreErrorKind, session_set::SessionSet},
};

/// The most bytes of a value with several sets. With what the database [adds](super::room) it fills a power of two of pages.
pub(super) const VALUE: usize = if cfg!(test) { 2 * 1024 } else { 32 * 1024 } - super::ADDED;

/// The length that says that the set is gone.
const GONE: u32 = u32::MAX;

/// The length that says that the last activity of a session follows: its id, and the moment.
const SEEN: u32 = u32::MAX - 1;

/// The bytes of a value that are the time of its commit.
const TIME: usize = 8;

/// The bytes before a set: its tag, and its length.
const BEFORE: usize = 12 + 4;

/// The last activity of a session. Nothing else of its set changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in super::super) struct Activity {
    pub(in super::super) tag: Tag,
    pub(in super::super) id: SessionId,
    pub(in super::super) at: Timestamp,
}

/// The last activity of this session among these.
pub(in super::super) fn latest(activity: &[Activity], id: SessionId) -> Option<Timestamp> {
    let its = activity.iter().filter(|it| it.id == id);
    its.map(|it| it.at).max()
}

/// The session sets of one commit, and activity. They become one value of the log or several.
pub(in super::super) struct Group {
    /// Each is the time of the commit, then each set or activity with its tag. There is always one.
    values: Vec<Vec<u8>>,
    heads: Vec<Head>,
    pub(in super::super) parts: Vec<PartsOf>,
    /// A set cannot be written, so the commit fails.
    error: Option<StoreError>,
}

/// Where a set is in a group.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) tag: [u8; 12],
    /// How many values are before the one that has it.
    pub(super) value: usize,
    /// How many bytes it has there. 0: it says that the set is gone.
    pub(super) bytes: usize,
}

/// The parts of a session set that may differ from those on the disk.
pub(in super::super) struct PartsOf {
    pub(in super::super) tag: Tag,
    /// `None`: it has none.
    pub(in super::super) set: Option<SessionSet>,
    /// Whether it is not known which are on the disk.
    pub(in super::super) all: bool,
}

impl Group {
    /// Has room for so many sets.
    pub(in super::super) fn new(sets: usize) -> Self {
        Self {
            values: vec![begun(2 * 1024 * sets)],
            heads: Vec::with_capacity(sets),
            parts: Vec::new(),
            error: None,
        }
    }

    /// Adds a set. `None`: nothing is kept about it. Returns whether it has parts on the disk after the commit.
    pub(in super::super) fn put(
        &mut self,
        tag: Tag,
        set: Option<&SessionSet>,
        parts: Parts,
        has_parts: bool,
    ) -> bool {
        self.put_head(*tag.as_bytes(), set, SessionSet::encode_to);
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

    /// Adds a set as an older value has it.
    pub(super) fn copy(&mut self, tag: [u8; 12], head: &[u8]) {
        self.put_head(tag, Some(head), |head, value| {
            value.put_slice(head);
            Ok(())
        });
    }

    /// Adds activity. A set in this group or a later one has it too.
    pub(in super::super) fn saw(&mut self, Activity { tag, id, at }: &Activity) {
        if let Some(value) = self.values.last_mut() {
            let from = value.len();
            value.put_slice(tag.as_bytes());
            value.put_u32(SEEN);
            value.put_slice(id.as_bytes());
            value.put_i64(at.as_millis());
            self.fit(from);
        }
    }

    fn put_head<T: ?Sized>(
        &mut self,
        tag: [u8; 12],
        head: Option<&T>,
        encode: impl FnOnce(&T, &mut Vec<u8>) -> Result<(), StoreError>,
    ) {
        let Some(value) = self.values.last_mut() else {
            return;
        };
        let from = value.len();
        if let Err(error) = put(value, tag, head, encode) {
            self.error.get_or_insert(error);
        }
        let bytes = value.len() - from;
        self.fit(from);
        self.heads.push(Head {
            tag,
            value: self.values.len() - 1,
            bytes: if head.is_some() { bytes } else { 0 },
        });
    }

    /// What the last value has from here goes into the next one, if it is too much.
    fn fit(&mut self, from: usize) {
        if let Some(value) = self.values.last_mut()
            && value.len() > VALUE
            && from > TIME
        {
            let mut next = begun(VALUE);
            next.extend_from_slice(value.get(from..).unwrap_or_default());
            value.truncate(from);
            self.values.push(next);
        }
    }

    /// Says when the commit is. `None`: the clock may be wrong.
    ///
    /// # Errors
    ///
    /// If a set cannot be written.
    pub(in super::super) fn seal(&mut self, time: Option<Timestamp>) -> Result<(), StoreError> {
        let time = time.map_or(i64::MIN, Timestamp::as_millis).to_be_bytes();
        for value in &mut self.values {
            if let Some(bytes) = value.first_chunk_mut() {
                *bytes = time;
            }
        }
        self.error.take().map_or(Ok(()), Err)
    }

    /// What goes into the log. Without sets and activity this is nothing.
    pub(in super::super) fn values(&self) -> &[Vec<u8>] {
        match self.values.as_slice() {
            [only] if only.len() == TIME => &[],
            values => values,
        }
    }

    pub(super) fn heads(&self) -> &[Head] {
        &self.heads
    }
}

fn begun(bytes: usize) -> Vec<u8> {
    let mut value = Vec::with_capacity(TIME + bytes.min(VALUE));
    value.put_bytes(0, TIME);
    value
}

fn put<T: ?Sized>(
    value: &mut Vec<u8>,
    tag: [u8; 12],
    head: Option<&T>,
    encode: impl FnOnce(&T, &mut Vec<u8>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    value.put_slice(&tag);
    let at = value.len();
    value.put_u32(GONE);
    let Some(head) = head else {
        return Ok(());
    };
    let from = value.len();
    encode(head, value)?;
    let len = u32::try_from(value.len() - from).ok();
    let len = len.filter(|len| *len < SEEN);
    let len = len.ok_or(StoreError::new(StoreErrorKind::Full))?;
    if let Some(place) = value.get_mut(at..from) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    Ok(())
}

/// A value of the log.
pub(in super::super) struct Value<'a> {
    pub(in super::super) time: Option<Timestamp>,
    rest: &'a [u8],
}

/// A set in a value, or activity.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Entry<'a> {
    pub(in super::super) tag: [u8; 12],
    pub(in super::super) what: What<'a>,
}

/// What a value says about a set.
#[derive(Debug, PartialEq)]
pub(in super::super) enum What<'a> {
    /// Its stored form.
    Head(&'a [u8]),
    /// It is gone.
    Gone,
    /// The last activity of a session.
    Seen(SessionId, Timestamp),
}

/// A value ends in the middle of a set.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Torn;

impl<'a> Value<'a> {
    pub(in super::super) fn read(mut rest: &'a [u8]) -> Result<Self, Torn> {
        let time = rest.try_get_i64().ok().ok_or(Torn)?;
        let time = (time > i64::MIN).then(|| Timestamp::from_millis(time));
        Ok(Self { time, rest })
    }
}

impl<'a> Iterator for Value<'a> {
    type Item = Result<Entry<'a>, Torn>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let entry = entry(&mut self.rest);
        if entry.is_none() {
            self.rest = &[];
        }
        Some(entry.ok_or(Torn))
    }
}

fn entry<'a>(rest: &mut &'a [u8]) -> Option<Entry<'a>> {
    let tag = *rest.first_chunk()?;
    rest.advance(tag.len());
    let what = match rest.try_get_u32().ok()? {
        GONE => What::Gone,
        SEEN => {
            let id = SessionId::from_bytes(*rest.first_chunk()?);
            rest.advance(id.as_bytes().len());
            What::Seen(id, Timestamp::from_millis(rest.try_get_i64().ok()?))
        }
        len => {
            let (head, after) = rest.split_at_checked(usize::try_from(len).ok()?)?;
            *rest = after;
            What::Head(head)
        }
    };
    Some(Entry { tag, what })
}

impl Entry<'_> {
    /// How many bytes the set has in this value. 0: none.
    pub(super) fn bytes(&self) -> usize {
        match self.what {
            What::Head(head) => BEFORE + head.len(),
            What::Gone | What::Seen(..) => 0,
        }
    }
}
