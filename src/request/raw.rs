//! What a request sends as its token, before it is parsed.

/// What a request sends as its token.
pub(super) enum Raw<'a> {
    Nothing,
    One(&'a [u8]),
    /// Several that differ.
    Differing,
}

impl<'a> Raw<'a> {
    pub(super) fn of(mut values: impl Iterator<Item = &'a [u8]>) -> Self {
        let Some(first) = values.next() else {
            return Self::Nothing;
        };
        if values.all(|value| value == first) {
            Self::One(first)
        } else {
            Self::Differing
        }
    }
}
