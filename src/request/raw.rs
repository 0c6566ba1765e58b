//! What a request sends as its token, before it is parsed.

use crate::model::Token;

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
    #[inline]
    pub(super) fn add(&mut self, value: &'a [u8]) {
        match self {
            Self::Nothing => *self = Self::One(value),
            Self::One(first) if *first == value => {}
            Self::One(first) => *self = Self::Differing(vec![*first, value]),
            Self::Differing(all) if all.contains(&value) => {}
            Self::Differing(all) if all.len() < MOST => all.push(value),
            Self::Differing(all) => {
                if is_token(value)
                    && let Some(other) = all.iter_mut().find(|kept| !is_token(kept))
                {
                    // What is no token must not hide one.
                    *other = value;
                }
            }
        }
    }
}

fn is_token(value: &[u8]) -> bool {
    Token::parse(value).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Tag;

    #[test]
    fn values_that_are_no_tokens_hide_no_token() {
        let token = Token::random(Tag::random().unwrap()).unwrap().encode();
        let others: Vec<String> = (0..20).map(|number| number.to_string()).collect();
        let mut values: Vec<&[u8]> = others.iter().map(|other| other.as_bytes()).collect();
        values.push(token.as_bytes());

        let mut raw = Raw::Nothing;
        values.into_iter().for_each(|value| raw.add(value));
        let Raw::Differing(all) = raw else {
            panic!("they differ");
        };

        assert_eq!(all.len(), MOST);
        assert!(all.contains(&token.as_bytes()));
    }
}
