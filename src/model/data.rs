//! The app's data of a session: key → bytes, in a form that scripts can merge.

use std::{collections::HashMap, error, fmt, sync::Arc};

use bytes::{BufMut, Bytes, BytesMut};

/// The app's data of one session: key → bytes.
///
/// You need it only to write a store. Handlers use `Session::get` and `Session::insert`, which convert
/// the bytes of a value to your types.
///
/// ```
/// use tower_user_sessions::store::{Changes, Data};
///
/// let mut changes = Changes::default();
/// changes.set("cart", "apple");
/// let data = Data::default().apply(&changes);
/// assert_eq!(data.get("cart").unwrap(), "apple");
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Data(Bytes);

impl Data {
    /// The longest key, in bytes.
    pub const KEY_MAX: usize = 255;

    /// Reads the stored form, see [`as_bytes`](Self::as_bytes).
    ///
    /// # Errors
    ///
    /// If the lengths in it do not add up, or a key is not UTF-8.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, ParseDataError> {
        let mut rest: &[u8] = &bytes;
        while !rest.is_empty() {
            let (key, _) = entry(&mut rest).ok_or(ParseDataError)?;
            str::from_utf8(key).map_err(|_invalid| ParseDataError)?;
        }
        Ok(Self(bytes))
    }

    /// The stored form: one entry after the other, in the order in which the keys were first set.
    ///
    /// An entry is `u16 key length, key, u32 value length, value`, big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Bytes> {
        self.iter()
            .find_map(|(name, value)| (name == key.as_bytes()).then(|| self.0.slice_ref(value)))
    }

    /// The entries, each with its key as bytes of UTF-8.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest: &[u8] = &self.0;
        std::iter::from_fn(move || entry(&mut rest))
    }

    /// The entries whose keys the predicate accepts.
    pub(crate) fn named(
        &self,
        mut named: impl FnMut(&str) -> bool,
    ) -> impl Iterator<Item = (&str, Bytes)> {
        self.iter().filter_map(move |(key, value)| {
            let key = str::from_utf8(key).ok()?;
            named(key).then(|| (key, self.0.slice_ref(value)))
        })
    }

    /// The entries, as keys and values that share these bytes.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Bytes, Bytes)> {
        let share = |part| self.0.slice_ref(part);
        self.iter()
            .map(move |(key, value)| (share(key), share(value)))
    }

    /// How many bytes the entry of this key and value takes.
    pub(crate) fn entry_size(key: &str, value: &[u8]) -> usize {
        6 + key.len() + value.len()
    }

    /// Whether it is the same data in the same place: a cheap question that may have the answer no for
    /// equal data.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.0.as_ptr() == other.0.as_ptr() && self.0.len() == other.0.len()
            || self.is_empty() && other.is_empty()
    }

    /// Whether this is more than before, and over the limit. A limit that was lowered does not refuse what was stored.
    pub(crate) fn outgrows(&self, before: &Self, limit: usize) -> bool {
        self.0.len() > limit.max(before.0.len())
    }

    /// This data with the changes applied. A changed key keeps its place; a new one goes to the end.
    #[must_use]
    pub fn apply(&self, changes: &Changes) -> Self {
        if changes.is_empty() {
            return self.clone();
        }
        let mut entries: Vec<(&[u8], &[u8])> = Vec::new();
        let mut is_new = vec![true; changes.list.len()];
        for (key, value) in self.iter() {
            let at = str::from_utf8(key).ok().and_then(|key| changes.place(key));
            if let Some(is_new) = at.and_then(|at| is_new.get_mut(at)) {
                *is_new = false;
            }
            match at.and_then(|at| changes.list.get(at)) {
                Some((_, Change::Set(value))) => entries.push((key, value)),
                Some((_, Change::Remove)) => {}
                None => entries.push((key, value)),
            }
        }
        for ((key, change), is_new) in changes.list.iter().zip(is_new) {
            if let (Change::Set(value), true) = (change, is_new) {
                entries.push((key.as_bytes(), value));
            }
        }
        let size = entries.iter().map(|(k, v)| 6 + k.len() + v.len()).sum();
        let mut bytes = BytesMut::with_capacity(size);
        for (key, value) in entries {
            put(&mut bytes, key, value);
        }
        Self(bytes.freeze())
    }
}

/// Prints only the size, because the values may be confidential.
impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Data({} bytes)", self.0.len())
    }
}

