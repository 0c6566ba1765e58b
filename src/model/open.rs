//! Arrays to which a newer version may have appended elements.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{IgnoredAny, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

/// A tuple, read from an array, and whether a newer node appended elements, which are passed over.
pub(super) struct Open<T>(pub(super) T, pub(super) bool);

impl<T> Open<T> {
    /// A tuple that this node writes.
    pub(super) const fn of(known: T) -> Self {
        Self(known, false)
    }
}

impl<T: Serialize> Serialize for Open<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Open<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Elements(PhantomData))
    }
}

struct Elements<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Elements<T> {
    type Value = Open<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Open<T>, A::Error> {
        let known = T::deserialize(SeqAccessDeserializer::new(&mut elements))?;
        let mut more = false;
        while elements.next_element::<IgnoredAny>()?.is_some() {
            more = true;
        }
        Ok(Open(known, more))
    }
}
