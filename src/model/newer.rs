//! [`Newer`]: a stored body with parts that only a newer node knows.

use serde::{Deserialize, de::IgnoredAny};

/// The number of the first field whose length the stored form says at its end.
const COUNTED: usize = 6;

/// The most fields that are counted in one byte with its mark.
const FEW: usize = 15;
const FEW_FIELDS: u8 = 0x90;
const MANY_FIELDS: u8 = 0xdc;
const NIL: &[u8] = &[0xc0];

/// The stored form of a body with parts that only a newer node knows. It is written as it was read but for the fields that
/// this node changes, so those parts stay.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Newer(Box<[u8]>);

impl Newer {
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The same with another value of the field with this number. What a newer node put into that field is gone.
    ///
    /// `None` if these are not the bytes of a body.
    pub(super) fn with(&self, field: usize, value: &[u8]) -> Option<Self> {
        let mut fields = fields(&self.0)?;
        if fields.len() <= field {
            fields.resize(field + 1, NIL);
        }
        *fields.get_mut(field)? = value;
        let mut bytes = match u8::try_from(fields.len()) {
            Ok(few) if fields.len() <= FEW => vec![FEW_FIELDS | few],
            _ => {
                let many = u16::try_from(fields.len()).ok()?.to_be_bytes();
                [&[MANY_FIELDS][..], &many].concat()
            }
        };
        bytes.extend(fields.concat());
        if let Some(counted) = fields.get(COUNTED..).filter(|counted| !counted.is_empty()) {
            let len = counted.concat().len() + 2;
            bytes.extend(u16::try_from(len).ok()?.to_be_bytes());
        }
        Some(Self(bytes.into()))
    }
}

/// The elements of an array, each as it is stored.
fn fields(bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let (count, mut rest) = match *bytes {
        [MANY_FIELDS, high, low, ref rest @ ..] => (u16::from_be_bytes([high, low]).into(), rest),
        [first, ref rest @ ..] if first & 0xf0 == FEW_FIELDS => (usize::from(first & 0x0f), rest),
        _ => return None,
    };
    let mut fields = Vec::with_capacity(count);
    for _ in 0..count {
        let mut reader = rmp_serde::Deserializer::new(rest);
        IgnoredAny::deserialize(&mut reader).ok()?;
        let (field, after) = rest.split_at_checked(rest.len() - reader.get_ref().len())?;
        fields.push(field);
        rest = after;
    }
    Some(fields)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body of so many fields, each a text of its number.
    fn body(count: usize) -> Vec<u8> {
        let texts: Vec<_> = (0..count).map(|at| format!("{at}")).collect();
        let mut bytes = rmp_serde::to_vec(&texts).unwrap();
        if count > COUNTED {
            let counted: usize = texts[COUNTED..].iter().map(|text| text.len() + 1).sum();
            bytes.extend(u16::try_from(counted + 2).unwrap().to_be_bytes());
        }
        bytes
    }

    #[test]
    fn no_other_field_changes() {
        for count in [1, 5, 7, 9, 15, 16, 40] {
            let whole = body(count);
            for field in 0..count {
                let text = field.to_string();
                let long = rmp_serde::to_vec("a longer text").unwrap();

                let changed = Newer::of(&whole).with(field, &long).unwrap();

                assert_ne!(changed.as_bytes(), whole);
                let value = rmp_serde::to_vec(&text).unwrap();
                let back = changed.with(field, &value).unwrap();
                assert_eq!(back.as_bytes(), whole, "{field} of {count}");
            }
        }
    }

    #[test]
    fn fields_that_are_missing_before_it_are_nil() {
        let nil: Option<()> = None;
        let expected = rmp_serde::to_vec(&("0", "1", nil, nil, nil, nil, 7)).unwrap();

        let changed = Newer::of(&body(2)).with(6, &[7]).unwrap();

        assert_eq!(changed.as_bytes(), [&expected[..], &[0, 3]].concat());
    }

    #[test]
    fn bytes_that_are_no_array_or_too_few_are_refused() {
        for bytes in [
            &[][..],
            &[0xc0],
            &[0x92, 0xc0],
            &[0xdc, 0],
            &[0x91, 0xa5, b'a'],
        ] {
            assert_eq!(Newer::of(bytes).with(0, NIL), None, "{bytes:?}");
        }
    }
}