/// A change of one key.
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "scripts know these two")]
pub enum Change {
    /// The key gets this value.
    Set(Bytes),
    /// The key is removed.
    Remove,
}

/// Changes to the data of a session: at most one per key, in the order of the first change.
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Changes {
    list: Vec<(Arc<str>, Change)>,
    /// Where each key is in the list, once there are many.
    places: HashMap<Arc<str>, usize>,
}

/// With fewer changes than this, walking through them is faster than an index.
const FEW: usize = 16;

impl Changes {
    /// Sets a key.
    pub fn set(&mut self, key: &str, value: impl Into<Bytes>) {
        self.put(key, Change::Set(value.into()));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: &str) {
        self.put(key, Change::Remove);
    }

    fn put(&mut self, key: &str, change: Change) {
        match self.slot(key) {
            Some(slot) => *slot = change,
            None => self.push(Arc::from(key), change),
        }
    }

    /// Sets or removes a key whose text is shared.
    pub(crate) fn add(&mut self, key: &Arc<str>, change: Change) {
        match self.slot(key) {
            Some(slot) => *slot = change,
            None => self.push(Arc::clone(key), change),
        }
    }

    fn push(&mut self, key: Arc<str>, change: Change) {
        self.list.push((key, change));
        if self.list.len() > FEW {
            let new = self.list.iter().enumerate().skip(self.places.len());
            let new = new.map(|(at, (key, _))| (Arc::clone(key), at));
            self.places.extend(new);
        }
    }

    fn slot(&mut self, key: &str) -> Option<&mut Change> {
        let at = self.place(key)?;
        self.list.get_mut(at).map(|(_, change)| change)
    }

    fn place(&self, key: &str) -> Option<usize> {
        if self.places.is_empty() {
            return self.list.iter().position(|(name, _)| **name == *key);
        }
        self.places.get(key).copied()
    }

    /// The change of this key, if there is one.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Change> {
        let (_, change) = self.list.get(self.place(key)?)?;
        Some(change)
    }

    /// Whether there are no changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The form that scripts read. Each change is `u8 1` and an entry, or `u8 0` and a key to remove.
    #[cfg(feature = "redis")]
    pub(crate) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        for (key, change) in &self.list {
            match change {
                Change::Set(value) => {
                    bytes.put_u8(1);
                    put(&mut bytes, key.as_bytes(), value);
                }
                Change::Remove => {
                    bytes.put_u8(0);
                    put_key(&mut bytes, key.as_bytes());
                }
            }
        }
        bytes.freeze()
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Changes({} keys)", self.list.len())
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Set(value) => write!(f, "Set({} bytes)", value.len()),
            Self::Remove => f.write_str("Remove"),
        }
    }
}

/// Takes the first entry off; `None` at the end, or if the lengths do not add up.
fn entry<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (head, tail) = rest.split_first_chunk::<2>()?;
    let (key, tail) = tail.split_at_checked(usize::from(u16::from_be_bytes(*head)))?;
    let (head, tail) = tail.split_first_chunk::<4>()?;
    let length = usize::try_from(u32::from_be_bytes(*head)).ok()?;
    let (value, tail) = tail.split_at_checked(length)?;
    *rest = tail;
    Some((key, value))
}

fn put(bytes: &mut BytesMut, key: &[u8], value: &[u8]) {
    put_key(bytes, key);
    // Callers check the size before they stage; no limit comes near 4 GiB.
    bytes.put_u32(u32::try_from(value.len()).unwrap_or(u32::MAX));
    bytes.put_slice(value);
}

fn put_key(bytes: &mut BytesMut, key: &[u8]) {
    bytes.put_u16(u16::try_from(key.len()).unwrap_or(u16::MAX));
    bytes.put_slice(key);
}

/// The stored bytes are not the data of a session.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ParseDataError;

impl fmt::Display for ParseDataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stored data of a session is not readable: its lengths do not add up")
    }
}

impl error::Error for ParseDataError {}

#[cfg(all(test, feature = "redis"))]
mod tests {
    use super::*;

    #[test]
    fn changes_are_written_as_scripts_read_them() {
        let mut changes = Changes::default();
        changes.set("a", "old");
        changes.remove("cart");
        changes.set("a", "xy");

        let bytes = changes.encode();

        assert_eq!(
            bytes,
            [&b"\x01\0\x01a\0\0\0\x02xy"[..], b"\0\0\x04cart"].concat()
        );
    }
}
