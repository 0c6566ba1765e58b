//! Arrays to which a newer version may have appended elements.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, SeqAccess, Visitor, value::SeqAccessDeserializer},
};

/// A tuple, read from an array. Elements that a newer node appended are ignored.
#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Open<T>(pub(super) T);

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
        while elements.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Open(known))
    }
}
