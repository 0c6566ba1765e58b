//! What a request sends as its token, before it is parsed.

/// How many values that differ are kept: enough for what other settings left behind.
const MOST: usize = 8;

/// What a request sends as its token.
#[derive(Default)]
pub(super) enum Raw<'a> {
    #[default]
    Nothing,
    One(&'a [u8]),
    /// Several that differ, at most eight.
    Differing(Vec<&'a [u8]>),
}

impl<'a> Raw<'a> {
    pub(super) fn of(values: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut raw = Self::Nothing;
        values.for_each(|value| raw.add(value));
        raw
    }

    pub(super) fn add(&mut self, value: &'a [u8]) {
        match self {
            Self::Nothing => *self = Self::One(value),
            Self::One(first) if *first == value => {}
            Self::One(first) => *self = Self::Differing(vec![*first, value]),
            Self::Differing(all) => {
                if all.len() < MOST && !all.contains(&value) {
                    all.push(value);
                }
            }
        }
    }
}
